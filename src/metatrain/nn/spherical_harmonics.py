"""Real spherical harmonics from plain torch operations."""

import math
from typing import List

import numpy as np
import torch
from numpy.polynomial import legendre
from numpy.typing import NDArray
from torch import Tensor


class SphericalHarmonics(torch.nn.Module):
    """Real spherical harmonics Y_lm of unit vectors, orthonormal on the sphere.

    The columns go through l = 0, 1, ... and, within l, through m = -l, ..., l. There is
    no Condon-Shortley phase: l = 1 is sqrt(3 / 4 pi) (y, z, x).

    On the unit sphere Y_lm is a polynomial in z times the real (m >= 0) or imaginary
    (m < 0) part of (x + iy)^|m|, so two short recurrences and one matrix product give
    all of them, with as many derivatives as wanted.

    :param max_angular: the largest l
    """

    def __init__(self, max_angular: int) -> None:
        super().__init__()
        self.max_angular = max_angular
        self._coefficient_parts: Tensor
        self._order_columns: Tensor
        parts = _float32_parts(torch.from_numpy(_polar_coefficients(max_angular)))
        self.register_buffer("_coefficient_parts", parts, persistent=False)
        degrees = range(max_angular + 1)
        columns = [max_angular + m for degree in degrees for m in range(-degree, degree + 1)]
        self.register_buffer("_order_columns", torch.tensor(columns), persistent=False)

    def forward(self, directions: Tensor) -> Tensor:
        """The harmonics of each direction.

        :param directions: (E, 3) unit vectors
        :return: (E, (max_angular + 1)^2)
        """
        x, y, z = directions.unbind(1)
        coefficients = self._coefficient_parts.sum(dim=0)
        polar = torch.stack(self._legendre(z), dim=1) @ coefficients  # (E, (L + 1)^2)
        azimuthal = torch.stack(self._azimuthal(x, y), dim=1)  # (E, 2 L + 1)
        return polar * azimuthal.index_select(1, self._order_columns)

    def _legendre(self, z: Tensor) -> List[Tensor]:
        """Legendre polynomials P_k(z), k = 0, ..., max_angular, by Bonnet's recurrence."""
        polynomials = [torch.ones_like(z), z]
        for k in range(1, self.max_angular):
            previous = polynomials[k - 1] * (-k / (k + 1))
            polynomials.append(
                torch.addcmul(previous, z, polynomials[k], value=(2 * k + 1) / (k + 1))
            )
        return polynomials[: self.max_angular + 1]

    def _azimuthal(self, x: Tensor, y: Tensor) -> List[Tensor]:
        """Im (x + iy)^m for m = max_angular, ..., 1, then Re (x + iy)^m for m = 0, 1, ..."""
        real, imaginary = [torch.ones_like(x)], [torch.zeros_like(x)]
        for m in range(self.max_angular):
            real.append(torch.addcmul(x * real[m], y, imaginary[m], value=-1.0))
            imaginary.append(torch.addcmul(x * imaginary[m], y, real[m]))
        imaginary.reverse()
        return imaginary[: self.max_angular] + real


def _float32_parts(numbers: Tensor) -> Tensor:
    """Float32 tensors whose sum is ``numbers``, the largest part first.

    A model that is cast to float32 and back keeps all digits of numbers stored so. With
    rounded coefficients it would lose its rotation invariance in float64.

    :param numbers: float64, of any shape
    :return: (3, ...)
    """
    parts = []
    for _ in range(3):
        parts.append(numbers.float())
        numbers = numbers - parts[-1]
    return torch.stack(parts).to(torch.get_default_dtype())


def _polar_coefficients(max_angular: int) -> NDArray[np.float64]:
    """Legendre series of the polynomials in z, one column for each (l, m).

    sqrt(2 - [m = 0]) sqrt((2l+1) / (4 pi) (l-m)! / (l+m)!) d^m P_l(z) / dz^m, for m >= 0.

    :return: (max_angular + 1, (max_angular + 1)^2)
    """
    columns = []
    for degree in range(max_angular + 1):
        for order in map(abs, range(-degree, degree + 1)):
            ratio = math.factorial(degree - order) / math.factorial(degree + order)
            norm = math.sqrt((2 * degree + 1) / (4 * math.pi) * ratio * (2 if order else 1))
            series = legendre.legder([0.0] * degree + [1.0], order)
            columns.append(norm * np.pad(series, (0, max_angular + 1 - len(series))))
    return np.stack(columns, axis=1)
