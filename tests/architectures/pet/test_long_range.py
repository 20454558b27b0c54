"""PET with long-range features."""

import dataclasses

import ase
import pytest
import torch
from metatomic_ase import MetatomicCalculator

from architectures.pet import Pet, PetHypers
from metatrain.data.target import DatasetInfo, Target
from metatrain.hypers import restored
from metatrain.testing import systems
from published_long_range import PublishedLongRangeTests

INFO = DatasetInfo("angstrom", [1, 6, 7, 8], {"energy": Target("energy", "energy", "eV")})


class TestPublished(PublishedLongRangeTests):
    model_class = Pet
    name = "pet/long_range_residual_seed5"

    def test_the_published_seed_gives_the_published_weights(self) -> None:
        made = self.made()
        torch.manual_seed(made["seed"])
        new = Pet(restored(PetHypers, made["options"]), INFO).double().state_dict()
        published = self.model().state_dict()
        assert new.keys() == published.keys()
        assert all(torch.equal(new[name], published[name]) for name in published)


def new_model(**changes: object) -> Pet:
    torch.manual_seed(0)
    hypers = restored(PetHypers, {"d_pet": 8, "num_heads": 2, "long_range": {"enable": True}})
    long_range = dataclasses.replace(hypers.long_range, **changes)
    return Pet(dataclasses.replace(hypers, long_range=long_range), INFO).double()


def test_atoms_far_beyond_the_cutoff_feel_each_other() -> None:
    atoms = ase.Atoms("OH", positions=[[0, 0, 0], [0, 0, 10]])
    forces = []
    for is_enabled in (True, False):
        model = new_model(enable=is_enabled)
        atoms.calc = MetatomicCalculator(model.export())
        forces.append(abs(atoms.get_forces()).max())
    assert forces[0] > 1e-6
    assert forces[1] == 0


@pytest.mark.parametrize(("atoms", "number"), [(systems.chain(), 1), (systems.slab(), 2)])
def test_an_exported_model_refuses_chains_and_slabs(atoms: ase.Atoms, number: int) -> None:
    atoms.calc = MetatomicCalculator(new_model().export())
    with pytest.raises(ValueError, match=f"periodic in {number} of 3 directions"):
        atoms.get_potential_energy()
