"""From atomic numbers to consecutive indices."""

import torch
from torch import Tensor


class AtomicTypeIndex(torch.nn.Module):
    """Position of an atomic number in the list of the types that a model knows.

    :param atomic_types: atomic numbers, ascending
    """

    def __init__(self, atomic_types: list[int]) -> None:
        super().__init__()
        # -1 lets the first lookup that uses the index of an unknown type fail.
        lookup = torch.full((max(atomic_types) + 1,), -1)
        lookup[atomic_types] = torch.arange(len(atomic_types))
        self.lookup: Tensor
        self.register_buffer("lookup", lookup, persistent=False)

    def forward(self, types: Tensor) -> Tensor:
        """The index of each atom's type.

        :param types: (N,) atomic numbers
        :return: (N,) indices from zero on
        """
        return self.lookup.index_select(0, types)
