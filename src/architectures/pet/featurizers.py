"""Featurizers: message-passing layers in a row, and what of them is read."""

from typing import List, NamedTuple

import torch
from torch import Tensor, nn

from architectures.pet.hypers import PetHypers
from architectures.pet.layers import AttentionLayer, Combination, Inputs


class Features(NamedTuple):
    """What the readouts start from.

    :param nodes: for each layer that is read (N, D_n) states of the atoms
    :param messages: for each (E, D) messages of the pairs
    """

    nodes: List[Tensor]
    messages: List[Tensor]


class FeedForwardFeaturizer(nn.Module):
    """Each layer goes on with the states of the one before, and the last one is read.

    m' = m + o + M(o, o of the reverse), with o the tokens that a layer makes of messages m.

    :param hypers: see :class:`PetHypers`
    :param num_types: how many atomic types there are
    """

    def __init__(self, hypers: PetHypers, num_types: int) -> None:
        super().__init__()
        self.num_read = 1
        layers = range(hypers.num_gnn_layers)
        # In this order, random numbers are drawn as in published metatrain.
        self.layers = nn.ModuleList(
            AttentionLayer(hypers, num_types, is_first=k == 0) for k in layers
        )
        self.combinations = nn.ModuleList(Combination(hypers.d_pet) for _ in layers)
        self.node_embedding = nn.Embedding(num_types, hypers.d_node)
        self.pair_embedding = nn.Embedding(num_types, hypers.d_pet)

    def forward(self, inputs: Inputs) -> Features:
        """States and messages.

        :param inputs: of every layer
        """
        nodes = self.node_embedding(inputs.types)
        messages = self.pair_embedding(inputs.neighbor_types)
        for layer, combination in zip(self.layers, self.combinations):  # noqa: B905 (TorchScript)
            nodes, pairs = layer(nodes, messages, self.pair_embedding.weight, inputs)
            messages = messages + pairs + combination(pairs)
        return Features([nodes], [messages])


class ResidualFeaturizer(nn.Module):
    """Each layer begins with fresh states of the atoms, and all are read.

    m' = (m + o of the reverse) / 2, with o the tokens that a layer makes of messages m.

    :param hypers: see :class:`PetHypers`
    :param num_types: how many atomic types there are
    """

    def __init__(self, hypers: PetHypers, num_types: int) -> None:
        super().__init__()
        self.num_read = hypers.num_gnn_layers
        layers = range(hypers.num_gnn_layers)
        # In this order, random numbers are drawn as in published metatrain.
        self.layers = nn.ModuleList(
            AttentionLayer(hypers, num_types, is_first=k == 0) for k in layers
        )
        self.node_embeddings = nn.ModuleList(nn.Embedding(num_types, hypers.d_node) for _ in layers)
        self.pair_embedding = nn.Embedding(num_types, hypers.d_pet)

    def forward(self, inputs: Inputs) -> Features:
        """As in :class:`FeedForwardFeaturizer`."""
        messages = self.pair_embedding(inputs.neighbor_types)
        all_nodes: List[Tensor] = []
        all_pairs: List[Tensor] = []
        for layer, embedding in zip(self.layers, self.node_embeddings):  # noqa: B905 (TorchScript)
            nodes = embedding(inputs.types)
            nodes, pairs = layer(nodes, messages, self.pair_embedding.weight, inputs)
            all_nodes.append(nodes)
            all_pairs.append(pairs)
            one_way, other_way = pairs.chunk(2)
            messages = 0.5 * (messages + torch.cat([other_way, one_way]))
        return Features(all_nodes, all_pairs)
