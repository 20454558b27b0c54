"""From the descriptions of tensors to tensors."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metatrain.published.archive import Archive, UnreadableError
from metatrain.published.pickles import Storage, StoredTensor

MAX_DIMENSIONS = 8


class Tensors:
    """Reads the tensors of a checkpoint, each storage once.

    :param archive: the checkpoint
    :param folder: where in it the storages are
    """

    def __init__(self, archive: Archive, folder: str) -> None:
        self._archive = archive
        self._folder = folder
        self._read: dict[str, Tensor] = {}

    def tensor(self, stored: StoredTensor) -> Tensor:
        """The tensor, after a check that all of it is inside its storage."""
        numbers = self._numbers(stored.storage)
        shape, strides = _sizes(stored.shape), _sizes(stored.strides)
        (offset,) = _sizes((stored.offset,))
        if len(shape) != len(strides):
            raise UnreadableError("is damaged")
        if math.prod(shape) == 0:
            return torch.zeros(shape, dtype=numbers.dtype)
        last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
        # A tensor of more numbers than its storage would be a way to fill the memory.
        if last >= len(numbers) or math.prod(shape) > len(numbers):
            raise UnreadableError("has a tensor that reaches beyond its storage")
        return numbers.as_strided(shape, strides, offset).clone()

    def _numbers(self, storage: Storage) -> Tensor:
        if storage.key not in self._read:
            content = self._archive.read(f"{self._folder}/{storage.key}")
            dtype = np.dtype(storage.dtype).newbyteorder("<")
            if len(content) != storage.size * dtype.itemsize:
                raise UnreadableError("has a tensor that reaches beyond its storage")
            numbers = np.frombuffer(content, dtype).astype(storage.dtype)
            self._read[storage.key] = torch.from_numpy(numbers)
        return self._read[storage.key]


def _sizes(values: Any) -> tuple[int, ...]:
    """A tuple of a few numbers of which none is negative."""
    is_tuple = type(values) is tuple and len(values) <= MAX_DIMENSIONS
    if not is_tuple or not all(type(v) is int and 0 <= v < 2**31 for v in values):
        raise UnreadableError("is damaged")
    return values
