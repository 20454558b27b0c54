"""The reader for extended XYZ: many systems at a time, and by ASE where a file is unusual."""

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import ase
import numpy as np

from metatrain.data.frames import NUMBER_KINDS, Column, Frames
from metatrain.data.readers import Reader
from metatrain.data.readers.ase import (
    SYSTEMS_PER_CHUNK,
    check_readable,
    read_extxyz,
)
from metatrain.data.readers.frame_texts import (
    FrameMistake,
    FrameText,
    NotPlainError,
    frame_texts,
)
from metatrain.data.readers.plain_atoms import atom_columns
from metatrain.data.readers.plain_comments import Group, Layout, comment_columns, group_comments
from metatrain.errors import MetatrainError

# Of text that is read at once; the arrays in between are a few times as large.
BYTES_AT_ONCE = 1 << 20
# Of the systems around one that is not plain, so many are left to ASE.
SYSTEMS_PER_RETRY = 32


@dataclass(frozen=True)
class ExtxyzReader(Reader):
    """Reads extended XYZ many times faster than ASE, and gives what ASE gives."""

    suffixes: ClassVar[tuple[str, ...]] = (".xyz", ".extxyz")
    version: ClassVar[str] = f"ASE {ase.__version__}"

    def __call__(self, path: Path) -> Iterator[Frames]:
        """The systems of the file, a thousand at a time."""
        path = Path(path)
        check_readable(path)
        texts = frame_texts(path)
        for first in itertools.count(step=SYSTEMS_PER_CHUNK):
            chunk, mistake = _take(texts)
            if chunk:
                yield _frames_of(chunk, path)
            if mistake is not None:
                raise MetatrainError(f"{path}, {mistake}") from mistake
            if len(chunk) < SYSTEMS_PER_CHUNK:
                if first + len(chunk) == 0:
                    raise MetatrainError(f"{path}: holds no systems; expected at least one.")
                return


def _take(texts: Iterator[FrameText]) -> tuple[list[FrameText], FrameMistake | None]:
    """The next chunk, and what is wrong with the text behind it."""
    chunk: list[FrameText] = []
    try:
        chunk.extend(itertools.islice(texts, SYSTEMS_PER_CHUNK))
    except FrameMistake as mistake:
        return chunk, mistake
    return chunk, None


class _Part(NamedTuple):
    """Some systems of a chunk, by their ascending places in it."""

    numbers: list[int]
    frames: Frames


def _frames_of(chunk: list[FrameText], path: Path) -> Frames:
    parts = [
        part
        for layout, group in group_comments([text.comment for text in chunk]).items()
        for part in _read(layout, group, chunk)
    ]
    rest = set(range(len(chunk))).difference(*(part.numbers for part in parts))
    parts += [_read_by_ase(chunk, number, path) for number in sorted(rest)]
    if len(rest) < len(chunk) and not _agree(parts):
        parts = [_read_by_ase(chunk, number, path) for number in range(len(chunk))]
    return _in_order(parts)


def _read_by_ase(chunk: list[FrameText], number: int, path: Path) -> _Part:
    try:
        return _Part([number], read_extxyz(chunk[number]))
    except FrameMistake as mistake:
        raise MetatrainError(f"{path}, {mistake}") from mistake


def _agree(parts: list[_Part]) -> bool:
    """Whether no key holds numbers in one part, and text or other shapes in another.

    Where it does, each number has the type that ASE gives it in its own system.
    """
    found: dict[str, set[tuple[bool, tuple[int, ...]]]] = {}
    for _, frames in parts:
        for key, column in (frames.system_data | frames.system_results).items():
            is_number = column.values.dtype.kind in NUMBER_KINDS
            found.setdefault(key, set()).add((is_number, column.values.shape[1:]))
    return all(len(kinds) == 1 for kinds in found.values())


def _in_order(parts: list[_Part]) -> Frames:
    """The systems of all parts by their places."""
    # what comes first in the file gives the order of the keys, too
    parts = sorted(parts, key=lambda part: part.numbers[0])
    if len(parts) == 1:
        return parts[0].frames
    frames = Frames.concatenate([part.frames for part in parts])
    places = np.argsort(np.concatenate([part.numbers for part in parts]))
    return frames if (np.diff(places) == 1).all() else frames.select(places)


def _read(layout: Layout, group: Group, chunk: list[FrameText]) -> Iterator[_Part]:
    """The systems of a layout that are plain, as far as can be found out quickly."""
    for block in _blocks(group, chunk):
        try:
            yield _read_plain(layout, block, chunk)
        except (ValueError, OverflowError):
            for begin in range(0, len(block.numbers), SYSTEMS_PER_RETRY):
                few = slice(begin, begin + SYSTEMS_PER_RETRY)
                with contextlib.suppress(ValueError, OverflowError):
                    yield _read_plain(layout, Group(block.numbers[few], block.rows[few]), chunk)


def _blocks(group: Group, chunk: list[FrameText]) -> Iterator[Group]:
    """The systems in pieces that are not too large to be read at once."""
    begin = size = 0
    for end, number in enumerate(group.numbers, start=1):
        size += len(chunk[number].atoms)
        if size > BYTES_AT_ONCE or end == len(group.numbers):
            yield Group(group.numbers[begin:end], group.rows[begin:end])
            begin, size = end, 0


def _read_plain(layout: Layout, block: Group, chunk: list[FrameText]) -> _Part:
    """The systems of a block, or a ``ValueError`` if one of them is not plain."""
    texts = [chunk[number] for number in block.numbers]
    num_atoms = np.array([text.num_atoms for text in texts])
    if not num_atoms.all() or any(text.vectors for text in texts):
        raise NotPlainError
    comments = comment_columns(layout, block.rows)
    atoms = atom_columns(layout.properties, b"".join([text.atoms for text in texts]))
    is_present = np.ones(len(texts), dtype=np.bool_)
    frames = Frames(
        offsets=np.concatenate([[0], np.cumsum(num_atoms)]),
        types=atoms.types,
        positions=atoms.positions,
        cells=comments.cells,
        pbc=comments.pbc,
        system_data=comments.data,
        atom_data={name: Column(array, is_present) for name, array in atoms.data.items()},
        system_results=comments.results,
        atom_results={name: Column(array, is_present) for name, array in atoms.results.items()},
    )
    return _Part(block.numbers, frames)
