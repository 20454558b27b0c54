"""Elementwise functions whose second derivatives are cheap.

Whoever learns forces differentiates twice, and most of the time of a training step goes
into derivatives of derivatives. For the functions here they are written out, in far fewer
passes over memory than autograd takes to find them from those of multiplication and
addition. TorchScript, which knows no such functions, gets the formulas alone.
"""

from typing import Any, List, Tuple

import torch
from torch import Tensor
from torch.autograd import Function


def silu(x: Tensor) -> Tensor:
    """X sigmoid(x)."""
    if torch.jit.is_scripting():  # type: ignore[attr-defined]
        return torch.nn.functional.silu(x)
    return _Silu.apply(x)


def gated(x: Tensor) -> Tensor:
    """A sigmoid(g), for the halves a and g of each row.

    :param x: (T, 2 F)
    :return: (T, F)
    """
    if torch.jit.is_scripting():  # type: ignore[attr-defined]
        return torch.nn.functional.glu(x, dim=1)
    return _Gated.apply(x)


def normalised(x: Tensor, dims: List[int], epsilon: float) -> Tensor:
    """X / sqrt(mean(x^2) + epsilon).

    :param dims: what the mean is taken over
    """
    if torch.jit.is_scripting():  # type: ignore[attr-defined]
        return x * torch.rsqrt(x.square().mean(dims, keepdim=True) + epsilon)
    return _Normalised.apply(x, dims, epsilon)


def sum_and_difference(x: Tensor) -> Tensor:
    """A + b and a - b, of the halves a = x[0] and b = x[1].

    :param x: (2, ...)
    :return: (2, ...)
    """
    if torch.jit.is_scripting():  # type: ignore[attr-defined]
        return torch.stack([x[0] + x[1], x[0] - x[1]])
    return _SumAndDifference.apply(x)


class _Silu(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.nn.functional.silu(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _SiluGradient.apply(gradient, *ctx.saved_tensors)


class _SiluGradient(Function):
    @staticmethod
    def forward(ctx: Any, gradient: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(gradient, x)
        return torch.ops.aten.silu_backward(gradient, x)

    @staticmethod
    def backward(ctx: Any, change: Tensor) -> Tuple[Tensor, Tensor]:
        gradient, x = ctx.saved_tensors
        # silu'' = s' (2 + x (1 - 2 s)) with s the sigmoid
        s = torch.sigmoid(x)
        rest = torch.rsub(s, 1.0, alpha=2.0).mul_(x).add_(2.0)
        of_x = torch.ops.aten.sigmoid_backward(change * gradient, s).mul_(rest)
        return torch.ops.aten.silu_backward(change, x), of_x


class _Gated(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.nn.functional.glu(x, dim=1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _GatedGradient.apply(gradient, *ctx.saved_tensors)


class _GatedGradient(Function):
    @staticmethod
    def forward(ctx: Any, gradient: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(gradient, x)
        return torch.ops.aten.glu_backward(gradient, x, 1)

    @staticmethod
    def backward(ctx: Any, change: Tensor) -> Tuple[Tensor, Tensor]:
        gradient, x = ctx.saved_tensors
        a, g = x.chunk(2, dim=1)
        change_a, change_g = change.chunk(2, dim=1)
        s = torch.sigmoid(g)
        slope = torch.ops.aten.sigmoid_backward(change_g, s)  # change_g s'
        of_gradient = torch.addcmul(change_a * s, slope, a)
        of_x = torch.empty_like(x)
        of_a, of_g = of_x.chunk(2, dim=1)
        torch.mul(slope, gradient, out=of_a)
        # the derivative by g: s' gradient (change_a + change_g a (1 - 2 s))
        curve = torch.addcmul(change_a, change_g, torch.rsub(s, 1.0, alpha=2.0).mul_(a))
        torch.mul(torch.ops.aten.sigmoid_backward(curve, s), gradient, out=of_g)
        return of_gradient, of_x


class _Normalised(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dims: List[int], epsilon: float) -> Tensor:
        inverse = torch.rsqrt(x.square().mean(dims, keepdim=True) + epsilon)
        ctx.dims, ctx.epsilon = dims, epsilon
        result = x * inverse
        ctx.save_for_backward(x, result, inverse)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        x, result, inverse = ctx.saved_tensors
        # the graph leads to x; the others are what is known of it
        of_x = _NormalisedGradient.apply(gradient, x, result.detach(), inverse, ctx.dims)
        return of_x, None, None


class _NormalisedGradient(Function):
    @staticmethod
    def forward(  # noqa: PLR0917 (as apply gives them)
        ctx: Any,
        gradient: Tensor,
        x: Tensor,  # noqa: ARG004 (the graph leads there)
        y: Tensor,
        inverse: Tensor,
        dims: List[int],
    ) -> Tensor:
        along = (gradient * y).mean(dims, keepdim=True)
        ctx.dims = dims
        ctx.save_for_backward(gradient, y, inverse, along)
        return torch.addcmul(gradient * inverse, y, -inverse * along)

    @staticmethod
    def backward(ctx: Any, change: Tensor) -> Tuple[Tensor, Tensor, None, None, None]:
        gradient, y, inverse, along = ctx.saved_tensors
        change_along = (change * y).mean(ctx.dims, keepdim=True)
        of_gradient = torch.addcmul(change * inverse, y, -inverse * change_along)
        product = (change * gradient).mean(ctx.dims, keepdim=True)
        square = inverse.square().neg_()
        of_x = y * (square * (product - 3.0 * along * change_along))
        of_x.addcmul_(gradient, square * change_along).addcmul_(change, square * along)
        return of_gradient, of_x, None, None, None


class _SumAndDifference(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004
        return torch.stack([x[0] + x[1], x[0] - x[1]])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:  # noqa: ARG004
        return _SumAndDifference.apply(gradient)
