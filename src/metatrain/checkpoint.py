"""Checkpoints: what a trainer wrote, in an envelope that says who wrote it in which run.

A checkpoint is a zip archive, not compressed, of two entries. ``record.json`` is what the
hub has to know: the architecture, its package and version, options, splits. ``content`` is
the architecture's own, in any format, guarded by the checksum of the archive; where it is
``content.pt`` it was written by :func:`save`: tensors and plain containers.
"""

import dataclasses
import difflib
import errno
import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import torch

from metatrain import __version__
from metatrain.errors import MetatrainError
from metatrain.files import replacing
from metatrain.log import logger

FORMAT = 1
"""Version of the envelope; what is inside has versions of its own."""

RECORD = "record.json"
OURS, THEIRS = "content.pt", "content"
RUN_BESIDE = "run.json"
# A copy that finds no room says nothing of the file that is copied.
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """What every checkpoint of a run says about the run.

    :param architecture: ``name``, and ``package`` and ``version`` it came from
    :param options: the complete options, as the text of an options file
    :param splits: system indices of ``training``, ``validation`` and ``test`` in the data
        they were drawn from, where fractions were asked for
    :param num_systems: number of systems the splits were drawn from
    :param fingerprints: of the systems and labels of each part
    """

    architecture: dict[str, str]
    options: str
    splits: dict[str, list[int]]
    num_systems: int
    fingerprints: dict[str, str]


_current_run: ContextVar[RunRecord | None] = ContextVar("current_run", default=None)


@contextmanager
def recording(run: RunRecord, folder: Path) -> Iterator[None]:
    """Within this context, checkpoints say that they are of ``run``.

    A trainer saves checkpoints on its own account and is not told of splits or options.
    Those it writes by :func:`save` get an envelope at once. Those in a format of its own
    get one when the context ends; until then, whatever happens, ``run.json`` beside them
    says whose they are.

    :param run: the run
    :param folder: where its checkpoints go
    """
    with replacing(folder / RUN_BESIDE) as temporary:
        temporary.write_text(json.dumps(vars(run)))
    token = _current_run.set(run)
    try:
        yield
    finally:
        for path in filter(Path.is_file, folder.glob("*.ckpt")):
            try:
                seal(path)
            except OSError as error:
                logger.warning("%s: stays without its envelope (%s)", path, error.strerror)
        _current_run.reset(token)


def save(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint of tensors and plain containers.

    :param path: where to; an older file stays until the new one is complete
    :param content: ``model`` for :meth:`GraphModel.from_container`, ``trainer`` for the
        trainer; nothing that ``torch.load(weights_only=True)`` would refuse
    """
    with _envelope(path) as archive, archive.open(OURS, "w", force_zip64=True) as file:
        torch.save(content, file)


def seal(path: Path) -> None:
    """Put a checkpoint of any format into an envelope, unless it has one already."""
    if is_sealed(path):
        return
    with (
        path.open("rb") as bare,
        _envelope(path) as archive,
        archive.open(THEIRS, "w", force_zip64=True) as file,
    ):
        shutil.copyfileobj(bare, file)


@contextmanager
def _envelope(path: Path) -> Iterator[zipfile.ZipFile]:
    """An archive with the record of the current run, to be completed by its content."""
    run = _current_run.get()
    record = {"format": FORMAT, "metatrain": __version__}
    if run is not None:
        record["run"] = vars(run)
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        archive.writestr(RECORD, json.dumps(record))
        yield archive


def is_sealed(path: Path) -> bool:
    """Whether the file is a checkpoint in its envelope, be it damaged."""
    with path.open("rb") as file:
        # the name of an archive's first entry stands behind 30 bytes
        if file.read(30 + len(RECORD))[30:] == RECORD.encode():
            return True
    try:
        with zipfile.ZipFile(path) as archive:
            return RECORD in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def load(path: Path) -> dict[str, Any]:
    """Read what :func:`save` wrote; nothing in the file is run.

    :raises MetatrainError: if it is missing, damaged, no checkpoint, or too new
    """
    with _opened(path) as archive:
        if archive is None:
            raise _not_ours(path)
        if OURS not in archive.namelist():
            raise MetatrainError(f"{path}: holds a checkpoint in a format of its architecture.")
        # read at once, for then the checksum of the archive is compared
        content = archive.read(OURS)
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    # the checksum was right, so somebody wrote it like this; whatever torch raises, it is not ours
    except Exception as error:
        raise _not_ours(path) from error


@contextmanager
def opened_content(path: Path) -> Iterator[Path]:
    """The file that an architecture's ``load_checkpoint`` takes, for as long as the context.

    What :func:`save` wrote is read by :func:`load` as it is; of other checkpoints it is the
    file inside the envelope, compared with its checksum.
    """
    with tempfile.TemporaryDirectory() as folder:
        # under its own name again: some formats go by the suffix
        inside = Path(folder, path.name)
        with _opened(path) as archive:
            is_inside = archive is not None and OURS not in archive.namelist()
            if archive is not None and is_inside:
                with archive.open(THEIRS) as file, inside.open("wb") as copy:
                    shutil.copyfileobj(file, copy)
        yield inside if is_inside else path


def run_of(path: Path) -> RunRecord | None:
    """The run that wrote a checkpoint, as its envelope or the run's folder says.

    :return: ``None`` if neither does
    :raises MetatrainError: if the file is missing, damaged, or too new
    """
    with _opened(path) as archive:
        if archive is not None:
            return _run_in(json.loads(archive.read(RECORD)), path)
    beside = path.parent / RUN_BESIDE
    if not beside.is_file():
        return None
    try:
        record = json.loads(beside.read_text())
    except ValueError as error:
        raise MetatrainError(f"{beside}: is damaged; it holds no JSON.") from error
    return _run_in({"run": record}, beside)


def _run_in(record: dict[str, Any], path: Path) -> RunRecord | None:
    if "run" not in record:
        return None
    try:
        run = RunRecord(**record["run"])
        texts = [run.options, *(run.architecture[key] for key in ("name", "package", "version"))]
        if not all(isinstance(text, str) for text in texts):
            raise TypeError
    except (TypeError, KeyError) as error:
        raise MetatrainError(
            f"{path}: is damaged; its record of the run is not complete."
        ) from error
    return run


def is_checkpoint(path: Path) -> bool:
    """Whether ``path`` is a checkpoint rather than an exported model, from its name list alone."""
    try:
        with zipfile.ZipFile(path) as archive:
            # an exported TorchScript model has its code inside, a checkpoint has none
            return not any("/code/" in name for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return ".ckpt" in path.suffixes


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile | None]:
    """The envelope of a checkpoint, ``None`` if it has none.

    :raises MetatrainError: if the file is missing, damaged or too new, now or while it is read
    """
    if not path.is_file():
        raise MetatrainError(f"{path}: no such checkpoint{_older_sibling(path)}.")
    try:
        if not is_sealed(path):
            _check_is_whole(path)
            yield None
            return
        with zipfile.ZipFile(path) as archive:
            _check_format(json.loads(archive.read(RECORD)), path)
            yield archive
    except PermissionError as error:
        raise MetatrainError(f"{path}: may not be read by you.") from error
    # an archive that was damaged may end anywhere, or tell of entries, sizes and texts that
    # are none
    except (
        zipfile.BadZipFile,
        OSError,
        EOFError,
        ValueError,
        KeyError,
        NotImplementedError,
    ) as error:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            raise
        raise MetatrainError(f"{path}: is damaged{_older_sibling(path)}.") from error


def _check_is_whole(path: Path) -> None:
    """Refuse what is the beginning of an archive, as many formats are."""
    with path.open("rb") as file:
        is_archive = file.read(2) == b"PK"
    if is_archive and not zipfile.is_zipfile(path):
        raise zipfile.BadZipFile(path)


def _check_format(record: Any, path: Path) -> None:
    if not isinstance(record, dict) or not isinstance(record.get("format"), int):
        raise _not_ours(path)
    if record["format"] > FORMAT:
        raise MetatrainError(
            f"{path}: written by metatrain {record.get('metatrain')}, whose format "
            f"{record['format']} is newer than {FORMAT}; install that release: "
            f"pip install 'metatrain>={record.get('metatrain')}'."
        )


def _not_ours(path: Path) -> MetatrainError:
    return MetatrainError(
        f"{path}: is not a checkpoint of metatrain {__version__}, which holds tensors and plain "
        "containers alone; nothing of it was run."
    )


def _older_sibling(path: Path) -> str:
    if not path.parent.is_dir():
        return ""
    others = [p for p in path.parent.glob("*.ckpt") if p != path and not p.name.startswith(".")]
    # a name that is nearly the one that was meant, else the newest that is whole
    near = difflib.get_close_matches(path.name, [p.name for p in others], n=1)
    others = [p for p in others if p.name in near] or [p for p in others if zipfile.is_zipfile(p)]
    others.sort(key=lambda p: p.stat().st_mtime, reverse=True)
    return f"; beside it there is {others[0]}" if others else ""
