"""The networks: from the invariants of an atom to its contribution to each target.

J. Behler, M. Parrinello, "Generalized neural-network representation of high-dimensional
potential-energy surfaces", Phys. Rev. Lett. 98, 146401 (2007).
"""

from collections.abc import Iterable
from typing import List, cast

import torch
from torch import Tensor, nn

from architectures.soap_bpnn.hypers import BpnnHypers
from metatrain.nn import Foldable, Grouped, normalised_linear


class NormalisedNetwork(nn.Sequential, Foldable):
    """A network that begins with a layer norm and a linear layer, which are done as one."""

    def __init__(self, norm: nn.LayerNorm, *layers: nn.Module) -> None:
        super().__init__(norm, *layers)
        self.epsilon = norm.eps
        self.offsets: Tensor
        self.register_buffer("offsets", torch.empty(0), persistent=False)
        self.is_folded = False

    def forward(self, rows: Tensor) -> Tensor:
        """(N, H) from the descriptors, (N, F)."""
        norm, linear = self[0], self[1]
        if self.is_folded:
            rows = nn.functional.layer_norm(rows, [rows.shape[1]], eps=self.epsilon)
            return self.after(nn.functional.linear(rows, linear.weight, self.offsets))  # type: ignore[arg-type]
        norms = (norm.weight, norm.bias)
        return self.after(normalised_linear(rows, norms, linear.weight, self.epsilon))  # type: ignore[arg-type]

    def of_part(self, rows: Tensor, columns: Tensor) -> Tensor:
        """(N, H) from that part of the descriptors which is not zero; for a folded network.

        :param rows: (N, F')
        :param columns: (F',) which of the F columns these are
        """
        weights = self[1].weight
        num_absent = weights.shape[1] - rows.shape[1]  # type: ignore[index]
        mean = rows.sum(dim=1, keepdim=True) / weights.shape[1]  # type: ignore[index]
        squares = (rows - mean).square().sum(dim=1, keepdim=True) + num_absent * mean.square()
        inverse = torch.rsqrt(squares / weights.shape[1] + self.epsilon)  # type: ignore[index]
        # the mean need not be taken away from the rows, since weights have none
        product = torch.mm(rows, weights.index_select(1, columns).t()) * inverse  # type: ignore[operator]
        return self.after(product + self.offsets)

    def after(self, rows: Tensor) -> Tensor:
        """What comes after the linear layer."""
        for k, layer in enumerate(self):
            if k > 1:
                rows = layer(rows)
        return rows

    def fold(self) -> None:
        """The linear layer takes over the weights of the norm."""
        norm, linear = cast("nn.LayerNorm", self[0]), cast("nn.Linear", self[1])
        self.offsets = torch.mv(linear.weight, norm.bias)
        linear.weight.mul_(norm.weight)
        linear.weight.sub_(linear.weight.mean(dim=1, keepdim=True))
        self.is_folded = True


class AtomicNetworks(Grouped, Foldable):
    """The network of each group of atoms."""

    def __init__(self, members: Iterable[nn.Module]) -> None:
        super().__init__(members)
        self.is_folded = False

    def fold(self) -> None:
        """Note that the networks are."""
        self.is_folded = True

    def of_part(self, rows: Tensor, columns: Tensor, sizes: List[int]) -> Tensor:
        """As :meth:`forward`, from that part of the descriptors which is not zero.

        :param rows: (N, F')
        :param columns: (F',) which of the F columns these are
        :param sizes: the number of rows of each group
        """
        parts = rows.split(sizes)
        results: List[Tensor] = []
        for k, member in enumerate(self.members):
            if sizes[k] > 0 or k == 0:
                results.append(member.of_part(parts[k], columns))  # type: ignore[operator]
        return torch.cat(results)


def atomic_network(num_features: int, hypers: BpnnHypers) -> nn.Sequential:
    """Layer norm (unless switched off) and hidden layers, without biases.

    :param num_features: F, length of the descriptor
    """
    layers: list[nn.Module] = []
    norm = nn.LayerNorm(num_features) if hypers.layernorm else None
    for _ in range(hypers.num_hidden_layers):
        layers.append(nn.Linear(num_features, hypers.num_neurons_per_layer, bias=False))
        layers.append(nn.SiLU())
        num_features = hypers.num_neurons_per_layer
    if norm is None:
        return nn.Sequential(*layers)
    return NormalisedNetwork(norm, *layers) if layers else nn.Sequential(norm)


def readout(kind: str, num_features: int, num_properties: int) -> nn.Sequential:
    """From the hidden features to the P values of a target, without biases.

    :param kind: ``"linear"``, or ``"mlp"`` for one more hidden layer
    """
    layers = nn.Sequential()
    if kind == "mlp":
        layers.append(nn.Linear(num_features, num_features, bias=False))
        layers.append(nn.SiLU())
    layers.append(nn.Linear(num_features, num_properties, bias=False))
    return layers
