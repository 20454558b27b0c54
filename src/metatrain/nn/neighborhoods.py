"""Pairs laid out as a rectangle: one row for each atom, one slot for each neighbor."""

from typing import NamedTuple

import torch
from torch import Tensor


class Neighborhoods(NamedTuple):
    """Where each pair stands in a rectangle of N rows and ``width`` slots.

    With the pairs in a rectangle, a sum over the neighbors of an atom becomes a matrix
    product, many times faster than adding pair by pair.
    """

    slots: Tensor  # (E,) row * width + place in the row
    num_rows: int
    width: int  # the largest number of neighbors of an atom


def neighborhoods(centers: Tensor, rows: Tensor) -> Neighborhoods:
    """The rectangle for pairs that are sorted by center.

    :param centers: (E,) index of each pair's center, ascending
    :param rows: (N,) the row that each atom takes, a permutation
    """
    num_atoms = rows.shape[0]
    atoms = torch.arange(num_atoms, device=centers.device)
    first = torch.searchsorted(centers, atoms)  # (N,) each atom's first pair
    place = torch.arange(centers.shape[0], device=centers.device) - first.index_select(0, centers)
    # The size of a tensor, unlike the value of one, is followed by symbolic tracing.
    width = torch.bincount(place).shape[0]
    return Neighborhoods(rows.index_select(0, centers) * width + place, num_atoms, width)


def fill_slots(values: Tensor, slots: Tensor, num_slots: int) -> Tensor:
    """The values of the pairs in their slots, zeros in the others.

    :param values: (E, F)
    :param slots: (E,) distinct indices below ``num_slots``
    :return: (num_slots, F)
    """
    empty = values.new_zeros([num_slots, values.shape[1]])
    if torch.jit.is_scripting():  # type: ignore[attr-defined]
        # saves a copy; compiled graphs want no tensor changed in place
        return empty.index_copy_(0, slots, values)
    return empty.index_copy(0, slots, values)
