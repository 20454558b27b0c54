"""From what a file holds under a key to the numbers of a label."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from metatrain.data.frames import NUMBER_KINDS, Column, Frames
from metatrain.errors import MetatrainError

# ASE's order of the six numbers is xx, yy, zz, yz, xz, xy
VOIGT_INDEX = [0, 5, 4, 5, 1, 3, 4, 3, 2]
NUM_VOIGT = 6


@dataclass(frozen=True)
class Chunk:
    """Some systems of a file, and where they stand in it.

    :param path: the file
    :param numbers: (S,) the place of each system in the file, counted from 0
    :param frames: the systems
    """

    path: str
    numbers: NDArray[np.int64]
    frames: Frames

    def where(self, system: int) -> str:
        """The file and the place in it, for messages."""
        return f"{self.path}, system {self.numbers[system]}"


@dataclass(frozen=True)
class Width:
    """How many numbers there are for each system or atom.

    :param number: after those of a symmetric matrix are completed
    :param is_matrix: a 3x3 matrix, of which six numbers may stand for nine
    :param first: (V,) for each number the first of those that it is missing together with, as
        components of a vector are; empty: all of them together
    """

    number: int
    is_matrix: bool = False
    first: tuple[int, ...] = ()

    @property
    def expected(self) -> str:
        """What is expected of a file, for messages."""
        if self.is_matrix:
            return "a 3x3 matrix, nine numbers, or six (xx yy zz yz xz xy)"
        return f"{self.number} number{'s' * (self.number != 1)}"


MATRIX = Width(9, is_matrix=True)


def system_label(chunk: Chunk, key: str, width: Width) -> Tensor | None:
    """(S, V) values per system, NaN where a system lacks the key; ``None`` if all do.

    Numbers are read row by row, whatever their shape; a symmetric matrix may be six numbers
    in ASE's order. A matrix that is not symmetric stays as it is.
    """
    frames = chunk.frames
    column = _find(frames.system_data.get(key), frames.system_results.get(key), _one_each(frames))
    if column is None:
        return None
    systems = np.flatnonzero(column.is_present)
    rows = _Rows(chunk, key, _of_rows(column.values, systems), systems, "system", width)
    return _spread(_numbers(rows), systems, len(frames))


def atom_label(chunk: Chunk, key: str, width: Width) -> Tensor | None:
    """(N, V) values per atom, NaN where a system lacks the key; ``None`` if all do."""
    frames = chunk.frames
    column = _find(frames.atom_data.get(key), frames.atom_results.get(key), frames.num_atoms)
    if column is None:
        return None
    atoms = np.flatnonzero(np.repeat(column.is_present, frames.num_atoms))
    systems = np.repeat(np.arange(len(frames)), frames.num_atoms)[atoms]
    rows = _Rows(chunk, key, _of_rows(column.values, atoms), systems, "atom", width)
    return _spread(_numbers(rows), atoms, len(frames.types))


def matrix_label(chunk: Chunk, key: str) -> Tensor | None:
    """(S, 3, 3) from 3x3, nine or six numbers per system; NaN and ``None`` as above."""
    label = system_label(chunk, key, MATRIX)
    return None if label is None else label.reshape(-1, 3, 3)


def _one_each(frames: Frames) -> NDArray[np.int64]:
    return np.ones(len(frames), dtype=np.int64)


def _as_nine(values: NDArray[Any]) -> NDArray[Any]:
    """Rows of six numbers as rows of nine; all others as they are."""
    if values.dtype.kind != "O":
        return values.reshape(-1, 6)[:, VOIGT_INDEX] if values[0].size == NUM_VOIGT else values
    rows = np.empty(len(values), dtype=object)
    for index, row in enumerate(values):
        rows[index] = np.ravel(row)[VOIGT_INDEX] if np.size(row) == NUM_VOIGT else row
    return rows


def _find(data: Column | None, results: Column | None, counts: NDArray[np.int64]) -> Column | None:
    """What stands under a key, from ASE's calculator slot where the system has it only there."""
    if data is None or results is None or data.is_present.all():
        found = results if data is None else data
        return found if found is not None and found.is_present.any() else None
    is_data = np.repeat(data.is_present, counts)
    values = np.empty(len(is_data), dtype=object)
    for row, from_data in enumerate(is_data):
        values[row] = (data if from_data else results).values[row]
    is_present = data.is_present | results.is_present
    return Column(values, is_present) if is_present.any() else None


@dataclass(frozen=True)
class _Rows:
    """Rows of numbers, and what to say if there are not as many as expected."""

    chunk: Chunk
    key: str
    values: NDArray[Any]
    systems: NDArray[np.int64]
    per: str
    width: Width

    def mistake(self, row: int, found: str, or_else: str = "") -> MetatrainError:
        system = self.systems[row]
        where, what = self.chunk.where(int(system)), repr(self.key)
        if self.per == "atom":
            what += f" of atom {row - int(np.searchsorted(self.systems, system))}"
        expected = f"{self.width.expected} per {self.per}{or_else}"
        return MetatrainError(f"{where}: {what} is {found}; expected {expected}.")


def _numbers(rows: _Rows) -> NDArray[np.float64]:
    """The rows as (R, V) numbers, all finite, or NaN where there is no label."""
    if rows.width.is_matrix:
        rows = replace(rows, values=_as_nine(rows.values))
    if rows.values.dtype.kind in NUMBER_KINDS:
        values = rows.values
        if values[:1].size != rows.width.number:
            raise rows.mistake(0, _shape(values[0]))
        numbers = values.reshape(len(values), rows.width.number).astype(np.float64, copy=False)
    else:
        numbers = np.stack([_row(rows, index) for index in range(len(rows.values))])
    infinite = np.flatnonzero(np.isinf(numbers).any(axis=1))
    if len(infinite):
        raise rows.mistake(int(infinite[0]), "infinite")
    _check_whole(rows, np.isnan(numbers))
    return numbers


def _check_whole(rows: _Rows, is_nan: NDArray[np.bool_]) -> None:
    """Refuse a label of which some components are missing, and others are not."""
    if not is_nan.any():
        return
    first = rows.width.first or (0,) * rows.width.number
    in_part = np.flatnonzero((is_nan != is_nan[:, first]).any(axis=1))
    if len(in_part):
        raise rows.mistake(
            int(in_part[0]), "NaN in part", ", or NaN for all of them where there is no label"
        )


def _row(rows: _Rows, index: int) -> NDArray[np.float64]:
    value = rows.values[index]
    if isinstance(value, str):
        raise rows.mistake(index, repr(value))
    if isinstance(value, bool | np.bool_):
        raise rows.mistake(index, "a truth value")
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise rows.mistake(index, f"no number ({str(value)[:40]!r})") from None
    if numbers.size != rows.width.number:
        raise rows.mistake(index, _shape(numbers))
    return numbers.ravel()


def _shape(value: Any) -> str:
    shape = np.shape(value)
    return f"of shape {'x'.join(map(str, shape))}" if shape else "one number"


def _of_rows(values: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    """The values at their rows; no copy if these are all."""
    return values if len(rows) == len(values) else values[rows]


def _spread(numbers: NDArray[np.float64], rows: NDArray[np.int64], num_rows: int) -> Tensor:
    """The numbers at their rows among ``num_rows``, NaN elsewhere."""
    if len(rows) == num_rows:
        return torch.from_numpy(numbers)
    spread = torch.full((num_rows, numbers.shape[1]), torch.nan, dtype=torch.float64)
    spread[torch.from_numpy(rows)] = torch.from_numpy(numbers)
    return spread
