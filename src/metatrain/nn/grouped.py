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
        results: List[Tensor] = []
        for k, member in enumerate(self.members):
            # tracing cannot leave groups out: another graph may have them
            if not torch.jit.is_scripting() or sizes[k] > 0 or k == 0:  # type: ignore[attr-defined]
                results.append(member(parts[k]))
        return torch.cat(results)


def group_sizes(groups: Tensor, num_groups: int) -> List[int]:
    """How many atoms each group has.

    :param groups: (N,) the group of each atom, below ``num_groups``
    :param num_groups: the number of groups, empty ones included
    """
    if torch.jit.is_scripting():  # type: ignore[attr-defined]
        sizes: List[int] = torch.bincount(groups, minlength=num_groups).tolist()
        return sizes
    # The size of a tensor, unlike the value of one, is followed by symbolic tracing.
    return [torch.nonzero(groups == k).shape[0] for k in range(num_groups)]
