"""What tests of the whole share: the command, real data, and options of short runs."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
ETHANOL = ROOT / "examples" / "ethanol" / "ethanol.xyz"
MTT = Path(sys.executable).parent / "mtt"
SMALL_MODEL = {"soap": {"max_angular": 2, "max_radial": 2}, "bpnn": {"num_neurons_per_layer": 8}}

Run = Callable[..., subprocess.CompletedProcess[str]]


def mtt_environment() -> dict[str, str]:
    """The environment of a command: one thread, as the tests themselves."""
    return os.environ | {"OMP_NUM_THREADS": "1"}


def run_python(*words: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the interpreter of the tests."""
    return run_command(sys.executable, *words, folder=folder)


def run_mtt(*words: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the installed command."""
    return run_command(MTT, *words, folder=folder)


def run_command(*words: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run any command, with one thread."""
    return subprocess.run(
        [str(word) for word in words],
        cwd=folder,
        env=mtt_environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def ethanol_file(path: Path, num_systems: int) -> Path:
    """The first structures of ethanol, with energies and forces."""
    lines = ETHANOL.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: num_systems * 11]))
    return path


def options(data: Path, **changes: object) -> dict:
    """Options of a run that takes a second, with nested ``changes`` put over them."""
    plain = {
        "seed": 1,
        "architecture": {
            "name": "soap_bpnn",
            "model": SMALL_MODEL,
            "training": {"num_epochs": 3, "batch_size": 4},
        },
        "training_set": {
            "systems": {"read_from": str(data), "length_unit": "angstrom"},
            "targets": {"energy": {"unit": "eV"}},
        },
        "validation_set": 0.2,
        "test_set": 0.1,
    }
    return merged(plain, changes)


def merged(under: dict, over: dict) -> dict:
    """Two nested dictionaries as one."""
    both = dict(under)
    for key, value in over.items():
        is_section = isinstance(value, dict) and isinstance(under.get(key), dict)
        both[key] = merged(under[key], value) if is_section else value
    return both


def write_options(path: Path, content: dict) -> Path:
    """An options file."""
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def only_run(folder: Path) -> Path:
    """The folder of the one run that began in ``folder``."""
    (run,) = folder.glob("outputs/*/*")
    return run
