"""Modules that treat each group of atoms, such as those of one element, in their own way."""

from collections.abc import Iterable
from typing import List

import torch
from torch import Tensor


class Grouped(torch.nn.Module):
    """One module for each group of rows.

    :param members: the modules, in the order of the groups
    """

    def __init__(self, members: Iterable[torch.nn.Module]) -> None:
        super().__init__()
        self.members = torch.nn.ModuleList(members)

    def forward(self, rows: Tensor, sizes: List[int]) -> Tensor:
        """What the modules make of their rows, in the same order.

        :param rows: (N, F), the groups one after the other
        :param sizes: the number of rows of each group
        :return: (N, F') for modules that give F' features
        """
        parts = rows.split(sizes)
        return torch.cat([member(parts[k]) for k, member in enumerate(self.members)])


def group_sizes(groups: Tensor, num_groups: int) -> List[int]:
    """How many atoms each group has.

    :param groups: (N,) the group of each atom, below ``num_groups``
    :param num_groups: the number of groups, empty ones included
    """
    # The size of a tensor, unlike the value of one, is followed by symbolic tracing.
    return [torch.nonzero(groups == k).shape[0] for k in range(num_groups)]
