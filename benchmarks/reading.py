"""Reading a large file, against ASE, and reading it again."""

import itertools
import shutil
from pathlib import Path

import yaml

from benchmarks.data import link, write_many
from benchmarks.figures import Figure
from benchmarks.measurements import Setting, Turn
from benchmarks.targets import AGAIN, ASE, FRAMES, METATRAIN, READING, RESIDENT


def turns(setting: Setting) -> list[Turn]:
    """Ours reads the file, and once more as at a second start; ASE reads it."""
    file = setting.folder("reading") / "frames.xyz"
    write_many(setting.data, file, setting.num_frames)
    return [_turn(setting, file), _turn_of_ase(setting, file)]


def _turn(setting: Setting, file: Path) -> Turn:
    repeats = itertools.count(1)

    def measure() -> list[Figure]:
        # nothing is left of an earlier repeat, neither beside the file nor in the user's cache
        folder = setting.folder("reading", str(next(repeats)))
        _write_options(link(file, folder), folder / "options.yaml")
        words = setting.ours.script("reading.py", "options.yaml")
        variables = {"XDG_CACHE_HOME": str(folder / "cache")}
        first, again = (setting.launcher.run(words, folder, variables).json() for _ in range(2))
        shutil.rmtree(folder)
        found = {
            FRAMES: first["systems"] / first["seconds"],
            RESIDENT: first["peak_bytes"] / first["column_bytes"],
            AGAIN: again["seconds"],
            "again, memory": again["peak_bytes"] / again["column_bytes"],
        }
        figures = [Figure(READING, column, METATRAIN, value) for column, value in found.items()]
        return [*figures, _bytes(METATRAIN, file, first["seconds"])]

    return measure


def _turn_of_ase(setting: Setting, file: Path) -> Turn:
    def measure() -> list[Figure]:
        words = setting.ours.script("ase_reading.py", file)
        found = setting.launcher.run(words, file.parent).json()
        rate = found["systems"] / found["seconds"]
        return [Figure(READING, FRAMES, ASE, rate), _bytes(ASE, file, found["seconds"])]

    return measure


def _write_options(data: Path, path: Path) -> None:
    target = {"key": "energy", "unit": "eV", "forces": {"key": "forces"}}
    systems = {"read_from": str(data), "length_unit": "angstrom"}
    options = {
        "architecture": {"name": "soap_bpnn"},
        "training_set": {"systems": systems, "targets": {"energy": target}},
        "validation_set": 0.1,
    }
    path.write_text(yaml.safe_dump(options))


def _bytes(who: str, file: Path, seconds: float) -> Figure:
    return Figure(READING, "GB/s of file", who, file.stat().st_size / seconds / 1e9, "copy GB/s")
