"""What the charge and the spin multiplicity of a system tell its atoms."""

import torch
from torch import Tensor, nn

from architectures.pet.hypers import PetHypers
from metatrain.nn import Graph


class Conditioning(nn.Module):
    """W_2 silu(W_1 [c; s] + b_1) + b_2, with embeddings c of charge and s of spin multiplicity.

    W_2 and b_2 begin as zero: until something is learned of them, both say nothing.

    :param hypers: see :class:`PetHypers`
    """

    def __init__(self, hypers: PetHypers) -> None:
        super().__init__()
        width = hypers.d_node
        self.max_charge = hypers.max_charge
        # In this order, random numbers are drawn as in published metatrain.
        self.charges = nn.Embedding(2 * hypers.max_charge + 1, width)
        self.spin_multiplicities = nn.Embedding(hypers.max_spin_multiplicity, width)
        self.outer = nn.Linear(width, width)
        self.inner = nn.Linear(2 * width, width)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, graph: Graph) -> Tensor:
        """(N, D_n) what is added to the state of each atom.

        :param graph: the systems
        """
        of_charges = self.charges(graph.charges + self.max_charge)  # (S, D_n)
        of_spins = self.spin_multiplicities(graph.spin_multiplicities - 1)
        hidden = nn.functional.silu(self.inner(torch.cat([of_charges, of_spins], dim=1)))
        return self.outer(hidden).index_select(0, graph.system)
