"""From what a file holds under a key to the numbers of a label."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from metatrain.data.frames import NUMBER_KINDS, Column, Frames
from metatrain.errors import MetatrainError

MATRIX_SIZES = (6, 9)
# ASE's order of the six numbers is xx, yy, zz, yz, xz, xy
VOIGT_INDEX = [0, 5, 4, 5, 1, 3, 4, 3, 2]


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


def system_label(chunk: Chunk, key: str, num_properties: int) -> Tensor | None:
    """(S, P) values per system, NaN where a system lacks the key; ``None`` if all do."""
    data, results = chunk.frames.system_data, chunk.frames.system_results
    column = _find(data.get(key), results.get(key), np.ones(len(chunk.frames), dtype=np.int64))
    if column is None:
        return None
    systems = np.flatnonzero(column.is_present)
    expected = f"{num_properties} number{'s' * (num_properties != 1)} per system"
    numbers = _numbers(_Rows(chunk, key, column.values[systems], systems, expected, num_properties))
    return _spread(numbers, systems, len(chunk.frames))


def atom_label(chunk: Chunk, key: str, num_properties: int) -> Tensor | None:
    """(N, P) values per atom, NaN where a system lacks the key; ``None`` if all do."""
    data, results, counts = (
        chunk.frames.atom_data,
        chunk.frames.atom_results,
        chunk.frames.num_atoms,
    )
    column = _find(data.get(key), results.get(key), counts)
    if column is None:
        return None
    atoms = np.flatnonzero(np.repeat(column.is_present, counts))
    systems = np.repeat(np.arange(len(counts)), counts)[atoms]
    expected = f"{num_properties} number{'s' * (num_properties != 1)} per atom"
    numbers = _numbers(_Rows(chunk, key, column.values[atoms], systems, expected, num_properties))
    return _spread(numbers, atoms, len(chunk.frames.types))


def matrix_label(chunk: Chunk, key: str) -> Tensor | None:
    """(S, 3, 3) from 3x3, nine or six numbers per system; NaN and ``None`` as above.

    Nine numbers in one row are read row by row, six in ASE's order. A matrix that is not
    symmetric stays as it is.
    """
    data, results = chunk.frames.system_data, chunk.frames.system_results
    column = _find(data.get(key), results.get(key), np.ones(len(chunk.frames), dtype=np.int64))
    if column is None:
        return None
    systems = np.flatnonzero(column.is_present)
    expected = "a 3x3 matrix, nine numbers, or six (xx yy zz yz xz xy)"
    values = column.values[systems]
    if values.dtype.kind == "O":
        rows = [_row_of_nine(row) for row in values]
        values = np.empty(len(rows), dtype=object)
        for index, row in enumerate(rows):
            values[index] = row
    elif values[0].size == 6:
        values = values.reshape(-1, 6)[:, VOIGT_INDEX]
    numbers = _numbers(_Rows(chunk, key, values, systems, expected, 9))
    return _spread(numbers, systems, len(chunk.frames)).reshape(-1, 3, 3)


def _row_of_nine(row: Any) -> Any:
    return np.ravel(row)[VOIGT_INDEX] if np.size(row) == 6 else row


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
    """Rows that should each be ``width`` numbers, and what to say if they are not."""

    chunk: Chunk
    key: str
    values: NDArray[Any]
    systems: NDArray[np.int64]
    expected: str
    width: int

    def mistake(self, row: int, found: str) -> MetatrainError:
        where = self.chunk.where(int(self.systems[row]))
        return MetatrainError(f"{where}: {self.key!r} is {found}; expected {self.expected}.")


def _numbers(rows: _Rows) -> NDArray[np.float64]:
    """The rows as (R, P) numbers, all finite or NaN."""
    if rows.values.dtype.kind in NUMBER_KINDS:
        values = rows.values
        if values[:1].size != rows.width:
            raise rows.mistake(0, _shape(values[0]))
        numbers = values.reshape(len(values), rows.width).astype(np.float64)
    else:
        numbers = np.stack([_row(rows, index) for index in range(len(rows.values))])
    infinite = np.flatnonzero(np.isinf(numbers).any(axis=1))
    if len(infinite):
        raise rows.mistake(int(infinite[0]), "infinite")
    return numbers


def _row(rows: _Rows, index: int) -> NDArray[np.float64]:
    value = rows.values[index]
    if isinstance(value, str | bool | np.bool_):
        raise rows.mistake(index, repr(value))
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise rows.mistake(index, f"no number ({str(value)[:40]!r})") from None
    if numbers.size != rows.width:
        raise rows.mistake(index, _shape(numbers))
    return numbers.ravel()


def _shape(value: Any) -> str:
    shape = np.shape(value)
    return f"of shape {'x'.join(map(str, shape))}" if shape else "one number"


def _spread(numbers: NDArray[np.float64], rows: NDArray[np.int64], num_rows: int) -> Tensor:
    """The numbers at their rows among ``num_rows``, NaN elsewhere."""
    spread = torch.full((num_rows, numbers.shape[1]), torch.nan, dtype=torch.float64)
    spread[torch.from_numpy(rows)] = torch.from_numpy(numbers)
    return spread
