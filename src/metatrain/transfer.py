"""A trained model meets other data: what of it stays, and what cannot be."""

import dataclasses
from typing import Any

import torch

from metatrain.data.target import DatasetInfo, Target
from metatrain.errors import MetatrainError
from metatrain.standardize import Standardization
from metatrain.units import conversion_factor


def transferred(model: Any, dataset_info: DatasetInfo) -> Any:
    """The model for other data: itself if the targets are the same, else a new one.

    A new one has all weights of the old, except that a target that the old one did not have
    gets a new readout.

    :param model: a :class:`metatrain.model.GraphModel`
    :param dataset_info: of the data; atomic types must be among those that the model knows,
        targets of the same name of the same kind
    """
    known = model.dataset_info
    _check_atoms_and_lengths(dataset_info, known)
    targets = {}
    for name, target in dataset_info.targets.items():
        targets[name] = target
        if name in known.targets:
            _check_same(target, known.targets[name])
            targets[name] = dataclasses.replace(
                known.targets[name], has_forces=target.has_forces, has_stress=target.has_stress
            )
    if targets.keys() == known.targets.keys():
        # in the order that the readouts have
        ordered = {name: targets[name] for name in known.targets}
        model.dataset_info = dataclasses.replace(known, targets=ordered)
        return model
    return _with_targets(model, targets)


def _with_targets(model: Any, targets: dict[str, Target]) -> Any:
    """A model with these targets and, where they fit, the weights of ``model``."""
    _check_readouts(model)
    info = dataclasses.replace(model.dataset_info, targets=targets)
    other = type(model)(model.hypers, info).to(model.dtype)
    before = list(model.dataset_info.targets)
    place = {name: before.index(name) for name in targets if name in before}
    old, weights = model.state_dict(), other.state_dict()
    for key in weights:
        part, _, rest = key.partition(".")
        source = key
        if part in model.readout_lists:
            index, _, rest = rest.partition(".")
            name = list(targets)[int(index)]
            if name not in place:
                continue
            source = f"{part}.{place[name]}.{rest}"
        found = old.get(source)
        if found is not None and found.shape == weights[key].shape:
            weights[key] = found
        # a prior is not trained: it is what the targets and options make it
        elif part != "prior":
            raise _cannot_be_transferred(model, f"the weights {key!r} are not those of one target")
    other.load_state_dict(weights)
    fresh = Standardization.identity(info)
    kept = model.standardization
    other.standardization = Standardization(
        kept.atomic_types,
        fresh.baselines | {name: kept.baselines[name] for name in place},
        fresh.scales | {name: kept.scales[name] for name in place},
    )
    other.untrained_targets = (targets.keys() - place.keys()) | (
        model.untrained_targets & targets.keys()
    )
    return other


def _check_readouts(model: Any) -> None:
    """Refuse a model that does not say what it has per target: weights would be mixed up."""
    for name in model.readout_lists:
        found = getattr(model, name, None)
        num_targets = len(model.dataset_info.targets)
        if not isinstance(found, torch.nn.ModuleList) or len(found) != num_targets:
            raise _cannot_be_transferred(model, f"{name!r} is no ModuleList of one module each")


def _cannot_be_transferred(model: Any, reason: str) -> MetatrainError:
    kind = type(model).__name__
    return MetatrainError(
        f"{kind} cannot go on with other targets: {reason}; name the lists of one module per "
        f"target in {kind}.readout_lists, which has {', '.join(map(repr, model.readout_lists))}, "
        "or keep the targets."
    )


def _check_atoms_and_lengths(found: DatasetInfo, known: DatasetInfo) -> None:
    unknown = sorted(set(found.atomic_types) - set(known.atomic_types))
    if unknown:
        raise MetatrainError(
            f"the data holds atomic types {unknown}, which the model of the checkpoint does "
            f"not know; it was made for {known.atomic_types}."
        )
    if not _are_equal_units(found.length_unit, known.length_unit):
        raise MetatrainError(
            f"the data has length_unit {found.length_unit!r}, the model of the checkpoint "
            f"{known.length_unit!r}; a restart needs the same."
        )


def _check_same(found: Target, expected: Target) -> None:
    """Refuse a target that is not what the model was trained for."""
    for field in (
        "quantity",
        "unit",
        "sample_kind",
        "reduction",
        "num_properties",
        "rank",
        "irreps",
    ):
        one, other = getattr(found, field), getattr(expected, field)
        if not (_are_equal_units(one, other) if field == "unit" else one == other):
            raise MetatrainError(
                f"target {found.name!r} of the data has {field} {one!r}, that of the checkpoint's "
                f"model {other!r}; a restart needs the same."
            )


def _are_equal_units(one: str, other: str) -> bool:
    """Whether two units are the same, however they are written."""
    if one == other or not (one and other):
        return one == other
    return abs(conversion_factor(one, other, "unit") - 1.0) < 1e-12
