"""The options file as JSON schema (draft 2020-12): what editors check while one writes.

Names, types, ranges and meanings are those of the dataclasses that parse the file. What only
the grammar knows, the shorthands, is said here. What depends on more than one value, such as
names of targets, is left to ``mtt``.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any

from metatrain import plugins
from metatrain.errors import MetatrainError
from metatrain.hypers.json_schema import (
    INTERPOLATION,
    Schema,
    choice_schema,
    mapping_schema,
    names_schema,
    section_schema,
)
from metatrain.losses import GRADIENT_SHORTHANDS
from metatrain.options.schema import (
    ArchitectureSection,
    CartesianSection,
    DatasetSection,
    FileSection,
    GradientSection,
    IrrepSection,
    RowsSection,
    SphericalSection,
    SystemsSection,
    TargetSection,
)
from metatrain.plugins import Architecture

_PATH: Schema = {"type": "string"}
_NOTHING: Schema = {"type": "null"}
_ANY_SECTION: Schema = {"type": ["object", "null", "string"], "pattern": INTERPOLATION}
_WEIGHT: Schema = {
    "type": ["number", "string"],
    "pattern": INTERPOLATION,
    "minimum": 0,
    "default": 1.0,
}
_NAMED = ("optimizers", "schedulers", "loggers")
"""Kinds of which an option names one, with its own options beside."""


def file_schema(architectures: Iterable[Architecture]) -> Schema:
    """What an options file for ``mtt train`` looks like.

    :param architectures: those that the file may name
    """
    held_out = {"anyOf": [_fraction(), _rows(), _reference("data_sets")]}
    sections = {
        "architecture": _architecture(list(architectures)),
        "training_set": _reference("data_sets"),
        "validation_set": held_out,
        "test_set": held_out,
        "wandb": _NOTHING,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "options of mtt train",
        **section_schema(FileSection, sections),
        "$defs": _definitions(),
    }


def _definitions() -> dict[str, Schema]:
    """What is referred to in several places."""
    return {
        "data_set": {"anyOf": [_PATH, _data_set()]},
        "data_sets": {"anyOf": [_reference("data_set"), _list_of(_reference("data_set"))]},
        "target": {"anyOf": [_target(), _PATH]},
        "gradient": _gradient(),
        "indices": _indices(),
        "readers": _name_of("readers"),
        "losses": _losses(),
        "loss_term": _term({**_gradient_terms(), "gradients": mapping_schema(_strain_terms())}),
        "gradient_term": _term({}),
        **{kind: _plugin(kind) for kind in _NAMED},
    }


def _architecture(architectures: list[Architecture]) -> Schema:
    """Name and options of one of the architectures; which options, the name decides."""
    known = [name for each in architectures for name in _names_of(each)]
    # 'module:Thing' has options of which nothing is known; where one is asked for, it is no answer
    other = _text_with("" if len(architectures) == 1 else ":")
    names = {"anyOf": [{"enum": known}, other]}
    replaced = {"name": names, "model": _ANY_SECTION, "training": _ANY_SECTION}
    return section_schema(ArchitectureSection, replaced) | {
        "allOf": [_options_of(each) for each in architectures]
    }


def _options_of(architecture: Architecture) -> Schema:
    """If the name is that of this architecture, these are its options."""
    schemas = {"model": architecture.model_hypers, "training": architecture.train_hypers}
    sections = {key: section_schema(each) for key, each in schemas.items() if each}
    is_named = {"properties": {"name": {"enum": _names_of(architecture)}}, "required": ["name"]}
    return {"if": is_named, "then": {"properties": sections}}


def _names_of(architecture: Architecture) -> list[str]:
    """The short name, and that with the package in front."""
    short = architecture.name.rpartition(":")[2]
    return list(dict.fromkeys([architecture.name, f"{architecture.package}:{short}"]))


def _data_set() -> Schema:
    systems = {"anyOf": [section_schema(SystemsSection, {"reader": _reader()}), _PATH]}
    replaced = {
        "systems": systems,
        "targets": names_schema(_reference("target")),
        "indices": _reference("indices"),
        "extra_data": _NOTHING,
    }
    return section_schema(DatasetSection, replaced, required=("targets",))


def _target() -> Schema:
    gradients = dict.fromkeys(("forces", "stress", "virial"), _reference("gradient"))
    kinds = {"reader": _reader(), "type": _type(), "sample_kind": _optional("system", "atom")}
    return section_schema(TargetSection, gradients | kinds)


def _type() -> Schema:
    """How the values of a target turn with the system."""
    irreps = _list_of(section_schema(IrrepSection))
    spherical = section_schema(SphericalSection, {"irreps": irreps, "product": _NOTHING})
    forms = {"cartesian": section_schema(CartesianSection), "spherical": spherical}
    mappings = [mapping_schema({name: form}) | {"required": [name]} for name, form in forms.items()]
    return {"anyOf": [choice_schema(["scalar"]), *mappings]}


def _gradient() -> Schema:
    mapping = section_schema(GradientSection, {"reader": _reader()})
    return {"anyOf": [{"type": ["boolean", "string"]}, mapping]}


def _rows() -> Schema:
    return section_schema(RowsSection, {"indices": _reference("indices")})


def _indices() -> Schema:
    rows = _list_of({"type": "integer", "minimum": 0})
    return {"anyOf": [rows, _PATH, _NOTHING]}


def _fraction() -> Schema:
    return {"type": "number", "minimum": 0, "exclusiveMaximum": 1}


def _losses() -> Schema:
    """A loss for all targets, or one for each."""
    return {"anyOf": [_name_of("losses"), names_schema(_reference("loss_term"))]}


def _gradient_terms() -> dict[str, Schema]:
    return dict.fromkeys(GRADIENT_SHORTHANDS, _reference("gradient_term"))


def _strain_terms() -> dict[str, Schema]:
    return dict.fromkeys(GRADIENT_SHORTHANDS.values(), _reference("gradient_term"))


def _term(more: dict[str, Schema]) -> Schema:
    """A term of the loss; without a type, it is that of the first name."""
    reduction = choice_schema(("mean", "sum"))
    return _plugin("losses", {"weight": _WEIGHT, "reduction": reduction, **more}, default="mse")


def _plugin(kind: str, more: dict[str, Schema] | None = None, default: str = "") -> Schema:
    """A name, or a mapping of ``type`` and the options of the plug-in of that name.

    :param kind: one of ``plugins.KINDS``
    :param more: options that all of the kind have in this place
    :param default: the name that is meant if none is given
    """
    foreign = {"type": "object", "properties": {"type": _text_with(":")}, "required": ["type"]}
    branches = [_name_of(kind), foreign]
    for name in plugins.installed(kind):
        branch = _options_beside(kind, name, more or {})
        branches += [branch | ({} if name == default else {"required": ["type"]})] if branch else []
    return {"anyOf": branches}


def _options_beside(kind: str, name: str, more: dict[str, Schema]) -> Schema:
    """A mapping with the options of one plug-in; empty if it cannot be used."""
    try:
        plugin = plugins.load(kind, name, "mtt schema")
    except MetatrainError:
        # 'mtt list' shows it, with the reason
        return {}
    is_typed = isinstance(plugin, type) and dataclasses.is_dataclass(plugin)
    own = section_schema(plugin)["properties"] if is_typed else {}
    return mapping_schema({"type": {"enum": [name]}, **own, **more})


def _name_of(kind: str) -> Schema:
    return {"anyOf": [{"enum": list(plugins.installed(kind))}, _text_with(":")]}


def _reader() -> Schema:
    return {"anyOf": [_reference("readers"), _NOTHING]}


def _optional(*choices: Any) -> Schema:
    found = choice_schema(choices)
    return {"anyOf": [*found["anyOf"], _NOTHING]}


def _text_with(mark: str) -> Schema:
    """Text that contains ``mark``, or stands for a value elsewhere."""
    return {"type": "string", "pattern": f"{mark}|{INTERPOLATION}" if mark else INTERPOLATION}


def _list_of(item: Schema) -> Schema:
    return {"type": "array", "minItems": 1, "items": item}


def _reference(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}
