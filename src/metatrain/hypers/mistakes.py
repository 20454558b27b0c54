"""The wording of mistakes in options: where, found, expected, way out."""

import dataclasses
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from metatrain.errors import MetatrainError, did_you_mean

_EXPECTED = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    list: "a list",
    tuple: "a list",
    dict: "a mapping",
    type(None): "null",
    Any: "anything",
}


@dataclass(frozen=True)
class Origin:
    """What messages must know about the text that options come from.

    Keys are in dotted form here, list items too: ``training_set.0.systems``.

    :param file: the options file, as the user named it; empty if there is none
    :param lines: line of each key, counted from 1
    :param overrides: ``KEY=VALUE`` of each key that was set on the command line
    :param notes: what was assumed, one line each; grows while the file is read
    """

    file: str
    lines: dict[str, int] = field(default_factory=dict)
    overrides: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Place:
    """A key of an options file. As text it says file, line and key.

    :param origin: the file
    :param key: full key, such as ``training_set[0].systems``; empty for the whole file
    """

    origin: Origin
    key: str = ""

    def __truediv__(self, name: object) -> "Place":
        """The key ``name`` within this section."""
        return Place(self.origin, f"{self.key}.{name}" if self.key else str(name))

    def __getitem__(self, index: int) -> "Place":
        """The item of this list."""
        return Place(self.origin, f"{self.key}[{index}]")

    def __str__(self) -> str:
        if not self.key:
            return self.origin.file
        nearest = dotted(self.key)
        while nearest:
            if nearest in self.origin.overrides:
                return f"-r {self.origin.overrides[nearest]}: {self.key}"
            if nearest in self.origin.lines:
                return f"{self.origin.file}, line {self.origin.lines[nearest]}: {self.key}"
            nearest = nearest.rpartition(".")[0]
        return f"{self.origin.file}: {self.key}" if self.origin.file else self.key

    def mistake(self, text: str) -> MetatrainError:
        """The error that says where, and then ``text``."""
        return MetatrainError(f"{self}: {text}")

    def note(self, text: str) -> None:
        """Remember for the log what was assumed here."""
        self.origin.notes.append(f"{self.key}: {text}")


def dotted(key: str) -> str:
    """The key in the form in which lines are looked up: ``a.0.b`` for ``a[0].b``."""
    return key.replace("[", ".").replace("]", "").removeprefix(".")


def unknown_option(section: Place, name: object, allowed: Iterable[str]) -> MetatrainError:
    """A key that the section does not have."""
    known = list(allowed)
    suggestion = did_you_mean(str(name), known) or ";"
    options = ", ".join(known) or "none"
    return (section / name).mistake(f"unknown option{suggestion} allowed: {options}")


def missing_option(section: Place, name: str, meaning: str) -> MetatrainError:
    """A key that must be given."""
    return section.mistake(f"{name!r} is missing; it gives {meaning}")


def wrong_type(place: Place, found: Any, expected: str) -> MetatrainError:
    """A value of another type than the option has."""
    return place.mistake(f"found {shown(found)}, expected {expected}")


def out_of_range(place: Place, found: Any, bound: str) -> MetatrainError:
    """A value of the right type that is too small, too large, or none of the choices."""
    suggestion = ""
    if isinstance(found, str):
        suggestion = did_you_mean(found, [word.strip("',") for word in bound.split()])
    return place.mistake(f"found {shown(found)}, expected {bound}{suggestion}")


def missing_file(place: Place, path: str) -> MetatrainError:
    """A file that is not there, with the nearest that is."""
    folder = Path(path).parent
    neighbors = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    suggestion = did_you_mean(Path(path).name, neighbors)
    way_out = suggestion or "; paths are relative to the folder you are in"
    return place.mistake(f"found no file {path!r}{way_out}")


def within(section: Place, error: Exception) -> MetatrainError:
    """The error that a plug-in raised about its own options, with the place in front.

    The message may begin with the key it is about, full or within the section, and a
    colon; the line is then that of the key.
    """
    text = " ".join(str(error).split())
    head, colon, rest = text.partition(": ")
    if not colon or not head or " " in head:
        return section.mistake(text)
    if head == section.key or head.startswith(f"{section.key}."):
        return Place(section.origin, head).mistake(rest)
    inner = section / head
    # without a file nothing tells a key from the beginning of a sentence: take it for a key
    is_key = dotted(inner.key) in _known(section) or not section.origin.file
    return inner.mistake(rest) if is_key else section.mistake(text)


def located(file: Place, error: MetatrainError) -> MetatrainError:
    """The same error with file and line, if its message begins with a key of the file.

    :param file: the whole file
    """
    head, colon, rest = str(error).partition(": ")
    # files may be called as sections are: training_set.xyz
    is_key = " " not in head and "," not in head and not Path(head).exists()
    if not colon or not is_key or dotted(head).partition(".")[0] not in _known(file):
        return error
    return Place(file.origin, head).mistake(rest)


def shown(value: Any) -> str:
    """A value as it stands in a message, cut where it is long."""
    text = {None: "null", True: "true", False: "false"}.get(value, "") if _is_plain(value) else ""
    text = text or repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def expected(hint: Any) -> str:
    """What a field of the given type takes, in words."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return one_of(arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(expected(argument) for argument in arguments)
    if origin is list and arguments:
        return f"a list of {_plural(expected(arguments[0]))}"
    if origin is tuple and arguments:
        count = "" if Ellipsis in arguments else f"{len(arguments)} "
        return f"a list of {count}{_plural(expected(arguments[0]))}"
    if dataclasses.is_dataclass(hint):
        return section_of(field.name for field in dataclasses.fields(hint))
    return _EXPECTED.get(origin or hint, str(hint))


def section_of(options: Iterable[str]) -> str:
    """A mapping of the given options, in words."""
    return f"a mapping of the options {', '.join(options)}"


def one_of(choices: Iterable[Any]) -> str:
    """The choices, in words."""
    return "one of " + ", ".join(shown(choice) for choice in choices)


def _plural(words: str) -> str:
    return {"a number": "numbers", "a whole number": "whole numbers", "text": "texts"}.get(
        words, words
    )


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool)


def _known(section: Place) -> set[str]:
    """The keys that the file or the command line gives a value."""
    return {*section.origin.lines, *section.origin.overrides}
