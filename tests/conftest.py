"""What tests of the whole share: the command, and one finished run."""

from pathlib import Path

import pytest
import torch

from runs import Run, ethanol_file, options, run_mtt, write_options

# Systems of tests are tiny: threads would only wait for each other.
torch.set_num_threads(1)


@pytest.fixture
def mtt(tmp_path: Path) -> Run:
    """The command, run in the test's own folder."""
    return lambda *words: run_mtt(*words, folder=tmp_path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which ``mtt train`` has run: ``model.pt``, ``model.ckpt``, ``outputs/``."""
    folder = tmp_path_factory.mktemp("finished")
    data = ethanol_file(folder / "ethanol.xyz", 20)
    write_options(folder / "options.yaml", options(data))
    done = run_mtt("train", "options.yaml", folder=folder)
    assert done.returncode == 0, done.stderr
    (folder / "stdout.txt").write_text(done.stdout)
    (folder / "stderr.txt").write_text(done.stderr)
    return folder
