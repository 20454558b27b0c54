"""Systems as lines of JSON: a reader and a writer.

Each line is one system: ``types``, ``positions``, ``cell`` and ``pbc``, then what there is
``per_system`` and ``per_atom`` as mappings from names to values.
"""

import contextlib
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from metatrain.data.frames import Column, Frames
from metatrain.errors import MetatrainError

SYSTEMS_PER_CHUNK = 100


@dataclass(frozen=True)
class JsonLinesReader:
    """Reads lines of JSON."""

    suffixes: ClassVar[tuple[str, ...]] = (".jsonl",)

    def __call__(self, path):
        with Path(path).open() as file:
            systems = (self.system(line, f"{path}, system {i}") for i, line in enumerate(file))
            while chunk := list(itertools.islice(systems, SYSTEMS_PER_CHUNK)):
                yield Frames.concatenate(chunk)

    def system(self, line, where):
        """One system; what is wrong with it is told in one line."""
        try:
            entry = json.loads(line)
            return Frames(
                offsets=np.array([0, len(entry["types"])]),
                types=np.array(entry["types"]),
                positions=np.array(entry["positions"], dtype=float),
                cells=np.array([entry["cell"]], dtype=float),
                pbc=np.array([entry["pbc"]], dtype=bool),
                system_data={k: Column.of_system(v) for k, v in entry["per_system"].items()},
                atom_data={k: Column.of_atoms(np.array(v)) for k, v in entry["per_atom"].items()},
            )
        except (ValueError, KeyError) as error:
            raise MetatrainError(f"{where}: cannot be read: {error!r}; mend that line.") from error


@dataclass(frozen=True)
class JsonLinesWriter:
    """Writes lines of JSON."""

    suffixes: ClassVar[tuple[str, ...]] = (".jsonl",)

    @contextlib.contextmanager
    def open(self, path):
        with Path(path).open("w") as file:
            yield JsonLinesFile(file)


class JsonLinesFile:
    """The file while it is open."""

    def __init__(self, file):
        self.file = file

    def write(self, frames):
        per_system = frames.system_data | frames.system_results
        per_atom = frames.atom_data | frames.atom_results
        for index in range(len(frames)):
            atoms = slice(frames.offsets[index], frames.offsets[index + 1])
            entry = {
                "types": frames.types[atoms].tolist(),
                "positions": frames.positions[atoms].tolist(),
                "cell": frames.cells[index].tolist(),
                "pbc": frames.pbc[index].tolist(),
                "per_system": self.present(per_system, index, index),
                "per_atom": self.present(per_atom, index, atoms),
            }
            self.file.write(json.dumps(entry) + "\n")

    @staticmethod
    def present(columns, system, rows):
        """The values of those columns that the system has."""
        return {
            key: np.asarray(column.values[rows]).tolist()
            for key, column in columns.items()
            if column.is_present[system]
        }
