"""What a network need not learn: a fixed part of the energy, added to what it says."""

from typing import Dict

import torch
from torch import Tensor

from metatrain.nn.graph import Graph


class NoPrior(torch.nn.Module):
    """The prior of a model that has none.

    A prior is any module with this ``forward``. It is not trained: its values, forces and
    stress are taken from the labels before training begins, and the exported model adds
    them again.
    """

    cutoff = 0.0
    """Where the farthest pairs are that it looks at, in the length unit of the data set."""

    def forward(self, graph: Graph) -> Dict[str, Tensor]:  # noqa: ARG002
        """Values per atom in the target's unit.

        :param graph: the systems
        :return: (N, V) for each target that has a prior; here none
        """
        values: Dict[str, Tensor] = {}
        return values
