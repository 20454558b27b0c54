"""The atoms in parts, so small that what is computed of one stays in the processor's cache."""

from typing import List, NamedTuple

import torch
from torch import Tensor

from metatrain.nn import TokenLayout, token_layout

NUM_TOKENS = 4096
"""Tokens of a part in training, about: its largest tensors have some megabytes.

Larger ones leave the cache between two operations. With a fourth as many, a step on two threads took
some 4 % longer, which have less to share then; with half as many, no difference is sure.
"""
NUM_TOKENS_OF_EXPORT = 1024
"""The same in an exported model, which took 7 % less time with it for 216 atoms."""


class Order(NamedTuple):
    """Atoms or pairs, part by part.

    :param sizes: number of rows in each part
    :param rows: (N,) which row stands at each place
    :param places: (N,) the place of each row
    """

    sizes: List[int]
    rows: Tensor
    places: Tensor


def part_by_part(values: Tensor, order: Order) -> Tensor:
    """Rows in the order of the parts."""
    return values if len(order.sizes) == 1 else values.index_select(0, order.rows)


def in_own_order(values: Tensor, order: Order) -> Tensor:
    """Rows that stood part by part."""
    return values if len(order.sizes) == 1 else values.index_select(0, order.places)


class Parts(NamedTuple):
    """Atoms and pairs in parts: an atom is in the same one as all of its pairs.

    :param atoms: N of them
    :param pairs: E of them
    :param layouts: where the tokens of each part stand
    """

    atoms: Order
    pairs: Order
    layouts: List[TokenLayout]


def parts_of(centers: Tensor, num_atoms: int, num_heads: int, num_parts: int) -> Parts:
    """Parts of atoms that have similar numbers of pairs; a single one keeps the order.

    :param centers: (E,) index of each pair's center, in any order
    :param num_atoms: N
    :param num_heads: H
    :param num_parts: how many parts, at least one
    """
    if num_parts == 1:
        layout = token_layout(centers, num_atoms, num_heads)
        atoms = Order([num_atoms], centers, centers)
        return Parts(atoms, Order([centers.shape[0]], centers, centers), [layout])
    counts = centers.new_zeros([num_atoms]).index_add(0, centers, torch.ones_like(centers))
    rows = torch.argsort(counts, stable=True)
    places = torch.argsort(rows)
    place_of_center = places.index_select(0, centers)
    num_atoms_of: List[int] = []
    num_pairs_of: List[int] = []
    pairs: List[Tensor] = []
    layouts: List[TokenLayout] = []
    for k in range(num_parts):
        first, end = k * num_atoms // num_parts, (k + 1) * num_atoms // num_parts
        own = torch.nonzero((place_of_center >= first) & (place_of_center < end)).squeeze(1)
        layouts.append(
            token_layout(place_of_center.index_select(0, own) - first, end - first, num_heads)
        )
        num_atoms_of.append(end - first)
        num_pairs_of.append(own.shape[0])
        pairs.append(own)
    of_parts = torch.cat(pairs)
    return Parts(
        Order(num_atoms_of, rows, places),
        Order(num_pairs_of, of_parts, torch.argsort(of_parts)),
        layouts,
    )
