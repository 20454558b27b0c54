import math

import numpy as np
import pytest
from scipy.special import spherical_jn

from metatrain.nn import LaplacianEigenstates


@pytest.mark.parametrize(
    ("max_radial", "max_angular", "counts"),
    [
        (7, 6, [8, 7, 7, 6, 6, 5, 5]),
        (3, 3, [4, 3, 3, 2]),
        (1, 1, [2, 1]),
        # the eigenvalue of (l = 3, n = 0) exceeds the largest: from there on one each
        (1, 5, [2, 1, 1, 1, 1, 1]),
        (0, 0, [1]),
    ],
)
def test_functions_are_kept_up_to_the_largest_eigenvalue(max_radial, max_angular, counts):
    assert LaplacianEigenstates(max_angular, max_radial, 5.0).counts == counts


def test_functions_are_orthonormal_for_each_degree():
    basis = LaplacianEigenstates(3, 4, 3.0)
    distances, weights = np.polynomial.legendre.leggauss(200)
    distances, weights = 1.5 * (distances + 1), 1.5 * weights
    values, _ = basis.evaluate(distances)
    column = 0
    for count in basis.counts:
        block = values[:, column : column + count]
        overlap = block.T @ (block * (weights * distances**2)[:, None])
        np.testing.assert_allclose(overlap, np.eye(count), atol=1e-12)
        column += count


def test_functions_vanish_at_the_cutoff():
    values, _ = LaplacianEigenstates(6, 7, 5.0).evaluate(np.array([5.0]))
    np.testing.assert_allclose(values, 0.0, atol=1e-13)


def test_functions_of_degree_zero_are_sine_waves():
    values, derivatives = LaplacianEigenstates(0, 2, 4.0).evaluate(np.array([1.3]))
    for n in range(3):
        k = math.pi * (n + 1) / 4.0
        expected = math.sqrt(2 / 4.0) * math.sin(1.3 * k) / 1.3
        slope = math.sqrt(2 / 4.0) * (k * math.cos(1.3 * k) / 1.3 - math.sin(1.3 * k) / 1.3**2)
        assert values[0, n] == pytest.approx(expected, rel=1e-12)
        assert derivatives[0, n] == pytest.approx(slope, rel=1e-12)


def test_functions_have_as_many_nodes_as_their_index():
    basis = LaplacianEigenstates(2, 3, 5.0)
    values, _ = basis.evaluate(np.linspace(1e-3, 5.0 - 1e-3, 400))
    nodes = (np.diff(np.sign(values), axis=0) != 0).sum(axis=0)
    assert nodes.tolist() == [n for count in basis.counts for n in range(count)]


def test_functions_are_spherical_bessel_functions():
    basis, distances = LaplacianEigenstates(9, 7, 5.0), np.linspace(0.0, 5.0, 101)
    values, derivatives = basis.evaluate(distances)
    column = 0
    for degree, (count, zeros) in enumerate(zip(basis.counts, basis.zeros, strict=True)):
        for zero in zeros[:count] / 5.0:
            norm = math.sqrt(2 / 5.0**3) / abs(spherical_jn(degree + 1, 5.0 * zero))
            expected = norm * spherical_jn(degree, zero * distances)
            slopes = norm * zero * spherical_jn(degree, zero * distances, derivative=True)
            np.testing.assert_allclose(values[:, column], expected, atol=1e-13)
            np.testing.assert_allclose(derivatives[:, column], slopes, atol=1e-12)
            column += 1


def test_zeros_of_the_bessel_functions_are_exact():
    basis = LaplacianEigenstates(6, 7, 1.0)
    for degree, zeros in enumerate(basis.zeros):
        slope = spherical_jn(degree, zeros, derivative=True)
        np.testing.assert_allclose(spherical_jn(degree, zeros) / slope, 0.0, atol=1e-13)


def test_default_table_has_257_points():
    table = LaplacianEigenstates(6, 7, 5.0).table()
    assert table.values.shape == table.derivatives.shape == (257, 44)
    assert table.spacing == 5.0 / 256
