"""Where a run writes, checked before it begins."""

import datetime as dt
import os
from pathlib import Path

from metatrain.errors import MetatrainError

OUTPUTS = Path("outputs")


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


def newest_checkpoint() -> Path:
    """The ``last.ckpt`` of the newest run that has one."""
    found = sorted(OUTPUTS.glob("*/*/last.ckpt"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise MetatrainError(
            f"--restart auto: no run under {OUTPUTS}/ has a last.ckpt; "
            "give the path of a checkpoint, or leave --restart out."
        )
    return found[-1]
