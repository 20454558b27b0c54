"""Large data sets kept as they were read, so that they are read but once."""

import contextlib
import dataclasses
import hashlib
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from metatrain import units
from metatrain.data.columns import Columns
from metatrain.data.columns_file import open_columns, write_columns
from metatrain.data.files import DataFile, files_of, gradients_of
from metatrain.data.source import DataSource
from metatrain.errors import MetatrainError
from metatrain.log import logger

# Files that are smaller are read within a second.
LEAST_BYTES = 64 << 20
SECONDS_UNUSED = 30 * 24 * 3600.0
SWITCH = "METATRAIN_CACHE"
NO = ("off", "no", "false", "0")
FOLDER = ".metatrain-cache"
SUFFIX = ".columns"
# by the convention of bford.info/cachedir
CACHEDIR_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# Data sets as metatrain read them.\n"
# What may change without a change of what is read: names of files, and what messages say.
INDIFFERENT = ("where", "read_from", "reader", "description")
# Names of what is kept here, and of what a killed process left of it.
_OURS = re.compile(rf"[0-9a-f]{{32}}{re.escape(SUFFIX)}(\.[0-9a-f]{{16}})?")


def kept(source: DataSource, wish: Any, read: Callable[[], Columns]) -> Columns:
    """The columns of a data source, from an earlier start if there was one.

    They are found again by the whole content of the files, and by everything else that decides
    what is read from them.

    :param source: the files, and what is in them
    :param wish: a dataclass that says in what form the columns are wanted
    :param read: reads the files
    """
    folders = _folders(source)
    if not folders or _size(source) < LEAST_BYTES:
        return read()
    files = files_of(source)
    stamps = _stamps(files)
    if not stamps or not all(map(_version, files.values())):
        return read()
    with ThreadPoolExecutor(max_workers=1) as thread:
        name = thread.submit(_name, source, wish, files)
        # where nothing is kept yet, the files are read while the name is found
        for folder in folders if any(map(_holds_any, folders)) else []:
            columns = _find(folder / name.result(), source)
            if columns is not None:
                return columns
        columns = read()
    # whoever changed a file meanwhile may have done so before or after it was read
    if _stamps(files) != stamps:
        return columns
    return _keep(columns, folders, name.result(), source)


def _holds_any(folder: Path) -> bool:
    return next(folder.glob(f"*{SUFFIX}"), None) is not None


def _folders(source: DataSource) -> list[Path]:
    """Where columns may be kept, the best place first."""
    switch = os.environ.get(SWITCH, "")
    if switch.lower() in NO:
        return []
    if switch:
        folder = _with_home(switch)
        # a word that was meant otherwise is no folder
        if not folder.is_absolute():
            raise MetatrainError(
                f"{SWITCH}: found {switch!r}, expected 'off', or the whole path of a folder; unset it "
                "to have the cache beside the data."
            )
        return [folder]
    folders = [Path(source.systems.read_from).parent / FOLDER]
    of_user = _with_home(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    return [*folders, of_user / "metatrain"] if of_user.is_absolute() else folders


def _with_home(path: str) -> Path:
    """The path with the user's folder for ``~``, as long as there is one."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 (Path.expanduser fails without a home)


def _size(source: DataSource) -> int:
    """Bytes of all files that there are."""
    paths = {source.systems.read_from}
    for target in source.targets.values():
        paths |= {target.read_from, *(g.read_from for g in gradients_of(target).values())}
    return sum(Path(path).stat().st_size for path in paths if Path(path).is_file())


def _stamps(files: Mapping[str, DataFile]) -> list[tuple[int, ...]]:
    """What the system notes of each file when somebody writes to it; none if one is not there."""
    paths = sorted({Path(file.path) for file in files.values()})
    if not all(path.is_file() and os.access(path, os.R_OK) for path in paths):
        return []
    stats = [path.stat() for path in paths]
    return [(s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for s in stats]


def _name(source: DataSource, wish: Any, files: Mapping[str, DataFile]) -> str:
    """A name of the columns, another one for whatever would be read otherwise."""
    paths = {file.path for file in files.values()}
    contents = {path: _digest(Path(path)) for path in paths}
    readers = {
        place: (
            contents[file.path],
            repr(type(file.reader)),
            repr(file.reader),
            _version(file),
        )
        for place, file in files.items()
    }
    code = [*sorted(Path(__file__).parent.rglob("*.py")), Path(units.__file__)]
    ours = [_digest(path) for path in code]
    entries = dataclasses.asdict(source, dict_factory=_decisive)
    decisive = [ours, readers, entries, dataclasses.asdict(wish)]
    return hashlib.sha256(repr(decisive).encode()).hexdigest()[:32] + SUFFIX


def _version(file: DataFile) -> str:
    """That of the reader's own class: what derives from it may read something else."""
    return str(vars(type(file.reader)).get("version", ""))


def _decisive(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in fields if name not in INDIFFERENT}


def _digest(path: Path) -> str:
    """A text that is another one for every other content of the file."""
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _find(path: Path, source: DataSource) -> Columns | None:
    try:
        columns = open_columns(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        logger.info("%s: read anew, %s", source.systems.read_from, error)
        return None
    with contextlib.suppress(OSError):  # it may be somebody else's
        os.utime(path)
    logger.info("%s: taken from %s, kept by an earlier start", source.systems.read_from, path)
    return _from_here(columns, source)


def _from_here(columns: Columns, source: DataSource) -> Columns:
    """The columns with the names that the files have now."""
    origin = dataclasses.replace(columns.origin, files=(source.systems.read_from,))
    return dataclasses.replace(columns, origin=origin)


def _keep(columns: Columns, folders: Sequence[Path], name: str, source: DataSource) -> Columns:
    """Keep the columns in the first folder that takes them, and give them from there."""
    mistakes = []
    for folder in folders:
        try:
            _prepare(folder)
            write_columns(columns, folder / name)
            columns = open_columns(folder / name)
        except (OSError, ValueError) as error:
            mistakes.append(f"{folder}: {error}")
        else:
            logger.info(
                "%s: kept in %s as it was read, for the next start (%s=off keeps nothing)",
                source.systems.read_from,
                folder,
                SWITCH,
            )
            return columns
    logger.warning(
        "%s: not kept for the next start, which will read it again (%s)",
        source.systems.read_from,
        "; ".join(mistakes),
    )
    return columns


def _prepare(folder: Path) -> None:
    """Make the folder, and remove from it what nobody has used for a month."""
    if not folder.exists():
        # another start may be about to make it, too
        folder.mkdir(parents=True, exist_ok=True)
        # backups and git leave such a folder out
        (folder / "CACHEDIR.TAG").write_text(CACHEDIR_TAG)
        (folder / ".gitignore").write_text("*\n")
    # a folder that the user chose may hold other files
    for path in filter(lambda path: _OURS.fullmatch(path.name), folder.iterdir()):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > SECONDS_UNUSED:
                path.unlink()
