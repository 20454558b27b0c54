"""Cubic Hermite splines through tabulated functions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from metatrain.nn.exact import exact, exact_parts
from metatrain.nn.folding import Foldable

SPLINE_ERROR = 1e-8
"""Mean absolute error that is allowed between a table and the exact functions."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class HermiteTable:
    """Values and derivatives of K functions at equidistant points on [0, end].

    :param values: (X, K)
    :param derivatives: (X, K) [1 / length]
    :param spacing: distance between two points [length]
    """

    values: Array
    derivatives: Array
    spacing: float

    @classmethod
    def of(
        cls, functions: Callable[[Array], tuple[Array, Array]], end: float, num_points: int
    ) -> Self:
        """The table of functions that return their values and derivatives."""
        values, derivatives = functions(np.linspace(0.0, end, num_points))
        return cls(values, derivatives, end / (num_points - 1))

    @classmethod
    def accurate(cls, functions: Callable[[Array], tuple[Array, Array]], end: float) -> Self:
        """The coarsest table of 2^k + 1 points whose spline is good to ``SPLINE_ERROR``."""
        num_points = 5
        while True:
            table = cls.of(functions, end, num_points)
            if table.mean_error(functions) <= SPLINE_ERROR:
                return table
            num_points = 2 * num_points - 1

    def mean_error(self, functions: Callable[[Array], tuple[Array, Array]]) -> float:
        """Mean absolute error of the spline in the middle of the intervals."""
        left, right = self.values[:-1], self.values[1:]
        slopes = self.derivatives[:-1] - self.derivatives[1:]
        spline = (left + right) / 2 + slopes * (self.spacing / 8)
        middles = np.arange(0.5, len(left), dtype=np.float64) * self.spacing
        exact, _ = functions(middles)
        return float(np.abs(spline - exact).mean())


class CubicHermiteSpline(Foldable):
    """K functions of the distance, read from a table by cubic Hermite interpolation.

    The table is rounded to float32 whatever the model computes in, so that a model is
    the same function after it has been cast to float64.

    :param table: the functions on [0, end]; beyond, they keep their value at the end
    """

    def __init__(self, table: HermiteTable) -> None:
        super().__init__()
        # One row of zeros is the right neighbor of the last point, at weight zero.
        padding = ((0, 1), (0, 0))
        self.values: Tensor
        self.derivatives: Tensor
        self.spacing: Tensor
        self.folded: Tensor
        self.register_buffer("values", _rounded(np.pad(table.values, padding)))
        self.register_buffer("derivatives", _rounded(np.pad(table.derivatives, padding)))
        self.register_buffer("spacing", _rounded(table.spacing))
        self.register_buffer("folded", torch.empty(0), persistent=False)
        self.is_folded = False

    def forward(self, distances: Tensor) -> Tensor:
        """The functions at each distance.

        :param distances: (E,) [length]
        :return: (E, K)
        """
        last = self.values.shape[0] - 2
        place = (distances / self.spacing).clamp(max=last)
        interval = place.detach().floor()
        position = (place - interval).unsqueeze(1)  # (E, 1)
        if self.is_folded:
            coefficients = exact(self.folded)
        else:
            coefficients = self._coefficients(self.values, self.derivatives * self.spacing)
        rows = interval.long()
        # four tensors of (E, K) are written faster than one of (E, 4 K), which leaves the cache
        c0, c1, c2, c3 = [part.index_select(0, rows) for part in coefficients.chunk(4, dim=1)]
        cubic = torch.addcmul(c2, position, c3)
        return torch.addcmul(c0, position, torch.addcmul(c1, position, cubic))

    def fold(self) -> None:
        """Keep the coefficients of the cubics."""
        slopes = self.derivatives.double() * self.spacing.double()
        coefficients = self._coefficients(self.values.double(), slopes)
        self.folded = exact_parts(coefficients).to(self.values)
        self.is_folded = True

    def _coefficients(self, values: Tensor, slopes: Tensor) -> Tensor:
        """Coefficients of the cubic in each interval, in powers of its coordinate t in [0, 1].

        :param values: (X + 1, K) at the points
        :param slopes: (X + 1, K) by t
        :return: (X, 4 K), the constant terms first
        """
        left, right = values[:-1], values[1:]
        left_slope, right_slope = slopes[:-1], slopes[1:]
        rise = right - left
        quadratic = 3.0 * rise - 2.0 * left_slope - right_slope
        cubic = left_slope + right_slope - 2.0 * rise
        return torch.cat([left, left_slope, quadratic, cubic], dim=1)


def _rounded(numbers: Array | float) -> Tensor:
    return torch.as_tensor(numbers, dtype=torch.float32).to(torch.get_default_dtype())
