"""A model of some targets made ready for others."""

import dataclasses

import pytest
import torch

from metatrain.data.target import Target
from metatrain.errors import MetatrainError
from metatrain.nn import NoPrior
from metatrain.standardize import repulsion
from pair_model import ENERGY, PairModel, info_of, new_model

CHARGES = Target("mtt::charges", "charge", "e", sample_kind="atom")
DIPOLE = Target("mtt::dipole", "dipole", "e*A", rank=1)


def trained_model(*targets: Target, model_class: type = PairModel):
    """A model that says it was trained, with a baseline and a scale."""
    model = new_model(*targets, model_class=model_class)
    model.untrained_targets = frozenset()
    for baseline in model.standardization.baselines.values():
        baseline.fill_(7.0)
    for scale in model.standardization.scales.values():
        scale.fill_(3.0)
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
    assert after.standardization.scales["energy"].item() == 3.0
    assert after.standardization.scales["mtt::charges"].item() == 1.0


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


class WithHeads(PairModel):
    """A model whose list of readouts has another name."""

    def __init__(self, hypers, dataset_info):
        super().__init__(hypers, dataset_info)
        self.heads = self.readouts
        del self.readouts


class WithWidths(PairModel):
    """A model with a layer beside its readouts that depends on the targets."""

    def __init__(self, hypers, dataset_info):
        super().__init__(hypers, dataset_info)
        widths = [target.num_values for target in dataset_info.targets.values()]
        self.every = torch.nn.Linear(4, sum(widths))


@pytest.mark.parametrize("targets", [(ENERGY, CHARGES), (CHARGES,), (DIPOLE,)])
@pytest.mark.parametrize("model_class", [WithHeads, WithWidths])
def test_a_model_that_does_not_name_what_it_has_per_target_is_refused(model_class, targets):
    model = trained_model(ENERGY, DIPOLE, model_class=model_class)
    with pytest.raises(MetatrainError, match=r"readout_lists, which has 'readouts'") as caught:
        model.restart(info_of(*targets))
    assert str(caught.value).isprintable()


def test_readouts_may_have_any_name_that_the_class_gives():
    named = type("Named", (WithHeads,), {"readout_lists": ("heads",)})
    before = trained_model(CHARGES, ENERGY, model_class=named)
    assert same(before.restart(info_of(ENERGY)).heads[0], before.heads[1])


class WithRepulsion(PairModel):
    """A model with the repulsion of nuclei."""

    def __init__(self, hypers, dataset_info):
        super().__init__(hypers, dataset_info)
        self.prior = repulsion(dataset_info)
        self.cutoff = max(self.cutoff, self.prior.cutoff)


def test_the_repulsion_goes_and_comes_with_the_energy():
    before = trained_model(ENERGY, model_class=WithRepulsion)
    without = before.restart(info_of(CHARGES))
    assert isinstance(without.prior, NoPrior)
    assert torch.equal(without.neighbor_factors.weight, before.neighbor_factors.weight)
    again = without.restart(info_of(ENERGY))
    assert torch.equal(again.prior.radii, before.prior.radii)
