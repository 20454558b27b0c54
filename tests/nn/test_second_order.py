"""Functions whose derivatives are written out."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.testing import assert_close

from metatrain.nn import gated, normalised, silu, sum_and_difference


def both_halves(x: torch.Tensor) -> torch.Tensor:
    return normalised(x.view(2, 5, 3), [0, 2], 0.1)


def each_row(x: torch.Tensor) -> torch.Tensor:
    return normalised(x, [1], 0.1)


def halves(x: torch.Tensor) -> torch.Tensor:
    return sum_and_difference(x.view(2, 15))


FUNCTIONS = [silu, gated, each_row, both_halves, halves]


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
