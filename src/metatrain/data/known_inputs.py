"""The charges and spin multiplicities of a data set, and those a model knows."""

import math
from collections.abc import Collection, Mapping

import torch

from metatrain.data.columns import Columns
from metatrain.data.inputs import SYSTEM_INPUTS
from metatrain.errors import MetatrainError


def check_inputs(columns: Columns, known: Mapping[str, range], *, where: str, way_out: str) -> None:
    """Refuse what a model does not know, naming the first system that has it.

    :param columns: the systems
    :param known: by the name of each input, the values that the model knows
    :param where: the beginning of the message, such as ``"test_set: "``
    :param way_out: the end of the message
    """
    for name, numbers in known.items():
        values = columns.inputs[name]
        is_known = torch.isin(values, torch.tensor(numbers, dtype=values.dtype))
        if is_known.all():
            continue
        system = int(torch.nonzero(~is_known)[0])
        value = float(values[system])
        keys = ", ".join(map(repr, SYSTEM_INPUTS[name].keys))
        raise MetatrainError(
            f"{where}{columns.origin.where(system)}: {name} (read from {keys}) is "
            f"{'no single number' if math.isnan(value) else f'{value:g}'}, but the model knows "
            f"whole numbers from {numbers[0]} to {numbers[-1]} only; {way_out}."
        )


def overlooked(columns: Columns, seen: Collection[str]) -> list[str]:
    """Of what the systems differ in and a model does not look at, a description each.

    :param columns: the systems
    :param seen: names of the inputs that the model looks at
    """
    texts = []
    for name in SYSTEM_INPUTS.keys() - seen:
        values = columns.inputs[name]
        values = values[~values.isnan()]
        if len(values) and values.min() < values.max():
            texts.append(f"{name} ({values.min():g} to {values.max():g})")
    return sorted(texts)
