"""What a published checkpoint says of its data: targets, baselines and scales."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from metatrain.data.target import DatasetInfo, Target
from metatrain.log import logger
from metatrain.published.archive import UnreadableError
from metatrain.published.blocks import Block, read_blocks
from metatrain.published.pickles import Record, StoredTensor
from metatrain.standardize import Standardization

SAMPLE_KINDS: dict[Any, Literal["system", "atom"]] = {
    ("system",): "system",
    ("system", "atom"): "atom",
}
MAX_ATOMIC_TYPE = 1000
MAX_VALUES = 100_000
"""Of a target per sample; a layout without samples can claim any number."""

ReadTensor = Callable[[StoredTensor], Tensor]


def dataset_info_of(state: dict[str, Any], read: ReadTensor) -> DatasetInfo:
    """What the model was told about its data set.

    :param state: of the record in the checkpoint
    :param read: gives the tensors of the checkpoint
    """
    length_unit = text(state["length_unit"])
    if not length_unit:
        length_unit = "angstrom"
        logger.info("the checkpoint does not say its length_unit: angstrom is assumed")
    types = state["_atomic_types"]
    if not types or not all(type(t) is int and 0 < t <= MAX_ATOMIC_TYPE for t in types):
        raise UnreadableError("is damaged")
    records = state["targets"].items()
    targets = {text(name): _target(name, record.state, read) for name, record in records}
    if not targets:
        raise UnreadableError("has no targets")
    return DatasetInfo(length_unit, sorted(set(types)), targets)


def text(value: Any) -> str:
    """A text of one line, as names and units are."""
    if type(value) is not str or not value.isprintable():
        raise UnreadableError("is damaged")
    return value


def _description(value: Any) -> str:
    """A text that may have been broken into lines, or may be missing."""
    if value is None:
        return ""
    if type(value) is not str:
        raise UnreadableError("is damaged")
    return text(" ".join(value.split()))


def _target(name: str, state: dict[str, Any], read: ReadTensor) -> Target:
    """The target of that name, if it is one that ours can be."""
    blocks = read_blocks(_buffer_of(state["layout"], read))
    if not blocks or state.get("is_atomic_basis"):
        raise UnreadableError(
            f"has the target {name!r} on a basis per atom, which is not known here"
        )
    first = blocks[0]
    is_spherical = list(first.key) == ["o3_lambda", "o3_sigma"]
    target = Target(
        name,
        quantity=text(state["quantity"]),
        unit=text(state["unit"]),
        sample_kind=SAMPLE_KINDS[first.samples.dtype.names],
        num_properties=first.values.shape[-1],
        rank=0 if is_spherical else first.values.ndim - 2,
        irreps=tuple((b.key["o3_lambda"], b.key["o3_sigma"]) for b in blocks if is_spherical),
        has_forces="positions" in first.gradients,
        has_stress="strain" in first.gradients,
        description=_description(state.get("description")),
    )
    shapes = [block.values.shape[1:] for block in blocks]
    expected = [(*block.shape, target.num_properties) for block in target.blocks]
    kinds = {block.samples.dtype.names for block in blocks}
    is_known = shapes == expected and len(kinds) == 1 and target.rank <= 2
    if not is_known or target.num_values > MAX_VALUES:
        raise UnreadableError(f"has the target {name!r} of a kind that is not known here")
    return target


def _buffer_of(record: Record, read: ReadTensor) -> Tensor:
    payload, kind = record.state
    if not kind.endswith(".metatensor.TensorMap"):
        raise UnreadableError("is damaged")
    return read(payload)


def standardization_of(buffers: dict[str, Tensor], info: DatasetInfo) -> Standardization:
    """Baselines and scales of all targets.

    :param buffers: of the composition model and the scaler, by their names
    :param info: the atomic types and the targets
    """
    baselines, scales = {}, {}
    for name, target in info.targets.items():
        baseline = buffers.get(f"additive_models.0.{name}_composition_buffer")
        scale = buffers.get(f"scaler.{name}_scaler_buffer")
        baselines[name] = _baseline(target, info.atomic_types, _blocks(baseline))
        scales[name] = _scale(target, len(info.atomic_types), _blocks(scale))
    return Standardization(info.atomic_types, baselines, scales)


def _blocks(buffer: Tensor | None) -> list[Block]:
    return [] if buffer is None else read_blocks(buffer)


def _baseline(target: Target, atomic_types: list[int], blocks: list[Block]) -> Tensor:
    """(T, V): zero where the composition model has no block."""
    baseline = torch.zeros(len(atomic_types), target.num_values, dtype=torch.float64)
    for block in blocks:
        order = np.argsort(block.samples["center_type"])
        if block.samples["center_type"][order].tolist() != atomic_types:
            raise UnreadableError("is damaged")
        values = block.values[order].reshape(len(atomic_types), -1)
        baseline[:, _columns(target, block)] = torch.from_numpy(values)
    return baseline


def _scale(target: Target, num_types: int, blocks: list[Block]) -> Tensor:
    """(1, V), or (T, V) where atoms of each type have a scale of their own."""
    is_per_type = any(len(block.samples) > 1 for block in blocks)
    scale = torch.ones(num_types if is_per_type else 1, target.num_values, dtype=torch.float64)
    for block in blocks:
        types = block.samples["atomic_type"].tolist()
        if types not in ([-1], list(range(num_types))):
            raise UnreadableError("is damaged")
        columns = _columns(target, block)
        num_components = (columns.stop - columns.start) // target.num_properties
        # The components of a tensor share their scale.
        scale[:, columns] = torch.from_numpy(np.tile(block.values, num_components))
    return scale


def _columns(target: Target, block: Block) -> slice:
    """Where the values of a block stand in a row of the target."""
    key = tuple(block.key[name] for name in target.key_names)
    (columns,) = (known.columns for known in target.blocks if known.key == key)
    return columns
