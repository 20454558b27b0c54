"""An environment with the packages of strangers, and runs in it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from packages.environment import fresh_environment, install
from runs import Run, ethanol_file, options, run_command, write_options

HERE = Path(__file__).parent
TRAIN_EACH = """
import contextlib, io, json, sys
from metatrain.cli import main

for path in sys.argv[1:]:
    told = io.StringIO()
    with contextlib.redirect_stderr(told):
        code = main(["train", path])
    print(json.dumps([code, told.getvalue()]))
"""
PACKAGES = ("contract_only", "every_kind", "broken")


@pytest.fixture(scope="session")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment in which all of the packages are installed."""
    python = fresh_environment(tmp_path_factory.mktemp("strangers"))
    install(python, *(HERE / name for name in PACKAGES))
    return python


@pytest.fixture(scope="session")
def strangers_mtt(strangers: Path) -> Run:
    """The command of that environment."""
    return lambda *words, folder: run_command(strangers, "-m", "metatrain", *words, folder=folder)


@pytest.fixture(scope="session")
def linear_run(strangers_mtt: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the linear model was trained."""
    folder = tmp_path_factory.mktemp("linear")
    data = ethanol_file(folder / "ethanol.xyz", 60)
    write_options(folder / "options.yaml", linear_options(data))
    done = strangers_mtt("train", "options.yaml", folder=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def refusals_of(
    strangers: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[dict[str, dict]], dict[str, str]]:
    """What ``mtt train`` says of options that it refuses: one line each.

    One process asks for all of them, since each would spend its time on imports. The data
    cannot be read, so that a refusal has to come before that.
    """

    def refuse(contents: dict[str, dict]) -> dict[str, str]:
        folder = tmp_path_factory.mktemp("refused")
        for name in ("garbage.xyz", "garbage.jsonl"):
            (folder / name).write_text("garbage")
        paths = [
            write_options(folder / f"{number}.yaml", content)
            for number, content in enumerate(contents.values())
        ]
        done = run_command(strangers, "-c", TRAIN_EACH, *paths, folder=folder)
        assert done.returncode == 0, done.stderr
        assert not (folder / "outputs").exists()
        told = {}
        for name, line in zip(contents, done.stdout.splitlines(), strict=True):
            code, told[name] = json.loads(line)
            assert code == 2, told[name]
            assert told[name].startswith("error: ")
            assert told[name].index("\n") == len(told[name]) - 1
        return told

    return refuse


def linear_options(data: Path, *penalties: float) -> dict:
    """Options of a training of the linear model."""
    content = options(data)
    content["architecture"] = {
        "name": "linear",
        "model": {"cutoff": 3.0, "num_radial": 8},
        "training": {"penalties": list(penalties)} if penalties else {},
    }
    return content
