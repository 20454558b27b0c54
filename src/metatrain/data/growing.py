"""Rows of an array that come piece by piece."""

from collections.abc import Sequence

import torch
from torch import Tensor


class GrowingRows:
    """Grows in memory that is doubled at times; what is not in use yet is not resident.

    :param shape: of a row
    :param dtype: of the elements
    """

    def __init__(self, shape: Sequence[int], dtype: torch.dtype) -> None:
        self._memory = torch.empty((0, *shape), dtype=dtype)
        self._size = 0

    @property
    def rows(self) -> Tensor:
        """All rows so far."""
        return self._memory[: self._size]

    def append(self, rows: Tensor) -> None:
        """Add rows of the same shape at the end."""
        if rows.shape[1:] != self._memory.shape[1:]:
            raise ValueError(f"rows of shape {rows.shape[1:]} after {self._memory.shape[1:]}")
        if self._size == 0:
            # perhaps there are no others: no need of a copy, for nothing is written behind them
            self._memory, self._size = rows, len(rows)
        else:
            self._next(len(rows)).copy_(rows)

    def append_nan(self, count: int) -> None:
        """Add rows of NaN at the end."""
        if count:
            self._next(count).fill_(torch.nan)

    def _next(self, count: int) -> Tensor:
        size = self._size + count
        if size > len(self._memory):
            memory = self._memory.new_empty((2 * size, *self._memory.shape[1:]))
            memory[: self._size] = self.rows
            self._memory = memory
        rows = self._memory[self._size : size]
        self._size = size
        return rows
