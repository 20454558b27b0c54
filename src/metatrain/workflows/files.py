"""Where a run writes, checked before it begins."""

import datetime as dt
import os
import zipfile
from pathlib import Path

from metatrain import checkpoint
from metatrain.errors import MetatrainError

OUTPUTS = Path("outputs")
_LIBRARY_SUFFIXES = {".so", ".dylib", ".dll"}


def check_writable(path: Path, where: str) -> None:
    """Make the folders of an output, and raise unless the file can be written.

    :param where: the option that names the file, for the message
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MetatrainError(
            f"{where} {path}: its folder cannot be made ({error.strerror}); choose another."
        ) from error
    if path.is_dir():
        raise MetatrainError(f"{where} {path}: is a folder; name a file in it.")
    if not os.access(path.parent, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise MetatrainError(f"{where} {path}: may not be written here; choose another place.")


def check_model_name(path: Path) -> None:
    """Raise unless an exported model can be written here, and its checkpoint beside it."""
    if path.suffix != ".pt" and not path.is_dir():
        raise MetatrainError(
            f"-o {path}: the name of an exported model ends in .pt; write '{path.stem}.pt'."
        )
    check_writable(path, "-o")


def check_extensions_folder(folder: Path | None) -> None:
    """Raise unless the folder is new, or holds shared libraries alone.

    Collecting extensions begins by removing all that is in the folder.
    """
    if folder is None or not folder.exists():
        return
    if not folder.is_dir():
        raise MetatrainError(f"-e {folder}: is a file; name a folder.")
    for path in folder.rglob("*"):
        if path.is_file() and not _LIBRARY_SUFFIXES & set(path.suffixes):
            raise MetatrainError(
                f"-e {folder}: holds {path.name!r}, which would be lost; name a new folder."
            )


def check_is_checkpoint(path: Path) -> None:
    """Raise if the path is a folder or an exported model, and name the checkpoints near it."""
    if path.is_dir():
        inside = sorted(found.name for found in path.glob("*.ckpt"))
        found = f"it holds {', '.join(inside)}" if inside else "it holds none"
        raise MetatrainError(f"{path}: is a folder, expected a checkpoint; {found}.")
    if zipfile.is_zipfile(path) and not checkpoint.is_checkpoint(path):
        beside = path.with_suffix(".ckpt")
        way_out = f"take {beside}" if beside.is_file() else "take the .ckpt file of its run"
        raise MetatrainError(f"{path}: is an exported model, expected a checkpoint; {way_out}.")


def new_run_folder() -> Path:
    """A new folder ``outputs/<date>/<time>`` for everything a run leaves behind."""
    now = dt.datetime.now().astimezone()
    name = f"{now:%H-%M-%S}"
    for attempt in range(1000):
        folder = OUTPUTS / f"{now:%Y-%m-%d}" / (f"{name}-{attempt}" if attempt else name)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise MetatrainError(
                f"{folder}: cannot be made ({error.strerror}); run where you may write."
            ) from error
        return folder
    raise MetatrainError(f"{OUTPUTS / name}: a thousand runs began in this second.")


def newest_checkpoint(architecture: str) -> Path:
    """The ``last.ckpt`` of the newest run of an architecture that has one."""
    found = sorted(OUTPUTS.glob("*/*/last.ckpt"), key=lambda path: path.stat().st_mtime)
    for path in reversed(found):
        if _is_perhaps_of(path, architecture):
            return path
    raise MetatrainError(
        f"--restart auto: no run of {architecture!r} under {OUTPUTS}/ has a last.ckpt; "
        "give the path of a checkpoint, or leave --restart out."
    )


def _is_perhaps_of(path: Path, architecture: str) -> bool:
    """Whether a checkpoint is of an architecture; a damaged one may be, and is to be named."""
    try:
        run = checkpoint.run_of(path)
    except MetatrainError:
        return True
    return run is not None and is_same_name(run.architecture["name"], architecture)


def is_same_name(one: str, other: str) -> bool:
    """Whether two names are of one architecture: either may say its package, ``package:name``."""
    return one.rpartition(":")[2] == other.rpartition(":")[2]
