"""The buffers in which metatensor stores a ``TensorMap``: a zip archive of arrays."""

import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib import format as npy
from torch import Tensor

from metatrain.published.archive import Archive, UnreadableError


@dataclass(frozen=True)
class Block:
    """One block of a ``TensorMap``.

    :param key: name and value of each dimension of the key
    :param samples: structured array, a field for each dimension of the samples
    :param values: (samples, components..., properties)
    :param gradients: what there are derivatives by
    """

    key: dict[str, int]
    samples: Any
    values: Any
    gradients: frozenset[str]


def read_blocks(buffer: Tensor) -> list[Block]:
    """The blocks of a ``TensorMap``.

    :param buffer: the bytes as numbers
    """
    with Archive(io.BytesIO(buffer.numpy().tobytes())) as archive:
        keys = _labels(archive.read("keys.npy"))
        return [
            _read_block(archive, dict(zip(keys.dtype.names, row, strict=True)), index)
            for index, row in enumerate(keys.tolist())
        ]


def _read_block(archive: Archive, key: dict[str, int], index: int) -> Block:
    folder = f"blocks/{index}"
    samples = _labels(archive.read(f"{folder}/samples.npy"))
    values = _array(archive.read(f"{folder}/values.npy"))
    if values.dtype != np.float64 or values.ndim < 2 or len(values) != len(samples):
        raise UnreadableError("is damaged")
    gradients = f"{folder}/gradients/"
    names = (name.removeprefix(gradients) for name in archive.names if name.startswith(gradients))
    return Block(key, samples, values, frozenset(name.partition("/")[0] for name in names))


def _labels(content: bytes) -> Any:
    labels = _array(content)
    fields = labels.dtype.fields
    if labels.ndim != 1 or not fields or any(kind != np.int32 for kind, *_ in fields.values()):
        raise UnreadableError("is damaged")
    return labels


def _array(content: bytes) -> Any:
    """An array in numpy's format, which may not claim to be larger than it is."""
    file = io.BytesIO(content)
    if npy.read_magic(file) != (1, 0):
        raise UnreadableError("is damaged")
    shape, is_fortran_ordered, dtype = npy.read_array_header_1_0(file)
    size = math.prod(shape) * dtype.itemsize
    if dtype.hasobject or is_fortran_ordered or size != len(content) - file.tell():
        raise UnreadableError("is damaged")
    return np.ndarray(shape, dtype, content, file.tell())
