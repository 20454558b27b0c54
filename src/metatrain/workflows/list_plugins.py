"""`mtt list`: what is installed, and the options of one plug-in."""

import dataclasses
import inspect
import textwrap
from importlib.metadata import EntryPoint
from typing import Any

from metatrain import plugins
from metatrain.errors import MetatrainError, did_you_mean
from metatrain.hypers.check import unusable_fields
from metatrain.hypers.description import Option, describe
from metatrain.plugins import Architecture, BrokenPluginError

_WIDTH = 100
_COMMAND = "mtt list"
_ARCHITECTURE_TITLES = ("package", "devices", "dtypes", "maintainers")
_TITLES = ("package", "what it is")


@dataclasses.dataclass(frozen=True)
class _Row:
    """One line of a table; the last cell may be long."""

    cells: tuple[str, ...]
    problem: str = ""


def list_plugins(name: str | None) -> None:
    """Print all plug-ins, those of one kind, or what there is to know about one.

    :param name: a kind such as ``losses``, or the name of a plug-in; ``None`` for all
    """
    if name is None or name in plugins.KINDS:
        for number, kind in enumerate([name] if name else plugins.KINDS):
            print("\n" * min(number, 1), end="")
            _print_table(_table(kind))
        if name is None:
            print(f"\n'{_COMMAND} NAME' shows what one of them is, and its options")
        return
    found = [
        (kind, full_name)
        for kind in plugins.KINDS
        for full_name, entry in plugins.installed(kind).items()
        if name in (full_name, entry.name, f"{plugins.package_of(entry)}:{entry.name}")
    ]
    if not found:
        raise _unknown(name)
    for number, (kind, full_name) in enumerate(found):
        print("\n" * min(number, 1) + _page(kind, full_name))


def _unknown(name: str) -> MetatrainError:
    known = [*plugins.KINDS, *(each for kind in plugins.KINDS for each in plugins.installed(kind))]
    return MetatrainError(
        f"{_COMMAND} {name}: no such plug-in is installed"
        f"{did_you_mean(name, known) or ';'} '{_COMMAND}' shows what is."
    )


def _table(kind: str) -> list[_Row]:
    """A row for each plug-in of one kind."""
    titles = _ARCHITECTURE_TITLES if kind == "architectures" else _TITLES
    rows = [_Row((kind, *titles))]
    for name, entry in plugins.installed(kind).items():
        head = (f"  {name}", _package_and_version(entry))
        try:
            rows.append(_Row((*head, *_facts(kind, name))))
        except BrokenPluginError as error:
            rows.append(_Row(head, error.reason))
    return rows


def _package_and_version(entry: EntryPoint) -> str:
    return f"{plugins.package_of(entry)} {entry.dist.version if entry.dist else ''}".strip()


def _facts(kind: str, name: str) -> tuple[str, ...]:
    """What the table says of one plug-in, beside its name and package."""
    if kind == "architectures":
        found = plugins.load_architecture(name, _COMMAND)
        people = ", ".join(handle or who for who, handle in found.maintainers)
        return ", ".join(found.devices), ", ".join(found.dtypes), people
    paragraph, _, _ = _prose(_plugin(kind, name)).partition("\n\n")
    return (" ".join(paragraph.split()),)


def _plugin(kind: str, name: str) -> Any:
    """A plug-in that is no architecture, and whose options can be read."""
    plugin = plugins.load(kind, name, _COMMAND)
    is_usable = isinstance(plugin, type) and dataclasses.is_dataclass(plugin)
    problems = unusable_fields(plugin) if is_usable else ["is not a dataclass"]
    if problems:
        raise BrokenPluginError(_COMMAND, repr(name), problems[0])
    return plugin


def _print_table(rows: list[_Row]) -> None:
    widths = [max(len(row.cells[column]) for row in rows) for column in (0, 1)]
    usable = [row.cells[2:] for row in rows if not row.problem]
    widths += [max(map(len, column)) for column in zip(*usable, strict=True)]
    for row in rows:
        print(_fitted(row, widths))


def _fitted(row: _Row, widths: list[int]) -> str:
    """A row as one line; a reason is never cut."""
    if row.problem:
        return _line((*row.cells, row.problem), widths)
    *cells, last = row.cells
    room = max(_WIDTH - len(_line((*cells, "|"), widths)), 20)
    return _line((*cells, textwrap.shorten(last, room, placeholder=" ...")), widths)


def _page(kind: str, name: str) -> str:
    """All there is to know about one plug-in."""
    entry = plugins.installed(kind)[name]
    title = f"{name}: {_singular(kind)} of {_package_and_version(entry)}"
    if kind == "architectures":
        return f"{title}\n\n{_architecture(plugins.load_architecture(name, _COMMAND))}"
    plugin = _plugin(kind, name)
    return f"{title}\n\n{_prose(plugin)}\n{_options('options', describe(plugin))}"


def _singular(kind: str) -> str:
    return "loss" if kind == "losses" else kind.removesuffix("s")


def _architecture(found: Architecture) -> str:
    lines = [found.description, ""] if found.description else []
    lines += [f"{title:13}{text}" for title, text in facts(found).items()]
    for title, schema in (
        ("architecture.model", found.model_hypers),
        ("architecture.training", found.train_hypers),
    ):
        lines += [_options(title, describe(schema)) if schema else f"\n{title}: any options"]
    if found.references:
        lines += ["\nreferences", *(f"  {reference}" for reference in found.references)]
    return "\n".join(lines)


def facts(found: Architecture) -> dict[str, str]:
    """What an architecture runs on, and whose it is."""
    people = {"authors": found.authors, "maintainers": found.maintainers}
    return {"devices": ", ".join(found.devices), "dtypes": ", ".join(found.dtypes)} | {
        title: ", ".join(f"{who} ({handle})" if handle else who for who, handle in several)
        for title, several in people.items()
    }


def _options(title: str, options: list[Option]) -> str:
    """Two lines for each option: what it may be, and what it means."""
    if not options:
        return f"\n{title}: none"
    head = (title, "type", "default", "allowed")
    rows = [(f"  {each.name}", each.type, each.default, each.allowed) for each in options]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(3)]
    lines = ["", _line(head, widths)]
    for row, option in zip(rows, options, strict=True):
        lines.append(_line(row, widths))
        lines += textwrap.wrap(
            option.meaning, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6
        )
    return "\n".join(lines)


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    padded = (f"{cell:{width}}" for cell, width in zip(cells[:-1], widths, strict=False))
    return "  ".join((*padded, cells[-1])).rstrip()


def _prose(plugin: type) -> str:
    """The docstring of a plug-in, without the list of its parameters."""
    return (inspect.getdoc(plugin) or "").partition("\n:param")[0].replace("``", "'").strip()
