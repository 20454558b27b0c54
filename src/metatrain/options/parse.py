"""From an options file to typed options; every mistake in it is found here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metatrain import plugins
from metatrain.data.source import DataSource, TargetSource
from metatrain.data.target import Target
from metatrain.errors import MetatrainError, did_you_mean
from metatrain.hypers import mistakes
from metatrain.hypers.check import as_section, build, defaults
from metatrain.hypers.mistakes import Place
from metatrain.log import logger
from metatrain.options.complete import ArchitectureOptions, Fraction, Options, Rows
from metatrain.options.document import Document, read_document
from metatrain.options.grammar import (
    expand_evaluation_data,
    expand_indices,
    expand_training_data,
)
from metatrain.options.schema import ArchitectureSection, FileSection, RowsSection
from metatrain.options.target_type import type_of
from metatrain.plugins import Architecture

_SetOptions = Fraction | Rows | tuple[DataSource, ...]


def parse(path: str | Path, overrides: list[str] | None = None) -> Options:
    """The options of a training run.

    :param path: the options file
    :param overrides: ``KEY=VALUE`` of the command line, put over the file
    """
    document = read_document(path, overrides)
    place = document.place
    plugin = _plugin(document)
    given = document.resolved(_background(plugin))
    section = build(FileSection, given, place)
    if section.wandb is not None:
        raise (place / "wandb").mistake("not available here, metrics.csv is written; remove it")
    training_set = expand_training_data(section.training_set, place / "training_set")
    validation_set = _held_out(section.validation_set, place / "validation_set")
    test_set = _held_out(section.test_set, place / "test_set")
    _check_targets(place, training_set, validation_set, test_set)
    _check_split(place, training_set, validation_set, test_set)
    return Options(
        architecture=_architecture(plugin, section.architecture, training_set, place),
        training_set=training_set,
        validation_set=validation_set,
        test_set=test_set,
        device=section.device,
        base_precision=section.base_precision,
        seed=section.seed,
        print_stats=section.print_stats,
        final_eval=section.final_eval,
        notes=tuple(place.origin.notes),
        place=place,
    )


def parse_evaluation(path: str | Path) -> tuple[DataSource, ...]:
    """The data sets of an options file for ``mtt eval``.

    :param path: the file: ``systems`` and, if there is something to compare with,
        ``targets``; or a list of such
    """
    document = read_document(path)
    given = document.resolved()
    if isinstance(given, Mapping) and "architecture" in given:
        raise (document.place / "architecture").mistake(
            "these are the options of a training; an evaluation takes a file with 'systems' and "
            "'targets', such as stand in its test_set"
        )
    sources = expand_evaluation_data(given, document.place)
    for note in document.place.origin.notes:
        logger.warning("%s", note)
    return sources


def _plugin(document: Document) -> Architecture:
    """The architecture that the file names; looked for first, it knows its own options."""
    place = document.place
    values = document.unresolved()
    if not isinstance(values, Mapping):
        raise mistakes.wrong_type(place, values, "a mapping such as 'seed: 1'")
    names = list(FileSection.__dataclass_fields__)
    section = as_section(values, names, place).get("architecture")
    names = list(ArchitectureSection.__dataclass_fields__)
    if section is not None:
        if isinstance(section, Mapping):
            as_section(section, names, place / "architecture")
        elif not str(section).startswith("${"):
            raise mistakes.wrong_type(place / "architecture", section, "a mapping 'name: ...'")
    name = document.value("architecture.name")
    if name is None:
        known = ", ".join(plugins.installed("architectures")) or "none"
        raise mistakes.missing_option(
            place, "architecture.name", f"the architecture to train; installed: {known}"
        )
    at = place / "architecture" / "name"
    if not isinstance(name, str):
        raise mistakes.wrong_type(at, name, "the name of an architecture")
    return plugins.load_architecture(name, str(at))


def _background(plugin: Architecture) -> dict[str, Any]:
    """The defaults, for interpolations that refer to what the file does not give."""
    return defaults(FileSection) | {
        "architecture": {
            "model": defaults(plugin.model_hypers) if plugin.model_hypers else {},
            "training": defaults(plugin.train_hypers) if plugin.train_hypers else {},
        }
    }


def _architecture(
    plugin: Architecture, given: Any, training_set: tuple[DataSource, ...], place: Place
) -> ArchitectureOptions:
    """The options of model and trainer."""
    place = place / "architecture"
    section = build(ArchitectureSection, given, place)
    model = _hypers(plugin.model_hypers, section.model, place / "model")
    training = _hypers(plugin.train_hypers, section.training, place / "training")
    targets = _targets(training_set)
    _check_with_targets(plugin.model_class, model, targets, place / "model")
    _check_with_targets(plugin.trainer_class, training, targets, place / "training")
    atomic_types = section.atomic_types
    if atomic_types is not None and len(set(atomic_types)) < max(len(atomic_types), 1):
        raise mistakes.wrong_type(
            place / "atomic_types", atomic_types, "atomic numbers, each once, such as [1, 6, 8]"
        )
    return ArchitectureOptions(
        name=plugin.name,
        plugin=plugin,
        model=model,
        training=training,
        atomic_types=None if atomic_types is None else tuple(sorted(atomic_types)),
        given_model=section.model,
    )


def _check_with_targets(
    owner: type[Any], hypers: Any, targets: dict[str, Target], place: Place
) -> None:
    """Let a model or trainer refuse options that do not fit the targets."""
    complete = getattr(owner, "complete_hypers", None)
    if complete is None:
        return
    try:
        # only a check: what it fills in depends on the labels that the data turn out to have
        complete(hypers, targets)
    except (MetatrainError, ValueError) as error:
        raise mistakes.within(place, error) from error


def _hypers(schema: type | None, given: Any, place: Place) -> Any:
    """Options of a model or trainer; a plug-in without ``Hypers`` takes what is given."""
    if schema is not None:
        return build(schema, given, place)
    if not isinstance(given, Mapping | None):
        raise mistakes.wrong_type(place, given, "a mapping")
    return dict(given or {})


def _targets(training_set: tuple[DataSource, ...]) -> dict[str, Target]:
    """The targets of all training data, as far as the options file describes them."""
    sources: dict[str, list[TargetSource]] = {}
    for data in training_set:
        for name, source in data.targets.items():
            sources.setdefault(name, []).append(source)
    return {
        name: Target(
            name=name,
            quantity=several[0].quantity,
            unit=several[0].unit,
            sample_kind=several[0].sample_kind,
            reduction=several[0].reduction,
            num_properties=several[0].num_subtargets,
            rank=several[0].rank,
            irreps=several[0].irreps,
            has_forces=any(source.forces is not None for source in several),
            has_stress=any(source.stress or source.virial for source in several),
            description=several[0].description,
        )
        for name, several in sources.items()
    }


def _held_out(given: Any, place: Place) -> _SetOptions:
    """Validation or test set: a fraction, rows of the training file, or data of its own."""
    if isinstance(given, int | float) and not isinstance(given, bool):
        if not 0 <= given < 1:
            raise mistakes.out_of_range(place, given, "a fraction from 0 to below 1")
        return Fraction(float(given))
    if isinstance(given, Mapping) and set(given) == {"indices"}:
        section = build(RowsSection, given, place)
        return Rows(expand_indices(section.indices, place / "indices"))
    if not isinstance(given, str | list | Mapping):
        expected = "a fraction such as 0.1, the path of a file, a mapping, or a list of mappings"
        raise mistakes.wrong_type(place, given, expected)
    return expand_training_data(given, place)


def _check_targets(
    place: Place, training_set: tuple[DataSource, ...], *held_out: _SetOptions
) -> None:
    """A target is the same everywhere, and is in the training set."""
    known: dict[str, tuple[str, TargetSource]] = {}
    for data in training_set:
        for name, source in data.targets.items():
            known.setdefault(name, (data.where, source))
    others = [data for sources in held_out if isinstance(sources, tuple) for data in sources]
    for data in (*training_set, *others):
        for name, source in data.targets.items():
            at = Place(place.origin, data.where) / "targets" / name
            if name not in known:
                suggestion = did_you_mean(name, known) or ";"
                raise at.mistake(
                    f"the training set has no such target{suggestion} it has: {', '.join(known)}"
                )
            _check_same(at, source, *known[name])


def _check_same(place: Place, source: TargetSource, where: str, first: TargetSource) -> None:
    for field in ("quantity", "sample_kind", "reduction", "type", "num_subtargets"):
        found, wanted = (
            type_of(target) if field == "type" else getattr(target, field)
            for target in (source, first)
        )
        if found != wanted:
            raise (place / field).mistake(
                f"is {found!r} here and {wanted!r} in {where}; "
                "one target is the same in all data sets"
            )


def _check_split(
    place: Place,
    training_set: tuple[DataSource, ...],
    validation_set: _SetOptions,
    test_set: _SetOptions,
) -> None:
    """Something is left to train on, and no row is in two sets."""
    parts = {"validation_set": validation_set, "test_set": test_set}
    fractions = {name: part.value for name, part in parts.items() if isinstance(part, Fraction)}
    if sum(fractions.values()) >= 1:
        sizes = " and ".join(f"{name} {value:g}" for name, value in fractions.items())
        raise (place / "test_set").mistake(f"{sizes} leave nothing to train on; lower one")
    rows = {name: set(part.indices) for name, part in parts.items() if isinstance(part, Rows)}
    if rows and len(training_set) > 1:
        raise (place / next(iter(rows))).mistake(
            f"rows of which of the {len(training_set)} training files? "
            "write a list with 'systems', 'targets' and 'indices' for each"
        )
    if rows and training_set[0].indices is not None:
        rows["training_set"] = set(training_set[0].indices)
    names = list(rows)
    for first, second in ((a, b) for i, a in enumerate(names) for b in names[i + 1 :]):
        shared = rows[first] & rows[second]
        if shared:
            raise (place / first / "indices").mistake(
                f"row {min(shared)} is in {second} too; a row belongs to one set"
            )
