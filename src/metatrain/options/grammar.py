"""The grammar of data sets: from shorthands to complete, typed sources."""

import dataclasses
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from metatrain import plugins, units
from metatrain.data import readers
from metatrain.data.source import DataSource, GradientSource, SystemsSource, TargetSource
from metatrain.hypers import mistakes
from metatrain.hypers.check import build
from metatrain.hypers.mistakes import Place
from metatrain.options.schema import (
    DatasetSection,
    GradientSection,
    SystemsSection,
    TargetSection,
)
from metatrain.options.target_type import TargetType, type_of

_ASSUMED_ENERGY_UNIT = "not given, 'eV' is assumed"
_GRADIENTS = ("forces", "stress", "virial")


def expand_training_data(given: Any, place: Place) -> tuple[DataSource, ...]:
    """The data sets at ``place``, of which each says what is to be learned.

    :param given: a path, a mapping, or a list of such
    :param place: where it stands
    """
    sources = _expand(given, place)
    for source, at in zip(sources, _places(given, place), strict=True):
        if not source.targets:
            raise mistakes.missing_option(at, "targets", "what is learned, such as {energy: {...}}")
    for raw, at in zip(_items(given), _places(given, place), strict=True):
        _check_reductions(raw, at)
    return sources


def expand_evaluation_data(given: Any, place: Place) -> tuple[DataSource, ...]:
    """The data sets of a file for evaluation; what the targets are, the model knows.

    An energy without a unit has that of the model: its unit here is ``""``.
    """
    return tuple(_in_units_of_the_model(source, place) for source in _expand(given, place))


def _in_units_of_the_model(source: DataSource, place: Place) -> DataSource:
    notes = place.origin.notes
    targets = {}
    for name, target in source.targets.items():
        key = source.key(f"targets.{name}.unit")
        is_assumed = f"{key}: {_ASSUMED_ENERGY_UNIT}" in notes
        if is_assumed:
            notes.remove(f"{key}: {_ASSUMED_ENERGY_UNIT}")
            notes.append(f"{key}: not given, that of the model is assumed")
        targets[name] = dataclasses.replace(target, unit="") if is_assumed else target
    return dataclasses.replace(source, targets=targets)


def expand_indices(given: Any, place: Place) -> tuple[int, ...]:
    """Rows of a file, from a list or from a text file with one row per line."""
    if isinstance(given, str):
        path = check_file(given, place)
        given = _rows_of_file(path, place)
    if not isinstance(given, list):
        raise mistakes.wrong_type(place, given, "a list of rows, or a text file with one per line")
    if not given:
        raise place.mistake("found no rows, expected at least one")
    for row in given:
        if isinstance(row, bool) or not isinstance(row, int) or row < 0:
            raise mistakes.wrong_type(place, row, "rows: whole numbers from 0")
    twice = [row for row, count in Counter(given).items() if count > 1]
    if twice:
        raise place.mistake(
            f"row {twice[0]} stands there {given.count(twice[0])} times; write it once"
        )
    return tuple(given)


def check_file(path: str, place: Place) -> str:
    """The absolute path of a file, after a look whether it can be read."""
    if not path:
        raise mistakes.wrong_type(place, path, "the path of a file")
    absolute = Path(path).expanduser().absolute()
    if not absolute.exists():
        raise mistakes.missing_file(place, path)
    if not absolute.is_file():
        raise place.mistake(f"{path!r} is a folder, expected a file")
    if not os.access(absolute, os.R_OK):
        raise place.mistake(f"{path!r} cannot be read; check its permissions")
    return str(absolute)


def _expand(given: Any, place: Place) -> tuple[DataSource, ...]:
    if given == []:
        raise place.mistake("found an empty list, expected at least one data set")
    pairs = zip(_items(given), _places(given, place), strict=True)
    return tuple(_data_source(item, at) for item, at in pairs)


def _items(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given]


def _places(given: Any, place: Place) -> list[Place]:
    return [place[i] for i in range(len(given))] if isinstance(given, list) else [place]


def _data_source(given: Any, place: Place) -> DataSource:
    """One data set."""
    if isinstance(given, str):
        check_file(given, place)
        given = {"systems": given, "targets": {"energy": given}}
    if not isinstance(given, Mapping):
        raise mistakes.wrong_type(place, given, "the path of a file, or a mapping 'systems: ...'")
    section = build(DatasetSection, given, place)
    if section.extra_data is not None:
        raise (place / "extra_data").mistake("not available in this version; remove it")
    systems = _systems(section.systems, place / "systems")
    if not isinstance(section.targets, Mapping | None):
        at = place / "targets"
        raise mistakes.wrong_type(at, section.targets, "a mapping of names to targets")
    targets = {
        str(name): _target(str(name), target, systems, place / "targets" / name)
        for name, target in (section.targets or {}).items()
    }
    indices = section.indices
    rows = None if indices is None else expand_indices(indices, place / "indices")
    return DataSource(place.key, systems, targets, rows)


def _systems(given: Any, place: Place) -> SystemsSource:
    if isinstance(given, str):
        section, at = SystemsSection(read_from=given), place
    else:
        section, at = build(SystemsSection, given, place), place / "read_from"
    unit_place = place / "length_unit"
    if section.length_unit:
        units.check_unit(section.length_unit, "length", str(unit_place))
    else:
        unit_place.note("not given, 'angstrom' is assumed")
    read_from = check_file(section.read_from, at)
    return SystemsSource(
        read_from=read_from,
        reader=_reader(section.reader, read_from, place),
        length_unit=section.length_unit or "angstrom",
    )


def _target(name: str, given: Any, systems: SystemsSource, place: Place) -> TargetSource:
    """One entry of ``targets``."""
    if isinstance(given, str):
        check_file(given, place)
        given = {"read_from": given}
    section = build(TargetSection, given, place)
    _check_name(name, place)
    read_from, reader = _file(section, (systems.read_from, systems.reader), place)
    quantity = _quantity(name, section, place)
    sample_kind = _sample_kind(section, place)
    kind = _type(quantity, section, place)
    source = TargetSource(
        read_from=read_from,
        reader=reader,
        key=section.key or name,
        quantity=quantity,
        unit=_unit(quantity, section, place),
        sample_kind=sample_kind,
        reduction=_reduction(quantity, sample_kind, section, place),
        num_subtargets=section.num_subtargets,
        rank=kind.rank,
        irreps=kind.irreps,
        description=section.description,
    )
    written = {key: given[key] for key in _GRADIENTS if given is not None and key in given}
    return TargetSource(**(vars(source) | _gradients(source, written, place)))


def _check_name(name: str, place: Place) -> None:
    """Refuse a name under which an exported model could not offer the target.

    Engines know more names, such as 'charge', but expect of them what is no scalar target.
    """
    if not _is_energy(name) and "::" not in name.strip(":"):
        raise place.mistake(
            f"this version trains no target called {name!r}; "
            f"write 'mtt::{name.strip(':') or 'name'}', and 'key: {name}' if the file calls it so"
        )


def _is_energy(name: str) -> bool:
    """Whether the name says that a target is an energy: 'energy', or a variant of it."""
    return name == "energy" or (name.startswith("energy/") and len(name) > len("energy/"))


def _type(quantity: str, section: TargetSection, place: Place) -> TargetType:
    found = TargetType.read(section.type, place / "type")
    if quantity == "energy" and found != TargetType():
        raise (place / "type").mistake("an energy is a scalar; use 'scalar', or another quantity")
    return found


def _quantity(name: str, section: TargetSection, place: Place) -> str:
    if not _is_energy(name):
        return section.quantity or ""
    if section.quantity not in (None, "", "energy"):
        raise (place / "quantity").mistake(
            f"found {section.quantity!r}, but what is called {name!r} is an energy; "
            "rename the target"
        )
    return "energy"


def _sample_kind(section: TargetSection, place: Place) -> Literal["system", "atom"]:
    if section.sample_kind == "atom_pair":
        raise (place / "sample_kind").mistake(
            "targets per pair of atoms are not available in this version; use 'system' or 'atom'"
        )
    if section.sample_kind not in (None, "system", "atom"):
        choices = mistakes.one_of(("system", "atom"))
        raise mistakes.out_of_range(place / "sample_kind", section.sample_kind, choices)
    is_atom = section.sample_kind == "atom"
    if section.per_atom is None:
        return "atom" if is_atom else "system"
    if section.sample_kind is not None and section.per_atom is not is_atom:
        raise (place / "per_atom").mistake(
            f"contradicts sample_kind: {section.sample_kind}; remove 'per_atom'"
        )
    return "atom" if section.per_atom else "system"


def _unit(quantity: str, section: TargetSection, place: Place) -> str:
    unit_place = place / "unit"
    if section.unit:
        units.check_unit(section.unit, quantity, str(unit_place))
        return section.unit
    if quantity != "energy":
        return ""
    unit_place.note(_ASSUMED_ENERGY_UNIT)
    return "eV"


def _reduction(
    quantity: str, sample_kind: str, section: TargetSection, place: Place
) -> Literal["sum", "mean"]:
    at = place / "reduction"
    if section.reduction is None:
        return "sum"
    if sample_kind == "atom":
        raise at.mistake("a target with a value per atom is not reduced; remove 'reduction'")
    if quantity == "energy" and section.reduction != "sum":
        raise at.mistake("an energy is the sum over the atoms; use 'sum', or another quantity")
    return "mean" if section.reduction == "mean" else "sum"


def _check_reductions(given: Any, place: Place) -> None:
    """Refuse targets of which nobody said how values of atoms make the value of a system.

    Taken as a sum unasked, an intensive property would be learned as an extensive one.
    """
    if not isinstance(given, Mapping):
        return
    for name, target in given["targets"].items():
        section = target if isinstance(target, Mapping) else {}
        is_energy = _is_energy(str(name)) or section.get("quantity") == "energy"
        is_per_atom = section.get("per_atom") or section.get("sample_kind") == "atom"
        if not is_energy and not is_per_atom and section.get("reduction") is None:
            raise (place / "targets" / name).mistake(
                "say how the values of atoms make the value of a system: write "
                "'reduction: sum' (extensive), 'reduction: mean' (intensive), "
                "'sample_kind: atom', or 'quantity: energy'"
            )


def _gradients(
    target: TargetSource, written: dict[str, Any], place: Place
) -> dict[str, GradientSource | None]:
    """Where forces, stress and virial of a target stand; ``None`` for what is off.

    An energy has forces and stress where the file has them, unless the user says otherwise.
    """
    gradients = {key: _gradient(key, written.get(key), target, place / key) for key in _GRADIENTS}
    if not _has_derivatives(target):
        for key in _GRADIENTS:
            if gradients[key] is not None:
                raise (place / key).mistake(
                    "only a single scalar that is a sum over the atoms, such as an energy, has "
                    "derivatives; "
                    f"write '{key}: off'"
                )
        return gradients
    if gradients["stress"] and gradients["virial"]:
        raise (place / "virial").mistake(
            "stress and virial are the same label twice; write 'stress: off' or 'virial: off'"
        )
    if target.quantity == "energy":
        for key in ("forces", "stress"):
            is_replaced = key == "stress" and gradients["virial"] is not None
            if key not in written and not is_replaced:
                gradients[key] = GradientSource(target.read_from, target.reader, key, False)
    return gradients


def _has_derivatives(target: TargetSource) -> bool:
    return (
        target.sample_kind == "system"
        and target.reduction == "sum"
        and target.num_subtargets == 1
        and type_of(target) == "scalar"
    )


def _gradient(key: str, given: Any, target: TargetSource, place: Place) -> GradientSource | None:
    """What the user wrote for one gradient: on or off, a path, or a mapping."""
    if given is None or given is False:
        return None
    if isinstance(given, str):
        check_file(given, place)
        given = {"read_from": given}
    if not isinstance(given, Mapping) and given is not True:
        raise mistakes.wrong_type(place, given, "on, off, the path of a file, or a mapping")
    section = build(GradientSection, {} if given is True else given, place)
    read_from, reader = _file(section, (target.read_from, target.reader), place)
    return GradientSource(read_from, reader, section.key or key, True)


def _file(
    section: TargetSection | GradientSection, parent: tuple[str, str | None], place: Place
) -> tuple[str, str | None]:
    """File and reader of a section; those of the parent where it does not say."""
    read_from = parent[0]
    if section.read_from is not None:
        read_from = check_file(section.read_from, place / "read_from")
    if section.reader is None and read_from == parent[0]:
        return parent
    return read_from, _reader(section.reader, read_from, place)


def _reader(name: str | None, path: str, place: Place) -> str | None:
    """The name of a reader, after a look whether it is there, or whether one claims the file."""
    if name:
        plugins.load("readers", name, str(place / "reader"))
    else:
        readers.find(path, None, str(place / "read_from"))
    return name or None


def _rows_of_file(path: str, place: Place) -> list[int]:
    rows = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), start=1):
        text = line.partition("#")[0].strip()
        try:
            rows += [int(text)] if text else []
        except ValueError as error:
            raise place.mistake(
                f"line {number} of {path!r} is {mistakes.shown(text)}, expected a row such as 17"
            ) from error
    return rows
