"""Fields of a dataclass of options: they carry their meaning and their allowed range."""

import dataclasses
from typing import Any


def hyper(
    default: Any,
    meaning: str,
    *,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    choices: tuple[Any, ...] | None = None,
    plugin: str | None = None,
    instead_of: dict[str, str] | None = None,
) -> Any:
    """A dataclass field for one option.

    The range is checked when the options file is read, before any data is.

    :param default: value if the user gives none; a frozen dataclass *type* opens a
        nested section with the defaults of that type
    :param meaning: one line for the documentation: what the option does, with its unit
    :param minimum: the least allowed value
    :param above: a bound that the value must exceed
    :param maximum: the greatest allowed value
    :param choices: the allowed values, if they are few
    :param plugin: the kind of plug-in that the value names, such as ``"optimizers"``
    :param instead_of: by the name of an option that others have for the same, what to write here
    """
    bounds = {"minimum": minimum, "above": above, "maximum": maximum, "choices": choices}
    metadata: dict[str, Any] = {"meaning": meaning}
    if plugin is not None:
        metadata["plugin"] = plugin
    if instead_of is not None:
        metadata["instead_of"] = instead_of
    metadata |= {name: bound for name, bound in bounds.items() if bound is not None}
    if isinstance(default, type):
        return dataclasses.field(default_factory=default, metadata=metadata)
    if isinstance(default, dict | list):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)
