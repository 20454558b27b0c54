"""The elements of a data set, and those a model knows."""

from collections.abc import Iterable, Sequence

import torch
from ase.data import chemical_symbols

from metatrain.data.columns import Columns
from metatrain.errors import MetatrainError


def symbol(number: int) -> str:
    """The symbol of an element; ``type 150`` for a number that is none."""
    return chemical_symbols[number] if number < len(chemical_symbols) else f"type {number}"


def symbols(numbers: Iterable[int]) -> str:
    """The symbols of elements, for a message."""
    return ", ".join(map(symbol, numbers))


def check_atomic_types(columns: Columns, known: Sequence[int], *, where: str, way_out: str) -> None:
    """Refuse atoms that a model does not know, naming the first system that has one.

    :param columns: the systems
    :param known: atomic numbers
    :param where: the beginning of the message, such as ``"test_set: "``
    :param way_out: the end of the message
    """
    is_unknown = ~torch.isin(columns.types, torch.tensor(known))
    if not is_unknown.any():
        return
    system = int(columns.system_of_atom[is_unknown][0])
    unknown = torch.unique(columns.types[is_unknown]).tolist()
    raise MetatrainError(
        f"{where}{columns.origin.where(system)}: holds {symbols(unknown)}, but the model knows "
        f"{symbols(known)} only; {way_out}."
    )
