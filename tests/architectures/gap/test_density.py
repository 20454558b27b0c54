"""The density around an atom: Gaussians, fading with distance, the atom itself included."""

import numpy as np
import pytest
import torch

from architectures.gap import Gap, GapHypers
from architectures.gap.gaussian_orbitals import GaussianOrbitals
from architectures.gap.hypers import (
    BasisHypers,
    CutoffHypers,
    RadialHypers,
    ScalingHypers,
    SoapHypers,
)
from architectures.gap.spectrum import HalfSpectrum, normalised
from metatrain.data.target import DatasetInfo
from metatrain.nn import power_spectrum
from metatrain.testing import systems
from sparse_points import graph_of

# a scale far beyond the cutoff: all neighbors weigh the same
UNSCALED = ScalingHypers(scale=1e6)
CUTOFF = 5.0


def orbitals(max_angular=2, max_radial=3, width=0.3, scaling=UNSCALED):
    return GaussianOrbitals(max_angular, max_radial, CUTOFF, width, scaling)


@pytest.mark.parametrize("max_radial", [0, 7, 15])
def test_radial_functions_are_orthonormal(max_radial):
    # the quadrature reaches beyond the functions where the Gaussians are that wide
    points, weighted = orbitals(max_radial=max_radial, width=2.0).quadrature
    weights = 0.5 * (CUTOFF + 8 * 2.0) * np.polynomial.legendre.leggauss(len(points))[1]
    functions = weighted / (weights * points**2)[:, None]
    np.testing.assert_allclose(functions.T @ weighted, np.eye(max_radial + 1), atol=1e-6)


def test_contributions_are_overlaps_with_a_gaussian():
    distance, width = 2.1, 0.3
    basis = orbitals(max_angular=0, width=width)
    found, _ = basis.evaluate(np.array([distance]))
    points, weighted = basis.quadrature
    # the mean over directions of the Gaussian at the distance
    x = points * distance / width**2
    mean = np.exp(-0.5 * ((points - distance) / width) ** 2) * -np.expm1(-2 * x) / (2 * x)
    np.testing.assert_allclose(found[0], mean @ weighted, rtol=1e-12)


def test_slopes_are_derivatives():
    basis = orbitals(scaling=ScalingHypers())
    points, step = np.linspace(0.2, 4.8, 7), 1e-5
    _, slopes = basis.evaluate(points)
    numerical = (basis.evaluate(points + step)[0] - basis.evaluate(points - step)[0]) / (2 * step)
    np.testing.assert_allclose(slopes, numerical, atol=1e-8)


def test_neighbors_fade_with_distance():
    distances = np.array([2.0, 4.0])
    scaled = orbitals(scaling=ScalingHypers(rate=1.0, scale=2.0, exponent=7.0))
    ratio = scaled.evaluate(distances)[0] / orbitals().evaluate(distances)[0]
    np.testing.assert_allclose(ratio, np.array([[1 / 2], [1 / 129]]) * np.ones_like(ratio))


def test_products_of_spectra_are_those_of_featomic():
    """Of featomic 0.6.7, whose spectra have a factor (2 l + 1)^(-1/2)."""
    basis = BasisHypers(max_angular=2, radial=RadialHypers(max_radial=2))
    soap = SoapHypers(cutoff=CutoffHypers(radius=4.0), basis=basis)
    model = Gap(GapHypers(soap), DatasetInfo("angstrom", [1, 6, 8]))
    graph = graph_of([systems.molecule(), systems.crystal()], model.cutoff)
    coefficients = model.coefficients(graph, model.type_index(graph.types))
    scaled = [part / part.shape[1] ** 0.25 for part in coefficients]
    spectra = normalised(model.spectrum(scaled))
    expected = np.array(
        [
            [1.0, 0.149517530632, 0.547783752857, 0.492051315404],
            [0.595659769994, 0.115373871606, 0.300032923430, 0.294970146179],
            [0.115373871606, 0.940734663459, 0.042782177661, 0.036711844874],
            [0.148006808107, 1.0, 0.003788136935, 0.002891047679],
        ]
    ).reshape(2, 8)
    # radial functions are read from tables that are good to 1e-8
    np.testing.assert_allclose(spectra[[0, 5]] @ spectra.T, expected, atol=1e-7)


def test_an_atom_alone_has_the_density_of_itself():
    model = Gap(GapHypers(), DatasetInfo("angstrom", [1, 6, 8]))
    graph = graph_of([systems.lone_atom()], model.cutoff)
    coefficients = model.coefficients(graph, model.type_index(graph.types))
    itself = coefficients[0].reshape(3, -1)
    assert (itself[:2] == 0).all()  # channels of hydrogen and carbon
    assert (itself[2] != 0).all()
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
