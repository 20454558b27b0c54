"""Writers: plug-ins that write systems, with what was predicted for them, to a file."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar, Protocol

from metatrain.data.frames import Frames
from metatrain.data.suffixes import plugin_for


class FramesFile(Protocol):
    """A file that is open for writing."""

    def write(self, frames: Frames) -> None:
        """Append the systems to the file."""


class Writer(ABC):
    """Writes the files whose names end in one of ``suffixes``.

    A writer is a frozen dataclass; its fields are its options.
    """

    suffixes: ClassVar[tuple[str, ...]]

    @abstractmethod
    def open(self, path: Path) -> AbstractContextManager[FramesFile]:
        """A file that appears under its name when the context ends without an error."""


def find(path: str | Path, writer: str | None, where: str) -> Writer:
    """The writer for a file: the one that is named, or the one that claims its suffix.

    :param path: the file
    :param writer: name of the writer plug-in; ``None`` lets the suffix decide
    :param where: what names the file in the options, for messages
    """
    found: Writer = plugin_for("writers", path, writer, where)
    return found
