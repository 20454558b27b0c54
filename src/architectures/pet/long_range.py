"""Long-range features, mixed into the states that the readouts start from."""

import torch
from torch import nn

from architectures.pet.featurizers import Features
from architectures.pet.hypers import PetHypers
from metatrain.nn import Graph, LongRangeFeatures


class LongRange(nn.Module):
    """F' = (F + x) / sqrt(2) for the states F of each layer that is read.

    x are the long-range features of the states' sum divided by sqrt(Q), for Q layers.

    :param hypers: see :class:`PetHypers`
    """

    def __init__(self, hypers: PetHypers) -> None:
        super().__init__()
        self.features = LongRangeFeatures(hypers.d_node, hypers.long_range, hypers.cutoff)

    def forward(self, features: Features, graph: Graph) -> Features:
        """The same messages, and the states with what is far.

        :param features: states and messages of each layer that is read
        :param graph: the systems, with all pairs within the cutoff
        """
        total = torch.stack(features.nodes).sum(dim=0)
        further = self.features(total / len(features.nodes) ** 0.5, graph)
        nodes = [(states + further) / 2**0.5 for states in features.nodes]
        return Features(nodes, features.messages)
