"""Lines of atoms of extended XYZ that are plain: each has a word for every column, and no more.

What is made of many of them at once is what ASE makes of each, bit for bit. All else raises a
``ValueError``, and is for ASE.
"""

import functools
import itertools
import re
from typing import Any, NamedTuple

import numpy as np
from ase.calculators.calculator import all_properties
from ase.data import atomic_numbers
from numpy.typing import NDArray

from metatrain.data.readers import decimals
from metatrain.data.readers.ase import is_per_atom
from metatrain.data.readers.frame_texts import PRINTABLE, NotPlainError

_PROPERTIES = re.compile(rb"[^:]+:[RISL]:[1-9][0-9]{0,2}(:[^:]+:[RISL]:[1-9][0-9]{0,2})*")
# ASE's names for some columns, and those of which it makes something else than an array
_ASE_NAMES = {"charge": "charges"}
_SPECIAL_NAMES = {"numbers", "positions", "symbols", "move_mask", "initial_charges"}
# every word takes up as much memory as the longest
LONGEST_WORD = 64


class AtomColumns(NamedTuple):
    """What the lines of atoms say.

    :param types: (N,)
    :param positions: (N, 3)
    :param data: (N, ...) what ASE keeps as ``arrays``
    :param results: (N, ...) what ASE keeps in its calculator slot
    """

    types: NDArray[np.int64]
    positions: NDArray[np.float64]
    data: dict[str, NDArray[Any]]
    results: dict[str, NDArray[np.float64]]


def atom_columns(properties: bytes, text: bytes) -> AtomColumns:
    """The columns of atoms.

    :param properties: what a line consists of, such as ``species:S:1:pos:R:3``
    :param text: the lines
    """
    arrays = _arrays(_properties(properties), text)
    # ASE believes atomic numbers rather than symbols
    species, positions = arrays.pop("species"), arrays.pop("pos")
    types = arrays.pop("Z", None)
    return AtomColumns(
        types=_atomic_numbers(species) if types is None else types.astype(np.int64),
        positions=positions,
        data={name: array for name, array in arrays.items() if name not in all_properties},
        results={
            name: array.astype(np.float64)
            for name, array in arrays.items()
            if name in all_properties
        },
    )


class _Property(NamedTuple):
    """What some columns hold.

    :param name: as ASE has it
    :param kind: R, I, S or L: real, integer, string or logical
    :param columns: their places in the line
    """

    name: str
    kind: str
    columns: range


@functools.lru_cache(maxsize=100)
def _properties(text: bytes) -> list[_Property]:
    if not _PROPERTIES.fullmatch(text):
        raise NotPlainError
    words = text.decode().split(":")
    names, kinds, widths = words[::3], words[1::3], [int(word) for word in words[2::3]]
    ends = list(itertools.accumulate(widths))
    found = [
        _Property(_ASE_NAMES.get(name, name), kind, range(end - width, end))
        for name, kind, width, end in zip(names, kinds, widths, ends, strict=True)
    ]
    if not _are_plain(found) or _has_equal_fields(names, widths):
        raise NotPlainError
    return found


def _are_plain(properties: list[_Property]) -> bool:
    """Whether ASE makes nothing out of the ordinary of any of them."""
    shapes = {name: (kind, len(columns)) for name, kind, columns in properties}
    return (
        len(shapes) == len(properties)
        and shapes.get("species") == ("S", 1)
        and shapes.get("pos") == ("R", 3)
        and shapes.get("Z") in (None, ("I", 1))
        and not _SPECIAL_NAMES & shapes.keys()
        and all(is_per_atom(name) for name in shapes if name in all_properties)
    )


def _has_equal_fields(names: list[str], widths: list[int]) -> bool:
    """Whether two columns would have the same name in the table that ASE makes of them."""
    fields = {
        f"{name}{column}" if width > 1 else name
        for name, width in zip(names, widths, strict=True)
        for column in range(width)
    }
    return len(fields) < sum(widths)


def _arrays(properties: list[_Property], text: bytes) -> dict[str, NDArray[Any]]:
    """(N,) or (N, V) of each property."""
    begins, ends = _find_table(text, sum(len(columns) for _, _, columns in properties))
    reals = [column for _, kind, columns in properties if kind == "R" for column in columns]
    numbers = decimals.numbers(text, begins, ends, reals)
    arrays: dict[str, NDArray[Any]] = {}
    for name, kind, columns in properties:
        if kind == "R":
            first = reals.index(columns[0])
            array: NDArray[Any] = numbers[:, first : first + len(columns)]
        else:
            words = _words(text, begins[:, columns], ends[:, columns])
            # the letters of elements are not worth a conversion
            array = words if name == "species" else _converted(words, kind)
        arrays[name] = array[:, 0] if len(columns) == 1 else np.ascontiguousarray(array)
    return arrays


def _converted(words: NDArray[np.bytes_], kind: str) -> NDArray[Any]:
    """Integers, truth values or strings."""
    if kind == "I":
        integers = [int(word) for word in words.ravel().tolist()]
        return np.array(integers, dtype=np.int32).reshape(words.shape)
    return np.isin(words, [b"T", b"True"]) if kind == "L" else words.astype(str).astype(object)


def _find_table(text: bytes, num_columns: int) -> tuple[decimals.Places, decimals.Places]:
    """(N, C) where each word begins, and where it ends, of lines with equally many words."""
    if text.translate(None, PRINTABLE):
        raise NotPlainError
    line_ends = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == ord("\n"))
    begins, ends = decimals.find_words(text)
    if len(begins) != len(line_ends) * num_columns:
        raise NotPlainError
    begins, ends = begins.reshape(-1, num_columns), ends.reshape(-1, num_columns)
    if (ends[:, -1] > line_ends).any() or (begins[1:, 0] < line_ends[:-1]).any():
        raise NotPlainError
    return begins, ends


def _words(text: bytes, begins: decimals.Places, ends: decimals.Places) -> NDArray[np.bytes_]:
    """The words themselves, as an array of the shape of their places."""
    width = int((ends - begins).max())
    if width > LONGEST_WORD:
        raise NotPlainError
    letters = np.frombuffer(text + bytes(width), dtype=np.uint8)
    places = begins[..., None] + np.arange(width)
    words = np.where(places < ends[..., None], letters[places], 0).astype(np.uint8)
    return words.view(f"S{width}")[..., 0]


@functools.cache
def _atomic_number_of_code() -> NDArray[np.int16]:
    """By the two bytes of a symbol in whatever case; −1 for what is no element."""
    numbers = np.full(1 << 16, -1, dtype=np.int16)
    for symbol, number in atomic_numbers.items():
        for letters in itertools.product(*((c.lower(), c.upper()) for c in symbol)):
            numbers[np.array(["".join(letters)], dtype="S2").view(np.uint16)] = number
    return numbers


def _atomic_numbers(symbols: NDArray[np.bytes_]) -> NDArray[np.int64]:
    if symbols.itemsize > 2:
        raise NotPlainError
    numbers = _atomic_number_of_code()[symbols.astype("S2").view(np.uint16)]
    if numbers.min() < 0:
        raise NotPlainError
    return numbers.astype(np.int64)
