"""What a model may be told of a system beside its atoms: its charge and spin multiplicity."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from torch import Tensor

from metatrain.data.frames import NUMBER_KINDS, Frames
from metatrain.errors import MetatrainError


@dataclass(frozen=True)
class SystemInput:
    """One number per system, under the name that metatomic has for it.

    :param keys: what files call it; of those that a system has, the first counts
    :param default: of a system that has none
    :param unit: its unit
    """

    keys: tuple[str, ...]
    default: int
    unit: str = ""


SYSTEM_INPUTS = {
    "charge": SystemInput(("charge",), 0, "e"),
    # metatomic's calculator for ASE, too, takes 'spin' for a multiplicity; files that mean
    # something else by it mostly have the multiplicity beside it
    "spin_multiplicity": SystemInput(("spin_multiplicity", "multiplicity", "spin"), 1),
}


def default_inputs(num_systems: int) -> dict[str, Tensor]:
    """Neutral singlets, as :attr:`Columns.inputs`."""
    return {
        name: torch.full((num_systems,), float(one.default), dtype=torch.float64)
        for name, one in SYSTEM_INPUTS.items()
    }


def inputs_in(frames: Frames) -> dict[str, Tensor]:
    """What a file tells of its systems, as :attr:`Columns.inputs`."""
    inputs = default_inputs(len(frames))
    for name, one in SYSTEM_INPUTS.items():
        # the key that counts comes last
        for key in reversed(one.keys):
            column = frames.system_data.get(key)
            if column is not None:
                for system in np.flatnonzero(column.is_present):
                    inputs[name][system] = _number(column.values[system])
    return inputs


def _number(value: Any) -> float:
    """The number, NaN if it is none, or several."""
    array = np.asarray(value)
    is_number = array.size == 1 and array.dtype.kind in NUMBER_KINDS
    return float(array.item()) if is_number else np.nan


def check_names(names: Iterable[str]) -> None:
    """Refuse a model that asks for something else of each system."""
    for name in names:
        if name not in SYSTEM_INPUTS:
            raise MetatrainError(
                f"the model asks for {name!r} of each system, beside atoms and pairs; metatrain "
                f"knows {' and '.join(map(repr, SYSTEM_INPUTS))} only."
            )


def tensor_map_of(name: str, value: Tensor) -> TensorMap:
    """The value of one system as metatomic keeps it.

    :param name: one of :data:`SYSTEM_INPUTS`
    :param value: one number
    """
    zero = torch.tensor([[0]])
    block = TensorBlock(
        values=value.reshape(1, 1),
        samples=Labels(["system"], zero),
        components=[],
        properties=Labels([name], zero),
    )
    tensor_map = TensorMap(Labels(["_"], zero), [block])
    tensor_map.set_info("unit", SYSTEM_INPUTS[name].unit)
    return tensor_map
