"""Message-passing layers: from messages to tokens, through attention, to new messages."""

import math
from typing import List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor, nn

from architectures.pet.blocks import PostNormBlock, PreNormBlock
from architectures.pet.hypers import PetHypers
from architectures.pet.parts import Parts, in_own_order, part_by_part
from metatrain.nn import Foldable
from metatrain.nn.second_order import normalised, silu, sum_and_difference


class Inputs(NamedTuple):
    """What every layer is told of the systems. Atoms stand part by part.

    :param types: (N,) index of each atom's type
    :param neighbor_types: (E,) index of the type of each pair's neighbor
    :param geometry: (E, 4) vector and distance of each pair, part by part [length]
    :param own_types: (E,) the neighbor_types, part by part
    :param log_weights: of each part (n + e,) logarithm of the weight of each token
    :param parts: the parts
    :param condition: (N, D_n) what is added to the states of atoms after every layer, if anything
    """

    types: Tensor
    neighbor_types: Tensor
    geometry: List[Tensor]
    own_types: List[Tensor]
    log_weights: List[Tensor]
    parts: Parts
    condition: Optional[Tensor]


class AttentionLayer(nn.Module):
    """Makes tokens of the pairs, and has them and the atoms attend to each other.

    A token is W_2 silu(W_1 [g; m] + b_1) + b_2 with g = W_g [v; |v|] + b_g and m the message;
    after the first layer it is [g; e; m], with e an embedding of the neighbor's type.

    :param hypers: see :class:`PetHypers`
    :param num_types: how many atomic types there are
    :param is_first: whether messages are still nothing but an embedding of the neighbor's type
    """

    def __init__(self, hypers: PetHypers, num_types: int, *, is_first: bool) -> None:
        super().__init__()
        width = hypers.d_pet
        block = PreNormBlock if hypers.transformer_type == "PreLN" else PostNormBlock
        self.blocks = nn.ModuleList(block(hypers) for _ in range(hypers.num_attention_layers))
        self.geometry = nn.Linear(4, width)
        self.inner = nn.Linear((2 if is_first else 3) * width, width)
        self.outer = nn.Linear(width, width)
        self.neighbor_embedding = None if is_first else nn.Embedding(num_types, width)

    def forward(
        self, nodes: Tensor, messages: Tensor, embedding: Tensor, inputs: Inputs
    ) -> Tuple[Tensor, Tensor]:
        """New states of the atoms (N, D_n), and tokens of the pairs (E, D).

        :param nodes: (N, D_n) states of the atoms
        :param messages: (E, D)
        :param embedding: (T, D) of types, which the messages are in the first layer
        :param inputs: what every layer is told
        """
        table, matrix = self._of_geometry_and_type(embedding)
        own_messages = part_by_part(messages, inputs.parts.pairs).split(inputs.parts.pairs.sizes)
        pairs: List[Tensor] = []
        for k, types in enumerate(inputs.own_types):
            hidden = torch.addmm(table.index_select(0, types), inputs.geometry[k], matrix)
            if self.neighbor_embedding is not None:
                of_messages = self.inner.weight[:, -messages.shape[1] :]
                hidden = torch.addmm(hidden, own_messages[k], of_messages.t())
            pairs.append(self.outer(silu(hidden)))
        for block in self.blocks:
            nodes, pairs = block(nodes, pairs, inputs.log_weights, inputs.parts)
        condition = inputs.condition
        if condition is not None:
            nodes = nodes + condition
        return nodes, in_own_order(torch.cat(pairs), inputs.parts.pairs)

    def _of_geometry_and_type(self, embedding: Tensor) -> Tuple[Tensor, Tensor]:
        """W_1 [g; e] + b_1 of a pair is a row of a table (T, D) plus [v; |v|] times a matrix (4, D)."""
        if self.neighbor_embedding is not None:
            embedding = self.neighbor_embedding.weight
        width = embedding.shape[1]
        of_geometry = self.inner.weight[:, :width]
        of_types = self.inner.weight[:, width : 2 * width]
        bias = torch.addmv(self.inner.bias, of_geometry, self.geometry.bias)
        table = torch.addmm(bias, embedding, of_types.t())
        return table, torch.mm(of_geometry, self.geometry.weight).t()


class Combination(Foldable):
    """What a pair and its reverse make of each other: W_2 silu(W_1 norm([o; r]) + b_1) + b_2.

    The first half of the pairs are the reverses of the second. With s = o + r and d = o − r
    W_1 [o; r] is P s + M d, and for the reverse P s − M d: half of the products.

    :param width: D
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(2 * width)
        self.inner = nn.Linear(2 * width, 2 * width)
        self.outer = nn.Linear(2 * width, width)
        self.is_folded = False
        self.weight: Tensor
        self.bias: Tensor
        self.register_buffer("weight", torch.empty(0), persistent=False)
        self.register_buffer("bias", torch.empty(0), persistent=False)

    def forward(self, pairs: Tensor) -> Tensor:
        """(E, D) from (E, D).

        :param pairs: the first half are the reverses of the second
        """
        width = pairs.shape[1]
        both = sum_and_difference(pairs.view(2, -1, width))
        mean = both[0].mean(dim=1, keepdim=True)
        both = both - torch.stack([mean, torch.zeros_like(mean)])
        # the mean square of s and d is twice the variance
        both = normalised(both, [0, 2], 2.0 * self.norm.eps)
        weight, bias = self.weight, self.bias
        if not self.is_folded:
            weight, bias = self._folded()
        both = torch.baddbmm(bias, both, weight)  # (2, E / 2, 2 D)
        hidden = sum_and_difference(both).view(-1, 2 * width)
        return self.outer(silu(hidden))

    def fold(self) -> None:
        """Keep the products of weights."""
        self.weight, self.bias = self._folded()
        self.is_folded = True

    def _folded(self) -> Tuple[Tensor, Tensor]:
        """P and M with the weight of the norm in them (2, D, 2 D), and the bias (2, 1, 2 D)."""
        own, other = (self.inner.weight * self.norm.weight).t().chunk(2)
        weight = torch.stack([own + other, own - other]) * math.sqrt(0.5)
        bias = torch.addmv(self.inner.bias, self.inner.weight, self.norm.bias)
        return weight, torch.stack([bias, torch.zeros_like(bias)]).unsqueeze(1)
