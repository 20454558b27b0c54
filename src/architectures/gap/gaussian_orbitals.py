"""Radial functions of the Gaussian type, and the density of Gaussians in them.

A. P. Bartok, R. Kondor, G. Csanyi, Phys. Rev. B 87, 184115 (2013); F. Musil, M. Veit,
A. Goscinski, G. Fraux, M. J. Willatt, M. Stricker, T. Junge, M. Ceriotti, "Efficient
implementation of atom-density representations", J. Chem. Phys. 154, 114109 (2021).
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray
from scipy.special import gamma, ive

from architectures.gap.hypers import ScalingHypers
from metatrain.nn import HermiteTable

POINTS_PER_WIDTH = 10
"""Points of the quadrature in a width of the Gaussians, which make it exact to rounding."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class GaussianOrbitals:
    """What a neighbor contributes to a density of Gaussians, by radial function and l.

    u(r) times the integral over r' of r'^2 R_n(r') exp(−(r − r')^2 / 2 s^2) i_l(r r' / s^2),
    with i_l the modified spherical Bessel function times exp(−x): the overlap of
    R_n(r') Y_lm with a Gaussian of width s at distance r, up to a factor. The functions are
    r^n exp(−(r / s_n)^2 / 2), s_n = cutoff max(sqrt(n), 1) / (max_radial + 1), made
    orthonormal by the inverse root of their overlaps. The weight u is that of M. J. Willatt,
    F. Musil, M. Ceriotti, Phys. Chem. Chem. Phys. 20, 29661 (2018).

    :param max_angular: the largest l
    :param max_radial: the largest n, for every l
    :param cutoff: radius of the neighborhood [length]
    :param width: s [length]
    :param scaling: the options of u
    """

    max_angular: int
    max_radial: int
    cutoff: float
    width: float
    scaling: ScalingHypers

    @property
    def counts(self) -> list[int]:
        """Number of radial functions of each l."""
        return [self.max_radial + 1] * (self.max_angular + 1)

    @cached_property
    def quadrature(self) -> tuple[Array, Array]:
        """Points r' (X,) and, for each, weight times r'^2 R_n(r') (X, n)."""
        # beyond, the Gaussian of the farthest neighbor is below 1e-13
        end = self.cutoff + 8.0 * self.width
        points, weights = leggauss(50 + math.ceil(POINTS_PER_WIDTH * end / self.width))
        points, weights = 0.5 * end * (points + 1.0), 0.5 * end * weights
        # in units of the cutoff no power overflows
        ratio = points[:, None] / self.cutoff
        functions = ratio**self._orders * np.exp(-self._exponents * ratio**2)
        lengths = np.sqrt(np.diag(self._overlaps))
        values, vectors = np.linalg.eigh(self._overlaps / np.outer(lengths, lengths))
        orthonormal = functions / lengths @ (vectors / np.sqrt(values)) @ vectors.T
        return points, (weights * points**2)[:, None] * orthonormal

    @property
    def _orders(self) -> Array:
        return np.arange(self.max_radial + 1.0)

    @property
    def _exponents(self) -> Array:
        """The n numbers (cutoff / s_n)^2 / 2."""
        return 0.5 * ((self.max_radial + 1) / np.maximum(np.sqrt(self._orders), 1.0)) ** 2

    @property
    def _overlaps(self) -> Array:
        """(n, n) integrals of r^2 times two functions, before they are made orthonormal."""
        power = self._orders[:, None] + self._orders + 3.0
        exponent = self._exponents[:, None] + self._exponents
        return np.asarray(0.5 * self.cutoff**3 * gamma(power / 2.0) * exponent ** (-power / 2.0))

    def evaluate(self, distances: Array) -> tuple[Array, Array]:
        """Values and derivatives, for each l all n.

        :param distances: (X,) [length]
        :return: two arrays (X, K)
        """
        points, functions = self.quadrature
        difference = (distances[:, None] - points) / self.width**2
        rate = points / self.width**2
        gaussian = np.exp(-0.5 * ((distances[:, None] - points) / self.width) ** 2)
        bessel = [self._bessel(l, distances) for l in range(self.max_angular + 2)]  # noqa: E741
        values, derivatives = [], []
        for degree in range(self.max_angular + 1):
            # (2 l + 1) i_l' = l i_(l-1) + (l + 1) i_(l+1), and i_0' = i_1
            slope = (degree * bessel[degree - 1] + (degree + 1) * bessel[degree + 1]) / (
                2 * degree + 1
            )
            overlap = rate * (slope - bessel[degree]) - difference * bessel[degree]
            values.append((gaussian * bessel[degree]) @ functions)
            derivatives.append((gaussian * overlap) @ functions)
        weight, weight_slope = self._weight(distances)
        overlaps = np.concatenate(values, axis=1)
        return (
            weight * overlaps,
            weight * np.concatenate(derivatives, axis=1) + weight_slope * overlaps,
        )

    def _bessel(self, degree: int, distances: Array) -> Array:
        """i_l(x) exp(−x) at x = r r' / s^2."""
        points, _ = self.quadrature
        # not at zero, where the formula is 0 / 0
        x = np.maximum(distances[:, None] * points / self.width**2, 1e-12)
        return np.asarray(np.sqrt(np.pi / (2.0 * x)) * ive(degree + 0.5, x))

    def _weight(self, distances: Array) -> tuple[Array, Array]:
        """(X, 1) u and its derivative."""
        rate, scale, exponent = self.scaling.rate, self.scaling.scale, self.scaling.exponent
        ratio = distances[:, None] / scale
        weight = rate / (rate + ratio**exponent)
        slope = -weight / (rate + ratio**exponent) * exponent / scale * ratio ** (exponent - 1.0)
        return weight, slope

    def table(self) -> HermiteTable:
        """The functions as a table for :class:`metatrain.nn.CubicHermiteSpline`."""
        return HermiteTable.accurate(self.evaluate, self.cutoff)
