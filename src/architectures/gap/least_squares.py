"""Least squares whose equations come in blocks, and their solution with a kernel as prior."""

from collections.abc import Iterable

import torch
from torch import Tensor

from metatrain.errors import MetatrainError

LARGEST_JITTER = 1.0
"""In units of the mean of the diagonal: with more, all points would be alike."""


class LeastSquares:
    """The equations A c = b, of which only the triangular factor of A is kept.

    R from the QR decomposition of (A, b) is what all rows say: R^T R are the normal
    equations, but R has lost half as many digits. Rows that come later are merged into it.

    :param num_unknowns: M
    :param num_columns: P, right-hand sides
    :param device: where the equations are
    """

    def __init__(
        self, num_unknowns: int, num_columns: int, device: torch.device | None = None
    ) -> None:
        self.num_unknowns = num_unknowns
        self.num_columns = num_columns
        self._nothing = torch.zeros(1, self._width, dtype=torch.float64, device=device)
        self._waiting: list[Tensor] = []

    def add(self, rows: Tensor, labels: Tensor, weights: Tensor | float) -> None:
        """Take more equations; those without a label are left out.

        :param rows: (n, M)
        :param labels: (n, P), NaN where missing
        :param weights: (n, 1) or a number; one over the expected error of each equation
        """
        equations = torch.cat([rows, labels], dim=1) * weights
        is_known = ~labels.isnan().any(dim=1)
        self._waiting.append(equations if is_known.all() else equations[is_known])
        # few large decompositions are faster than many small ones
        if self.num_waiting > 3 * self._width:
            self._waiting = [self._factor()]

    @property
    def num_waiting(self) -> int:
        """Number of rows that are kept."""
        return sum(map(len, self._waiting))

    @property
    def _width(self) -> int:
        return self.num_unknowns + self.num_columns

    def _factor(self) -> Tensor:
        """The triangular factor of all equations so far."""
        if self.num_waiting < self._width:
            # rows of zeros say nothing, and make the factor square
            self._waiting.append(self._nothing.expand(self._width - self.num_waiting, -1))
        return torch.linalg.qr(torch.cat(self._waiting), mode="r").R

    def solve(self, factor: Tensor) -> Tensor:
        """The c of least |A c − b|^2 + |L^T c|^2.

        With u = L^T c, the equations A L^-T u = b and u = 0 are well conditioned, even if
        L is almost singular.

        :param factor: (M, M) lower triangular L
        :return: (M, P)
        """
        triangle = self._factor()
        left, right = triangle[: self.num_unknowns].split(
            [self.num_unknowns, self.num_columns], dim=1
        )
        whitened = torch.linalg.solve_triangular(factor.T, left, upper=True, left=False)
        prior = torch.eye(self.num_unknowns, dtype=left.dtype, device=left.device)
        orthogonal, upper = torch.linalg.qr(torch.cat([whitened, prior]))
        projected = orthogonal[: self.num_unknowns].T @ right
        unknowns = torch.linalg.solve_triangular(upper, projected, upper=True)
        return torch.linalg.solve_triangular(factor.T, unknowns, upper=True)


def solve(
    equations: Iterable[LeastSquares], kernel: Tensor, *, largest: float
) -> tuple[Tensor, float]:
    """The coefficients of all targets, with as little jitter as makes them possible.

    :param equations: of each target
    :param kernel: (M, M) of the sparse points with themselves
    :param largest: norm of the coefficients above which there has to be more jitter
    :return: (M, V), and what was added to the diagonal in units of its mean
    """
    jitter = 0.0
    while True:
        factor, jitter = cholesky(kernel, jitter)
        coefficients = torch.cat([of_target.solve(factor) for of_target in equations], dim=1)
        if coefficients.norm() <= largest:
            return coefficients, jitter
        jitter = _more(jitter)


def cholesky(matrix: Tensor, jitter: float = 0.0) -> tuple[Tensor, float]:
    """The Cholesky factor of a kernel matrix, with as little jitter as makes it possible.

    :param matrix: (M, M), positive up to rounding
    :param jitter: the least
    :return: the factor, and what was added to the diagonal in units of its mean
    """
    if not matrix.isfinite().all():
        raise _unsolvable("holds numbers that are not finite")
    unit = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device) * matrix.diag().mean()
    while True:
        factor, info = torch.linalg.cholesky_ex(matrix + jitter * unit)
        if not info:
            return factor, jitter
        jitter = _more(jitter)


def _more(jitter: float) -> float:
    more = max(10.0 * jitter, torch.finfo(torch.float64).eps)
    if more > LARGEST_JITTER:
        raise _unsolvable(f"gives no solution, even with a jitter of {jitter:.0e}")
    return more


def _unsolvable(reason: str) -> MetatrainError:
    return MetatrainError(
        f"gap: the kernel of the sparse points {reason}; look for atoms at the same place, and for "
        "labels that are far off, in the training set."
    )
