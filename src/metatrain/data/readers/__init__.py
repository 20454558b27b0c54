"""Readers: plug-ins that turn a file into systems."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from metatrain.data.frames import Frames
from metatrain.data.suffixes import plugin_for


class Reader(ABC):
    """Reads the files whose names end in one of ``suffixes``.

    A reader is a frozen dataclass; its fields are its options. What it reads from large files
    is kept for the next start if it has a ``version``, a text that changes whenever it would
    read something else from the same file. A class that derives from a reader has to say its own.
    """

    suffixes: ClassVar[tuple[str, ...]]
    version: ClassVar[str] = ""

    @abstractmethod
    def __call__(self, path: Path) -> Iterator[Frames]:
        """The systems of the file in chunks, read in one pass and in constant memory.

        A file that is missing, empty or malformed raises a ``MetatrainError`` that names
        it, and the system, counted from 0, if it can.
        """


def find(path: str | Path, reader: str | None, where: str) -> Reader:
    """The reader for a file: the one that is named, or the one that claims its suffix.

    :param path: the file
    :param reader: name of the reader plug-in; ``None`` lets the suffix decide
    :param where: what names the file in the options, for messages
    """
    found: Reader = plugin_for("readers", path, reader, where)
    return found
