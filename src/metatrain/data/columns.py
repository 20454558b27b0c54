"""A data set as flat arrays: systems and labels, one after the other."""

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from metatrain.data.inputs import default_inputs
from metatrain.data.segments import offsets_of, rows_of, segment_of_row
from metatrain.data.target import Target


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

    def pairs(self) -> set[tuple[str, int]]:
        """File and place of each system."""
        files = [self.files[index] for index in self.file.tolist()]
        return set(zip(files, self.number.tolist(), strict=True))

    def select(self, systems: Tensor) -> "Origin":
        """The origin of some of the systems."""
        return Origin(self.files, self.file[systems], self.number[systems])

    @staticmethod
    def concatenate(parts: Sequence["Origin"]) -> "Origin":
        """The origin of all systems of the parts."""
        files = tuple(dict.fromkeys(path for part in parts for path in part.files))
        indices = [torch.tensor([files.index(path) for path in part.files]) for part in parts]
        return Origin(
            files,
            torch.cat([index[part.file] for index, part in zip(indices, parts, strict=True)]),
            torch.cat([part.number for part in parts]),
        )


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
            digest.update(column.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def atomic_types(self) -> list[int]:
        """The atomic numbers that occur, ascending."""
        return [int(number) for number in torch.unique(self.types)]

    def is_per_atom(self, target: str) -> bool:
        """Whether the values of a target have a row per atom rather than per system."""
        return target in self.targets_per_atom or len(self.values[target]) != len(self)

    def select(self, systems: Tensor | Sequence[int]) -> "Columns":
        """Some of the systems, in the order given."""
        systems = torch.as_tensor(systems, dtype=torch.int64)
        atoms, offsets = rows_of(self.offsets, systems)
        return Columns(
            offsets=offsets,
            types=self.types[atoms],
            positions=self.positions[atoms],
            cells=self.cells[systems],
            pbc=self.pbc[systems],
            values={
                name: values[atoms if self.is_per_atom(name) else systems]
                for name, values in self.values.items()
            },
            forces={name: forces[atoms] for name, forces in self.forces.items()},
            stress={name: stress[systems] for name, stress in self.stress.items()},
            inputs={name: values[systems] for name, values in self.inputs.items()},
            origin=self.origin.select(systems),
            targets_per_atom=frozenset(filter(self.is_per_atom, self.values)),
        )

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
    def concatenate(parts: Sequence["Columns"]) -> "Columns":
        """All systems of the parts; a target that a part lacks is NaN there."""
        per_atom = frozenset(
            name for part in parts for name in part.values if part.is_per_atom(name)
        )
        sizes_in_systems = [len(part) for part in parts]
        sizes_in_atoms = [len(part.types) for part in parts]
        names = dict.fromkeys(name for part in parts for name in part.values)
        return Columns(
            offsets=offsets_of(torch.cat([part.num_atoms for part in parts])),
            types=torch.cat([part.types for part in parts]),
            positions=torch.cat([part.positions for part in parts]),
            cells=torch.cat([part.cells for part in parts]),
            pbc=torch.cat([part.pbc for part in parts]),
            values={
                name: _join(
                    [part.values.get(name) for part in parts],
                    sizes_in_atoms if name in per_atom else sizes_in_systems,
                )
                for name in names
            },
            forces=_join_all([part.forces for part in parts], sizes_in_atoms),
            stress=_join_all([part.stress for part in parts], sizes_in_systems),
            inputs=_join_all([part.inputs for part in parts], sizes_in_systems),
            origin=Origin.concatenate([part.origin for part in parts]),
            targets_per_atom=per_atom,
        )


def _join_all(labels: list[dict[str, Tensor]], sizes: list[int]) -> dict[str, Tensor]:
    names = dict.fromkeys(name for part in labels for name in part)
    return {name: _join([part.get(name) for part in labels], sizes) for name in names}


def _join(labels: list[Tensor | None], sizes: list[int]) -> Tensor:
    """The labels one after the other, NaN where a part of the given size has none."""
    shape = next(part.shape[1:] for part in labels if part is not None)
    return torch.cat(
        [
            torch.full((size, *shape), torch.nan, dtype=torch.float64) if part is None else part
            for part, size in zip(labels, sizes, strict=True)
        ]
    )
