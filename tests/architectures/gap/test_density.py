"""The density around an atom: Gaussians, fading with distance, the atom itself included."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from architectures.gap import Gap, GapHypers
from architectures.gap.density import GaussianEigenstates
from architectures.gap.hypers import ScalingHypers
from architectures.gap.spectrum import HalfSpectrum
from metatrain.data.target import DatasetInfo
from metatrain.nn import LaplacianEigenstates, power_spectrum
from metatrain.testing import systems
from sparse_points import graph_of

EIGENSTATES = LaplacianEigenstates(2, 3, 5.0)
# a scale far beyond the cutoff: all neighbors weigh the same
UNSCALED = ScalingHypers(scale=1e6)


def test_smearing_is_the_overlap_with_a_gaussian():
    distance, width = 2.1, 0.3
    basis = GaussianEigenstates(EIGENSTATES, width, UNSCALED)
    found, _ = basis.evaluate(np.array([distance]))

    def integrand(r, n):
        """r^2 R_n0(r) times the mean over directions of the Gaussian at the distance."""
        gaussian = np.exp(-0.5 * ((r - distance) / width) ** 2) / (2 * np.pi) ** 1.5 / width**3
        mean = gaussian * -np.expm1(-2 * r * distance / width**2) / (2 * r * distance / width**2)
        return 4 * np.pi * r**2 * EIGENSTATES.evaluate(np.array([r]))[0][0, n] * mean

    for n in range(4):
        # beyond 8 widths from the neighbor the Gaussian is below 1e-13
        overlap, _ = quad(integrand, 1e-6, 4.5, args=(n,), epsabs=1e-12)
        assert found[0, n] == pytest.approx(overlap, abs=1e-9)


def test_slopes_are_derivatives():
    basis = GaussianEigenstates(EIGENSTATES, 0.3, ScalingHypers())
    points, step = np.linspace(0.2, 4.8, 7), 1e-5
    _, slopes = basis.evaluate(points)
    numerical = (basis.evaluate(points + step)[0] - basis.evaluate(points - step)[0]) / (2 * step)
    np.testing.assert_allclose(slopes, numerical, atol=1e-8)


def test_neighbors_fade_with_distance():
    scaled = GaussianEigenstates(EIGENSTATES, 0.3, ScalingHypers(rate=1.0, scale=2.0, exponent=7.0))
    plain = GaussianEigenstates(EIGENSTATES, 0.3, UNSCALED)
    ratio = scaled.evaluate(np.array([2.0, 4.0]))[0] / plain.evaluate(np.array([2.0, 4.0]))[0]
    np.testing.assert_allclose(ratio, np.array([[1 / 2], [1 / 129]]) * np.ones_like(ratio))


def test_an_atom_alone_has_the_density_of_itself():
    model = Gap(GapHypers(), DatasetInfo("angstrom", [1, 6, 8]))
    graph = graph_of([systems.lone_atom()], model.cutoff)
    coefficients = model.coefficients(graph, model.type_index(graph.types))
    itself = coefficients[0].reshape(3, -1)
    assert (itself[:2] == 0).all()  # channels of hydrogen and carbon
    assert (itself[2] > 0).all()
    assert all((part == 0).all() for part in coefficients[1:])


def test_half_spectra_have_the_products_of_whole_ones():
    half = HalfSpectrum([4, 3])
    coefficients = [
        torch.randn(5, 1, 4, dtype=torch.float64),
        torch.randn(5, 3, 3, dtype=torch.float64),
    ]
    whole, kept = power_spectrum(coefficients), half(coefficients)
    assert kept.shape == (5, 10 + 6)
    torch.testing.assert_close(kept @ kept.T, whole @ whole.T)
    matrices = half.matrices(kept)
    torch.testing.assert_close(torch.cat([m.flatten(1) for m in matrices], dim=1), whole)
