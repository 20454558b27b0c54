"""A model of some targets made ready for others."""

import dataclasses

import pytest
import torch

from metatrain.data.target import Target
from metatrain.errors import MetatrainError
from pair_model import ENERGY, info_of, new_model

CHARGES = Target("mtt::charges", "charge", "e", sample_kind="atom")
DIPOLE = Target("mtt::dipole", "dipole", "e*A", rank=1)


def trained_model(*targets: Target):
    """A model that says it was trained, with a baseline."""
    model = new_model(*targets)
    model.untrained_targets = frozenset()
    for baseline in model.standardization.baselines.values():
        baseline.fill_(7.0)
    return model


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    weights = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in weights)


def test_the_same_targets_keep_the_very_model():
    model = trained_model(ENERGY, CHARGES)
    assert model.restart(info_of(CHARGES, ENERGY)) is model
    assert list(model.dataset_info.targets) == ["energy", "mtt::charges"]


def test_a_target_that_comes_gets_a_readout_and_the_rest_stays():
    before = trained_model(ENERGY)
    after = before.restart(info_of(CHARGES, ENERGY))
    assert same(after.readouts[1], before.readouts[0])
    assert torch.equal(after.neighbor_factors.weight, before.neighbor_factors.weight)
    assert after.untrained_targets == {"mtt::charges"}
    assert (after.standardization.baselines["energy"] == 7.0).all()
    assert (after.standardization.baselines["mtt::charges"] == 0.0).all()


def test_a_target_that_goes_takes_its_readout_along():
    before = trained_model(CHARGES, ENERGY)
    after = before.restart(info_of(ENERGY))
    assert len(after.readouts) == 1
    assert same(after.readouts[0], before.readouts[1])
    assert after.untrained_targets == frozenset()


def test_what_remains_predicts_what_it_did():
    before = trained_model(CHARGES, ENERGY)
    after = before.restart(info_of(DIPOLE, ENERGY))
    assert same(after.readouts[1], before.readouts[1])
    assert after.readouts[0].out_features == 3


def test_a_target_of_the_same_name_has_to_be_of_the_same_kind():
    with pytest.raises(MetatrainError, match="has rank 0, that of the checkpoint's model 1"):
        trained_model(DIPOLE).restart(info_of(dataclasses.replace(DIPOLE, rank=0)))
