"""The published models in our architecture, structures, and the published values."""

import dataclasses

import pytest
import torch

from architectures.pet import Pet, PetHypers
from metatrain.data.target import DatasetInfo, Target
from published_models import ARCHITECTURES, PublishedModel, read_structures

REFERENCE = ARCHITECTURES / "pet/reference"
CHECKPOINTS = {
    "test_v16_a": "pet_test_v16_a.ckpt.gz",
    "test_v16_b": "pet_test_v16_b.ckpt.gz",
    "multitarget_seed1": "pet_multitarget_seed1.ckpt",
    "adaptive_solver_seed2": "pet_adaptive_solver_seed2.ckpt",
    "zbl_prelneqdim_seed12": "pet_zbl_prelneqdim_seed12.ckpt",
}


def new_default_model():
    """The published model of this seed, whose file of 11 MB is not kept: the seed gives its weights."""
    torch.manual_seed(0)
    energy = Target("energy", quantity="energy", unit="eV")
    model = Pet(PetHypers(), DatasetInfo("angstrom", [1, 6, 7, 8], {"energy": energy}))
    baselines = [[-13.587222780835477], [-1029.489036], [-1484.984], [-2041.9816]]
    model.standardization = dataclasses.replace(
        model.standardization,
        baselines={"energy": torch.tensor(baselines, dtype=torch.float64)},
        scales={"energy": torch.tensor([[0.73125]], dtype=torch.float64)},
    )
    return model


def load_published(name, dtype=torch.float64):
    if name == "default_seed0":
        model = new_default_model()
    else:
        model = Pet.load_checkpoint(REFERENCE / CHECKPOINTS[name])
    return PublishedModel.of(model.to(dtype), f"pet/{name}")


@pytest.fixture(scope="session")
def structures():
    return read_structures()


@pytest.fixture(scope="session", params=["default_seed0", *CHECKPOINTS])
def published(request):
    return load_published(request.param)


@pytest.fixture(scope="session")
def load():
    return load_published
