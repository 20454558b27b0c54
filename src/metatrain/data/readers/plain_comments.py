"""Comment lines of extended XYZ that are plain: ``key=value`` and ``key="value"``.

What is made of many of them at once is what ASE makes of each, bit for bit; all else raises a
:class:`NotPlainError`, and is for ASE.
"""

import functools
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from ase.calculators.calculator import all_properties
from numpy.typing import NDArray

from metatrain.data.frames import Column
from metatrain.data.readers.ase import is_per_atom
from metatrain.data.readers.frame_texts import NotPlainError

_QUOTED = rb"""[\t !#-[\]-~]+"""  # printable, but no quote and no backslash
_BARE = rb"""[!#-&(-Z^-z|~]*[!#-&(-<>-Z^-z|~]"""  # nor any bracket, quote or blank; no last "="
# A key with its value, in quotes or not, or else all that comes behind them.
_ENTRY = re.compile(
    rb"""([!#-&(-<>-Z^-z|~]+)=(?:"(%b)"|(%b))(?![^ \t])|([^ \t].*)""" % (_QUOTED, _BARE)
)
_IN_NUMBERS = b"0123456789+-.eE \t"
_IN_INTEGERS = b"0123456789+- \t"
# Matrices stand in the file column by column.
_MATRIX_KEYS = {"Lattice", "stress", "virial"}
# ASE's order of six numbers, within the nine of the file
_VOIGT_INDEX = [0, 4, 8, 7, 6, 3]
# ASE leaves these results as they are, and makes float64 of the others.
_ANY_RESULTS = {"energy", "free_energy", "magmom"}
# A text that ASE takes for nothing else: no number, no truth value.
_WORD = re.compile(r"(?!(?i:t|f|true|false|nan|inf|infinity)$)[A-Za-z][A-Za-z0-9_-]*")
_DEFAULT_PROPERTIES = b"species:S:1:pos:R:3"
_NOTHING = re.compile(b"(?!)")

Values = tuple[bytes, ...]


class Layout(NamedTuple):
    """What comments that are read at once have in common.

    :param keys: in their order, but for ``Properties``
    :param properties: what is said about the columns of atoms
    """

    keys: tuple[bytes, ...]
    properties: bytes


class Group(NamedTuple):
    """Comments of one layout.

    :param numbers: which of the comments
    :param rows: for each of them the values of the keys
    """

    numbers: list[int]
    rows: list[Sequence[bytes]]


def group_comments(comments: Sequence[bytes]) -> dict[Layout, Group]:
    """Those of the comments that are plain, by their layout."""
    groups: dict[Layout, Group] = {}
    group, pattern = Group([], []), _NOTHING
    for number, comment in enumerate(comments):
        # most comments are like the one before
        match = pattern.fullmatch(comment)
        if match is None:
            entries = _ENTRY.findall(comment.rstrip(b"\n"))
            keys = [entry[0] for entry in entries]
            if not all(keys) or len(set(keys)) < len(keys):
                continue
            properties = next((q or b for key, q, b, _ in entries if key == b"Properties"), None)
            pattern = _pattern(tuple((key, bool(q)) for key, q, _, _ in entries), properties)
            match = pattern.fullmatch(comment)
            if match is None:
                continue
            others = tuple(key for key in keys if key != b"Properties")
            layout = Layout(others, properties or _DEFAULT_PROPERTIES)
            group = groups.setdefault(layout, Group([], []))
        group.numbers.append(number)
        group.rows.append(match.groups())
    return groups


@functools.lru_cache(maxsize=100)
def _pattern(
    entries: tuple[tuple[bytes, bool], ...], properties: bytes | None
) -> re.Pattern[bytes]:
    """The comments of a layout, with the values as groups.

    :param entries: each key, and whether its value is in quotes
    :param properties: the value that is none of the groups
    """
    texts = []
    for key, is_quoted in entries:
        if key == b"Properties" and properties is not None:
            value = re.escape(properties)
        else:
            value = b"(%b)" % (_QUOTED if is_quoted else _BARE)
        texts.append(re.escape(key) + (b'="%b"' if is_quoted else b"=%b") % value)
    return re.compile(b"[ \t]*" + b"[ \t]+".join(texts) + b"[ \t]*\n?")


class CommentColumns(NamedTuple):
    """What the comments of some systems say.

    :param cells: (S, 3, 3)
    :param pbc: (S, 3)
    :param data: what ASE keeps as ``info``
    :param results: what ASE keeps in its calculator slot
    """

    cells: NDArray[np.float64]
    pbc: NDArray[np.bool_]
    data: dict[str, Column]
    results: dict[str, Column]


def comment_columns(layout: Layout, rows: Sequence[Sequence[bytes]]) -> CommentColumns:
    """Columns of the systems of one layout.

    :param rows: for each system the values of the keys
    """
    keys = [key.decode() for key in layout.keys]
    # without keys there are no columns either
    entries: dict[str, Values] = dict(zip(keys, zip(*rows, strict=True), strict=True))
    lattice, directions = entries.pop("Lattice", None), entries.pop("pbc", None)
    cells = np.zeros((len(rows), 3, 3))
    if lattice is not None:
        # the matrix of the file has the cell vectors as its columns
        cells[:] = _matrices(lattice).transpose(0, 2, 1)
    if directions is None:
        pbc = np.full((len(rows), 3), lattice is not None)
    else:
        pbc = _pbc(directions)
    data, results = {}, {}
    for key, values in entries.items():
        if key in all_properties and not is_per_atom(key):
            results[key] = _result(key, values)
        else:
            data[key] = _column(key, values)
    return CommentColumns(cells, pbc, data, results)


def _pbc(values: Values) -> NDArray[np.bool_]:
    words = {value: value.split() for value in dict.fromkeys(values)}
    if any(len(row) != 3 or not set(row) <= {b"T", b"F"} for row in words.values()):
        raise NotPlainError
    return np.array([words[value] for value in values]) == b"T"


def _result(key: str, values: Values) -> Column:
    if key in _ANY_RESULTS:
        return _column(key, values)
    numbers = _numbers(values)
    if numbers is None:
        raise NotPlainError
    if key == "stress":
        numbers = _nine_each(numbers)[:, _VOIGT_INDEX]
    return _complete(numbers.astype(np.float64))


def _column(key: str, values: Values) -> Column:
    if key in _MATRIX_KEYS:
        return _complete(_matrices(values))
    # what is called uid stays a text
    numbers = None if key.lower() == "uid" else _numbers(values)
    if numbers is not None:
        return _complete(numbers)
    read = {value: _value(key, value.decode()) for value in dict.fromkeys(values)}
    found = [read[value] for value in values]
    if all(type(value) is str for value in found):
        texts = np.empty(len(found), dtype=object)
        texts[:] = found
        return _complete(texts)
    return Column.concatenate([Column.of_system(value) for value in found], [(1, 1)] * len(found))


def _value(key: str, text: str) -> Any:
    """What ASE makes of a single value."""
    if _WORD.fullmatch(text):
        return text
    from ase.io.extxyz import key_val_str_to_dict  # noqa: PLC0415 (takes a third of a second)

    return key_val_str_to_dict(f'{key}="{text}"')[key]


def _complete(values: NDArray[Any]) -> Column:
    return Column(values, np.ones(len(values), dtype=bool))


def _matrices(values: Values) -> NDArray[Any]:
    """(S, 3, 3) from nine numbers each."""
    return _nine_each(_numbers(values)).reshape(-1, 3, 3).transpose(0, 2, 1)


def _nine_each(numbers: NDArray[Any] | None) -> NDArray[Any]:
    if numbers is None or numbers.shape[1:] != (9,):
        raise NotPlainError
    return numbers


def _numbers(values: Values) -> NDArray[Any] | None:
    """(S,) or (S, V) if all values are as many plain numbers, integers if all of them are."""
    if values.count(values[0]) == len(values) > 1:
        one = _numbers(values[:1])
        return None if one is None else np.repeat(one, len(values), axis=0)
    joined = b" ".join(values)
    if joined.translate(None, _IN_NUMBERS):
        return None
    words = joined.split()
    width, rest = divmod(len(words), len(values))
    if rest or width == 0 or set(map(len, map(bytes.split, values))) != {width}:
        return None
    # ASE decides for each system whether it has integers, of which none is −0
    is_integer = [not value.translate(None, _IN_INTEGERS) for value in values]
    try:
        if all(is_integer):
            numbers = np.array([int(word) for word in words])
        elif not any(is_integer):
            numbers = np.array([float(word) for word in words])
        else:
            kinds = np.repeat(is_integer, width).tolist()
            pairs = zip(words, kinds, strict=True)
            numbers = np.array([int(word) if kind else float(word) for word, kind in pairs])
    except ValueError:
        return None
    if numbers.dtype not in (np.int64, np.float64):  # integers that int64 does not hold
        return None
    return numbers if width == 1 else numbers.reshape(len(values), width)
