"""Equations that come in blocks, and the solution with a kernel as prior."""

import math

import pytest
import torch

from architectures.gap.least_squares import LeastSquares, cholesky, solve
from metatrain.errors import MetatrainError

torch.manual_seed(0)
ROWS = torch.randn(60, 5, dtype=torch.float64)
LABELS = torch.randn(60, 2, dtype=torch.float64)
POINTS = torch.randn(5, 7, dtype=torch.float64)
KERNEL = POINTS @ POINTS.T


def solved(*sizes, kernel=KERNEL, weights=1.0):
    equations = LeastSquares(5, 2)
    for rows, labels in zip(ROWS.split(sizes), LABELS.split(sizes), strict=True):
        equations.add(rows, labels, weights)
    return equations.solve(cholesky(kernel)[0])


def test_the_solution_is_that_of_the_normal_equations():
    expected = torch.linalg.solve(4.0 * ROWS.T @ ROWS + KERNEL, 4.0 * ROWS.T @ LABELS)
    torch.testing.assert_close(solved(60, weights=2.0), expected)


@pytest.mark.parametrize("sizes", [(30, 30), (1,) * 60, (50, 3, 7)])
def test_blocks_give_what_all_equations_at_once_give(sizes):
    torch.testing.assert_close(solved(*sizes), solved(60), rtol=1e-12, atol=1e-12)


def test_no_more_is_kept_than_a_few_times_the_solution_needs():
    equations = LeastSquares(5, 2)
    for row, label in zip(ROWS, LABELS, strict=True):
        equations.add(row[None], label[None], 1.0)
        assert equations.num_waiting <= 4 * (5 + 2)


def test_equations_without_a_label_are_left_out():
    labels = LABELS.clone()
    labels[10:, 1] = torch.nan
    equations = LeastSquares(5, 2)
    equations.add(ROWS, labels, 1.0)
    few = LeastSquares(5, 2)
    few.add(ROWS[:10], LABELS[:10], 1.0)
    factor, _ = cholesky(KERNEL)
    torch.testing.assert_close(equations.solve(factor), few.solve(factor))


def test_without_any_equation_the_prior_decides():
    factor, _ = cholesky(KERNEL)
    assert (LeastSquares(5, 2).solve(factor) == 0).all()


def test_jitter_is_added_only_where_it_has_to_be():
    assert cholesky(KERNEL)[1] == 0.0
    twice = torch.cat([POINTS, POINTS])
    factor, jitter = cholesky(twice @ twice.T)
    assert 0.0 < jitter < 1e-12
    torch.testing.assert_close(factor @ factor.T, twice @ twice.T)


def test_jitter_grows_until_coefficients_are_small_enough():
    equations = LeastSquares(10, 2)
    alike = torch.cat([POINTS, POINTS + 1e-7])
    kernel = alike @ alike.T
    generator = torch.Generator().manual_seed(1)
    rows = torch.randn(60, 7, generator=generator, dtype=torch.float64) @ alike.T
    equations.add(rows, LABELS, 1e9)
    free, none = solve([equations], kernel, largest=math.inf)
    bound, more = solve([equations], kernel, largest=1e-2 * float(free.norm()))
    assert none < more < 1e-3
    assert bound.norm() <= 1e-2 * free.norm()


def test_equal_points_share_their_coefficient():
    equations = LeastSquares(10, 2)
    equations.add(torch.cat([ROWS, ROWS], dim=1), LABELS, 1.0)
    twice = torch.cat([POINTS, POINTS])
    both = equations.solve(cholesky(twice @ twice.T)[0])
    # k c of the doubled points is that of the single ones
    torch.testing.assert_close(ROWS @ (both[:5] + both[5:]), ROWS @ solved(60), atol=1e-6, rtol=0)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_a_kernel_that_no_jitter_makes_positive_is_refused(value):
    with pytest.raises(MetatrainError, match="the kernel of the sparse points"):
        cholesky(torch.full((3, 3), value, dtype=torch.float64))


def test_coefficients_that_no_jitter_makes_small_are_refused():
    equations = LeastSquares(5, 2)
    equations.add(ROWS, LABELS, 1.0)
    with pytest.raises(MetatrainError, match="gives no solution, even with a jitter of 2e-01"):
        solve([equations], KERNEL, largest=-1.0)
