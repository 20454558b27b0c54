"""Radial functions of the Laplacian eigenstates of a ball.

F. Bigi, K. K. Huguenin-Dumittan, M. Ceriotti, D. E. Manolopoulos, "A smooth basis for
atomistic machine learning", J. Chem. Phys. 157, 234101 (2022).
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from metatrain.nn.spline import HermiteTable

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LaplacianEigenstates:
    """R_nl(r) = N_nl j_l(z_ln r / cutoff), smooth functions that vanish at the cutoff.

    j_l is the spherical Bessel function and z_ln its zero number n + 1. Normalised:
    the integral of r^2 R_nl^2 from 0 to the cutoff is one. Functions are ordered by l,
    then n. For each l those of eigenvalue up to that of (n = max_radial, l = 0) are
    kept; where none is left, the l in question and all higher ones get one.

    :param max_angular: the largest l
    :param max_radial: the largest n for l = 0
    :param cutoff: radius of the ball [length]
    """

    max_angular: int
    max_radial: int
    cutoff: float

    @cached_property
    def counts(self) -> list[int]:
        """Number of radial functions of each l."""
        largest = math.pi * (self.max_radial + 1) * (1 + 1e-12)
        counts = [int((zeros <= largest).sum()) for zeros in self.zeros]
        empty = counts.index(0) if 0 in counts else len(counts)
        return counts[:empty] + [1] * (len(counts) - empty)

    @cached_property
    def zeros(self) -> list[Array]:
        """Zeros of j_l for each l: all that are needed and a few more."""
        # Between two zeros of j_l lies one of j_(l+1), so each l has one less than the last.
        num_zeros = self.max_radial + 1 + self.max_angular
        zeros = [math.pi * np.arange(1, num_zeros + 1, dtype=np.float64)]
        for degree in range(1, self.max_angular + 1):
            zeros.append(_zeros_between(degree, zeros[-1][:-1], zeros[-1][1:]))
        return zeros

    def evaluate(self, distances: Array) -> tuple[Array, Array]:
        """Values and derivatives of all functions.

        :param distances: (X,) [length]
        :return: two arrays (X, K): R_nl and dR_nl/dr
        """
        degrees = np.repeat(np.arange(len(self.counts)), self.counts)  # (K,)
        zeros = np.concatenate([of[:n] for n, of in zip(self.counts, self.zeros, strict=True)])
        # int_0^1 x^2 j_l(z x)^2 dx = j_(l+1)(z)^2 / 2 at a zero z of j_l
        norms = math.sqrt(2 / self.cutoff**3) / np.abs(_spherical_bessel(degrees + 1, zeros))
        scaled = np.multiply.outer(distances, zeros / self.cutoff)
        below, values, above = (
            _spherical_bessel(np.maximum(degrees + shift, 0), scaled) for shift in (-1, 0, 1)
        )
        # https://dlmf.nist.gov/10.51.E2
        slopes = (degrees * below - (degrees + 1) * above) / (2 * degrees + 1)
        return norms * values, norms * zeros / self.cutoff * slopes

    def table(self) -> HermiteTable:
        """The functions as a table for :class:`metatrain.nn.CubicHermiteSpline`."""
        return HermiteTable.accurate(self.evaluate, self.cutoff)


# scipy has these functions, too, but to import its special functions and its root finding takes
# longer than everything that happens between the imports and the first step of a training.
def _spherical_bessel(degrees: NDArray[np.int64], x: Array) -> Array:
    """j_l(x).

    :param degrees: (K,), l of each column
    :param x: (K,) or (X, K), not negative
    :return: of the shape of ``x``
    """
    is_large = x > degrees + 1
    # From j_0 and j_1 upwards (https://dlmf.nist.gov/10.51.E1), where that is stable.
    large = np.where(is_large, x, degrees + 1)
    now = np.sin(large) / large
    above = now / large - np.cos(large) / large
    upward = now
    # Elsewhere the power series (https://dlmf.nist.gov/10.53.E1), innermost bracket first.
    small = np.where(is_large, 0.0, x)
    series = np.ones_like(x)
    for k in range(int(degrees.max()) + 20, 0, -1):
        series = 1.0 - small**2 / (2 * k * (2 * degrees + 2 * k + 1)) * series
    for degree in range(1, int(degrees.max()) + 1):
        now, above = above, (2 * degree + 1) / large * above - now
        upward = np.where(degrees >= degree, now, upward)
        series = np.where(degrees >= degree, series * small / (2 * degree + 1), series)
    return np.where(is_large, upward, series)


def _zeros_between(degree: int, left: Array, right: Array) -> Array:
    """The zero of j_l in each interval, by bisection."""
    degrees = np.full(len(left), degree)
    is_positive = _spherical_bessel(degrees, left) > 0
    for _ in range(52):
        middle = (left + right) / 2
        is_left = (_spherical_bessel(degrees, middle) > 0) == is_positive
        left, right = np.where(is_left, middle, left), np.where(is_left, right, middle)
    return (left + right) / 2
