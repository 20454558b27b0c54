"""Readers: plug-ins that turn a file into systems."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from metatrain import plugins
from metatrain.data.frames import Frames
from metatrain.errors import MetatrainError


class Reader(ABC):
    """Reads the files whose names end in one of ``suffixes``.

    A reader is a frozen dataclass; its fields are its options.
    """

    suffixes: ClassVar[tuple[str, ...]]

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
    if reader is not None:
        return _load(reader, where)
    name = Path(path).name
    claims = {
        suffix: candidate
        for candidate in (_load(known, where) for known in plugins.installed("readers"))
        for suffix in candidate.suffixes
    }
    fitting = [suffix for suffix in claims if name.endswith(suffix)]
    if not fitting:
        known = ", ".join(sorted(claims))
        raise MetatrainError(
            f"{where}: no reader claims the suffix of {name!r}; known are {known}; "
            "if ASE reads the file, say 'reader: ase'."
        )
    return claims[max(fitting, key=len)]


def _load(name: str, where: str) -> Reader:
    reader: Reader = plugins.load("readers", name, where)()
    return reader
