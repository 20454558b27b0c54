"""Functions whose derivatives are written out."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.testing import assert_close

from metatrain.nn import gated, normalised, normalised_linear, silu, sum_and_difference
from metatrain.nn.second_order import joined, with_jacobian


def both_halves(x: torch.Tensor) -> torch.Tensor:
    return normalised(x.view(2, 5, 3), [0, 2], 0.1)


def each_row(x: torch.Tensor) -> torch.Tensor:
    return normalised(x, [1], 0.1)


def halves(x: torch.Tensor) -> torch.Tensor:
    return sum_and_difference(x.view(2, 15))


def twice(x: torch.Tensor) -> torch.Tensor:
    return joined([x, x * x])


def into_layer(x: torch.Tensor) -> torch.Tensor:
    rows = torch.linspace(-1.0, 1.0, 30, dtype=x.dtype).view(5, 6).sin()
    return normalised_linear(x, (rows[0], rows[1]), rows[2:], 0.1)


FUNCTIONS = [silu, gated, each_row, both_halves, halves, twice, into_layer]


@pytest.fixture
def x():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(5, 6, dtype=torch.float64, generator=generator).requires_grad_()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_derivatives_are_those_of_finite_differences(function, x):
    assert gradcheck(function, x)
    assert gradgradcheck(function, x)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_torchscript_gives_the_same(function, x):
    assert_close(torch.jit.script(function)(x), function(x))


def test_they_are_what_their_names_say(x):
    a, g = x.chunk(2, dim=1)
    assert_close(gated(x), a * torch.sigmoid(g))
    assert_close(silu(x), x * torch.sigmoid(x))
    assert_close(each_row(x), torch.nn.functional.rms_norm(x, [6], eps=0.1))
    assert_close(halves(x)[1], x.view(2, 15)[0] - x.view(2, 15)[1])


def test_a_normalised_linear_layer_is_a_layer_norm_and_a_linear_layer(x):
    factors, offsets, *weights = torch.randn(5, 6, dtype=torch.float64).requires_grad_()
    rows = torch.nn.functional.layer_norm(x, [6], factors, offsets, 0.1)
    expected = rows @ torch.stack(weights).T
    assert_close(normalised_linear(x, (factors, offsets), torch.stack(weights), 0.1), expected)


def test_parameters_learn_from_gradients_through_a_normalised_linear_layer(x):
    norm = torch.randn(2, 6, dtype=torch.float64).requires_grad_()
    weights = torch.randn(3, 6, dtype=torch.float64).requires_grad_()
    layer = lambda x, norm, weights: normalised_linear(x, (norm[0], norm[1]), weights, 0.1)  # noqa: E731
    assert gradgradcheck(layer, (x, norm, weights))


def test_a_function_of_known_jacobian_has_all_derivatives(x):
    def sines(x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x.sin(), x.prod(dim=1, keepdim=True)], dim=1)

    def known(x: torch.Tensor) -> torch.Tensor:
        point = x.detach()
        products = point.prod(dim=1, keepdim=True) / point
        jacobian = torch.cat([torch.diag_embed(point.cos()), products.unsqueeze(2)], dim=2)
        return with_jacobian(sines, x, sines(point), jacobian)

    assert gradcheck(known, x)
    assert gradgradcheck(known, x)
