"""The graph that goes into a model."""

from typing import NamedTuple

from torch import Tensor


class Graph(NamedTuple):
    """A batch of systems as flat tensors: S systems, N atoms, E directed pairs.

    The atoms of a system stand together, in the order of ``system``; the pairs are
    sorted by ``centers``. A pair is listed in both directions, once for each periodic
    image closer than the cutoff. An atom has no pair with itself, only with its own
    images. A system may have no pair at all.

    ``vectors`` is the leaf from which forces and stress are derived; ``positions`` and
    ``cells`` are, too, for models that say ``uses_positions``, such as those with long range.
    """

    types: Tensor  # (N,) atomic numbers, int64
    vectors: Tensor  # (E, 3) neighbor minus center, periodic image included [length]
    centers: Tensor  # (E,) index of the center, ascending, int64
    neighbors: Tensor  # (E,) index of the neighbor, int64
    system: Tensor  # (N,) index of the atom's system, ascending, int64
    positions: Tensor  # (N, 3) [length]
    cells: Tensor  # (S, 3, 3), rows are the cell vectors, zero where not periodic [length]
    shifts: Tensor  # (E, 3) number of cell vectors between the neighbor and its image, int
    charges: Tensor  # (S,) total charges, int64; see GraphModel.inputs
    spin_multiplicities: Tensor  # (S,) int64; see GraphModel.inputs


def with_pairs(graph: Graph, pairs: Tensor) -> Graph:
    """The graph with some of its pairs, in any order.

    :param pairs: their indices
    """
    return Graph(
        types=graph.types,
        vectors=graph.vectors.index_select(0, pairs),
        centers=graph.centers.index_select(0, pairs),
        neighbors=graph.neighbors.index_select(0, pairs),
        system=graph.system,
        positions=graph.positions,
        cells=graph.cells,
        shifts=graph.shifts.index_select(0, pairs),
        charges=graph.charges,
        spin_multiplicities=graph.spin_multiplicities,
    )
