"""Training, validation and test set of a run."""

from dataclasses import dataclass, replace

import torch

from metatrain.checkpoint import RunRecord
from metatrain.data.census import census
from metatrain.data.columns import Columns
from metatrain.data.reading import Units, read_columns, targets_of
from metatrain.data.source import DataSource
from metatrain.data.splits import split_randomly
from metatrain.data.target import DatasetInfo, Target
from metatrain.errors import MetatrainError
from metatrain.log import logger
from metatrain.options import Fraction, Options, Rows
from metatrain.seeds import stream_seed
from metatrain.standardize import fit_baseline, residuals_per_atom

PARTS = ("training", "validation", "test")


@dataclass(frozen=True)
class Parts:
    """The three sets of a run.

    :param columns: of ``training``, ``validation`` and ``test``; the latter two may be empty
    :param info: what a model is told
    :param splits: rows of the data set of the options file that each part drawn by a
        fraction took
    :param num_systems: number of systems in that data set
    """

    columns: dict[str, Columns]
    info: DatasetInfo
    splits: dict[str, list[int]]
    num_systems: int


def read_parts(options: Options, seed: int, run: RunRecord | None) -> Parts:
    """Read all data, each file once, and split it.

    :param seed: of the run; splits have a stream of their own
    :param run: the run that is restarted, whose split is used again
    """
    units = Units(
        options.training_set[0].systems.length_unit,
        {
            name: target.unit
            for source in reversed(options.training_set)
            for name, target in source.targets.items()
        },
    )
    given = [read_columns(source, units) for source in options.training_set]
    targets = targets_of(options.training_set, given)
    drawn_from = Columns.concatenate(given)
    splits = _splits(options, len(drawn_from), seed, run)
    columns = {part: drawn_from.select(rows) for part, rows in splits.items()}
    for part, asked in (("validation", options.validation_set), ("test", options.test_set)):
        if isinstance(asked, Rows):
            columns[part] = whole.select(_in_range(asked.indices, len(whole), f"{part}_set"))
        elif not isinstance(asked, Fraction):
            columns[part] = Columns.concatenate([_read_other(s, units, targets) for s in asked])
    info = DatasetInfo(units.length_unit, _atomic_types(options, columns), targets)
    stored = {part: rows.tolist() for part, rows in splits.items()}
    return Parts(columns, info, stored, len(drawn_from))


def _read_other(source: DataSource, units: Units, targets: dict[str, Target]) -> Columns:
    unknown = [name for name in source.targets if name not in targets]
    if unknown:
        raise MetatrainError(
            f"{source.where}.targets.{unknown[0]}: is no target of the training set, which has "
            f"{', '.join(targets)}."
        )
    return read_columns(source, units)


def _splits(
    options: Options, num_systems: int, seed: int, run: RunRecord | None
) -> dict[str, torch.Tensor]:
    fractions = {
        part: asked.value if isinstance(asked, Fraction) else 0.0
        for part, asked in (("validation", options.validation_set), ("test", options.test_set))
    }
    if run is not None:
        if run.num_systems != num_systems:
            raise MetatrainError(
                f"training_set: holds {num_systems} systems, but the run of the checkpoint had "
                f"{run.num_systems}; its split cannot be used again. Restart with the same "
                "data, or start a new run."
            )
        return {part: torch.tensor(rows, dtype=torch.int64) for part, rows in run.splits.items()}
    drawn = split_randomly(num_systems, seed=stream_seed(seed, "split"), **fractions)
    return {part: getattr(drawn, part) for part in PARTS}


def _atomic_types(options: Options, columns: dict[str, Columns]) -> list[int]:
    found = {part: set(of.atomic_types()) for part, of in columns.items()}
    given = options.architecture.atomic_types
    known = sorted(given if given is not None else found["training"] | found["validation"])
    for part in PARTS:
        unknown = sorted(found[part] - set(known))
        if unknown:
            raise MetatrainError(
                f"{part}_set: holds atomic types {unknown}, which are not among the model's "
                f"{known}; leave those systems out, or train on such atoms too."
            )
    unseen = sorted(set(known) - found["training"])
    if unseen:
        logger.warning(
            "atomic types %s are not in the training set: what is predicted for them is "
            "not learned from data",
            unseen,
        )
    return known


def log_census(parts: Parts) -> None:
    """Print what labels there are, and what is left of the energies after the baseline."""
    info, training = parts.info, parts.columns["training"]
    energies = {
        name: fit_baseline(training, target, info.atomic_types)
        for name, target in info.targets.items()
        if not target.is_per_atom and target.num_properties == 1
    }
    for part in PARTS:
        columns = parts.columns[part]
        if len(columns) == 0:
            continue
        rest = {
            name: residuals_per_atom(columns, info.targets[name], info.atomic_types, baseline)
            for name, baseline in energies.items()
            if name in columns.values
        }
        text = census(
            f"{part} set", columns, info.targets, length_unit=info.length_unit, residuals=rest
        )
        logger.info("%s", text.rstrip())
