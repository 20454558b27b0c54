"""The options file as text: YAML, lines of keys, overrides, interpolation."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from metatrain.errors import MetatrainError
from metatrain.files import options_text
from metatrain.hypers.check import escaped
from metatrain.hypers.mistakes import Origin, Place, dotted

_MERGE_TAG = "tag:yaml.org,2002:merge"

# What the YAML library says, and the same for somebody who is not writing a YAML library.
_YAML_PROBLEMS = {
    "mapping values are not allowed": "a colon where none may stand; put text with ': ' in quotes",
    "cannot start any token": "a character that cannot stand here; put the text in quotes",
    "could not find expected ':'": "a key without a colon",
    "unexpected end of stream": "a quote that is not closed",
    "but got '<stream end>'": "a bracket that is not closed",
    "expected ',' or": "a bracket that is not closed, or a missing comma",
    "expected <block end>": "an indentation that does not fit the lines above",
    "undefined alias": "a *name that no &name defines",
    "another document": "a second document; an options file holds one",
    "recursive": "a *name that contains itself",
    "could not determine a constructor": "a !tag; options are plain values",
    "unhashable key": "a key that is no plain word",
    "special characters": "a character that is no text",
}

_INTERPOLATION_PROBLEMS = (
    (r"Interpolation key '(.*?)' not found", "refers to {!r}, which is not in this file"),
    (r"Environment variable '(.*?)' not found", "the environment variable {!r} is not set"),
    (
        r"Unsupported interpolation type (\S+)",
        "{!r} is no function; 'oc.env' reads the environment",
    ),
    (r"while resolving .* value: (\S+)", "refers to {!r}, which is '???': a value must be given"),
    (r"Missing mandatory", "is '???': a value must be given"),
    (r"Recursive interpolation", "refers to itself"),
)


@dataclass(frozen=True)
class Document:
    """An options file with its overrides, interpolations not resolved yet.

    :param content: the values
    :param place: the whole file, for messages
    """

    content: DictConfig | ListConfig
    place: Place

    def resolved(self, background: dict[str, Any] | None = None) -> Any:
        """The values as plain containers, interpolations resolved.

        :param background: values that interpolations may refer to although the file does
            not give them: the defaults
        """
        given = self.unresolved()
        whole = _filled(given, escaped(background or {}))
        try:
            values = OmegaConf.to_container(
                OmegaConf.create(whole), resolve=True, throw_on_missing=True
            )
        except OmegaConfBaseException as error:
            raise _bad_interpolation(self.place.origin, error) from error
        return _only_given(values, given)

    def unresolved(self) -> Any:
        """The values as plain containers, interpolations as they stand."""
        return OmegaConf.to_container(self.content)

    def value(self, key: str) -> Any:
        """One value, its interpolations resolved; ``None`` if there is no such key."""
        try:
            value = OmegaConf.select(self.content, key)
        except OmegaConfBaseException as error:
            raise _bad_interpolation(self.place.origin, error) from error
        return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value


def read_document(path: str | Path, overrides: list[str] | None = None) -> Document:
    """The options file at ``path``, with values from the command line put over its own.

    :param path: path of the file
    :param overrides: ``KEY=VALUE`` each, the key in dotted form, the value in YAML
    """
    file = str(path)
    text = options_text(file)
    origin = Origin(file)
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        if tree is None:
            raise MetatrainError(f"{file}: the file is empty; it must hold options")
        if not isinstance(tree, yaml.CollectionNode):
            raise MetatrainError(f"{file}: found text, expected a mapping such as 'seed: 1'")
        _record_lines(tree, Place(origin), ())
        content = OmegaConf.create(text)
    except yaml.YAMLError as error:
        raise _bad_yaml(file, text, error) from error
    except OmegaConfBaseException as error:
        raise _bad_interpolation(origin, error) from error
    assert isinstance(content, DictConfig | ListConfig)
    for override in overrides or []:
        _apply_override(content, override, origin)
    return Document(content, Place(origin))


def _record_lines(node: yaml.Node, place: Place, ancestors: tuple[int, ...]) -> None:
    """Note the line of each key below ``node``, and refuse a key that stands there twice."""
    if id(node) in ancestors:
        raise yaml.MarkedYAMLError(problem="recursive", problem_mark=node.start_mark)
    ancestors = (*ancestors, id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _record_line(place[index], item)
            _record_lines(item, place[index], ancestors)
    if isinstance(node, yaml.MappingNode):
        own = _check_keys(node, place)
        for key, value in node.value:
            if key.tag == _MERGE_TAG:
                merged = value.value if isinstance(value, yaml.SequenceNode) else [value]
                for mapping in merged:
                    _record_lines(mapping, place, ancestors)
        for name, (key, value) in own.items():
            _record_line(place / name, key)
            _record_lines(value, place / name, ancestors)


def _record_line(place: Place, node: yaml.Node) -> None:
    place.origin.lines[dotted(place.key)] = node.start_mark.line + 1


def _check_keys(node: yaml.MappingNode, place: Place) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    """The keys of a mapping and their values, merged mappings left out."""
    own: dict[str, tuple[yaml.Node, yaml.Node]] = {}
    for key, value in node.value:
        if key.tag == _MERGE_TAG:
            continue
        if not isinstance(key, yaml.ScalarNode) or key.tag.endswith(":null"):
            raise yaml.MarkedYAMLError(problem="unhashable key", problem_mark=key.start_mark)
        if key.value in own:
            lines = own[key.value][0].start_mark.line + 1, key.start_mark.line + 1
            _record_line(place / key.value, key)
            raise (place / key.value).mistake(
                f"this key stands in lines {lines[0]} and {lines[1]}; remove one of them"
            )
        own[key.value] = key, value
    return own


def _bad_yaml(file: str, text: str, error: yaml.YAMLError) -> MetatrainError:
    """The error for a text that is not YAML, in our words."""
    said = str(getattr(error, "problem", None) or error)
    words = next((ours for theirs, ours in _YAML_PROBLEMS.items() if theirs in said), "")
    mark = getattr(error, "problem_mark", None)
    where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    line = (text.splitlines() or [""])[mark.line : mark.line + 1] if mark else []
    if mark and line and line[0][mark.column : mark.column + 1] == "\t":
        words = "a tab; indent with spaces"
    return MetatrainError(f"{file}{where}: this is not YAML: found {words or 'what it cannot be'}")


def _bad_interpolation(origin: Origin, error: OmegaConfBaseException) -> MetatrainError:
    """The error for a ``${...}`` that has no value, in our words."""
    place = Place(origin, error.full_key or "")
    text = str(error).partition("\n")[0]
    for pattern, words in _INTERPOLATION_PROBLEMS:
        found = re.search(pattern, text)
        if found:
            return place.mistake(words.format(*found.groups()))
    return place.mistake("a '${' that cannot be understood; write '${key.of.a.value}'")


def _apply_override(content: DictConfig | ListConfig, override: str, origin: Origin) -> None:
    """Put one ``KEY=VALUE`` of the command line over the content of the file."""
    key, equals, _ = override.partition("=")
    if not equals or not all(dotted(key).split(".")):
        raise MetatrainError(f"-r {override}: expected KEY=VALUE, such as 'seed=1'")
    try:
        content.merge_with_dotlist([override])
    except yaml.YAMLError as error:
        raise MetatrainError(
            f"-r {override}: the value is not YAML; check brackets and quotes"
        ) from error
    except (OmegaConfBaseException, ValueError, TypeError) as error:
        raise MetatrainError(
            f"-r {override}: the file has nothing at {key!r} that could be changed"
        ) from error
    origin.overrides[dotted(key)] = override


def _filled(given: Any, background: Any) -> Any:
    """The values given, and those of ``background`` where none is."""
    if not isinstance(given, dict) or not isinstance(background, dict):
        return given
    both = {key: _filled(given[key], background[key]) for key in given if key in background}
    return background | given | both


def _only_given(values: Any, given: Any) -> Any:
    """The part of ``values`` whose keys are in ``given``."""
    if not isinstance(values, dict) or not isinstance(given, dict):
        return values
    return {key: _only_given(values[key], given[key]) for key in given}
