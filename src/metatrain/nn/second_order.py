"""Elementwise functions whose second derivatives are cheap.

Whoever learns forces differentiates twice, and most of the time of a training step goes
into derivatives of derivatives. For the functions here they are written out, in far fewer
passes over memory than autograd takes to find them from those of multiplication and
addition. TorchScript, which knows no such functions, gets the formulas alone. Third derivatives
are not right.
"""

from collections.abc import Callable
from typing import Any, List, Tuple

import torch
from torch import Tensor
from torch.autograd import Function


def silu(x: Tensor) -> Tensor:
    """X sigmoid(x)."""
    if torch.jit.is_scripting():  # type: ignore[attr-defined]
        # Between two that TorchScript has no derivative of, it leaves this one to autograd, whose
        # derivative is one pass over memory rather than seven.
        x = torch.ops.aten.alias(x)
        return torch.ops.aten.alias(torch.nn.functional.silu(x))
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
        if dims == [x.dim() - 1]:
            return torch.rms_norm(x, [x.shape[-1]], None, epsilon)
        return x * torch.rsqrt(x.square().mean(dims, keepdim=True) + epsilon)
    return _Normalised.apply(x, dims, epsilon)


def sum_and_difference(x: Tensor) -> Tensor:
    """A + b and a - b, of the halves a = x[0] and b = x[1].

    :param x: (2, ...)
    :return: (2, ...)
    """
    if torch.jit.is_scripting():  # type: ignore[attr-defined]
        a, b = x.unbind(0)
        return torch.stack([a + b, a - b])
    return _SumAndDifference.apply(x)


def joined(parts: List[Tensor]) -> Tensor:
    """The parts one after the other, along their second dimension.

    :param parts: (T, F) each, F its own
    """
    if torch.jit.is_scripting():  # type: ignore[attr-defined]
        return torch.cat(parts, dim=1)
    return _Joined.apply(*parts)


def normalised_linear(
    x: Tensor, norm: Tuple[Tensor, Tensor], weights: Tensor, epsilon: float
) -> Tensor:
    """A linear layer without bias, of rows that went through a layer norm.

    :param x: (T, F)
    :param norm: factors and offsets of the layer norm, (F,) each
    :param weights: (H, F) of the linear layer
    :param epsilon: of the layer norm
    :return: (T, H)
    """
    factors, offsets = norm
    if torch.jit.is_scripting():  # type: ignore[attr-defined]
        rows = torch.nn.functional.layer_norm(x, [x.shape[1]], factors, offsets, epsilon)
        return torch.nn.functional.linear(rows, weights)
    centered, inverse = _Centered.apply(x, epsilon)
    # not torch.mm: less precision may be asked of linear layers, and of them alone
    product = torch.nn.functional.linear(centered, weights * factors)
    return product * inverse + torch.mv(weights, offsets)


def with_jacobian(
    function: Callable[[Tensor], Tensor], x: Tensor, value: Tensor, jacobian: Tensor
) -> Tensor:
    """A function of each row whose derivatives are known, for x without parameters behind it.

    :param function: gives the value; its own derivatives are taken beyond the first alone
    :param x: (T, D)
    :param value: (T, F)
    :param jacobian: (T, D, F)
    :return: the value
    """
    return _WithJacobian.apply(x, value, jacobian, function)


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


class _Joined(Function):
    @staticmethod
    def forward(ctx: Any, *parts: Tensor) -> Tensor:
        ctx.widths = [part.shape[1] for part in parts]
        return torch.cat(parts, dim=1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        # torch takes slices, each of which becomes a whole tensor of zeros in the next derivative
        return gradient.split(ctx.widths, dim=1)


class _Centered(Function):
    """Rows less their mean, and the inverse of the standard deviation of each, (T, 1)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, epsilon: float) -> Tuple[Tensor, Tensor]:
        centered = x - x.mean(dim=1, keepdim=True)
        # the length takes one pass, torch's variance as much time as twenty
        length = torch.linalg.vector_norm(centered, dim=1, keepdim=True)
        inverse = torch.rsqrt(length.square() / x.shape[1] + epsilon)
        ctx.save_for_backward(x, centered, inverse)
        return centered, inverse

    @staticmethod
    def backward(ctx: Any, of_centered: Tensor, of_inverse: Tensor) -> Tuple[Tensor, None]:
        x, centered, inverse = ctx.saved_tensors
        centered, inverse = centered.detach(), inverse.detach()
        later = _RowsForSecondDerivative.apply(x, of_inverse.detach(), centered, inverse)
        return _CenteredGradient.apply(of_centered, of_inverse, later, centered, inverse), None


class _CenteredGradient(Function):
    @staticmethod
    def forward(  # noqa: PLR0917 (as apply gives them)
        ctx: Any,
        of_centered: Tensor,
        of_inverse: Tensor,
        x: Tensor,  # noqa: ARG004 (the graph leads there)
        centered: Tensor,
        inverse: Tensor,
    ) -> Tensor:
        slope = inverse.pow(3) / -centered.shape[1]
        ctx.save_for_backward(centered, slope)
        of_x = of_centered - of_centered.mean(dim=1, keepdim=True)
        return torch.addcmul(of_x, centered, slope * of_inverse)

    @staticmethod
    def backward(ctx: Any, change: Tensor) -> Tuple[Tensor, Tensor, Tensor, None, None]:
        centered, slope = ctx.saved_tensors
        of_centered = change - change.mean(dim=1, keepdim=True)
        along = torch.linalg.vecdot(change, centered).unsqueeze(1)
        return of_centered, along * slope, change, None, None


class _RowsForSecondDerivative(Function):
    """The rows as they are, whose derivative is that of the gradient of :class:`_Centered`.

    A function of ours has to give all of its derivatives, whether they are asked for or not. This
    one costs as much as all the others, and is not asked for where rows have no parameters. On its
    own it is left out then.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, of_inverse: Tensor, centered: Tensor, inverse: Tensor
    ) -> Tensor:
        ctx.save_for_backward(of_inverse, centered, inverse)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, change: Tensor) -> Tuple[Tensor, None, None, None]:
        of_inverse, centered, inverse = ctx.saved_tensors
        num_columns = centered.shape[1]
        slope = of_inverse * inverse.pow(3) / -num_columns
        along = torch.linalg.vecdot(change, centered).unsqueeze(1)
        curve = slope * inverse.square() * along * (-3.0 / num_columns)
        change = change - change.mean(dim=1, keepdim=True)
        return torch.addcmul(curve * centered, change, slope), None, None, None


class _WithJacobian(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        value: Tensor,
        jacobian: Tensor,
        function: Callable[[Tensor], Tensor],
    ) -> Tensor:
        ctx.function = function
        ctx.save_for_backward(x, jacobian)
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tuple[Tensor, None, None, None]:
        x, jacobian = ctx.saved_tensors
        later = _PointForSecondDerivative.apply(x, gradient.detach(), ctx.function)
        return _JacobianProduct.apply(gradient, later, jacobian), None, None, None


class _JacobianProduct(Function):
    @staticmethod
    def forward(ctx: Any, gradient: Tensor, x: Tensor, jacobian: Tensor) -> Tensor:  # noqa: ARG004
        ctx.save_for_backward(jacobian)
        return torch.bmm(jacobian, gradient.unsqueeze(2)).squeeze(2)

    @staticmethod
    def backward(ctx: Any, change: Tensor) -> Tuple[Tensor, Tensor, None]:
        (jacobian,) = ctx.saved_tensors
        return torch.bmm(change.unsqueeze(1), jacobian).squeeze(1), change, None


class _PointForSecondDerivative(Function):
    """The point as it is, whose derivative is that of the gradient there.

    Apart for the same reason as :class:`_RowsForSecondDerivative`.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gradient: Tensor, function: Callable[[Tensor], Tensor]
    ) -> Tensor:
        ctx.function = function
        ctx.save_for_backward(x, gradient)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, change: Tensor) -> Tuple[Tensor, None, None]:
        x, gradient = ctx.saved_tensors
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            # the zero has derivatives where the function is constant or linear
            value = (ctx.function(x) * gradient).sum() + 0.0 * x.square().sum()
            (slope,) = torch.autograd.grad(value, x, create_graph=True)
            (of_x,) = torch.autograd.grad(slope, x, change)
        return of_x, None, None
