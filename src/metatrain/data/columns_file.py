"""Columns in a file of their own, which is mapped into memory instead of being read."""

import json
import secrets
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from metatrain.data.columns import Columns

# Arrays one after the other, a description of them in JSON, and then two numbers of eight
# bytes: the size of the description, and the checksum of all that stands before it.
ALIGNMENT = 64
NUMBER_SIZE = 8
BLOCK_SIZE = 1 << 20


def write_columns(columns: Columns, path: Path) -> None:
    """Write a file that is complete or not there.

    It is not synced: after a failure of the machine, its checksum tells that it is damaged.
    """
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            checksum = 0
            for piece in _pieces(columns):
                checksum = zlib.crc32(piece, checksum)
                file.write(piece)
            file.write(_as_bytes(checksum))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _pieces(columns: Columns) -> Iterator[bytes | memoryview]:
    entries, end = [], 0
    for name, array in columns.arrays().items():
        numbers = array.contiguous().numpy()
        padding = bytes(-end % ALIGNMENT)
        offset, end = end + len(padding), end + len(padding) + numbers.nbytes
        entries.append([name, offset, numbers.shape, numbers.dtype.str])
        yield padding
        yield numbers.reshape(-1).data.cast("B")
    described = [entries, columns.origin.files, sorted(columns.targets_per_atom)]
    text = json.dumps(described).encode()
    yield text
    yield _as_bytes(len(text))


def open_columns(path: Path) -> Columns:
    """The columns of a file; a ``ValueError`` if it is damaged.

    Its numbers come from the disk when they are looked at, and what is done to them does not
    come to the file. The memory of an array is given back when nobody has the array any more.
    """
    size = path.stat().st_size - NUMBER_SIZE
    with path.open("rb") as file:
        if size < NUMBER_SIZE or _as_bytes(_checksum(file, size)) != file.read():
            raise ValueError(f"{path} is damaged")
        file.seek(size - NUMBER_SIZE)
        text_size = int.from_bytes(file.read(NUMBER_SIZE), "little")
        file.seek(size - NUMBER_SIZE - text_size)
        entries, files, targets_per_atom = json.loads(file.read(text_size))
    arrays = {
        (kind, name): _mapped(path, offset, tuple(shape), np.dtype(dtype))
        for (kind, name), offset, shape, dtype in entries
    }
    return Columns.of_arrays(arrays, files, targets_per_atom)


def _mapped(path: Path, offset: int, shape: tuple[int, ...], dtype: np.dtype) -> Tensor:
    if 0 in shape:  # nothing cannot be mapped
        return torch.from_numpy(np.empty(shape, dtype))
    return torch.from_numpy(np.memmap(path, dtype, mode="c", offset=offset, shape=shape))


def _as_bytes(number: int) -> bytes:
    return number.to_bytes(NUMBER_SIZE, "little")


def _checksum(file: BinaryIO, size: int) -> int:
    """The checksum of the next bytes."""
    checksum = 0
    while size > 0 and (block := file.read(min(size, BLOCK_SIZE))):
        checksum = zlib.crc32(block, checksum)
        size -= len(block)
    return checksum
