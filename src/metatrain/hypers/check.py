"""Typed sections: from a mapping to a frozen dataclass, all of it checked."""

import dataclasses
import math
import re
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from metatrain.errors import MetatrainError
from metatrain.hypers import mistakes
from metatrain.hypers.mistakes import Origin, Place

Section = TypeVar("Section")


def build(schema: type[Section], given: Any, place: Place) -> Section:
    """The section as an instance of ``schema``, all of it checked.

    Names, types and ranges (``metatrain.hypers.hyper``) are checked in sections of any
    depth; then ``__post_init__`` of each schema may refuse what does not go together.

    :param schema: a dataclass; a field that is a dataclass is a section of its own
    :param given: what stands in the file; ``None`` is an empty section
    :param place: where it stands
    """
    fields = {field.name: field for field in dataclasses.fields(_as_dataclass(schema))}
    instead: dict[str, str] = {}
    for field in fields.values():
        instead |= field.metadata.get("instead_of", {})
    given = as_section(given, fields, place, instead)
    hints = typing.get_type_hints(schema)
    values = {}
    for name, field in fields.items():
        if name in given:
            values[name] = _checked(field, hints[name], given[name], place / name)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            meaning = field.metadata.get("meaning", mistakes.expected(hints[name]))
            raise mistakes.missing_option(place, name, meaning)
    try:
        return schema(**values)
    except (MetatrainError, ValueError) as error:
        raise mistakes.within(place, error) from error


def with_options(plugin: Any, options: Mapping[str, Any], where: str) -> Any:
    """A plug-in with the options that the user gave, checked as a section of its own.

    :param plugin: a frozen dataclass; its fields are its options
    :param options: what the user gave
    :param where: key of the plug-in in the options file, for messages
    """
    if not (isinstance(plugin, type) and dataclasses.is_dataclass(plugin)):
        raise MetatrainError(
            f"{where}: {plugin!r} is no plug-in; a plug-in is a dataclass whose fields are its "
            "options."
        )
    return build(plugin, options, Place(Origin(""), where))


def restored(schema: type | None, container: dict[str, Any]) -> Any:
    """Options from a checkpoint; those added since it was written take their defaults.

    :param schema: the dataclass; ``None`` leaves the container as it is
    :param container: what :func:`plain` gave
    """
    return container if schema is None else build(schema, container, Place(Origin("checkpoint")))


def unusable_fields(schema: type) -> list[str]:
    """What keeps a dataclass from being a section of options: the first such field, and why.

    :param schema: a dataclass, sections within it included
    """
    try:
        OmegaConf.structured(schema)
    # defaults and annotations are a plug-in's own code, which may raise anything
    except Exception as error:  # noqa: BLE001
        field = getattr(error, "full_key", "") or schema.__name__
        return [f"{field} cannot be an option: {str(error).partition(chr(10))[0]}"]
    return []


def as_section(
    given: Any, allowed: Iterable[str], place: Place, instead: Mapping[str, str] | None = None
) -> Mapping[str, Any]:
    """The mapping that stands at ``place``, after a look at the names of its keys.

    :param instead: by names that are not allowed, but known, what to write instead
    """
    allowed = list(allowed)
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise mistakes.wrong_type(place, given, mistakes.section_of(allowed))
    for name in given:
        if name not in allowed:
            if instead and name in instead:
                raise (place / name).mistake(f"unknown option; write {instead[name]!r}")
            raise mistakes.unknown_option(place, name, allowed)
    return given


def defaults(schema: type) -> dict[str, Any]:
    """Plain values that the fields of a dataclass have if nothing is given."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(_as_dataclass(schema)):
        if field.default is not dataclasses.MISSING:
            values[field.name] = plain(field.default)
        elif field.default_factory is not dataclasses.MISSING:
            values[field.name] = plain(field.default_factory())
    return values


def escaped(value: Any) -> Any:
    """The same value, with ``${`` in its texts so that it is no interpolation.

    :param value: text, or containers of it; other values stay as they are
    """
    if isinstance(value, str):
        return re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + "\\${", value)
    if isinstance(value, dict):
        return {key: escaped(item) for key, item in value.items()}
    return [escaped(item) for item in value] if isinstance(value, list) else value


def plain(value: Any) -> Any:
    """The same, with dictionaries for dataclasses and lists for tuples."""
    if dataclasses.is_dataclass(value):
        return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def _checked(field: "dataclasses.Field[Any]", hint: Any, value: Any, place: Place) -> Any:
    """The value of one field: converted, of the right type, within its range."""
    inner, is_optional = without_none(hint)
    if inner is Any or (value is None and is_optional):
        _check_range(field.metadata, value, place)
        return value
    if dataclasses.is_dataclass(inner):
        return build(typing.cast("type", inner), value, place)
    section, inner = without_section(inner)
    if section is not None and isinstance(value, Mapping):
        return build(section, value, place)
    choices = field.metadata.get("choices")
    if isinstance(value, bool) and choices and "on" in choices:
        # as YAML 1.1 reads on and off
        value = "on" if value else "off"
    is_container = typing.get_origin(inner) in (dict, list, tuple)
    wanted = mistakes.one_of(choices) if choices and not is_container else mistakes.expected(hint)
    if _is_silently_converted(inner, value):
        raise mistakes.wrong_type(place, value, wanted)
    # OmegaConf knows which values a type takes
    node = OmegaConf.structured(_of_one_field(field.name, inner if section else hint))
    try:
        OmegaConf.update(node, field.name, escaped(value), merge=False)
    except OmegaConfBaseException as error:
        raise mistakes.wrong_type(place, value, wanted) from error
    value = node[field.name]
    value = OmegaConf.to_object(value) if OmegaConf.is_config(value) else value
    _check_range(field.metadata, value, place)
    return value


def _check_range(bounds: Mapping[str, Any], value: Any, place: Place) -> None:
    """Refuse a value that is out of bounds; of a list or mapping, check each value."""
    if isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check_range(bounds, item, place[index])
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_range(bounds, item, place / key)
    elif value is not None:
        if "choices" in bounds and value not in bounds["choices"]:
            raise mistakes.out_of_range(place, value, mistakes.one_of(bounds["choices"]))
        if isinstance(value, int | float) and not isinstance(value, bool):
            _check_bounds(bounds, value, place)


def _check_bounds(bounds: Mapping[str, Any], value: float, place: Place) -> None:
    if math.isinf(value) and bounds.keys() & {"minimum", "above", "maximum"}:
        raise mistakes.out_of_range(place, value, "a finite number")
    # each comparison is written so that NaN fails it
    if "minimum" in bounds and not value >= bounds["minimum"]:
        raise mistakes.out_of_range(place, value, f"at least {bounds['minimum']}")
    if "above" in bounds and not value > bounds["above"]:
        raise mistakes.out_of_range(place, value, f"a number above {bounds['above']}")
    if "maximum" in bounds and not value <= bounds["maximum"]:
        raise mistakes.out_of_range(place, value, f"at most {bounds['maximum']}")


def _is_silently_converted(hint: Any, value: Any) -> bool:
    """Whether OmegaConf would take the value although it is a slip: ``3`` for true, say."""
    if hint is bool:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return hint is str and isinstance(value, bool)


def without_none(hint: Any) -> tuple[Any, bool]:
    """The type, and whether it may be ``None`` too."""
    if hint is Any:
        return hint, True
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint, False
    arguments = typing.get_args(hint)
    others = [argument for argument in arguments if argument is not type(None)]
    return (others[0] if len(others) == 1 else hint), len(others) < len(arguments)


def without_section(hint: Any) -> tuple[type | None, Any]:
    """The section that may stand instead of a value, if any, and the type of the value."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return None, hint
    arguments = typing.get_args(hint)
    sections = [argument for argument in arguments if dataclasses.is_dataclass(argument)]
    others = [argument for argument in arguments if argument not in sections]
    if not sections or not others:
        return None, hint
    return typing.cast("type", sections[0]), typing.Union[tuple(others)]


def _of_one_field(name: str, hint: Any) -> type:
    """A dataclass of nothing but one field without a value."""
    missing = dataclasses.field(default=MISSING)
    return dataclasses.make_dataclass("Section", [(name, hint, missing)])


def _as_dataclass(schema: type) -> Any:
    """The same, for the type checker: ``dataclasses.fields`` wants to see a dataclass."""
    return schema
