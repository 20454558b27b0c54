"""Real spherical harmonics from plain torch operations."""

import math
from typing import List, Tuple

import numpy as np
import torch
from numpy.polynomial import chebyshev, legendre
from numpy.typing import NDArray
from torch import Tensor

from metatrain.nn.exact import exact, exact_parts
from metatrain.nn.second_order import with_jacobian

Array = NDArray[np.float64]


class SphericalHarmonics(torch.nn.Module):
    """Real spherical harmonics Y_lm of unit vectors, orthonormal on the sphere.

    The columns go through l = 0, 1, ... and, within l, through m = -l, ..., l. There is
    no Condon-Shortley phase: l = 1 is sqrt(3 / 4 pi) (y, z, x).

    On the unit sphere Y_lm is a polynomial in z times the real (m >= 0) or imaginary
    (m < 0) part of (x + iy)^|m|, so two short recurrences and two matrix products give
    all of them, with as many derivatives as wanted.

    :param max_angular: the largest l
    """

    # TorchScript cannot tell the type of an empty list
    steps: List[float]

    def __init__(self, max_angular: int) -> None:
        super().__init__()
        self.max_angular = max_angular
        # polynomials in z, and parts of powers of x + iy
        self.num_factors = [max_angular + 1, 2 * max_angular + 1]
        self.steps, scales = _recurrence(max_angular)
        self._polar_parts: Tensor
        self._slope_parts: Tensor
        self._azimuthal: Tensor
        polar = exact_parts(_polar_coefficients(max_angular, scales))
        self.register_buffer("_polar_parts", polar, persistent=False)
        slopes = exact_parts(_slopes_of_factors(max_angular, scales))
        self.register_buffer("_slope_parts", slopes, persistent=False)
        azimuthal = _azimuthal_columns(max_angular).to(torch.get_default_dtype())
        self.register_buffer("_azimuthal", azimuthal, persistent=False)
        self._triple_parts: Tensor
        triples = exact_parts(_triple_coefficients(max_angular))
        self.register_buffer("_triple_parts", triples, persistent=False)
        # from x, y, z to the factors 2 (x, x, z), from their squares to those -(x^2 + y^2), but -1
        ahead = [[2.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 2.0]]
        back = [[-1.0, -1.0, 0.0], [-1.0, -1.0, 0.0], [0.0, 0.0, 0.0]]
        self._mixing: Tensor
        self.register_buffer("_mixing", torch.tensor([ahead, back]), persistent=False)
        self._ends: Tensor
        ends = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, -1.0]]).unsqueeze(2)
        self.register_buffer("_ends", ends, persistent=False)

    def forward(self, directions: Tensor) -> Tensor:
        """The harmonics of each direction.

        :param directions: (E, 3) unit vectors
        :return: (E, (max_angular + 1)^2)
        """
        return self._products(self.factors(directions))

    def lean(self, directions: Tensor) -> Tensor:
        """The same, with second derivatives that cost less; ``torch.func`` does not know them.

        :param directions: (E, 3) unit vectors, without parameters behind them
        :return: (E, (max_angular + 1)^2)
        """
        if torch.jit.is_scripting():  # type: ignore[attr-defined]
            return self.forward(directions)
        with torch.no_grad():
            factors = self.factors(directions)
            slopes = torch.mm(factors, exact(self._slope_parts))
            jacobian = slopes.view(directions.shape[0], 3, factors.shape[1])
        return self._products(with_jacobian(self.factors, directions, factors, jacobian))

    def of_components(self, directions: Tensor) -> Tensor:
        """The same in fewer and larger operations, which is what counts in a script.

        Systems of 9 to 64 atoms take a tenth less time. In float32 it rounds more than the other
        recurrence: 6e-6 in place of 3e-6 at l = 12.

        The real and imaginary part of the powers of x + iy and the Chebyshev polynomials in z
        follow recurrences of one form, which are done at once:

        w^(k+1) = 2 x w^k - (x^2 + y^2) w^(k-1),  T_(k+1) = 2 z T_k - T_(k-1)

        :param directions: (3, E) unit vectors
        :return: (E, (max_angular + 1)^2)
        """
        coefficients = exact(self._triple_parts)
        ahead = torch.mm(self._mixing[0], directions)
        back = torch.addmm(self._ends[1], self._mixing[1], directions.square())
        triples = [directions] if self.max_angular > 0 else []
        before = self._ends[0]
        for k in range(self.max_angular - 1):
            following = torch.addcmul(back * before, ahead, triples[k])
            before = triples[k]
            triples.append(following)
        triples.append(torch.ones_like(directions[:1]))
        rows = torch.cat(triples).t()
        return torch.mm(rows, coefficients[0]) * torch.mm(rows, coefficients[1])

    def _products(self, factors: Tensor) -> Tensor:
        polynomials, powers = factors.split(self.num_factors, dim=1)
        return torch.mm(polynomials, exact(self._polar_parts)) * torch.mm(powers, self._azimuthal)

    def factors(self, directions: Tensor) -> Tensor:
        """What the harmonics are products of.

        :param directions: (E, 3) unit vectors
        :return: (E, 3 L + 2) polynomials in z, 1, the real parts of the powers of x + iy from 1
            to L, the imaginary parts
        """
        x, y, z = directions.unbind(1)
        polynomials = [torch.ones_like(z), z]
        for k, step in enumerate(self.steps):
            polynomials.append(torch.addcmul(polynomials[k], z, polynomials[k + 1], value=step))
        real, imaginary = [x], [y]
        for m in range(self.max_angular - 1):
            real.append(torch.addcmul(x * real[m], y, imaginary[m], value=-1.0))
            imaginary.append(torch.addcmul(x * imaginary[m], y, real[m]))
        rows = polynomials[: self.max_angular + 1] + polynomials[:1]
        rows = rows + real[: self.max_angular] + imaginary[: self.max_angular]
        return torch.stack(rows).t()


def _recurrence(max_angular: int) -> Tuple[List[float], Array]:
    """Legendre polynomials in terms of polynomials that a recurrence gives in one operation.

    With P_k = scale_k q_k, Bonnet's (k + 1) P_(k+1) = (2 k + 1) z P_k - k P_(k-1) becomes
    q_(k+1) = step_k z q_k + q_(k-1), if the scales fall accordingly.

    :return: the steps for k = 1, ..., max_angular - 1, and the scales (max_angular + 1,)
    """
    scales = [1.0, 1.0]
    steps = []
    for k in range(1, max_angular):
        scales.append(-k / (k + 1) * scales[k - 1])
        steps.append((2 * k + 1) / (k + 1) * scales[k] / scales[k + 1])
    return steps, np.array(scales[: max_angular + 1])


def _polar_coefficients(max_angular: int, scales: Array) -> Tensor:
    """Each polynomial in z as a sum of those of the recurrence, one column for each (l, m).

    :param scales: of the recurrence
    :return: (max_angular + 1, (max_angular + 1)^2)
    """
    columns = []
    for degree in range(max_angular + 1):
        for order in map(abs, range(-degree, degree + 1)):
            series = _associated(degree, order)
            columns.append(np.pad(series, (0, max_angular + 1 - len(series))))
    return torch.from_numpy(scales[:, None] * np.stack(columns, axis=1))


def _triple_coefficients(max_angular: int) -> Tensor:
    """The polynomial in z and the part of the power of x + iy of each (l, m), as sums of triples.

    :return: (2, 3 max_angular + 1, (max_angular + 1)^2); the rows are those of the real and the
        imaginary part of w^k and of T_k, for each k > 0, and of one
    """
    size = max_angular + 1
    table = np.zeros((2, size, 3, size * size))
    to_chebyshev = np.zeros((size, size))
    for degree in range(size):
        polynomial = legendre.Legendre.basis(degree).convert(kind=chebyshev.Chebyshev)
        to_chebyshev[: degree + 1, degree] = polynomial.coef
    for degree in range(size):
        for order in range(-degree, degree + 1):
            column, m = degree * (degree + 1) + order, abs(order)
            series = _associated(degree, m)
            table[0, :, 2, column] = to_chebyshev[:, : len(series)] @ series
            table[1, m, int(order < 0), column] = 1.0
    # of the three for k = 0, the first and the last are one
    ones = table[:, 0, 0] + table[:, 0, 2]
    rows = table[:, 1:].reshape(2, 3 * max_angular, size * size)
    return torch.from_numpy(np.concatenate([rows, ones[:, None]], axis=1))


def _associated(degree: int, order: int) -> Array:
    """sqrt(2 - [m = 0]) sqrt((2l+1) / (4 pi) (l-m)! / (l+m)!) d^m P_l(z) / dz^m, for m >= 0.

    :return: factors of the Legendre polynomials
    """
    ratio = math.factorial(degree - order) / math.factorial(degree + order)
    norm = math.sqrt((2 * degree + 1) / (4 * math.pi) * ratio * (2 if order else 1))
    return np.asarray(norm * legendre.legder([0.0] * degree + [1.0], order), dtype=np.float64)


def _azimuthal_columns(max_angular: int) -> Tensor:
    """Which part of which power of x + iy each (l, m) takes.

    :return: (2 max_angular + 1, (max_angular + 1)^2), a one in each column
    """
    degrees = range(max_angular + 1)
    rows = [m if m >= 0 else max_angular - m for l in degrees for m in range(-l, l + 1)]  # noqa: E741
    return torch.nn.functional.one_hot(torch.tensor(rows), 2 * max_angular + 1).t()


def _slopes_of_factors(max_angular: int, scales: Array) -> Tensor:
    """The derivatives of the factors by x, y and z, as sums of the factors.

    That of w^m, w = x + iy, by x is m w^(m-1), that by y is i times that.

    :param scales: of the recurrence
    :return: (3 max_angular + 2, 3 (3 max_angular + 2)), one column for each derivative
    """
    size = max_angular + 1
    num_factors = 3 * max_angular + 2
    table = np.zeros((num_factors, 3, num_factors))
    for k in range(1, size):
        series = legendre.legder([0.0] * k + [1.0]) / scales[k]
        table[: len(series), 2, k] = series * scales[: len(series)]
    for m in range(1, size):
        real, imaginary = size + m, size + max_angular + m
        table[real - 1, 0, real] = table[real - 1, 1, imaginary] = m
        if m > 1:
            table[imaginary - 1, 0, imaginary] = m
            table[imaginary - 1, 1, real] = -m
    return torch.from_numpy(table.reshape(num_factors, -1))
