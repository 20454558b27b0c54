"""Which atoms see each other, found once for a data set and a cutoff."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from vesin import NeighborList

from metatrain.data.columns import Columns
from metatrain.data.growing import GrowingRows
from metatrain.data.segments import offsets_of, rows_of, segment_of_row
from metatrain.errors import MetatrainError

# Far below any bond in any unit of length, far above the rounding of periodic positions.
LEAST_DISTANCE = 1e-8
# Up to this size, all distances of a molecule are sooner computed than a list of the near ones.
MOST_ATOMS_OF_MOLECULE = 64
# What is done at once: few enough for all their pairs to stay in a processor's cache.
ATOMS_AT_ONCE = 4000


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
    def concatenate(parts: Iterable["Pairs"]) -> "Pairs":
        """The pairs of all systems of the parts."""
        counts = GrowingRows((), torch.int64)
        centers, neighbors = GrowingRows((), torch.int32), GrowingRows((), torch.int32)
        shifts, vectors = GrowingRows((3,), torch.int32), GrowingRows((3,), torch.float64)
        for part in parts:
            counts.append(part.offsets.diff())
            centers.append(part.centers)
            neighbors.append(part.neighbors)
            shifts.append(part.shifts)
            vectors.append(part.vectors)
        return Pairs(
            offsets_of(counts.rows), centers.rows, neighbors.rows, shifts.rows, vectors.rows
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
    is_molecule = ~columns.pbc.any(dim=1) & (columns.num_atoms <= MOST_ATOMS_OF_MOLECULE)
    # molecules of equal size come together, whatever their order, and all others behind them
    sizes = torch.where(is_molecule, columns.num_atoms, MOST_ATOMS_OF_MOLECULE + 1)
    order = torch.argsort(sizes, stable=True)
    molecules, others = order.tensor_split([int(is_molecule.sum())])
    # one thread: systems are small, and the order of the pairs must not depend on the machine
    finder = NeighborList(cutoff=cutoff, full_list=True, sorted=True, n_threads=1)
    pairs = Pairs.concatenate(
        itertools.chain(
            (_pairs_of_molecules(columns, some, cutoff) for some in _blocks(columns, molecules)),
            (_pairs_by_vesin(columns, some, finder) for some in _blocks(columns, others)),
        )
    )
    is_sorted = bool((order.diff() > 0).all())
    return pairs if is_sorted else pairs.select(torch.argsort(order))


def _blocks(columns: Columns, systems: Tensor) -> Sequence[Tensor]:
    """The systems in pieces, with so few atoms that their pairs stay in the cache."""
    piece = columns.num_atoms[systems].cumsum(0) // ATOMS_AT_ONCE
    _, lengths = torch.unique_consecutive(piece, return_counts=True)
    return systems.split(lengths.tolist())


def _pairs_of_molecules(columns: Columns, systems: Tensor, cutoff: float) -> Pairs:
    """The pairs of small systems that are not periodic, from all their distances."""
    atoms, offsets = rows_of(columns.offsets, systems)
    system = segment_of_row(offsets)
    # what is NaN is never near
    shape = (len(systems), int(offsets.diff().max()), 3)
    positions = torch.full(shape, torch.nan, dtype=torch.float64)
    positions[system, torch.arange(len(atoms)) - offsets[system]] = columns.positions[atoms]
    vectors = positions.unsqueeze(1) - positions.unsqueeze(2)
    squares = vectors.square().sum(dim=3)
    squares.diagonal(dim1=1, dim2=2).fill_(torch.nan)
    _check_apart(columns, systems[torch.nonzero(squares < LEAST_DISTANCE**2)[:, 0]])
    system, centers, neighbors = torch.nonzero(squares < cutoff**2, as_tuple=True)
    return Pairs(
        offsets_of(torch.bincount(system, minlength=len(systems))),
        centers.to(torch.int32),
        neighbors.to(torch.int32),
        torch.zeros((len(system), 3), dtype=torch.int32),
        vectors[system, centers, neighbors],
    )


def _pairs_by_vesin(columns: Columns, systems: Tensor, finder: NeighborList) -> Pairs:
    """The pairs of any systems, one after the other."""
    positions, cells, pbc = columns.positions.numpy(), columns.cells.numpy(), columns.pbc.numpy()
    bounds = torch.stack([columns.offsets[systems], columns.offsets[systems + 1]], dim=1)
    ends_of, shifts_of = [], []
    for index, (first, last) in zip(systems.tolist(), bounds.tolist(), strict=True):
        found, shift = finder.compute(
            positions[first:last], cells[index], pbc[index], "PS", copy=False
        )
        ends_of.append(found.astype(np.int32))
        shifts_of.append(shift.copy())
    row = segment_of_row(offsets_of(torch.tensor([len(found) for found in ends_of])))
    ends, shifts = (torch.from_numpy(np.concatenate(of)) for of in (ends_of, shifts_of))
    system = systems[row]
    first_atom = columns.offsets[system]
    vectors = columns.positions[first_atom + ends[:, 1]]
    vectors -= columns.positions[first_atom + ends[:, 0]]
    for axis in range(3):
        vectors += shifts[:, axis, None] * columns.cells[system, axis]
    squares = vectors.square().sum(dim=1)
    _check_apart(columns, system[squares < LEAST_DISTANCE**2])
    # those exactly at the cutoff are none
    is_within = squares < finder.cutoff**2
    if not is_within.all():
        row, ends, shifts, vectors = (of[is_within] for of in (row, ends, shifts, vectors))
    offsets = offsets_of(torch.bincount(row, minlength=len(systems)))
    centers, neighbors = ends[:, 0].contiguous(), ends[:, 1].contiguous()
    return Pairs(offsets, centers, neighbors, shifts, vectors)


def _check_apart(columns: Columns, systems: Tensor) -> None:
    """Refuse systems in which two atoms are at the same place: a pair without a direction."""
    if len(systems):
        raise MetatrainError(
            f"{columns.origin.where(int(systems[0]))}: two atoms are at the same place; leave it "
            "out, or correct its positions or its cell."
        )
