"""Which pair is the same as another one, seen from the other end."""

import torch
from torch import Tensor

from metatrain.nn.graph import Graph


def both_directions(graph: Graph) -> Tensor:
    """The pairs in one direction, and the same pairs in the other.

    The reverse of i -> j is j -> i through the same periodic image. Pairs are matched by
    whole numbers, atoms and cell shifts: vectors are rounded, and may be alike for two
    images. A pair at the very cutoff, of which rounding took the reverse, is left out.

    :param graph: the systems
    :return: (2, E / 2) indices of pairs
    """
    shifts = graph.shifts.to(torch.int64)
    # the zero is for graphs without pairs, of which there is no largest shift
    largest = torch.cat([shifts.flatten().abs(), shifts.new_zeros(1)]).max()
    num_atoms = graph.types.shape[0]
    one_way = _numbered(graph.centers, graph.neighbors, shifts, largest, num_atoms)
    other_way = _numbered(graph.neighbors, graph.centers, -shifts, largest, num_atoms)
    ascending, order = one_way.sort()
    # a pair beyond the last one stands for those that are not there
    order = torch.cat([order, order.new_full([1], one_way.shape[0])])
    ascending = torch.cat([ascending, ascending.new_full([1], -1)])
    place = torch.searchsorted(ascending[:-1], other_way)
    is_there = ascending.index_select(0, place) == other_way
    reverse = order.index_select(0, place)
    is_first = torch.arange(reverse.shape[0], device=reverse.device) < reverse
    forward = torch.nonzero(is_first & is_there).squeeze(1)
    return torch.stack([forward, reverse.index_select(0, forward)])


def _numbered(
    centers: Tensor, neighbors: Tensor, shifts: Tensor, largest: Tensor, num_atoms: int
) -> Tensor:
    """(E,) one number for each pair, different for different pairs."""
    base = 2 * largest + 1
    number = centers * num_atoms + neighbors
    for axis in range(3):
        number = number * base + shifts[:, axis] + largest
    return number
