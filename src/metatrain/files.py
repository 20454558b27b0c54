"""Files: written completely or not at all, and read as text."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from metatrain.errors import MetatrainError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path`` to write to; synced and renamed when the context ends.

    An older file stays until then, and stays if the context ends with an error.

    :param path: the file to create or replace; its folders are made
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def check_options_file(file: str) -> None:
    """Refuse what is no text file; what may be read but once, such as a pipe, is left for later."""
    path = Path(file)
    if path.is_file() or path.is_dir() or not path.exists():
        options_text(file)


def options_text(file: str) -> str:
    """What stands in an options file; refuses what is no text file."""
    path = Path(file)
    if path.is_dir():
        raise MetatrainError(f"{file}: this is a folder, expected an options file (YAML)")
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise MetatrainError(f"{file}: there is no such options file; check the path") from error
    except OSError as error:
        raise MetatrainError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise MetatrainError(f"{file}: this is no text, expected an options file (YAML)") from error
