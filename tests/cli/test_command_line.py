"""What the command says of itself, and how little it loads for it."""

import re
import subprocess
import sys

import pytest

import metatrain
from runs import MTT, ethanol_file, options, write_options

HEAVY = {"torch", "numpy", "ase", "omegaconf", "metatomic", "metatensor", "rich"}


def test_help_shows_each_command_in_one_line(mtt):
    done = mtt("--help")
    assert done.returncode == 0
    for command in ("train", "eval", "export", "list", "schema", "new", "completion"):
        assert f"    {command}" in done.stdout
        assert re.search(rf"^    {command} +\w.*$", done.stdout, re.MULTILINE), command


def test_version(mtt):
    assert mtt("--version").stdout == f"metatrain {metatrain.__version__}\n"


@pytest.mark.parametrize(
    "words",
    [["--help"], ["--version"], ["train", "--help"], ["new", "--help"], ["completion", "bash"]],
    ids=" ".join,
)
def test_what_says_nothing_of_data_loads_nothing_heavy(words):
    script = f"""
import sys
sys.argv = ["mtt", *{words!r}]
from metatrain.cli import main
try:
    main()
except SystemExit:
    pass
assert not {HEAVY!r} & set(sys.modules), {HEAVY!r} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_a_wrong_path_of_options_is_told_before_anything_heavy_is_loaded():
    script = f"""
import sys
from metatrain.cli import main
assert main(["train", "nowhere.yaml"]) == 2
assert not {HEAVY!r} & set(sys.modules), {HEAVY!r} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    assert done.stderr == b"error: nowhere.yaml: there is no such options file; check the path\n"


def test_options_may_come_through_a_pipe(tmp_path):
    done = subprocess.run(
        [MTT, "train", "/dev/stdin"],
        input=b"architecture: {name: soap_bpnm}\n",
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert b"'soap_bpnm'" in done.stderr


def test_a_training_imports_neither_engines_nor_compilers_before_its_export(mtt, tmp_path):
    # each takes longer than everything else between the imports and the first step
    slow = {"metatomic.torch", "metatensor.torch", "scipy", "sympy", "torch._dynamo", "ase.io"}
    (tmp_path / "own.py").write_text(f"""
import sys
from dataclasses import dataclass

@dataclass(frozen=True)
class Loaded:
    def __call__(self, folder):
        return self

    def log(self, step, metrics):
        print("loaded:", *sorted({slow!r} & set(sys.modules)))

    def close(self):
        pass
""")
    data = ethanol_file(tmp_path / "ethanol.xyz", 10)
    training = {"num_epochs": 1, "loggers": ["own:Loaded"]}
    write_options(tmp_path / "options.yaml", options(data, architecture={"training": training}))
    done = mtt("train", "options.yaml")
    assert done.returncode == 0, done.stderr
    assert "loaded:\n" in done.stdout


def test_a_mistyped_command_or_argument_is_answered_by_usage(mtt):
    for words in (["trian"], ["train"], ["train", "options.yaml", "--outptu", "x"]):
        done = mtt(*words)
        assert done.returncode == 2
        assert done.stderr.startswith("usage: mtt")


def test_completion_in_bash_knows_commands_options_and_files(mtt, tmp_path):
    script = tmp_path / "mtt.bash"
    script.write_text(mtt("completion", "bash").stdout)
    (tmp_path / "my_options.yaml").touch()

    def completed(*words: str) -> set[str]:
        line = f"""
source {script}
COMP_WORDS=({" ".join(f"'{word}'" for word in words)})
COMP_CWORD={len(words) - 1}
COMP_TYPE=9
$(complete -p mtt | sed 's/.*-F \\([^ ]*\\) .*/\\1/') mtt "{words[-1]}" "{words[-2]}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
        done = subprocess.run(
            ["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        return set(done.stdout.split())

    assert completed("mtt", "tr") == {"train"}
    assert completed("mtt", "ne") == {"new"}
    assert "--architecture" in completed("mtt", "schema", "--arc")
    assert "--restart" in completed("mtt", "train", "--re")
    assert "my_options.yaml" in completed("mtt", "train", "my")


def test_a_reader_that_leaves_early_is_no_bug(tmp_path):
    words = ["bash", "-c", f"{MTT} schema | head -n 1"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "{\n"
    assert done.stderr == ""
    assert not list(tmp_path.iterdir())
