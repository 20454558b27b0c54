"""Options of a dataclass as rows of a table: for `mtt list` and the documentation."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from metatrain.hypers import mistakes
from metatrain.hypers.check import defaults, without_none, without_section


@dataclass(frozen=True)
class Option:
    """One option, in words.

    :param name: the key, with those of the sections around it: ``soap.cutoff.radius``
    :param type: what kind of value it takes
    :param default: the value it has if none is given, as YAML; ``"required"`` without one
    :param allowed: the range or the choices; empty if there is no limit
    :param meaning: one line; empty if its author wrote none
    """

    name: str
    type: str
    default: str
    allowed: str
    meaning: str


def describe(schema: type) -> list[Option]:
    """The options of a dataclass and of the sections in it, in the order of their fields."""
    return list(_options(schema, "", defaults(schema)))


def allowed(bounds: Mapping[str, Any]) -> str:
    """The range of an option, in words.

    :param bounds: metadata of the field, as :func:`metatrain.hypers.hyper` writes it
    """
    if "plugin" in bounds:
        return f"what 'mtt list {bounds['plugin']}' shows"
    if "choices" in bounds:
        return ", ".join(mistakes.shown(choice).strip("'") for choice in bounds["choices"])
    if "minimum" in bounds and "maximum" in bounds:
        return f"{bounds['minimum']} to {bounds['maximum']}"
    words = {"minimum": "at least", "above": "above", "maximum": "at most"}
    return ", ".join(f"{words[key]} {bounds[key]}" for key in words if key in bounds)


def _options(schema: type, prefix: str, given: Mapping[str, Any]) -> typing.Iterator[Option]:
    """The options of one section.

    :param prefix: keys of the sections around it, with a dot at the end
    :param given: the values its fields have by default
    """
    hints = typing.get_type_hints(schema)
    for field in dataclasses.fields(schema):
        name, hint = f"{prefix}{field.name}", hints[field.name]
        inner, is_optional = without_none(hint)
        is_section = dataclasses.is_dataclass(inner)
        section = typing.cast("type", inner) if is_section else without_section(inner)[0]
        if is_optional or not is_section:
            yield Option(
                name=name,
                type=_type(hint, field.metadata),
                default=_as_yaml(given[field.name]) if field.name in given else "required",
                allowed=allowed(field.metadata),
                meaning=field.metadata.get("meaning", ""),
            )
        if section is not None:
            own = given.get(field.name)
            values = own if isinstance(own, Mapping) else defaults(section)
            yield from _options(section, f"{name}.", values)


def _type(hint: Any, bounds: Mapping[str, Any]) -> str:
    if "plugin" in bounds:
        is_list = typing.get_origin(hint) is list
        return "list of names or mappings" if is_list else "name or mapping"
    if hint is Any:
        return "any"
    inner, is_optional = without_none(hint)
    is_union = typing.get_origin(inner) in (typing.Union, types.UnionType)
    # the options of a mapping have lines of their own
    words = " or ".join(
        "a mapping" if dataclasses.is_dataclass(one) else mistakes.expected(one)
        for one in (typing.get_args(inner) if is_union else (inner,))
    )
    return words.removeprefix("a ") + (" or null" if is_optional and inner is not hint else "")


def _as_yaml(value: Any) -> str:
    """The value as it would stand in an options file, on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000)
    return text.removesuffix("...\n").strip()
