"""Attention blocks: each atom and its pairs exchange what they know.

A block gets the states of the atoms and the tokens of the pairs. The token of an atom is
made from its state, unless state and token are of the same width: then they are the same.
"""

from abc import abstractmethod
from typing import TYPE_CHECKING, List, Tuple

import torch
from torch import Tensor, nn

from architectures.pet.hypers import PetHypers
from architectures.pet.networks import NoNorm, Norm, feed_forward, norm_of
from architectures.pet.parts import Parts
from metatrain.nn import Foldable
from metatrain.nn.attention import TokenLayout, neighborhood_attention


class Attention(Foldable):
    """Softmax attention with several heads among the tokens of each atom.

    :param hypers: see :class:`PetHypers`
    :param norm: what is done to the tokens first
    """

    def __init__(self, hypers: PetHypers, norm: Norm) -> None:
        super().__init__()
        width = hypers.d_pet
        self.scale = (width // hypers.num_heads) ** -0.5 / hypers.attention_temperature
        self.norm = norm
        self.inner = nn.Linear(width, 3 * width)
        self.outer = nn.Linear(width, width)

    def forward(self, tokens: Tensor, log_weights: Tensor, layout: TokenLayout) -> Tensor:
        """(N + E, D) from the tokens (N + E, D).

        :param log_weights: (N + E,) logarithm of the weight of each token
        """
        projected = self.norm.then_linear(tokens, self.inner.weight, self.inner.bias)
        mixed = neighborhood_attention(projected, log_weights, layout, self.scale)
        return self.outer(mixed)

    def fold(self) -> None:
        """The inner layer takes over the weights of the norm."""
        self.norm.fold_into(self.inner)


class OwnState(nn.Module):
    """The state of an atom is wider than its token, and has a network of its own.

    :param hypers: see :class:`PetHypers`
    """

    def __init__(self, hypers: PetHypers) -> None:
        super().__init__()
        width = hypers.d_node
        self.contraction = nn.Linear(width, hypers.d_pet)
        self.expansion = nn.Linear(hypers.d_pet, width)
        norm = norm_of(hypers.normalization, width)
        self.mlp = feed_forward(hypers.activation, width, 2 * width, norm)

    def token(self, nodes: Tensor) -> Tensor:
        """(N, D) from the states (N, D_n)."""
        return self.contraction(nodes)

    def forward(self, nodes: Tensor, tokens: Tensor) -> Tensor:
        """The new states.

        :param nodes: (N, D_n)
        :param tokens: (N, D)
        """
        nodes = nodes + self.expansion(tokens)
        return nodes + self.mlp(nodes)


class TokenState(nn.Module):
    """The state of an atom is its token."""

    def token(self, nodes: Tensor) -> Tensor:
        """(N, D), the states."""
        return nodes

    def forward(self, nodes: Tensor, tokens: Tensor) -> Tensor:  # noqa: ARG002
        """(N, D), the tokens."""
        return tokens


class Block(nn.Module):
    """Attention among the tokens, and what each one makes of it on its own."""

    if TYPE_CHECKING:  # TorchScript knows no such annotation of a module
        state: OwnState | TokenState

    @abstractmethod
    def of_part(
        self, atoms: Tensor, pairs: Tensor, log_weights: Tensor, layout: TokenLayout
    ) -> Tuple[Tensor, Tensor]:
        """The new tokens of the atoms and pairs of one part.

        :param atoms: (n, D) tokens of the atoms
        :param pairs: (e, D) tokens of the pairs
        :param log_weights: (n + e,) logarithm of the weight of each token
        :param layout: where the tokens stand
        """

    def forward(
        self, nodes: Tensor, pairs: List[Tensor], log_weights: List[Tensor], parts: Parts
    ) -> Tuple[Tensor, List[Tensor]]:
        """States and tokens after the block.

        :param nodes: (N, D_n) states of the atoms
        :param pairs: of each part (e, D) tokens of the pairs
        :param log_weights: of each part (n + e,) logarithm of the weight of each token
        :param parts: the parts
        """
        of_atoms: List[Tensor] = []
        of_pairs: List[Tensor] = []
        for k, own in enumerate(self.state.token(nodes).split(parts.atoms.sizes)):
            new_own, new_pairs = self.of_part(own, pairs[k], log_weights[k], parts.layouts[k])
            of_atoms.append(new_own)
            of_pairs.append(new_pairs)
        return self.state(nodes, torch.cat(of_atoms)), of_pairs


class PreNormBlock(Block):
    """Norms stand before attention and network, beside what is passed on as it is.

    :param hypers: see :class:`PetHypers`
    """

    def __init__(self, hypers: PetHypers) -> None:
        super().__init__()
        width = hypers.d_pet
        self.attention = Attention(hypers, norm_of(hypers.normalization, width))
        norm = norm_of(hypers.normalization, width)
        self.mlp = feed_forward(hypers.activation, width, hypers.d_feedforward, norm)
        self.state = TokenState() if hypers.d_node == width else OwnState(hypers)

    def of_part(
        self, atoms: Tensor, pairs: Tensor, log_weights: Tensor, layout: TokenLayout
    ) -> Tuple[Tensor, Tensor]:
        """As in :class:`Block`."""
        mixed = self.attention(torch.cat([atoms, pairs]), log_weights, layout)
        of_atoms, further = mixed.split([atoms.shape[0], pairs.shape[0]])
        further = pairs + further
        return of_atoms, further + self.mlp(further)


class PostNormBlock(Block):
    """Norms stand after attention and network, over all that is passed on.

    :param hypers: see :class:`PetHypers`
    """

    def __init__(self, hypers: PetHypers) -> None:
        super().__init__()
        width = hypers.d_pet
        self.attention = Attention(hypers, NoNorm())
        self.norm_attention = norm_of(hypers.normalization, width)
        self.norm_mlp = norm_of(hypers.normalization, width)
        self.mlp = feed_forward(hypers.activation, width, hypers.d_feedforward, NoNorm())
        self.state = TokenState() if hypers.d_node == width else OwnState(hypers)

    def of_part(
        self, atoms: Tensor, pairs: Tensor, log_weights: Tensor, layout: TokenLayout
    ) -> Tuple[Tensor, Tensor]:
        """As in :class:`Block`."""
        tokens = torch.cat([atoms, pairs])
        tokens = self.norm_attention(tokens + self.attention(tokens, log_weights, layout))
        tokens = self.norm_mlp(tokens + self.mlp(tokens))
        of_atoms, of_pairs = tokens.split([atoms.shape[0], pairs.shape[0]])
        return of_atoms, of_pairs
