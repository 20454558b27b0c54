"""An extended XYZ file cut into the texts of its systems."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

BYTES_PER_READ = 1 << 19
MOST_DIGITS = 20
# the bytes of text that means the same to everybody
PRINTABLE = bytes([*range(ord(" "), ord("~") + 1), *b"\t\n"])


class NotPlainError(ValueError):
    """The text is more than what is read many systems at a time: it is for ASE."""


class FrameMistake(ValueError):  # noqa: N818 (it is the user's)
    """What is wrong with a system of a file: which system, where, what, and the way out."""


class FrameText(NamedTuple):
    """The lines of one system.

    :param system: its place in the file, counted from 0
    :param line: the number of its first line, counted from 1
    :param num_atoms: what the first line says
    :param comment: the second line
    :param atoms: a line per atom
    :param vectors: lines of cell vectors that are written as if they were atoms
    """

    system: int
    line: int
    num_atoms: int
    comment: bytes
    atoms: bytes
    vectors: bytes = b""

    def __str__(self) -> str:
        lines = b"%d\n%b%b%b" % (self.num_atoms, self.comment, self.atoms, self.vectors)
        return lines.decode()

    def mistake(self, text: str, line: int | None = None) -> FrameMistake:
        """The error that says where, and then ``text``.

        :param line: which of the lines of this system, counted from 0; ``None`` for all
        """
        where = f"from line {self.line} on" if line is None else f"line {self.line + line}"
        return FrameMistake(f"system {self.system}, {where}: {text}")


def frame_texts(path: Path) -> Iterator[FrameText]:
    """The systems of a file one by one; empty lines between them do not count.

    A file whose lines are not those of systems raises a :class:`FrameMistake` where this is found.
    """
    with path.open("rb") as file:
        lines = _Lines(file)
        last = None
        while lines.are_there(1):
            header = lines.text(0, 1)
            if header.isspace():
                lines.drop(1)
                continue
            num_atoms = _number_of_atoms(header)
            if num_atoms is None:
                raise _no_header(header, lines.number, last)
            system = 0 if last is None else last.system + 1
            end = num_atoms + 2
            if not lines.are_there(end):
                num_found = max(lines.num_left - 2, 0)
                raise FrameText(system, lines.number, num_atoms, b"", b"").mistake(
                    f"the file ends after {num_found} of its {num_atoms} atoms; correct the number "
                    "of atoms, or add what is missing."
                )
            num_vectors = 0
            while lines.are_there(end + num_vectors + 1) and lines.is_vector(end + num_vectors):
                num_vectors += 1
            vectors = lines.text(end, end + num_vectors) if num_vectors else b""
            texts = lines.text(1, 2), lines.text(2, end)
            last = FrameText(system, lines.number, num_atoms, *texts, vectors)
            yield last
            lines.drop(end + num_vectors)


def _number_of_atoms(header: bytes) -> int | None:
    if header[:-1].isdigit() and len(header) < MOST_DIGITS:
        return int(header)
    number = header.decode(errors="replace").strip()
    return int(number) if number.isdecimal() and len(number) < MOST_DIGITS else None


def _no_header(header: bytes, line: int, last: FrameText | None) -> FrameMistake:
    """What to say of a line that should be the number of atoms.

    :param last: the system before it, whose number of atoms may be wrong
    """
    try:
        found = repr(header.decode().strip()[:40])
    except UnicodeDecodeError:
        found = "no text"
    if last is None:
        return FrameMistake(
            f"system 0, line {line}: found {found}, expected the number of atoms; correct the "
            "file, or rename it if it has another format than its name says."
        )
    return FrameMistake(
        f"system {last.system}, line {line}: found {found} behind the {last.num_atoms} atoms that "
        f"line {last.line} declares, expected the number of atoms of system {last.system + 1}; "
        "correct the one or the other."
    )


class _Lines:
    """The lines of a file that are left, each with a newline at its end whatever it has there."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._text = b""
        # where each line begins, and the end of the last
        self._begins = [0]
        self._num_dropped = 0
        # of the first line that is left, counted from 1
        self.number = 1

    @property
    def num_left(self) -> int:
        """How many lines are left of what has been read."""
        return len(self._begins) - 1 - self._num_dropped

    def are_there(self, count: int) -> bool:
        """Whether so many lines are left; reads on if need be."""
        while self._num_dropped + count >= len(self._begins):
            if not self._read():
                return False
        return True

    def text(self, first: int, end: int) -> bytes:
        """Some of the lines, which are there."""
        begins, dropped = self._begins, self._num_dropped
        return self._text[begins[dropped + first] : begins[dropped + end]]

    def is_vector(self, line: int) -> bool:
        """Whether a line holds a cell vector, written as if it were an atom."""
        text = self.text(line, line + 1)
        return b"VEC" in text and text.lstrip().startswith(b"VEC")

    def drop(self, count: int) -> None:
        """Leave the next lines behind."""
        self._num_dropped += count
        self.number += count

    def _read(self) -> bool:
        """Read on; whether there was anything."""
        rest = self._text[self._begins[self._num_dropped] :]
        # as much again as is waiting, lest a large system be searched many times
        new = self._file.read(max(BYTES_PER_READ, len(rest)))
        if new.endswith(b"\r"):
            new += self._file.read(1)
        if b"\r" in new:
            new = new.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if not new and rest and not rest.endswith(b"\n"):
            new = b"\n"
        self._text, self._num_dropped = rest + new, 0
        ends = np.flatnonzero(np.frombuffer(self._text, dtype=np.uint8) == ord("\n")) + 1
        self._begins = [0, *ends.tolist()]
        return bool(new)
