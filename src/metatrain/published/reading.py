"""From the file to hypers, targets, weights, baselines and scales."""

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from torch import Tensor

from metatrain.data.target import DatasetInfo
from metatrain.errors import MetatrainError
from metatrain.log import logger
from metatrain.published.archive import Archive, UnreadableError
from metatrain.published.contents import dataset_info_of, standardization_of, text
from metatrain.published.pickles import StoredTensor, unpickle
from metatrain.published.tensors import Tensors
from metatrain.standardize import Standardization

TYPICAL_KEYS = ("architecture_name", "model_ckpt_version", "model_data")
STANDARDIZATION_PREFIXES = ("additive_models.0.", "scaler.")
GZIP_MAGIC, ZIP_MAGIC = b"\x1f\x8b", b"PK"
MEBIBYTE = 2**20
MAX_PICKLE = 16 * MEBIBYTE
"""Several hundred times what a model of a thousand tensors needs."""
MAX_EXPANSION = 10
"""Weights hardly shrink when they are compressed; the smallest files do by a factor of 6."""
MAX_HYPERS = 1000
MAX_DEPTH = 10


@dataclass(frozen=True)
class Published:
    """A model of the published metatrain package.

    :param architecture: which architecture wrote it
    :param version: of the architecture's checkpoints
    :param hypers: options of the model, as nested plain values
    :param dataset_info: length unit, atomic types and targets
    :param weights: the best weights by their published names, in their own precision;
        without the tensors of baselines and scales
    :param standardization: baselines and scales
    """

    architecture: str
    version: int
    hypers: dict[str, Any]
    dataset_info: DatasetInfo
    weights: dict[str, Tensor]
    standardization: Standardization

    def check_version(self, architecture: str, oldest: int, newest: int) -> None:
        """Refuse a checkpoint of another architecture, or of a version that is not known.

        As where a model is built from it, the message is the end of a sentence that begins
        with the name of the file.

        :param architecture: the one that is to read the checkpoint
        :param oldest: first version that it knows
        :param newest: last version that it knows
        """
        if self.architecture != architecture:
            raise MetatrainError(
                f"is a checkpoint of {self.architecture!r}, not of {architecture!r}."
            )
        found = f"is a checkpoint of version {self.version} of {architecture}"
        if self.version > newest:
            raise MetatrainError(
                f"{found}, newer than version {newest} known here; install a release that knows "
                "it: pip install --upgrade metatrain."
            )
        if self.version < oldest:
            raise MetatrainError(
                f"{found}, older than version {oldest}; load and save it with metatrain 2026.4.1, "
                "which brings it up to date."
            )

    def tell_of_long_range(self) -> None:
        """Log where long-range features will differ from those of the published package."""
        if (self.hypers.get("long_range") or {}).get("enable"):
            logger.info(
                "long range: the published package predicts with a mesh, and trains with fewer "
                "waves; here all waves of the Ewald sum are taken in both, so that energies of "
                "periodic systems differ in the last digits"
            )


def is_published(path: Path) -> bool:
    """Whether a file looks like a checkpoint of the published package, from how it begins.

    Nothing is unpickled, and a damaged one is still known.
    """
    start = b""
    try:
        with path.open("rb") as file:
            # torch.save puts the pickle first, and does not compress it
            start = file.read(MEBIBYTE)
        if start.startswith(GZIP_MAGIC):
            with gzip.open(path) as file:
                start = file.read(MEBIBYTE)
    except (OSError, EOFError, zlib.error):
        # one whose end is missing may still be what its name says
        return start.startswith(GZIP_MAGIC) and ".ckpt" in path.suffixes
    # as strings stand in a pickle, with their length before them
    keys = (b"X" + len(key).to_bytes(4, "little") + key.encode() for key in TYPICAL_KEYS)
    return start.startswith(ZIP_MAGIC) and all(key in start for key in keys)


def architecture_of(path: Path) -> str:
    """The name of the architecture that wrote a checkpoint of the published package.

    :raises MetatrainError: as :func:`read`
    """
    with _opened(path) as archive:
        return _unpickled(archive)[1]


def read(path: Path) -> Published:
    """Read a checkpoint of the published package; nothing in the file is run.

    :raises MetatrainError: if it is missing, damaged, or holds what no checkpoint needs
    """
    with _opened(path) as archive:
        return _read(archive)


@contextmanager
def _opened(path: Path) -> Iterator[Archive]:
    """The archive of a checkpoint; whatever is wrong with it is said in one line."""
    if not path.is_file():
        raise MetatrainError(f"{path}: no such checkpoint.")
    try:
        with path.open("rb") as file:
            is_compressed = file.read(2) == GZIP_MAGIC
            with Archive(_decompressed(file) if is_compressed else file) as archive:
                yield archive
    except PermissionError as error:
        raise MetatrainError(f"{path}: may not be read by you.") from error
    except UnreadableError as error:
        raise MetatrainError(f"{path}: {error}.") from error
    except MemoryError:
        raise
    # Whatever zipfile, zlib and numpy raise for damaged bytes, the file is what to mend.
    except Exception as error:
        raise MetatrainError(f"{path}: is damaged.") from error


def _decompressed(file: IO[bytes]) -> IO[bytes]:
    size = file.seek(0, 2)
    file.seek(0)
    expanded = io.BytesIO()
    with gzip.open(file) as content:
        while part := content.read(MEBIBYTE):
            expanded.write(part)
            if expanded.tell() > MAX_EXPANSION * size + MEBIBYTE:
                raise UnreadableError(
                    f"expands to more than {MAX_EXPANSION} times its size, as no checkpoint does"
                )
    return expanded


def _root(archive: Archive) -> str:
    """The one folder that a file of torch.save has everything in."""
    roots = [name.partition("/")[0] for name in archive.names if name.endswith("/data.pkl")]
    if len(roots) != 1 or f"{roots[0]}/data.pkl" not in archive.names:
        raise UnreadableError("is damaged, or no checkpoint")
    if archive.size_of(f"{roots[0]}/data.pkl") > MAX_PICKLE:
        raise UnreadableError(f"has a pickle of more than {MAX_PICKLE // MEBIBYTE} MiB")
    return roots[0]


def _unpickled(archive: Archive) -> tuple[dict[str, Any], str]:
    """The top level of a checkpoint, and which architecture wrote it."""
    root = _root(archive)
    if f"{root}/byteorder" in archive.names and archive.read(f"{root}/byteorder") != b"little":
        raise UnreadableError("was not written by a little-endian machine")
    content = unpickle(archive.read(f"{root}/data.pkl"))
    if type(content) is not dict or not content.keys() >= set(TYPICAL_KEYS):
        raise UnreadableError("is not a checkpoint of the published metatrain package")
    architecture = text(content["architecture_name"])
    # A name such as module:Thing would have a module of the file's choice imported.
    if not re.fullmatch(r"[\w.]+", architecture):
        raise UnreadableError("is damaged")
    return content, architecture


def _read(archive: Archive) -> Published:
    content, architecture = _unpickled(archive)
    tensors = Tensors(archive, f"{_root(archive)}/data")
    info = dataset_info_of(content["model_data"]["dataset_info"].state, tensors.tensor)
    weights = {
        text(name): tensors.tensor(value)
        for name, value in _best(content).items()
        if isinstance(value, StoredTensor)
    }
    buffers = {n: weights.pop(n) for n in list(weights) if n.startswith(STANDARDIZATION_PREFIXES)}
    return Published(
        architecture,
        int(content["model_ckpt_version"]),
        _plain(content["model_data"]["model_hypers"]),
        info,
        weights,
        standardization_of(buffers, info),
    )


def _best(content: dict[str, Any]) -> dict[str, Any]:
    """The weights of the best epoch; the last ones where no epoch was the best."""
    best = content.get("best_model_state_dict")
    if best is None:
        logger.info("the checkpoint has no best weights: the last ones are taken")
        best = content["model_state_dict"]
    return best


def _plain(hypers: Any) -> dict[str, Any]:
    """The same options, after a look whether they are plain values, and not too many."""
    found = [(hypers, 0)]
    for value, depth in found:
        if depth > MAX_DEPTH or len(found) > MAX_HYPERS:
            raise UnreadableError("is damaged")
        if type(value) is dict and all(type(key) is str for key in value):
            found.extend((inner, depth + 1) for inner in value.values())
        elif type(value) in (list, tuple):
            found.extend((inner, depth + 1) for inner in value)
        elif not (value is None or type(value) in (bool, int, float, str)):
            raise UnreadableError("is damaged")
    if type(hypers) is not dict:
        raise UnreadableError("is damaged")
    return hypers
