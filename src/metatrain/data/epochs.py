"""Which systems go through a step together, epoch after epoch."""

import functools
import heapq
import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

BLURS = (1.0, 0.5, 0.25, 0.0)
"""How far from the order of their sizes systems are packed: first by up to a factor e, at last
not at all, which packs best but gives the same batches in each epoch."""
TOLERANCE = 1e-9
"""By which the shares of a full batch may exceed one, from rounding."""


@dataclass(frozen=True)
class EqualBatches:
    """Batches of the same number of systems, the last one possibly smaller.

    :param num_systems: S
    :param size: systems per batch
    """

    num_systems: int
    size: int

    @property
    def num_batches(self) -> int:
        """Batches per epoch."""
        return math.ceil(self.num_systems / self.size)

    def in_order(self) -> list[Tensor]:
        """The batches of an epoch that keeps the order of the systems."""
        return list(torch.arange(self.num_systems).split(self.size))

    def shuffled(self, seed: int) -> list[Tensor]:
        """The batches of an epoch in random order; every system is in one of them.

        :param seed: of this epoch alone
        """
        order = np.random.default_rng(seed).permutation(self.num_systems)
        return list(torch.from_numpy(order).split(self.size))


@dataclass(frozen=True, eq=False)
class BalancedBatches:
    """Batches that are about equally full, whatever the sizes of the systems.

    The systems of an epoch are packed in the order of their sizes, the largest first, each
    into the batch that is least full. The order is blurred at random, so that other systems
    meet in each epoch. The number of batches is the same in all epochs, as schedules want it:
    about the smallest one for which such packings were found.

    Systems that are larger than a batch are one of their own.

    :param shares: (S,) the part of a batch that each system takes, above 0
    """

    shares: Floats

    @property
    def num_batches(self) -> int:
        """Batches per epoch."""
        return self._num_packed + int((self.shares > 1.0).sum())

    @functools.cached_property
    def _num_packed(self) -> int:
        """Batches of several systems: as few as possible."""
        members = np.flatnonzero(self.shares <= 1.0)
        number = max(math.ceil(self.shares[members].sum() - TOLERANCE), min(1, len(members)))
        rng = np.random.default_rng(0)
        orders = [_by_size(self.shares, members, blur, rng) for blur in (BLURS[-1], BLURS[0])]
        while any(_packed(self.shares, order, number) is None for order in orders):
            # by 1 %: a data set of millions of systems should not wait for its first step
            number = min(number + 1 + number // 100, len(members))
        return number

    def in_order(self) -> list[Tensor]:
        """The batches of an epoch that keeps the order of the systems."""
        ends = np.cumsum(self.shares)
        batches, begin = [], 0
        while begin < len(ends):
            before = ends[begin - 1] if begin else 0.0
            end = int(np.searchsorted(ends, before + 1.0 + TOLERANCE, side="right"))
            end = max(end, begin + 1)
            batches.append(torch.arange(begin, end))
            begin = end
        return batches

    def shuffled(self, seed: int) -> list[Tensor]:
        """The batches of an epoch in random order; every system is in one of them.

        :param seed: of this epoch alone
        """
        rng = np.random.default_rng(seed)
        members = np.flatnonzero(self.shares <= 1.0)
        packings = (
            _packed(self.shares, _by_size(self.shares, members, blur, rng), self._num_packed)
            for blur in BLURS
        )
        together = next(packed for packed in packings if packed is not None)
        batches = together + [[system] for system in np.flatnonzero(self.shares > 1.0).tolist()]
        return [torch.tensor(batches[index]) for index in rng.permutation(len(batches))]


def _by_size(shares: Floats, members: Indices, blur: float, rng: np.random.Generator) -> Indices:
    """The members from the largest to the smallest, equal ones in random order.

    :param blur: by how much the logarithms of the sizes are changed at most
    """
    mixed = rng.permutation(members)
    sizes = np.log(shares[mixed]) + blur * rng.random(len(mixed))
    return mixed[np.argsort(-sizes, kind="stable")]


def _packed(shares: Floats, order: Indices, number: int) -> list[list[int]] | None:
    """The systems of each batch; ``None`` if they do not fit.

    Each system goes into the batch that is least full.
    """
    batches: list[list[int]] = [[] for _ in range(number)]
    loads = [(0.0, batch) for batch in range(number)]
    for system, share in zip(order.tolist(), shares[order].tolist(), strict=True):
        load, batch = loads[0]
        if load + share > 1.0 + TOLERANCE:
            return None
        heapq.heapreplace(loads, (load + share, batch))
        batches[batch].append(system)
    return batches
