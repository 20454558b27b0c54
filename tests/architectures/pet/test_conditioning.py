"""PET that is told of charge and spin multiplicity."""

import dataclasses
import json

import pytest
import torch
from metatomic_ase import MetatomicCalculator
from torch.testing import assert_close

from architectures.pet import Pet, PetHypers
from metatrain.data.target import DatasetInfo, Target
from metatrain.errors import MetatrainError
from metatrain.hypers import restored
from metatrain.published import read
from metatrain.testing import GraphModelTests, systems
from published_models import (
    ARCHITECTURES,
    TIGHT,
    PublishedModel,
    double,
    forces_of,
    graph_of,
    pair_gradients,
)

REFERENCE = ARCHITECTURES / "pet/reference"
INFO = DatasetInfo("angstrom", [1, 6, 7, 8], {"energy": Target("energy", "energy", "eV")})
SMALL = {"cutoff": 4.0, "d_pet": 8, "d_node": 12, "d_head": 6, "d_feedforward": 8, "num_heads": 2}
CONDITIONED = SMALL | {"system_conditioning": True, "max_charge": 2, "max_spin_multiplicity": 3}
BRIEF = {"num_epochs": 2}


def with_random_conditions(model):
    """A new model says nothing of charges; this one does."""
    weight = model.conditioning.outer.weight
    with torch.no_grad():
        weight.copy_(torch.randn(weight.shape, dtype=torch.float64))
    return model


class TestConditioned(GraphModelTests):
    architecture = "pet"
    training_hypers = BRIEF
    model_hypers = CONDITIONED | {"num_attention_layers": 1}

    def new_model(self, dtype=torch.float64):
        return with_random_conditions(super().new_model(dtype))


@pytest.fixture(params=["conditioned_feedforward_seed4", "conditioned_residual_seed5"])
def name(request):
    return request.param


def predictions_of(name):
    return json.loads((REFERENCE / f"predictions_pet_{name}.json").read_text())


def test_a_batch_of_all_charges_gives_the_published_values(name, structures):
    model = Pet.load_checkpoint(REFERENCE / f"pet_{name}.ckpt").to(torch.float64)
    expected = predictions_of(name)["predictions"]
    charged = []
    for one in expected:
        charged.append(structures[one["structure"]].copy())
        charged[-1].info |= {key: one[key] for key in ("charge", "spin_multiplicity")}
    graph = graph_of(charged, model.cutoff)
    energies, gradients = pair_gradients(PublishedModel(model, {}, {}), graph)
    found = torch.zeros(len(charged)).double().index_add(0, graph.system, energies)
    assert_close(found, double([one["energy"] for one in expected]), **TIGHT)
    forces = torch.cat([double(one["forces"]) for one in expected])
    assert_close(forces_of(graph, gradients), forces, **TIGHT)
    strain = torch.einsum("ea,eb->eab", graph.vectors, gradients)
    strains = torch.zeros(len(charged), 3, 3).double()
    strains = strains.index_add(0, graph.system[graph.centers], strain)
    assert_close(strains, double([one["dE_dstrain"] for one in expected]), **TIGHT)


def test_the_published_seed_gives_the_published_weights(name):
    made = predictions_of(name)
    torch.manual_seed(made["seed"])
    new = Pet(restored(PetHypers, made["options"]), INFO).state_dict()
    published = Pet.load_checkpoint(REFERENCE / f"pet_{name}.ckpt").state_dict()
    assert new.keys() == published.keys()
    for key, value in published.items():
        if key.startswith("conditioning.outer."):
            assert not new[key].any()  # in the reference it is not zero, to have an effect
        else:
            assert torch.equal(new[key], value), key


def test_a_file_with_too_few_weights_for_its_charges_is_refused(name):
    published = read(REFERENCE / f"pet_{name}.ckpt")
    hypers = published.hypers | {"max_charge": 10**9}
    with pytest.raises(MetatrainError, match="its weights are too few for its options"):
        Pet.from_published(dataclasses.replace(published, hypers=hypers))


def new_model(**hypers):
    torch.manual_seed(0)
    return Pet(restored(PetHypers, CONDITIONED | hypers), INFO).to(torch.float64)


def energy_in_ase(model, **info):
    atoms = systems.crystal()
    atoms.info = info
    atoms.calc = MetatomicCalculator(model.export(), check_consistency=True)
    return atoms.get_potential_energy()


def test_charge_and_spin_say_nothing_before_training():
    assert energy_in_ase(new_model(), charge=1, spin_multiplicity=2) == energy_in_ase(new_model())


def test_engines_hand_over_charge_and_spin():
    model = with_random_conditions(new_model())
    neutral = energy_in_ase(model)
    assert energy_in_ase(model, charge=0, spin_multiplicity=1) == neutral
    assert energy_in_ase(model, charge=-1) != neutral
    assert energy_in_ase(model, spin_multiplicity=3) != neutral


def test_the_energy_follows_when_the_charge_of_the_same_atoms_changes():
    atoms = systems.crystal()
    atoms.calc = MetatomicCalculator(with_random_conditions(new_model()).export())
    before = atoms.get_potential_energy()
    atoms.info["charge"] = -2
    assert atoms.get_potential_energy() != before


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"charge": 3}, "charge is 3.0, but the model knows whole numbers from -2 to 2 only"),
        ({"charge": 0.5}, "charge is 0.5, but"),
        ({"spin_multiplicity": 0}, "spin_multiplicity is 0.0, but the model knows whole numbers"),
    ],
)
def test_an_exported_model_says_what_it_does_not_know(info, expected):
    with pytest.raises(ValueError, match=expected):
        energy_in_ase(new_model(), **info)


def test_other_models_ask_for_no_charges():
    requested = new_model(system_conditioning=False).export().requested_inputs(use_new_names=True)
    assert requested == {}
