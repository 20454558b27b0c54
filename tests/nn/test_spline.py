import numpy as np
import torch
from torch.testing import assert_close

from metatrain.nn import CubicHermiteSpline, HermiteTable


def cubic(distances):
    """Two cubics, which cubic splines reproduce; numbers that float32 holds exactly."""
    values = np.stack([distances**3 - distances, 2 - distances**2], axis=1)
    return values, np.stack([3 * distances**2 - 1, -2 * distances], axis=1)


def spline(num_points=5):
    return CubicHermiteSpline(HermiteTable.of(cubic, 2.0, num_points)).double()


def test_cubic_polynomials_are_reproduced():
    distances = torch.tensor([0.0, 0.3, 0.5, 1.7, 2.0], dtype=torch.float64)
    assert_close(spline()(distances), torch.from_numpy(cubic(distances.numpy())[0]))


def test_first_and_second_derivatives_agree_with_finite_differences():
    distances = torch.tensor([0.3, 0.8, 1.7], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(spline(), distances)
    assert torch.autograd.gradgradcheck(spline(), distances)


def test_beyond_the_end_the_last_value_is_kept():
    ends = spline()(torch.tensor([2.0, 2.1, 50.0], dtype=torch.float64))
    assert_close(ends, torch.tensor([[6.0, -2.0]] * 3, dtype=torch.float64))


def test_error_in_the_middle_of_intervals_falls_with_the_fourth_power_of_the_spacing():
    def sine(distances):
        return np.sin(distances)[:, None], np.cos(distances)[:, None]

    coarse = HermiteTable.of(sine, 3.0, 9).mean_error(sine)
    fine = HermiteTable.of(sine, 3.0, 17).mean_error(sine)
    assert 15 < coarse / fine < 17


def test_no_distances_give_no_rows():
    assert spline()(torch.zeros(0, dtype=torch.float64)).shape == (0, 2)


def test_scripted_is_the_same():
    distances = torch.linspace(0.0, 2.0, 7, dtype=torch.float64)
    assert_close(torch.jit.script(spline())(distances), spline()(distances), rtol=0, atol=0)
