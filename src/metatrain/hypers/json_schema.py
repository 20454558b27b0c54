"""Options of a dataclass as JSON schema (draft 2020-12): for editors."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

from metatrain.hypers import mistakes
from metatrain.hypers.check import plain

Schema = dict[str, Any]

INTERPOLATION = r"^\$\{"
"""Text that stands for a value elsewhere, wherever that value is no text itself."""
_NAMES = {int: "integer", float: "number", type(None): "null"}
_BOUNDS = {"minimum": "minimum", "above": "exclusiveMinimum", "maximum": "maximum"}


def section_schema(
    schema: type, replaced: Mapping[str, Schema] | None = None, required: tuple[str, ...] = ()
) -> Schema:
    """What a mapping of the options of a dataclass looks like.

    A field that names plug-ins refers to ``#/$defs/KIND``, which the caller defines.

    :param schema: the dataclass
    :param replaced: schemas of fields of which the dataclass does not say what they take
    :param required: fields that must be given, beside those without a default
    """
    replaced = replaced or {}
    hints = typing.get_type_hints(schema)
    fields = dataclasses.fields(schema)
    found = mapping_schema(
        {
            field.name: replaced.get(field.name, _value(hints[field.name], field.metadata))
            | _annotations(field)
            for field in fields
        }
    )
    needed = [each.name for each in fields if each.name in required or not _has_default(each)]
    return found | {"required": needed} if needed else found


def mapping_schema(properties: Mapping[str, Schema]) -> Schema:
    """A mapping with these keys and no others; an empty section may also be null."""
    return {
        "type": ["object", "null", "string"],
        "pattern": INTERPOLATION,
        "patternErrorMessage": f"expected {mistakes.section_of(properties)}",
        "properties": dict(properties),
        "additionalProperties": False,
    }


def names_schema(value: Schema) -> Schema:
    """A mapping from names that the user chooses."""
    return {
        "type": ["object", "string"],
        "pattern": INTERPOLATION,
        "patternErrorMessage": f"expected {mistakes.expected(dict)}",
        "additionalProperties": value,
    }


def choice_schema(choices: typing.Iterable[Any]) -> Schema:
    """One of the given values."""
    choices = list(choices)
    if "on" in choices:
        # as YAML 1.1 reads on and off
        choices += [True, False]
    return {"anyOf": [{"enum": choices}, {"type": "string", "pattern": INTERPOLATION}]}


def _value(hint: Any, bounds: Mapping[str, Any]) -> Schema:
    """What a value of a type and range looks like."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if "plugin" in bounds and origin is not list:
        return {"$ref": f"#/$defs/{bounds['plugin']}"}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_value(argument, bounds) for argument in arguments]}
    if dataclasses.is_dataclass(hint):
        return section_schema(typing.cast("type", hint))
    if origin in (list, tuple):
        return _list(origin, arguments, bounds)
    if (origin or hint) is dict:
        return names_schema(_value(arguments[1], bounds) if arguments else {})
    if origin is Literal:
        return choice_schema(arguments)
    return _scalar(hint, bounds)


def _scalar(hint: Any, bounds: Mapping[str, Any]) -> Schema:
    if hint is type(None):
        return {"type": "null"}
    if "choices" in bounds:
        return choice_schema(bounds["choices"])
    if hint is str:
        # a number is taken for the text it is written as
        return {"type": ["string", "number"]}
    if hint is bool:
        # which of these are true or false, YAML's versions do not agree upon
        pattern = rf"^(on|off|yes|no)$|{INTERPOLATION}"
        return {"type": ["boolean", "string"], "pattern": pattern} | _message(hint)
    if hint in _NAMES:
        limits = {ours: bounds[key] for key, ours in _BOUNDS.items() if key in bounds}
        return (
            {"type": [_NAMES[hint], "string"], "pattern": INTERPOLATION} | _message(hint) | limits
        )
    return {}


def _list(origin: Any, arguments: tuple[Any, ...], bounds: Mapping[str, Any]) -> Schema:
    found: Schema = {"type": ["array", "string"], "pattern": INTERPOLATION, "items": {}}
    if arguments:
        found["items"] = _value(arguments[0], bounds)
    if origin is tuple and arguments and Ellipsis not in arguments:
        found |= {"minItems": len(arguments), "maxItems": len(arguments)}
    return found


def _message(hint: Any) -> Schema:
    """What editors that know this keyword say of other text."""
    return {"patternErrorMessage": f"expected {mistakes.expected(hint)}"}


def _annotations(field: "dataclasses.Field[Any]") -> Schema:
    """What an editor shows of an option."""
    found = {"description": field.metadata["meaning"]} if "meaning" in field.metadata else {}
    if field.default is not dataclasses.MISSING:
        found["default"] = plain(field.default)
    elif field.default_factory is not dataclasses.MISSING:
        found["default"] = plain(field.default_factory())
    return found


def _has_default(field: "dataclasses.Field[Any]") -> bool:
    missing = dataclasses.MISSING
    return field.default is not missing or field.default_factory is not missing
