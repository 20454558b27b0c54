"""Training, validation and test set of a run."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from metatrain.checkpoint import RunRecord
from metatrain.data.atomic_types import check_atomic_types, symbols
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
from metatrain.standardize import choice_of_baseline, fit_baseline, residuals_per_atom

PARTS = ("training", "validation", "test")


@dataclass(frozen=True)
class Parts:
    """The three sets of a run.

    :param columns: of ``training``, ``validation`` and ``test``; the latter two may be empty
    :param info: what a model is told
    :param splits: rows of the data set of the options file that each part drawn by a
        fraction took
    :param num_systems: number of systems in that data set
    :param fingerprints: of each part
    """

    columns: dict[str, Columns]
    info: DatasetInfo
    splits: dict[str, list[int]]
    num_systems: int
    fingerprints: dict[str, str]


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
    whole, targets = _read_training_files(options, units)
    splits = _splits(options, len(whole), seed, run)
    _tell_of_absent_gradients(whole, targets)
    num_systems = len(whole)
    columns = whole.take_apart(splits)
    for part, asked in _held_out(options).items():
        if not isinstance(asked, Fraction | Rows):
            columns[part] = Columns.concatenate([read_columns(s, units) for s in asked])
    _warn_of_shared_systems(columns)
    info = DatasetInfo(units.length_unit, _atomic_types(options, columns), targets)
    stored = {part: rows.tolist() for part, rows in splits.items()}
    fingerprints = {part: of.fingerprint() for part, of in columns.items()}
    if run is not None:
        _check_same_systems(run, fingerprints)
    return Parts(columns, info, stored, num_systems, fingerprints)


def _held_out(options: Options) -> dict[str, Fraction | Rows | tuple[DataSource, ...]]:
    return {"validation": options.validation_set, "test": options.test_set}


def _read_training_files(options: Options, units: Units) -> tuple[Columns, dict[str, Target]]:
    """All systems that training, and parts drawn from its files, may take."""
    sources = options.training_set
    if any(isinstance(asked, Rows) for asked in _held_out(options).values()):
        # rows count through the whole file, whichever of them training itself takes
        sources = tuple(replace(source, indices=None) for source in sources)
    # what the sources say of the targets has to agree before columns can be put together
    targets_of(sources, ())
    whole = Columns.concatenate(read_columns(source, units) for source in sources)
    return whole, targets_of(sources, [whole])


def _check_same_systems(run: RunRecord, fingerprints: dict[str, str]) -> None:
    """Refuse a restart with other data: it would be another run."""
    for part in PARTS:
        if run.fingerprints[part] != fingerprints[part]:
            raise MetatrainError(
                f"{part}_set: holds other systems or labels, or in another order, than in the run "
                "of the checkpoint. Restart with the same data, or start a new run."
            )


def _splits(
    options: Options, num_systems: int, seed: int, run: RunRecord | None
) -> dict[str, Tensor]:
    """Rows of the training files that each part takes."""
    if run is not None:
        if run.num_systems != num_systems:
            raise MetatrainError(
                f"training_set: holds {num_systems} systems, but the run of the checkpoint had "
                f"{run.num_systems}. Restart with the same data, or start a new run."
            )
        return {part: torch.tensor(rows, dtype=torch.int64) for part, rows in run.splits.items()}
    asked = _held_out(options)
    rows = {
        part: _in_range(of.indices, num_systems, f"{part}_set")
        for part, of in asked.items()
        if isinstance(of, Rows)
    }
    free = torch.arange(num_systems)
    if rows:
        given = options.training_set[0].indices
        is_free = torch.ones(num_systems, dtype=torch.bool)
        is_free[torch.cat(list(rows.values()))] = False
        free = torch.nonzero(is_free).squeeze(1) if given is None else torch.tensor(given)
    if len(free) == 0:
        raise MetatrainError(
            f"training_set: the indices of {' and '.join(f'{part}_set' for part in rows)} take all "
            f"{num_systems} systems, which leaves nothing to train on; take fewer."
        )
    fractions = {part: of.value if isinstance(of, Fraction) else 0.0 for part, of in asked.items()}
    drawn = split_randomly(len(free), seed=stream_seed(seed, "split"), **fractions)
    return {part: rows.get(part, free[getattr(drawn, part)]) for part in PARTS}


def _in_range(indices: tuple[int, ...], num_systems: int, where: str) -> Tensor:
    if max(indices) >= num_systems:
        raise MetatrainError(
            f"{where}.indices: {max(indices)} is out of range; the training file has "
            f"{num_systems} systems, 0 to {num_systems - 1}."
        )
    return torch.tensor(indices)


def _atomic_types(options: Options, columns: dict[str, Columns]) -> list[int]:
    found = {part: set(of.atomic_types()) for part, of in columns.items()}
    given = options.architecture.atomic_types
    drawn = found["training"] | found["validation"]
    if isinstance(options.test_set, Fraction | Rows):
        # a split is random: what it leaves to the test set alone is no mistake of the user
        drawn |= found["test"]
    known = sorted(drawn if given is None else given)
    way_out = "leave that system out, or " + (
        "train on such atoms too" if given is None else "add them to architecture.atomic_types"
    )
    for part in PARTS:
        check_atomic_types(columns[part], known, where=f"{part}_set: ", way_out=way_out)
    unseen = sorted(set(known) - found["training"])
    if unseen:
        logger.warning(
            "there is no %s in the training set: what is predicted for such atoms is not learned "
            "from data",
            symbols(unseen),
        )
    return known


def _tell_of_absent_gradients(columns: Columns, targets: dict[str, Target]) -> None:
    """Say which derivatives of energies are not learned, because no file has them."""
    for name, target in targets.items():
        if target.quantity != "energy" or target.is_per_atom:
            continue
        if not target.has_forces:
            logger.info("%s: trained without forces, the files have none (by that name)", name)
        if not target.has_stress and bool(columns.pbc.all(dim=1).any()):
            logger.info("%s: trained without stress, the files have none (by that name)", name)


def _warn_of_shared_systems(columns: dict[str, Columns]) -> None:
    """Tell of systems that are both learned from and tested with."""
    learned = columns["training"].origin
    for part in ("validation", "test"):
        num_shared = learned.count_shared(columns[part].origin)
        if num_shared:
            logger.warning(
                "%s_set: %d of its %d systems are in the training set too, the same rows of the "
                "same file: its errors say nothing about other systems",
                part,
                num_shared,
                len(columns[part]),
            )


def log_census(parts: Parts, atomic_baseline: Any) -> None:
    """Print what labels there are, and what is left of the energies after the baseline.

    :param atomic_baseline: how the trainer is told to find the baseline
    """
    info, training = parts.info, parts.columns["training"]
    energies = {
        name: fit_baseline(
            training, target, info.atomic_types, choice_of_baseline(target, atomic_baseline)
        )
        for name, target in info.targets.items()
        if not target.is_per_atom and target.num_values == 1
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
