"""Checkpoints: tensors and plain containers, written so that a crash never harms an old one."""

import dataclasses
import pickle
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

FORMAT = 1
"""Version of the container; what is inside has versions of its own."""


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
def recording(run: RunRecord) -> Iterator[None]:
    """Within this context, :func:`save` adds ``run`` to every checkpoint.

    A trainer saves checkpoints on its own account and is not told of splits or options;
    this keeps them with what it saves.
    """
    token = _current_run.set(run)
    try:
        yield
    finally:
        _current_run.reset(token)


def save(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint of tensors and plain containers.

    :param path: where to; an older file stays until the new one is complete
    :param content: ``model`` for :meth:`GraphModel.from_container`, ``trainer`` for the
        trainer; nothing that ``torch.load(weights_only=True)`` would refuse
    """
    run = _current_run.get()
    header = {"format": FORMAT, "metatrain": __version__}
    if run is not None:
        header["run"] = dataclasses.asdict(run)
    with replacing(path) as temporary:
        torch.save({"header": header, **content}, temporary)


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint; nothing in the file is run.

    :raises MetatrainError: if it is missing, damaged, no checkpoint, or too new
    """
    if not path.is_file():
        raise MetatrainError(f"{path}: no such checkpoint{_older_sibling(path)}.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError as error:
        raise MetatrainError(f"{path}: may not be read by you.") from error
    except Exception as error:
        # Whatever torch and zipfile raise for damaged bytes, the file is what to mend.
        what = _what_is_wrong(path, error)
        raise MetatrainError(f"{path}: {what}{_older_sibling(path)}.") from error
    header = content.get("header") if isinstance(content, dict) else None
    if not isinstance(header, dict) or not {"format", "metatrain"} <= header.keys():
        raise MetatrainError(f"{path}: is not a checkpoint of metatrain {__version__}.")
    if header["format"] > FORMAT:
        raise MetatrainError(
            f"{path}: written by metatrain {header['metatrain']}, whose format "
            f"{header['format']} is newer than {FORMAT}; install that release: "
            f"pip install 'metatrain>={header['metatrain']}'."
        )
    return content


def run_record(path: Path, content: dict[str, Any]) -> RunRecord:
    """The run that wrote a loaded checkpoint."""
    if "run" not in content["header"]:
        raise MetatrainError(f"{path}: does not say which architecture wrote it.")
    return RunRecord(**content["header"]["run"])


def is_checkpoint(path: Path) -> bool:
    """Whether ``path`` is a checkpoint rather than an exported model, from its name list alone."""
    try:
        with zipfile.ZipFile(path) as archive:
            # an exported TorchScript model has its code inside, a checkpoint has none
            return not any("/code/" in name for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return path.suffix == ".ckpt"


def _what_is_wrong(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        is_archive = file.read(2) == b"PK"
    is_whole = zipfile.is_zipfile(path)
    if is_archive and not (is_whole and isinstance(error, pickle.UnpicklingError)):
        return "is damaged"
    return (
        f"is not a checkpoint of metatrain {__version__}, which holds tensors and plain "
        "containers alone; nothing of it was run"
    )


def _older_sibling(path: Path) -> str:
    if not path.parent.is_dir():
        return ""
    others = [p for p in path.parent.glob("*.ckpt") if p != path and not p.name.startswith(".")]
    others.sort(key=lambda p: p.stat().st_mtime, reverse=True)
    return f"; beside it there is {others[0]}" if others else ""
