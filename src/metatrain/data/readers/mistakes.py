"""Mistakes in a system of an extended XYZ file that ASE passes over, or tells in its own words."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from metatrain.data.readers.frame_texts import FrameMistake, FrameText

_PROPERTIES = re.compile(r"[^:]+:[RISL]:[0-9]+(:[^:]+:[RISL]:[0-9]+)*:?")
# As far as what is opened is closed; a backslash takes its meaning from what follows it.
_CLOSED = re.compile(
    r"""(?:[^\\"'{\[]|\\(?:.|$)|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'"""
    r"""|\{(?:[^}\\]|\\.)*\}|\[(?:[^]\\]|\\.)*\])*"""
)
_NO_MATRIX = re.compile(r"Got info item (\w+), expecting special 3x3 matrix")
_MATRICES = {
    "Lattice": "nine numbers, one cell vector after the other; correct it, or leave it out where "
    "nothing is periodic",
    "stress": "nine numbers; correct it",
    "virial": "nine numbers; correct it",
}
# Columns of a file that does not say what it has.
_DEFAULT_NUM_COLUMNS = 4


def parse_comment(text: FrameText) -> dict[str, Any]:
    """What ASE makes of the second line, after a look at the whole system.

    Of further columns in a file without ``Properties`` nobody says what they are: they may stay.
    """
    from ase.io.extxyz import key_val_str_to_dict  # noqa: PLC0415 (takes a third of a second)

    comment = text.comment.decode().strip()
    # beside vectors that are written as if they were atoms, it is any text
    if text.vectors or not comment:
        _check_columns(text, None)
        return {}
    _check_closed(text, comment)
    with told_of(text):
        try:
            info = key_val_str_to_dict(comment)
        except ValueError as error:
            key = _NO_MATRIX.match(str(error))
            if key is None:
                raise
            raise text.mistake(
                f"{key[1]} is {_value_of(key[1], comment)}, expected {_MATRICES[key[1]]}.", line=1
            ) from error
    properties = info.get("Properties")
    if properties is not None and not _PROPERTIES.fullmatch(str(properties)):
        raise text.mistake(
            f"Properties is {str(properties)[:40]!r}, expected name, R, I, S or L, and number of "
            "columns of each in turn, such as 'species:S:1:pos:R:3'; correct it.",
            line=1,
        )
    _check_columns(text, properties)
    return info


def _check_closed(text: FrameText, comment: str) -> None:
    """Refuse a value that begins with a quote or bracket that is not closed."""
    closed = _CLOSED.match(comment)
    end = closed.end() if closed else 0
    # an apostrophe in other text is no quote
    if end < len(comment) and f"={comment[end]}" in comment:
        raise text.mistake(
            f"the {comment[end]} behind {comment[max(0, end - 20) : end]!r} has no other that "
            "closes it; add the one that is missing.",
            line=1,
        )


def _check_columns(text: FrameText, properties: str | None) -> None:
    """Refuse a line of an atom that has not as many words as there are columns."""
    if properties is None:
        expected, declared = _DEFAULT_NUM_COLUMNS, "species and position need"
    else:
        expected, declared = sum(map(int, properties.split(":")[2::3])), "Properties declares"
    for number, line in enumerate(text.atoms.decode().split("\n")[:-1]):
        found = len(line.split())
        if found < expected or (found > expected and properties is not None):
            raise text.mistake(
                f"has {found} columns where {declared} {expected}; correct it, or the number of "
                f"atoms, {text.num_atoms} by line {text.line}.",
                line=number + 2,
            )


def _value_of(key: str, comment: str) -> str:
    found = re.search(rf"""{key}\s*=\s*("[^"]*"|'[^']*'|\S+)""", comment)
    return repr(found[1].strip("\"'")[:40]) if found else "something else"


@contextmanager
def told_of(text: FrameText) -> Iterator[None]:
    """Within this context, whatever ASE finds wrong is said of the system."""
    try:
        yield
    except (FrameMistake, MemoryError):
        raise
    except Exception as error:  # ASE raises whatever it likes
        raise text.mistake(f"cannot be read: {reason(error)}; correct the file.") from error


def reason(error: Exception) -> str:
    """What is wrong, in our words where ASE's or Python's speak of their own insides."""
    message = " ".join(str(error).split()).removeprefix("ase.io.extxyz: ").rstrip(".")
    if isinstance(error, UnicodeDecodeError):
        return "it is no text"
    if isinstance(error, KeyError) and message.strip("'").isalnum():
        return f"{message} is no element"
    number = re.fullmatch(r"could not convert string to (?:float|int): (.*)", message)
    if number:
        return f"found {number[1]}, expected a number"
    return message[:200] or "ASE does not say why"
