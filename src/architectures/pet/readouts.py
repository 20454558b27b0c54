"""Readouts: from the states of atoms and the messages of pairs to the values of a target."""

from typing import List

import torch
from torch import Tensor, nn

from architectures.pet.featurizers import Features
from architectures.pet.hypers import PetHypers
from architectures.pet.pair_selection import Neighborhoods
from metatrain.data.target import Target
from metatrain.nn import Graph
from metatrain.nn.second_order import silu

STRESS = "non_conservative_stress"
"""A target of this name is a density: it is divided by the volume of the cell, and symmetric."""


class Head(nn.Module):
    """silu(W_2 silu(W_1 x + b_1) + b_2).

    :param width: of the rows
    :param hidden: width of both layers
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, hidden)
        self.outer = nn.Linear(hidden, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """(T, hidden) from (T, width)."""
        return silu(self.outer(silu(self.inner(x))))


def last_layer(width: int, target: Target) -> nn.Linear:
    """A dense layer to the values of a target, with each block's weights drawn in turn."""
    layers = [nn.Linear(width, block.columns.stop - block.columns.start) for block in target.blocks]
    if len(layers) == 1:
        return layers[0]
    whole = nn.utils.skip_init(nn.Linear, width, target.num_values)
    with torch.no_grad():
        whole.weight.copy_(torch.cat([layer.weight for layer in layers]))
        whole.bias.copy_(torch.cat([layer.bias for layer in layers]))
    return whole


class StateReadout(nn.Module):
    """Values per atom, from its state and the weighted messages of its pairs.

    p_i = U a_i + u + sum over the pairs e of i of f_e (V c_e + v), with a and c the heads of
    state and message.

    :param node_head: makes a of the state
    :param pair_head: makes c of the message
    :param node_layer: U and u
    :param pair_layer: V and v
    """

    def __init__(
        self, node_head: Head, pair_head: Head, node_layer: nn.Linear, pair_layer: nn.Linear
    ) -> None:
        super().__init__()
        self.node_head = node_head
        self.pair_head = pair_head
        self.node_layer = node_layer
        self.pair_layer = pair_layer

    def forward(self, nodes: Tensor, pairs: Tensor, weights: Tensor, centers: Tensor) -> Tensor:
        """(N, V) values of the target.

        :param nodes: (N, D_n) states of the atoms
        :param pairs: (E, D) messages of the pairs
        :param weights: (E,) f
        :param centers: (E,) index of each pair's center
        """
        of_pairs = self.pair_layer(self.pair_head(pairs)) * weights.unsqueeze(1)
        return self.node_layer(self.node_head(nodes)).index_add(0, centers, of_pairs)


class Readout(nn.Module):
    """Values per atom of one target, summed over the layers that are read.

    :param hypers: see :class:`PetHypers`
    :param target: the target
    :param num_layers: how many layers are read
    """

    def __init__(self, hypers: PetHypers, target: Target, num_layers: int) -> None:
        super().__init__()
        hidden, layers = hypers.d_head, range(num_layers)
        # In this order, random numbers are drawn as in published metatrain.
        node_heads = [Head(hypers.d_node, hidden) for _ in layers]
        pair_heads = [Head(hypers.d_pet, hidden) for _ in layers]
        node_layers = [last_layer(hidden, target) for _ in layers]
        pair_layers = [last_layer(hidden, target) for _ in layers]
        parts = zip(node_heads, pair_heads, node_layers, pair_layers, strict=True)
        self.layers = nn.ModuleList(StateReadout(*part) for part in parts)
        self.is_stress = target.name == STRESS

    def forward(self, features: Features, neighborhoods: Neighborhoods) -> Tensor:
        """(N, V) values of the target.

        :param features: states and messages of each layer that is read
        :param neighborhoods: the pairs of the messages
        """
        graph, weights = neighborhoods.graph, neighborhoods.weights
        values: List[Tensor] = []
        for k, layer in enumerate(self.layers):
            states, messages = features.nodes[k], features.messages[k]
            values.append(layer(states, messages, weights, graph.centers))
        total = torch.stack(values).sum(dim=0)
        return symmetric_density(total, graph) if self.is_stress else total


def symmetric_density(values: Tensor, graph: Graph) -> Tensor:
    """The symmetric part of a matrix per atom, divided by the volume; zero without a volume.

    :param values: (N, 9 P), the property fastest
    :param graph: the systems
    """
    a, b, c = graph.cells.unbind(dim=1)
    volumes = (a * torch.linalg.cross(b, c)).sum(dim=1).abs()
    is_bulk = volumes > 0
    # where there is no volume, no derivative of 1 / 0 may arise
    inverse = torch.where(is_bulk, volumes, torch.ones_like(volumes)).reciprocal()
    densities = (inverse * is_bulk).index_select(0, graph.system)
    matrices = values.view(values.shape[0], 3, 3, -1) * densities.view(-1, 1, 1, 1)
    return (0.5 * (matrices + matrices.transpose(1, 2))).reshape(values.shape)
