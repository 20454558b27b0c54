import copy
import math

import numpy as np
import pytest
import scipy.special
import sphericart
import torch
from torch.testing import assert_close

from metatrain.nn import SphericalHarmonics


def directions(count, seed=0):
    vectors = torch.randn(
        count, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return vectors / vectors.norm(dim=1, keepdim=True)


def test_first_degrees_are_the_textbook_polynomials():
    x, y, z = directions(5).T
    harmonics = SphericalHarmonics(2).double()(torch.stack([x, y, z], dim=1))
    assert_close(harmonics[:, 0], torch.full_like(x, math.sqrt(1 / (4 * math.pi))))
    first = math.sqrt(3 / (4 * math.pi)) * torch.stack([y, z, x], dim=1)
    assert_close(harmonics[:, 1:4], first)
    assert_close(harmonics[:, 4], math.sqrt(15 / (4 * math.pi)) * x * y)


@pytest.mark.parametrize("max_angular", [0, 1, 2, 6, 12])
def test_values_agree_with_sphericart(max_angular):
    unit = directions(20)
    expected = sphericart.SphericalHarmonics(max_angular).compute(unit.numpy())
    # both lose a few digits in sums of alternating sign
    assert_close(
        SphericalHarmonics(max_angular).double()(unit),
        torch.from_numpy(expected),
        rtol=0,
        atol=1e-13,
    )


def test_values_agree_with_scipy():
    unit = directions(20)
    polar, azimuth = np.arccos(unit[:, 2].numpy()), torch.atan2(unit[:, 1], unit[:, 0]).numpy()
    ours = SphericalHarmonics(4).double()(unit)
    for order in range(1, 5):
        # scipy's are complex and have the Condon-Shortley phase
        theirs = (-1) ** order * math.sqrt(2) * scipy.special.sph_harm_y(4, order, polar, azimuth)
        assert_close(ours[:, 20 + order], torch.as_tensor(theirs.real), rtol=0, atol=1e-13)
        assert_close(ours[:, 20 - order], torch.as_tensor(theirs.imag), rtol=0, atol=1e-13)


def test_addition_theorem():
    first, second = directions(10, 1), directions(10, 2)
    harmonics = SphericalHarmonics(5).double()
    products = (harmonics(first) * harmonics(second))[:, 25:].sum(dim=1)
    cosines = (first * second).sum(dim=1).numpy()
    expected = 11 / (4 * math.pi) * scipy.special.eval_legendre(5, cosines)
    assert_close(products, torch.from_numpy(expected))


def test_first_and_second_derivatives_agree_with_finite_differences():
    unit = directions(3).requires_grad_()
    harmonics = SphericalHarmonics(4).double()
    assert torch.autograd.gradcheck(harmonics, unit)
    assert torch.autograd.gradgradcheck(harmonics, unit)


def test_poles_have_finite_derivatives():
    poles = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(SphericalHarmonics(6)(poles).sum(), poles)
    assert gradient.isfinite().all()


def test_a_cast_to_float32_and_back_costs_no_digits():
    unit = directions(5)
    cast = SphericalHarmonics(6).float().double()
    assert_close(cast(unit), SphericalHarmonics(6).double()(unit), rtol=0, atol=0)


@pytest.mark.parametrize("max_angular", [0, 1, 2, 6, 12])
def test_both_recurrences_give_the_same(max_angular):
    harmonics, unit = SphericalHarmonics(max_angular).double(), directions(20)
    assert_close(harmonics.of_components(unit.t()), harmonics(unit), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("max_angular", "error"), [(6, 2e-6), (12, 2e-5)])
def test_the_recurrence_of_scripts_rounds_little_in_float32(max_angular, error):
    unit = directions(2000)
    unit[:100, :2] *= 1e-3  # near the poles
    unit = (unit / unit.norm(dim=1, keepdim=True)).float()
    harmonics = SphericalHarmonics(max_angular)
    weights = torch.randn(2000, (max_angular + 1) ** 2, generator=torch.Generator().manual_seed(0))

    def value_and_gradient(dtype):
        components = unit.T.to(dtype).requires_grad_()
        values = copy.deepcopy(harmonics).to(dtype).of_components(components)
        (gradient,) = torch.autograd.grad((values * weights.to(dtype)).sum(), components)
        return values.detach().double(), gradient.double()

    (value, gradient), (exact_value, exact_gradient) = map(
        value_and_gradient, (torch.float32, torch.float64)
    )
    assert_close(value, exact_value, rtol=0, atol=error)
    scale = float(exact_gradient.abs().max())
    assert_close(gradient, exact_gradient, rtol=0, atol=error * scale)


def test_scripted_is_the_same():
    unit = directions(5)
    harmonics = SphericalHarmonics(3).double()
    assert_close(torch.jit.script(harmonics)(unit), harmonics(unit), rtol=0, atol=0)
