import torch
from torch.testing import assert_close

from metatrain.nn import bump, shifted_cosine


def test_weight_is_one_inside_a_half_in_the_middle_of_the_shell_and_zero_beyond():
    distances = torch.tensor([0.5, 4.5, 4.75, 5.0, 7.0], dtype=torch.float64)
    expected = torch.tensor([1.0, 1.0, 0.5, 0.0, 0.0], dtype=torch.float64)
    assert_close(shifted_cosine(distances, 5.0, 0.5), expected)


def test_slope_is_continuous_at_both_ends_of_the_shell():
    distances = torch.tensor([4.5, 4.5 + 1e-7, 5.0 - 1e-7, 5.0], dtype=torch.float64)
    distances.requires_grad_()
    (slope,) = torch.autograd.grad(shifted_cosine(distances, 5.0, 0.5).sum(), distances)
    # the slope grows from zero as (pi / width)^2 / 2 times the distance to the end
    assert slope.abs().max() < 1e-5


def test_derivatives_agree_with_finite_differences():
    distances = torch.tensor([1.0, 4.6, 4.9], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda r: shifted_cosine(r, 5.0, 0.5), distances)
    assert torch.autograd.gradgradcheck(lambda r: shifted_cosine(r, 5.0, 0.5), distances)


def test_a_bump_is_one_below_its_shell_a_half_in_the_middle_and_zero_beyond():
    phase = torch.tensor([-3.0, 0.0, 0.5, 1.0, 2.0], dtype=torch.float64)
    expected = torch.tensor([1.0, 1.0, 0.5, 0.0, 0.0], dtype=torch.float64)
    assert_close(bump(phase), expected, rtol=0, atol=1e-15)


def test_all_derivatives_of_a_bump_are_finite_and_vanish_at_the_ends():
    for dtype in (torch.float32, torch.float64):
        phase = torch.tensor([-1.0, 0.0, 1e-6, 0.01, 0.99, 1.0, 2.0], dtype=dtype)
        phase.requires_grad_()
        (slope,) = torch.autograd.grad(bump(phase).sum(), phase, create_graph=True)
        (curvature,) = torch.autograd.grad(slope.sum(), phase)
        assert slope.abs().max() < 1e-20
        assert curvature.abs().max() < 1e-16


def test_derivatives_of_a_bump_agree_with_finite_differences():
    phase = torch.tensor([-1.0, 0.2, 0.5, 0.7, 1.5], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(bump, phase)
    assert torch.autograd.gradgradcheck(bump, phase)
