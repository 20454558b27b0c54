"""Which atoms see each other, found once for a data set and a cutoff."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from vesin import NeighborList

from metatrain.data.columns import Columns
from metatrain.data.segments import offsets_of, rows_of, segment_of_row
from metatrain.errors import MetatrainError

# Far below any bond in any unit of length, far above the rounding of periodic positions.
LEAST_DISTANCE = 1e-8


@dataclass(frozen=True, eq=False)
class Pairs:
    """All directed pairs closer than a cutoff, system by system, sorted by center.

    Each pair is there in both directions, once per periodic image. An atom has no pair
    with itself, only with its own images.

    :param offsets: (S + 1,) first pair of each system, and the number of pairs
    :param centers: (E,) center, counted within its system, int32
    :param neighbors: (E,) neighbor, counted within its system, int32
    :param shifts: (E, 3) number of cell vectors between the neighbor and its image, int32
    :param vectors: (E, 3) from center to neighbor, float64 [length]
    """

    offsets: Tensor
    centers: Tensor
    neighbors: Tensor
    shifts: Tensor
    vectors: Tensor

    def __len__(self) -> int:
        """Number of systems."""
        return len(self.offsets) - 1

    @staticmethod
    def concatenate(parts: Sequence["Pairs"]) -> "Pairs":
        """The pairs of all systems of the parts."""
        return Pairs(
            offsets_of(torch.cat([part.offsets.diff() for part in parts])),
            torch.cat([part.centers for part in parts]),
            torch.cat([part.neighbors for part in parts]),
            torch.cat([part.shifts for part in parts]),
            torch.cat([part.vectors for part in parts]),
        )

    def select(self, systems: Tensor) -> "Pairs":
        """The pairs of some of the systems, in the order given."""
        rows, offsets = rows_of(self.offsets, systems)
        return Pairs(
            offsets,
            self.centers[rows],
            self.neighbors[rows],
            self.shifts[rows],
            self.vectors[rows],
        )


def find_pairs(columns: Columns, cutoff: float) -> Pairs:
    """All pairs with r < cutoff in each system.

    :param columns: the systems
    :param cutoff: radius of the neighborhood [length]
    """
    # one thread: systems are small, and the order of the pairs must not depend on the machine
    finder = NeighborList(cutoff=cutoff, full_list=True, sorted=True, n_threads=1)
    positions, cells, pbc = columns.positions.numpy(), columns.cells.numpy(), columns.pbc.numpy()
    offsets = columns.offsets.tolist()
    # the empty arrays are for a data set without systems
    indices = [np.empty((0, 2), dtype=np.int32)]
    shifts = [np.empty((0, 3), dtype=np.int32)]
    counts = torch.zeros(len(columns), dtype=torch.int64)
    for system, (begin, end) in enumerate(itertools.pairwise(offsets)):
        found, shift = finder.compute(
            positions[begin:end], cells[system], pbc[system], "PS", copy=False
        )
        counts[system] = len(found)
        indices.append(found.astype(np.int32))
        shifts.append(shift.copy())
    return _pairs_within(
        columns,
        cutoff,
        counts,
        torch.from_numpy(np.concatenate(indices)),
        torch.from_numpy(np.concatenate(shifts)),
    )


def _check_apart(columns: Columns, systems: Tensor) -> None:
    """Refuse systems in which two atoms are at the same place: a pair without a direction."""
    if len(systems):
        raise MetatrainError(
            f"{columns.origin.where(int(systems[0]))}: two atoms are at the same place; leave it "
            "out, or correct its positions or its cell."
        )


def _pairs_within(
    columns: Columns, cutoff: float, counts: Tensor, indices: Tensor, shifts: Tensor
) -> Pairs:
    """The pairs with their vectors, without those that are exactly at the cutoff."""
    system = segment_of_row(offsets_of(counts))
    first_atom = columns.offsets[system]
    vectors = columns.positions[first_atom + indices[:, 1]]
    vectors -= columns.positions[first_atom + indices[:, 0]]
    for axis in range(3):
        vectors += shifts[:, axis, None] * columns.cells[system, axis]
    squares = vectors.square().sum(dim=1)
    _check_apart(columns, system[squares < LEAST_DISTANCE**2])
    is_within = squares < cutoff**2
    if not is_within.all():
        system, indices, shifts = system[is_within], indices[is_within], shifts[is_within]
        vectors = vectors[is_within]
    return Pairs(
        offsets_of(torch.bincount(system, minlength=len(columns))),
        indices[:, 0].contiguous(),
        indices[:, 1].contiguous(),
        shifts,
        vectors,
    )
