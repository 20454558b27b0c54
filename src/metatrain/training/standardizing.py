"""Baseline and scale of a model: fitted where a target is new to it, moved where it is not."""

import dataclasses

import torch
from torch import Tensor

from metatrain.data.target import Target
from metatrain.log import logger
from metatrain.model import GraphModel
from metatrain.standardize import Standardization, choice_of_baseline, fit_baseline, fit_scale
from metatrain.training.hypers import GradientHypers
from metatrain.training.labels import standardized_labels
from metatrain.training.learnable import SYSTEMS_AT_ONCE, Learnable
from metatrain.training.step import predict


def standardization_for(
    model: GraphModel, learnable: Learnable, hypers: GradientHypers
) -> Standardization:
    """Baseline and scale with which the model learns from a training set.

    :param model: new, or to be fine-tuned; on its device and in its precision
    :param learnable: the training set
    :param hypers: say how baselines and scales are found
    """
    targets = model.dataset_info.targets
    fitted, trained = {}, {}
    for name, target in targets.items():
        if name in model.untrained_targets:
            fitted[name] = _fitted(model, learnable, target, hypers)
        else:
            trained[name] = target
    for name, step in _steps_of_baselines(model, learnable, trained).items():
        kept = model.standardization
        fitted[name] = kept.baselines[name] + step, kept.scales[name]
        largest, unit = float(step.abs().max()), targets[name].unit
        logger.info("fine-tuning: the baseline of %s moves by at most %.3g %s", name, largest, unit)
        _tell_of_scale(learnable, targets[name], fitted[name])
        _tell_of_options(name, hypers)
    return Standardization(
        model.dataset_info.atomic_types,
        {name: baseline for name, (baseline, _) in fitted.items()},
        {name: scale for name, (_, scale) in fitted.items()},
    )


def _tell_of_scale(learnable: Learnable, target: Target, kept: tuple[Tensor, Tensor]) -> None:
    """Say so where the scale of a trained target is far from that of new labels."""
    baseline, scale = kept
    types = learnable.columns.atomic_types()
    if len(types) == len(baseline):
        fresh = fit_scale(learnable.columns, target, types, baseline)
        ratio = float((fresh / scale.mean(dim=0)).max())
        if not 0.1 < ratio < 10:
            logger.warning(
                "fine-tuning: %s keeps the scale of the checkpoint, %.3g; that of these labels is "
                "%.3g times as large, so the loss begins far from one",
                target.name,
                float(scale.mean()),
                ratio,
            )


def _tell_of_options(target: str, hypers: GradientHypers) -> None:
    """Say which options have no effect on a target that is trained already."""
    baseline = hypers.atomic_baseline
    idle = {
        "atomic_baseline": not isinstance(baseline, dict) or target in baseline,
        "fixed_scaling_weights": target in hypers.fixed_scaling_weights,
        "scale_targets": not hypers.scale_targets,
    }
    for option in (name for name, is_idle in idle.items() if is_idle):
        logger.warning(
            "fine-tuning: architecture.training.%s has no effect on %s, which keeps the scale of the "
            "checkpoint and moves its baseline",
            option,
            target,
        )


def _fitted(
    model: GraphModel, learnable: Learnable, target: Target, hypers: GradientHypers
) -> tuple[Tensor, Tensor]:
    """Baseline (T, V) and scale (1, V) from the labels alone."""
    types = model.dataset_info.atomic_types
    given = choice_of_baseline(target, hypers.atomic_baseline)
    baseline = fit_baseline(learnable.columns, target, types, given)
    if target.name in hypers.fixed_scaling_weights:
        fixed = hypers.fixed_scaling_weights[target.name]
        return baseline, torch.full((1, target.num_values), fixed, dtype=torch.float64)
    if hypers.scale_targets:
        return baseline, fit_scale(learnable.columns, target, types, baseline)
    return baseline, torch.ones(1, target.num_values, dtype=torch.float64)


def _steps_of_baselines(
    model: GraphModel, learnable: Learnable, targets: dict[str, Target]
) -> dict[str, Tensor]:
    """How far the baselines of trained targets have to move to be those of new labels.

    Another method of calculation has other energies of atoms, electronvolts apart, which a
    network should not have to learn. What the model leaves of the labels is fitted against
    the composition: least squares of least norm, so that what fits already stays.
    """
    if not targets:
        return {}
    columns = learnable.columns
    systems = learnable.batches(model, next(model.parameters()).device)
    values_only = {
        name: dataclasses.replace(target, has_forces=False, has_stress=False)
        for name, target in targets.items()
    }
    predicted: dict[str, list[Tensor]] = {name: [] for name in targets}
    model.eval()
    for rows in torch.arange(len(columns)).split(SYSTEMS_AT_ONCE):
        graph = systems.batch(rows).graph
        found = predict(model, graph, values_only, is_training=False)
        for name, prediction in found.items():
            predicted[name].append(prediction.values.double().cpu())
    # not those of the batches: in single precision a large step would lose its digits
    labels = standardized_labels(columns, values_only, model.standardization).values
    steps = {}
    for name, target in targets.items():
        rest = labels[name] - torch.cat(predicted[name])
        rest = rest * model.standardization.scale_of_rows(name, columns.types)
        if target.is_extensive:
            rest = rest * columns.num_atoms.unsqueeze(1)
        rests = dataclasses.replace(columns, values=columns.values | {name: rest})
        steps[name] = fit_baseline(rests, target, model.dataset_info.atomic_types)
    return steps
