"""Systems exactly as a file holds them, with everything that stands beside them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

NUMBER_KINDS = "iuf"


@dataclass(frozen=True)
class Column:
    """One key of a file, for all systems of a chunk.

    :param values: (S, ...) or (N, ...): numbers or booleans if all systems have the same
        kind and shape, else an array of objects, one per row; without meaning where the
        system lacks the key
    :param is_present: (S,) which systems have the key
    """

    values: NDArray[Any]
    is_present: NDArray[np.bool_]

    @classmethod
    def of_system(cls, value: Any) -> Self:
        """The column of a single system with a single value."""
        if isinstance(value, bool | int | float | np.generic | np.ndarray):
            return cls.of_atoms(np.asarray(value)[None])
        values = np.empty(1, dtype=object)
        values[0] = value
        return cls(values, np.ones(1, dtype=bool))

    @classmethod
    def of_atoms(cls, values: NDArray[Any]) -> Self:
        """The column of a single system with one value per atom."""
        if values.dtype.kind not in NUMBER_KINDS + "b":
            values = values.astype(object)
        return cls(values, np.ones(1, dtype=bool))

    @classmethod
    def concatenate(cls, parts: Sequence[Self | None], sizes: Sequence[tuple[int, int]]) -> Self:
        """One column from those of several chunks; ``None`` stands for a chunk without the key.

        :param parts: the columns; at least one is not ``None``
        :param sizes: number of systems and number of rows of each chunk
        """
        is_present = [
            np.zeros(size[0], dtype=bool) if part is None else part.is_present
            for part, size in zip(parts, sizes, strict=True)
        ]
        joined = _join([part.values for part in parts if part is not None])
        if all(part is not None for part in parts):
            return cls(joined, np.concatenate(is_present))
        num_rows = [size[1] for size in sizes]
        values = np.zeros((sum(num_rows), *joined.shape[1:]), dtype=joined.dtype)
        values[np.repeat([part is not None for part in parts], num_rows)] = joined
        return cls(values, np.concatenate(is_present))


def _join(arrays: list[NDArray[Any]]) -> NDArray[Any]:
    """The arrays one after the other, as objects if their kinds or shapes differ."""
    families = {"number" if a.dtype.kind in NUMBER_KINDS else a.dtype.kind for a in arrays}
    if len(families) == 1 and len({array.shape[1:] for array in arrays}) == 1:
        return np.concatenate(arrays)
    rows = [row for array in arrays for row in array]
    joined = np.empty(len(rows), dtype=object)
    for index, row in enumerate(rows):
        joined[index] = row
    return joined


@dataclass(frozen=True)
class Frames:
    """A chunk of systems as read: nothing is converted, and nothing is lost.

    What ASE keeps in its calculator slot stands apart from what it keeps in ``info`` and
    ``arrays``; other readers leave the results empty.

    :param offsets: (S + 1,) first atom of each system, and the number of atoms
    :param types: (N,) atomic numbers
    :param positions: (N, 3)
    :param cells: (S, 3, 3), rows are the cell vectors, whether or not they are periodic
    :param pbc: (S, 3) periodic directions
    :param system_data: values per system, by key
    :param atom_data: values per atom, by key
    :param system_results: values per system that stand in ASE's calculator slot
    :param atom_results: values per atom that stand in ASE's calculator slot
    """

    offsets: NDArray[np.int64]
    types: NDArray[np.int64]
    positions: NDArray[np.float64]
    cells: NDArray[np.float64]
    pbc: NDArray[np.bool_]
    system_data: dict[str, Column] = field(default_factory=dict)
    atom_data: dict[str, Column] = field(default_factory=dict)
    system_results: dict[str, Column] = field(default_factory=dict)
    atom_results: dict[str, Column] = field(default_factory=dict)

    def __len__(self) -> int:
        """Number of systems."""
        return len(self.offsets) - 1

    @property
    def num_atoms(self) -> NDArray[np.int64]:
        """(S,) number of atoms of each system."""
        return np.diff(self.offsets)

    @property
    def system_keys(self) -> set[str]:
        """What the file calls its values per system."""
        return {*self.system_data, *self.system_results}

    @property
    def atom_keys(self) -> set[str]:
        """What the file calls its values per atom."""
        return {*self.atom_data, *self.atom_results}

    def select(self, systems: NDArray[np.int64]) -> "Frames":
        """Some of the systems, in the order given."""
        counts = self.num_atoms[systems]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        atoms = np.arange(offsets[-1]) + np.repeat(self.offsets[systems] - offsets[:-1], counts)

        def pick(columns: dict[str, Column], rows: NDArray[np.int64]) -> dict[str, Column]:
            return {
                key: Column(column.values[rows], column.is_present[systems])
                for key, column in columns.items()
            }

        return Frames(
            offsets=offsets,
            types=self.types[atoms],
            positions=self.positions[atoms],
            cells=self.cells[systems],
            pbc=self.pbc[systems],
            system_data=pick(self.system_data, systems),
            atom_data=pick(self.atom_data, atoms),
            system_results=pick(self.system_results, systems),
            atom_results=pick(self.atom_results, atoms),
        )

    @staticmethod
    def concatenate(chunks: Sequence["Frames"]) -> "Frames":
        """All systems of the chunks, one after the other."""
        system_sizes = [(len(chunk), len(chunk)) for chunk in chunks]
        atom_sizes = [(len(chunk), len(chunk.types)) for chunk in chunks]

        def join(
            columns: list[dict[str, Column]], sizes: list[tuple[int, int]]
        ) -> dict[str, Column]:
            keys = dict.fromkeys(key for column in columns for key in column)
            return {
                key: Column.concatenate([column.get(key) for column in columns], sizes)
                for key in keys
            }

        num_atoms = np.concatenate([chunk.num_atoms for chunk in chunks])
        return Frames(
            offsets=np.concatenate([[0], np.cumsum(num_atoms)]),
            types=np.concatenate([chunk.types for chunk in chunks]),
            positions=np.concatenate([chunk.positions for chunk in chunks]),
            cells=np.concatenate([chunk.cells for chunk in chunks]),
            pbc=np.concatenate([chunk.pbc for chunk in chunks]),
            system_data=join([chunk.system_data for chunk in chunks], system_sizes),
            atom_data=join([chunk.atom_data for chunk in chunks], atom_sizes),
            system_results=join([chunk.system_results for chunk in chunks], system_sizes),
            atom_results=join([chunk.atom_results for chunk in chunks], atom_sizes),
        )
