"""A kernel model of degree two is the same with the eigenvectors of its points."""

import pytest
import torch

from architectures.gap.principal_points import principal_points

torch.manual_seed(0)


@pytest.mark.parametrize(("num_points", "expected"), [(4, 4), (9, 6), (0, 0)])
def test_the_function_stays_and_points_are_orthonormal(num_points, expected):
    points = torch.randn(num_points, 6, dtype=torch.float64)
    coefficients = torch.randn(num_points, 1, dtype=torch.float64)
    others, values = principal_points(points, coefficients)
    assert others.shape == (expected, 6)
    at = torch.randn(5, 6, dtype=torch.float64)
    torch.testing.assert_close((at @ others.T) ** 2 @ values, (at @ points.T) ** 2 @ coefficients)
    torch.testing.assert_close(others @ others.T, torch.eye(expected, dtype=torch.float64))


def test_coefficients_that_cancel_are_gone():
    point = torch.randn(6, dtype=torch.float64)
    points = torch.stack([point, point + 1e-4 * torch.randn(6, dtype=torch.float64)])
    coefficients = torch.tensor([[1e8], [-1e8]], dtype=torch.float64)
    _, values = principal_points(points, coefficients)
    assert values.abs().max() < 1e6
