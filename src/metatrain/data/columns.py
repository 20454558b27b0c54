"""A data set as flat arrays: systems and labels, one after the other."""

import functools
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from metatrain.data.growing import GrowingRows
from metatrain.data.inputs import default_inputs
from metatrain.data.segments import offsets_of, rows_of, segment_of_row
from metatrain.data.target import Target

# The kind of an array, such as "forces", and the target or input that it is of, if any.
ArrayName = tuple[str, str]

MANY_TYPES = 1000
"""Atomic types below are counted in a table; those of coarse-grained beads may be any numbers."""


@dataclass(frozen=True, eq=False)
class Origin:
    """Where each system comes from, for messages.

    :param files: paths
    :param file: (S,) which of the files
    :param number: (S,) the place in the file, counted from 0
    """

    files: tuple[str, ...]
    file: Tensor
    number: Tensor

    def where(self, system: int) -> str:
        """The file and the place in it, as the beginning of a message."""
        return f"{self.files[int(self.file[system])]}, system {int(self.number[system])}"

    def count_shared(self, other: "Origin") -> int:
        """How many places in files both have."""
        shared = set(self.files) & set(other.files)
        return sum(_count_common(self.numbers_in(path), other.numbers_in(path)) for path in shared)

    def numbers_in(self, path: str) -> Tensor:
        """The places in one of the files."""
        return self.number[self.file == self.files.index(path)]


def _count_common(first: Tensor, second: Tensor) -> int:
    """How many natural numbers both have."""
    size = 1 + max(int(numbers.max()) if len(numbers) else 0 for numbers in (first, second))
    is_in_first, is_in_second = (torch.bincount(n, minlength=size) > 0 for n in (first, second))
    return int((is_in_first & is_in_second).sum())


@dataclass(frozen=True, eq=False)
class Columns:
    """Systems and labels of a data set, on the CPU, numbers in float64 and int64.

    A label that a system lacks is NaN; so is the stress of a system that is not periodic
    in three directions.

    :param offsets: (S + 1,) first atom of each system, and the number of atoms
    :param types: (N,) atomic numbers
    :param positions: (N, 3) [length]
    :param cells: (S, 3, 3), rows are the cell vectors, zero where not periodic [length]
    :param pbc: (S, 3) periodic directions
    :param values: by target, (S, V), or (N, V) for a target per atom
    :param forces: by target, (N, 3), −dE/dr
    :param stress: by target, (S, 3, 3), (dE/dstrain)/volume
    :param inputs: (S,) of each of :data:`metatrain.data.inputs.SYSTEM_INPUTS`, charges and the
        like; NaN where a file has something else than a number
    :param origin: where the systems come from
    :param targets_per_atom: names of the targets per atom; needed only where every system
        is a single atom, for otherwise the number of rows tells
    """

    offsets: Tensor
    types: Tensor
    positions: Tensor
    cells: Tensor
    pbc: Tensor
    values: dict[str, Tensor]
    forces: dict[str, Tensor]
    stress: dict[str, Tensor]
    inputs: dict[str, Tensor]
    origin: Origin
    targets_per_atom: frozenset[str] = frozenset()

    def __len__(self) -> int:
        """Number of systems."""
        return len(self.offsets) - 1

    @functools.cached_property
    def num_atoms(self) -> Tensor:
        """(S,) number of atoms of each system."""
        return self.offsets.diff()

    @functools.cached_property
    def system_of_atom(self) -> Tensor:
        """(N,) the system that each atom belongs to."""
        return segment_of_row(self.offsets)

    @functools.cached_property
    def volumes(self) -> Tensor:
        """(S,) volume of each cell, zero unless periodic in three directions [length^3]."""
        volumes: Tensor = torch.linalg.det(self.cells).abs()
        return volumes * self.pbc.all(dim=1)

    def fingerprint(self) -> str:
        """A short text that other systems, labels or another order do not have."""
        digest = hashlib.sha256()
        columns = [self.offsets, self.types, self.positions, self.cells, self.pbc]
        for labels in (self.values, self.forces, self.stress):
            for name in sorted(labels):
                digest.update(name.encode())
                columns.append(labels[name])
        for name, default in default_inputs(len(self)).items():
            if not torch.equal(self.inputs[name], default):
                digest.update(name.encode())
                columns.append(self.inputs[name])
        for column in columns:
            digest.update(column.contiguous().numpy().reshape(-1).data.cast("B"))
        return digest.hexdigest()

    def atomic_types(self) -> list[int]:
        """The atomic numbers that occur, ascending."""
        if len(self.types) and self.types.max() > MANY_TYPES:
            return self.types.unique().tolist()
        # many times faster, and as long as the largest type
        return torch.nonzero(torch.bincount(self.types)).squeeze(1).tolist()

    def is_per_atom(self, target: str) -> bool:
        """Whether the values of a target have a row per atom rather than per system."""
        return target in self.targets_per_atom or len(self.values[target]) != len(self)

    def arrays(self) -> dict[ArrayName, Tensor]:
        """All arrays; the offsets as the number of atoms of each system."""
        nested = {
            "values": self.values,
            "forces": self.forces,
            "stress": self.stress,
            "inputs": self.inputs,
            "origin": {"file": self.origin.file, "number": self.origin.number},
        }
        plain = {
            "num_atoms": self.num_atoms,
            "types": self.types,
            "positions": self.positions,
            "cells": self.cells,
            "pbc": self.pbc,
        }
        arrays = {(kind, ""): array for kind, array in plain.items()}
        return arrays | {
            (kind, name): array
            for kind, by_name in nested.items()
            for name, array in by_name.items()
        }

    @staticmethod
    def of_arrays(
        arrays: Mapping[ArrayName, Tensor], files: Sequence[str], targets_per_atom: Iterable[str]
    ) -> "Columns":
        """The columns that have these :meth:`arrays`.

        :param files: of the origin
        :param targets_per_atom: at least those that the number of rows does not tell of
        """

        def named(kind: str) -> dict[str, Tensor]:
            return {name: array for (of, name), array in arrays.items() if of == kind}

        return Columns(
            offsets=offsets_of(arrays["num_atoms", ""]),
            types=arrays["types", ""],
            positions=arrays["positions", ""],
            cells=arrays["cells", ""],
            pbc=arrays["pbc", ""],
            values=named("values"),
            forces=named("forces"),
            stress=named("stress"),
            inputs=named("inputs"),
            origin=Origin(tuple(files), arrays["origin", "file"], arrays["origin", "number"]),
            targets_per_atom=frozenset(targets_per_atom),
        )

    def select(self, systems: Tensor | Sequence[int]) -> "Columns":
        """Some of the systems, in the order given."""
        systems = torch.as_tensor(systems, dtype=torch.int64)
        atoms, _ = rows_of(self.offsets, systems)
        per_atom = set(filter(self.is_per_atom, self.values))
        arrays = {
            name: array[atoms if _is_of_atoms(name, per_atom) else systems]
            for name, array in self.arrays().items()
        }
        return self.of_arrays(arrays, self.origin.files, per_atom)

    def take_apart(self, parts: Mapping[str, Tensor]) -> dict[str, "Columns"]:
        """The systems of each part. Nothing is left of the whole.

        Each array is given up as soon as the parts have their rows of it: a large data set is
        at no time in memory twice.

        :param parts: by name, the systems of each part
        """
        atoms = {part: rows_of(self.offsets, systems)[0] for part, systems in parts.items()}
        per_atom = set(filter(self.is_per_atom, self.values))
        files, arrays = self.origin.files, self.arrays()
        vars(self).clear()
        taken: dict[str, dict[ArrayName, Tensor]] = {part: {} for part in parts}
        for name in list(arrays):
            array = arrays.pop(name)
            for part in parts:
                rows = atoms if _is_of_atoms(name, per_atom) else parts
                taken[part][name] = array[rows[part]]
        return {part: self.of_arrays(of, files, per_atom) for part, of in taken.items()}

    def completed(self, targets: Mapping[str, Target]) -> "Columns":
        """The same with NaN for every label of the targets that is not there at all."""
        missing = torch.tensor(torch.nan, dtype=torch.float64)
        num_systems, num_atoms = len(self), len(self.types)
        values = {
            target.name: missing.expand(
                num_atoms if target.is_per_atom else num_systems, target.num_values
            )
            for target in targets.values()
        }
        forces = {
            name: missing.expand(num_atoms, 3) for name in targets if targets[name].has_forces
        }
        stress = {
            name: missing.expand(num_systems, 3, 3) for name in targets if targets[name].has_stress
        }
        per_atom = {name for name, target in targets.items() if target.is_per_atom}
        return replace(
            self,
            values=values | self.values,
            forces=forces | self.forces,
            stress=stress | self.stress,
            targets_per_atom=self.targets_per_atom | per_atom,
        )

    @staticmethod
    def concatenate(parts: Iterable["Columns"]) -> "Columns":
        """All systems of the parts; a target that a part lacks is NaN there.

        Arrays of a single part are not copied: whoever writes into the one writes into the other.
        """
        grown: dict[ArrayName, GrowingRows] = {}
        files: list[str] = []
        per_atom: set[str] = set()
        num_systems = num_atoms = 0
        for part in parts:
            per_atom |= {name for name in part.values if part.is_per_atom(name)}
            files += [path for path in part.origin.files if path not in files]
            arrays = part.arrays()
            index = torch.tensor([files.index(path) for path in part.origin.files])
            arrays["origin", "file"] = index[part.origin.file]
            for name, array in arrays.items():
                if name not in grown:
                    grown[name] = GrowingRows(array.shape[1:], array.dtype)
                    grown[name].append_nan(
                        num_atoms if _is_of_atoms(name, per_atom) else num_systems
                    )
                grown[name].append(array)
            for name in grown.keys() - arrays.keys():
                grown[name].append_nan(
                    len(part.types) if _is_of_atoms(name, per_atom) else len(part)
                )
            num_systems, num_atoms = num_systems + len(part), num_atoms + len(part.types)
        arrays = {name: rows.rows for name, rows in grown.items()}
        return Columns.of_arrays(arrays, files, per_atom)


def _is_of_atoms(array: ArrayName, targets_per_atom: Collection[str]) -> bool:
    """Whether an array has a row per atom."""
    kind, name = array
    return kind in ("types", "positions", "forces") or (
        kind == "values" and name in targets_per_atom
    )
