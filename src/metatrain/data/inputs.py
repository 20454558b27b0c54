"""What a model may be told of a system beside its atoms: its charge and spin multiplicity."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metatrain.data.frames import NUMBER_KINDS, Column, Frames
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
                inputs[name][torch.from_numpy(column.is_present)] = _numbers(column)
    return inputs


def _numbers(column: Column) -> Tensor:
    """The number of each system that has the key."""
    values = column.values[column.is_present]
    if values.dtype.kind in NUMBER_KINDS and values[:1].size == 1:
        return torch.from_numpy(values.reshape(-1).astype(np.float64))
    return torch.tensor([_number(value) for value in values], dtype=torch.float64)


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
