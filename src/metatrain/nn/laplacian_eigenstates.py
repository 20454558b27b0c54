"""Radial functions of the Laplacian eigenstates of a ball.

F. Bigi, K. K. Huguenin-Dumittan, M. Ceriotti, D. E. Manolopoulos, "A smooth basis for
atomistic machine learning", J. Chem. Phys. 157, 234101 (2022).
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import spherical_jn

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
            brackets = zip(zeros[-1][:-1], zeros[-1][1:], strict=True)
            function = lambda x, degree=degree: spherical_jn(degree, x)  # noqa: E731
            zeros.append(np.array([brentq(function, a, b, xtol=1e-14) for a, b in brackets]))
        return zeros

    def evaluate(self, distances: Array) -> tuple[Array, Array]:
        """Values and derivatives of all functions.

        :param distances: (X,) [length]
        :return: two arrays (X, K): R_nl and dR_nl/dr
        """
        values, derivatives = [], []
        for degree, (count, zeros) in enumerate(zip(self.counts, self.zeros, strict=True)):
            for zero in zeros[:count]:
                # int_0^1 x^2 j_l(z x)^2 dx = j_(l+1)(z)^2 / 2 at a zero z of j_l
                norm = math.sqrt(2 / self.cutoff**3) / abs(spherical_jn(degree + 1, zero))
                scaled = distances * (zero / self.cutoff)
                values.append(norm * spherical_jn(degree, scaled))
                slope = spherical_jn(degree, scaled, derivative=True)
                derivatives.append(norm * zero / self.cutoff * slope)
        return np.stack(values, axis=1), np.stack(derivatives, axis=1)

    def table(self) -> HermiteTable:
        """The functions as a table for :class:`metatrain.nn.CubicHermiteSpline`."""
        return HermiteTable.accurate(self.evaluate, self.cutoff)
