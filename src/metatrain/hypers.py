"""Options of a plug-in: fields that carry their meaning and their allowed range."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from metatrain.errors import MetatrainError, did_you_mean


def hyper(
    default: Any,
    meaning: str,
    *,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    choices: tuple[Any, ...] | None = None,
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
    """
    bounds = {"minimum": minimum, "above": above, "maximum": maximum, "choices": choices}
    metadata: dict[str, Any] = {"meaning": meaning}
    metadata |= {name: bound for name, bound in bounds.items() if bound is not None}
    if isinstance(default, type):
        return dataclasses.field(default_factory=default, metadata=metadata)
    if isinstance(default, dict | list):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def with_options(plugin: Any, options: Mapping[str, Any], where: str) -> Any:
    """A plug-in with the options that the user gave, their names, types and ranges checked.

    :param plugin: a frozen dataclass; its fields are its options
    :param options: what the user gave
    :param where: key of the plug-in in the options file, for messages
    """
    if not (isinstance(plugin, type) and dataclasses.is_dataclass(plugin)):
        raise MetatrainError(
            f"{where}: {plugin!r} is no plug-in; a plug-in is a dataclass whose fields are its "
            "options."
        )
    fields = {field.name: field for field in dataclasses.fields(plugin)}
    for name in options:
        if name not in fields:
            raise MetatrainError(
                f"{where}.{name}: unknown option{did_you_mean(str(name), fields) or ';'} "
                f"allowed: {', '.join(fields) or 'none'}."
            )
    values = {name: _of_right_type(plugin, name, options[name], where) for name in options}
    for name, value in values.items():
        _check_range(fields[name].metadata, value, f"{where}.{name}")
    try:
        return plugin(**values)
    except (MetatrainError, ValueError) as error:
        raise MetatrainError(f"{where}.{error}") from error


def _of_right_type(plugin: type, name: str, value: Any, where: str) -> Any:
    node = OmegaConf.structured(plugin)
    OmegaConf.set_readonly(node, value=False)
    try:
        OmegaConf.update(node, name, value, merge=False)
    except OmegaConfBaseException as error:
        hint = next(field.type for field in dataclasses.fields(plugin) if field.name == name)
        raise MetatrainError(
            f"{where}.{name}: found {value!r}, expected {getattr(hint, '__name__', hint)}."
        ) from error
    checked = node[name]
    return OmegaConf.to_object(checked) if OmegaConf.is_config(checked) else checked


def _check_range(bounds: Mapping[str, Any], value: Any, where: str) -> None:
    if "choices" in bounds and value not in bounds["choices"]:
        allowed = ", ".join(map(repr, bounds["choices"]))
        raise MetatrainError(f"{where}: found {value!r}, expected one of {allowed}.")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    # each comparison is written so that NaN fails it
    if "minimum" in bounds and not value >= bounds["minimum"]:
        raise MetatrainError(f"{where}: found {value!r}, expected at least {bounds['minimum']}.")
    if "above" in bounds and not value > bounds["above"]:
        raise MetatrainError(f"{where}: found {value!r}, expected more than {bounds['above']}.")
    if "maximum" in bounds and not value <= bounds["maximum"]:
        raise MetatrainError(f"{where}: found {value!r}, expected at most {bounds['maximum']}.")
