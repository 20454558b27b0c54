"""What the README and the examples promise, done as a reader would."""

import re
import runpy
import shutil

import pandas as pd
import pytest
import yaml

from metatrain.training import GradientHypers
from metatrain.workflows.new_package import render
from runs import ROOT, only_run, run_mtt, run_python


def test_the_commands_of_the_readme_are_single_lines_of_files_that_exist():
    readme = (ROOT / "README.md").read_text()
    for mark in ("main job", "test command"):
        (command,) = re.findall(rf"<!-- {mark} -->\n```bash\n(.*)\n```\n", readme)
        assert command.startswith("python3 -m venv .venv && ")
        for word in command.split():
            if word.startswith("examples/"):
                assert (ROOT / word).exists()


@pytest.fixture(scope="module")
def ethanol(tmp_path_factory):
    """The README's example, with fewer epochs; its options are those of the file."""
    folder = tmp_path_factory.mktemp("ethanol")
    shutil.copytree(ROOT / "examples", folder / "examples")
    shorter = ["-r", "architecture.training.num_epochs=15"]
    done = run_mtt("train", "examples/ethanol/options.yaml", *shorter, folder=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_example_learns_ethanol(ethanol):
    table = pd.read_csv(only_run(ethanol) / "metrics.csv")
    forces = table["validation forces RMSE (meV/A)"]
    # the forces themselves are 1190 meV/A in the mean
    assert forces.iloc[-1] < 200
    assert forces.iloc[-1] < 0.5 * forces.iloc[0]


def test_the_example_is_evaluated(ethanol):
    done = run_mtt("eval", "model.pt", "examples/ethanol/evaluate.yaml", folder=ethanol)
    assert done.returncode == 0, done.stderr
    assert "400 systems" in done.stdout


def test_molecular_dynamics_with_the_example_conserves_energy(ethanol):
    words = ["examples/ethanol/run_md.py", "--picoseconds", "0.2"]
    done = run_python(*words, folder=ethanol)
    assert done.returncode == 0, done.stderr
    drift = float(re.search(r"energy: (\S+) meV/atom", done.stdout)[1])
    assert abs(drift) < 1.0
    assert 150 < float(re.search(r"temperature: (\S+) K", done.stdout)[1]) < 450


def test_every_options_block_of_the_docs_is_yaml():
    for page in ("docs/options.md", "README.md"):
        for block in re.findall(r"```yaml\n(.*?)```", (ROOT / page).read_text(), re.DOTALL):
            assert isinstance(yaml.safe_load(block), dict)


def test_the_options_page_names_every_option_of_the_trainer():
    page = (ROOT / "docs/options.md").read_text()
    for name in GradientHypers.__dataclass_fields__:
        assert f"`{name}`" in page, name


def test_the_guide_shows_the_package_that_mtt_new_writes():
    guide = (ROOT / "docs/new-architecture.md").read_text()
    for source in ("src/model.py", "tests/conformance.py"):
        assert f"```python\n{render(source, 'my_net')}```" in guide


def test_the_pages_of_the_architectures_are_what_their_packages_say():
    for path, text in runpy.run_path(str(ROOT / "docs/generate.py"))["pages"]().items():
        assert path.read_text() == text, "run: python docs/generate.py"
        assert ":class:" not in text
