"""Writers: plug-ins that write systems, with what was predicted for them, to a file."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar, Protocol

from metatrain import plugins
from metatrain.data.frames import Frames
from metatrain.errors import MetatrainError


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
    if writer is not None:
        return _load(writer, where)
    name = Path(path).name
    claims = {
        suffix: candidate
        for candidate in (_load(known, where) for known in plugins.installed("writers"))
        for suffix in candidate.suffixes
    }
    fitting = [suffix for suffix in claims if name.endswith(suffix)]
    if not fitting:
        known = ", ".join(sorted(claims))
        raise MetatrainError(
            f"{where}: no writer claims the suffix of {name!r}; known are {known}."
        )
    return claims[max(fitting, key=len)]


def _load(name: str, where: str) -> Writer:
    writer: Writer = plugins.load("writers", name, where)()
    return writer
