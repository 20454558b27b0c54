"""Norms, feed-forward networks and readouts."""

import torch
from torch import Tensor, nn

from metatrain.nn.folding import Foldable
from metatrain.nn.second_order import gated, normalised, silu


class RMSNorm(nn.Module):
    """weight * x / sqrt(mean(x^2) + machine epsilon).

    :param width: of the rows
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.is_folded = False

    def forward(self, x: Tensor) -> Tensor:
        """The normalised rows.

        :param x: (T, width)
        """
        return self._standard(x) * self.weight

    def then_linear(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """A dense layer on the normalised rows, which saves a pass over them.

        :param x: (T, width)
        :param weight: (outputs, width)
        :param bias: (outputs,)
        """
        if self.is_folded:
            return nn.functional.linear(self._standard(x), weight, bias)
        return nn.functional.linear(self._standard(x), weight * self.weight, bias)

    def fold_into(self, linear: nn.Linear) -> None:
        """Have a dense layer take over the weight, from when on ``then_linear`` leaves it out."""
        linear.weight.mul_(self.weight)
        self.is_folded = True

    def _standard(self, x: Tensor) -> Tensor:
        # torch.finfo is not known to TorchScript
        return normalised(x, [1], 2.0**-52 if x.dtype == torch.float64 else 2.0**-23)


class LayerNorm(nn.Module):
    """weight * (x - mean) / sqrt(variance + 1e-5) + bias.

    :param width: of the rows
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.is_folded = False

    def forward(self, x: Tensor) -> Tensor:
        """As in :class:`RMSNorm`."""
        return torch.addcmul(self.bias, self._standard(x), self.weight)

    def then_linear(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """As in :class:`RMSNorm`."""
        if self.is_folded:
            return nn.functional.linear(self._standard(x), weight, bias)
        shift = torch.mv(weight, self.bias)
        return nn.functional.linear(self._standard(x), weight * self.weight, bias + shift)

    def fold_into(self, linear: nn.Linear) -> None:
        """As in :class:`RMSNorm`."""
        linear.bias.add_(torch.mv(linear.weight, self.bias))
        linear.weight.mul_(self.weight)
        self.is_folded = True

    def _standard(self, x: Tensor) -> Tensor:
        return normalised(x - x.mean(dim=1, keepdim=True), [1], 1e-5)


class NoNorm(nn.Module):
    """Leaves rows as they are."""

    def then_linear(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """As in :class:`RMSNorm`."""
        return nn.functional.linear(x, weight, bias)

    def fold_into(self, linear: nn.Linear) -> None:
        """As in :class:`RMSNorm`."""


Norm = RMSNorm | LayerNorm | NoNorm


def norm_of(kind: str, width: int) -> RMSNorm | LayerNorm:
    """The norm of that name."""
    return RMSNorm(width) if kind == "RMSNorm" else LayerNorm(width)


class SwiGLU(Foldable):
    """W_2 (a sigmoid(g)) + b_2 with [a; g] = W_1 norm(x) + b_1.

    :param width: of the rows
    :param hidden: width of a and g
    :param norm: what is done to the rows first
    """

    def __init__(self, width: int, hidden: int, norm: Norm) -> None:
        super().__init__()
        self.norm = norm
        self.inner = nn.Linear(width, 2 * hidden)
        self.outer = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(T, width) from (T, width)."""
        return self.outer(gated(self.norm.then_linear(x, self.inner.weight, self.inner.bias)))

    def fold(self) -> None:
        """The inner layer takes over the weights of the norm."""
        self.norm.fold_into(self.inner)


class SiLU(Foldable):
    """W_2 silu(W_1 norm(x) + b_1) + b_2.

    :param width: of the rows
    :param hidden: width of the hidden layer
    :param norm: what is done to the rows first
    """

    def __init__(self, width: int, hidden: int, norm: Norm) -> None:
        super().__init__()
        self.norm = norm
        self.inner = nn.Linear(width, hidden)
        self.outer = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(T, width) from (T, width)."""
        return self.outer(silu(self.norm.then_linear(x, self.inner.weight, self.inner.bias)))

    def fold(self) -> None:
        """As in :class:`SwiGLU`."""
        self.norm.fold_into(self.inner)


def feed_forward(activation: str, width: int, hidden: int, norm: Norm) -> SwiGLU | SiLU:
    """The feed-forward network of that name."""
    return (SwiGLU if activation == "SwiGLU" else SiLU)(width, hidden, norm)
