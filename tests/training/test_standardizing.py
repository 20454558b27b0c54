"""Baselines of a trained model that meets the labels of another method."""

import torch

from metatrain.data.dataset import Dataset
from metatrain.standardize import fit_baseline
from metatrain.training import GradientHypers
from metatrain.training.learnable import Learnable
from metatrain.training.standardizing import standardization_for
from pair_model import ENERGY, info_of, labelled, new_model

PER_TYPE = torch.tensor([-13_000.1, 40_000.7, -70_000.3], dtype=torch.float64)


def baseline_for(columns):
    """Of a trained model in single precision."""
    model = new_model(dtype=torch.float32)
    model.untrained_targets = frozenset()
    model.standardization.scales["energy"].fill_(3.0)
    learnable = Learnable.of([Dataset(columns, info_of().targets, torch.float32)], model)
    return standardization_for(model, learnable, GradientHypers()).baselines["energy"]


def test_a_step_of_many_electronvolts_is_found_in_double_precision():
    columns = labelled(6)
    before = baseline_for(columns)
    types = torch.searchsorted(torch.tensor([1, 6, 8]), columns.types)
    shift = torch.zeros(6, dtype=torch.float64)
    shift.index_add_(0, columns.system_of_atom, PER_TYPE[types])
    columns.values["energy"] += shift.unsqueeze(1)
    moved = baseline_for(columns) - before
    columns.values["energy"] = shift.unsqueeze(1)
    expected = fit_baseline(columns, ENERGY, [1, 6, 8])
    torch.testing.assert_close(moved, expected, rtol=0, atol=1e-8)


def test_what_has_no_effect_on_a_trained_target_is_said(caplog):
    model, columns = new_model(), labelled(6)
    model.untrained_targets = frozenset()
    model.standardization.scales["energy"].fill_(1e-3)
    learnable = Learnable.of([Dataset(columns, info_of().targets, torch.float64)], model)
    hypers = GradientHypers(scale_targets=False, atomic_baseline={"energy": 1.0})
    standardization_for(model, learnable, hypers)
    assert "energy keeps the scale of the checkpoint, 0.001; that of these labels is" in caplog.text
    assert "architecture.training.scale_targets has no effect on energy" in caplog.text
    assert "architecture.training.atomic_baseline has no effect on energy" in caplog.text
    assert "fixed_scaling_weights" not in caplog.text
