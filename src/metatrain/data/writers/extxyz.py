"""The writer for extended XYZ.

ASE's own writer rounds values per atom to eight decimals and loses backslashes in strings;
this one gives back what was read.
"""

import contextlib
import json
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TextIO

import numpy as np
from ase.data import chemical_symbols
from ase.stress import voigt_6_to_full_3x3_stress
from numpy.typing import NDArray

from metatrain.data.frames import Frames
from metatrain.data.writers import FramesFile, Writer
from metatrain.errors import MetatrainError
from metatrain.files import replacing

TYPE_LETTERS = {"f": "R", "i": "I", "u": "I", "b": "L"}
# ASE reads these, nine numbers each, column by column
MATRIX_KEYS = ("stress", "virial")
MATRIX_SIZE = 9


@dataclass(frozen=True)
class ExtxyzWriter(Writer):
    """Writes systems so that ASE reads them back unchanged, to the last digit.

    Names of values per atom have ``_`` for ``:``, which the format keeps for itself.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".xyz", ".extxyz")

    @contextlib.contextmanager
    def open(self, path: Path) -> Generator[FramesFile]:
        """A file under a temporary name, renamed to ``path`` when all is written."""
        with replacing(Path(path)) as temporary, temporary.open("w", encoding="utf-8") as file:
            yield _ExtxyzFile(file, Path(path))


class _ExtxyzFile:
    def __init__(self, file: TextIO, path: Path) -> None:
        self._file = file
        self._path = path

    def write(self, frames: Frames) -> None:
        for system in range(len(frames)):
            self._write_system(frames, system)

    def _write_system(self, frames: Frames, system: int) -> None:
        begin, end = frames.offsets[system : system + 2]
        symbols = np.array([chemical_symbols[z] for z in frames.types[begin:end]], dtype=object)
        columns = {"species": symbols, "pos": frames.positions[begin:end]}
        for key, column in (frames.atom_data | frames.atom_results).items():
            if column.is_present[system]:
                columns[key] = _as_table(column.values[begin:end])
        values = {
            key: column.values[system]
            for key, column in (frames.system_data | frames.system_results).items()
            if column.is_present[system]
        }
        cell, pbc = frames.cells[system], frames.pbc[system]
        self._file.write(f"{end - begin}\n{_comment(cell, pbc, columns, values)}\n")
        texts = [text for key, table in columns.items() for text in self._texts(key, table)]
        self._file.writelines(" ".join(row) + "\n" for row in zip(*texts, strict=True))

    def _texts(self, key: str, table: NDArray[Any]) -> list[list[str]]:
        texts = [
            [_entry(value) for value in row] for row in table.reshape(len(table), -1).T.tolist()
        ]
        if table.dtype.kind == "O" and any(len(text.split()) != 1 for row in texts for text in row):
            raise MetatrainError(
                f"{self._path}: {key!r} holds text with blanks or none at all, which extended "
                "XYZ cannot store per atom; choose another format."
            )
        return texts


def _as_table(values: NDArray[Any]) -> NDArray[Any]:
    """(N, ...) values as numbers again where a file mixes their shapes from system to system."""
    if values.dtype.kind != "O" or any(isinstance(value, str) for value in values.flat):
        return values
    return np.array(values.tolist())


def _comment(
    cell: NDArray[np.float64],
    pbc: NDArray[np.bool_],
    columns: dict[str, NDArray[Any]],
    values: dict[str, Any],
) -> str:
    lattice = [f'Lattice="{_numbers(cell)}"'] if cell.any() else []
    properties = ":".join(
        # colons separate the names of columns from what is in them
        f"{key.replace(':', '_')}:{TYPE_LETTERS.get(table.dtype.kind, 'S')}:{table[:1].size}"
        for key, table in columns.items()
    )
    entries = [f"{_quoted(key)}={_value(key, value)}" for key, value in values.items()]
    return " ".join([*lattice, f"Properties={properties}", *entries, f'pbc="{_numbers(pbc)}"'])


def _value(key: str, value: Any) -> str:
    if key in MATRIX_KEYS and np.shape(value) == (6,):
        value = voigt_6_to_full_3x3_stress(value)
    if key in MATRIX_KEYS and np.size(value) == MATRIX_SIZE:
        return f'"{_numbers(np.reshape(value, (3, 3)).T)}"'
    if isinstance(value, bool | int | float | np.number | np.bool_):
        return _entry(np.asarray(value).item())
    if _is_plain_list(value):
        return f'"{_numbers(np.asarray(value))}"'
    if isinstance(value, str) and _reads_back(value):
        return _quoted(value)
    plain = value.tolist() if isinstance(value, np.ndarray) else value
    return _quoted("_JSON " + json.dumps(plain, default=_jsonable))


def _jsonable(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)


def _is_plain_list(value: Any) -> bool:
    """Whether ASE reads the same from numbers with blanks between them.

    It makes an array of numbers, but a list of truth values, and no list of one entry.
    """
    if np.ndim(value) != 1 or len(value) == 1:
        return False
    if isinstance(value, list):
        return len(value) > 0 and all(isinstance(entry, bool) for entry in value)
    return isinstance(value, np.ndarray) and value.size > 0 and value.dtype.kind in "iuf"


def _reads_back(text: str) -> bool:
    """Whether a string is read as the same string, and not as a number or a truth value."""
    if not text or any(character in text for character in "\n\r"):
        return False
    from ase.io.extxyz import key_val_str_to_dict  # noqa: PLC0415 (takes a third of a second)

    read: dict[str, Any] = key_val_str_to_dict(f"key={_quoted(text)}")
    found = read.get("key")
    return isinstance(found, str) and found == text


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    is_plain = text and not any(c.isspace() or c in "'\"{}[]=," for c in text)
    return escaped if is_plain else f'"{escaped}"'


def _numbers(values: NDArray[Any]) -> str:
    return " ".join(_entry(value) for value in np.asarray(values).ravel().tolist())


def _entry(value: Any) -> str:
    if isinstance(value, bool):
        return "T" if value else "F"
    # repr has as many digits as are needed to read the same number
    return value if isinstance(value, str) else repr(value)
