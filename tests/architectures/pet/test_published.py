"""Which published checkpoints become our model, and what is said of the others."""

import dataclasses

import pytest
import torch

from architectures.pet import Pet
from metatrain.errors import MetatrainError
from metatrain.published import read
from published_models import ARCHITECTURES

REFERENCE = ARCHITECTURES / "pet/reference"
BEFORE_16 = ("system_conditioning", "max_charge", "max_spin_multiplicity")
BEFORE_10 = (
    *BEFORE_16,
    "cutoff_width_adaptive",
    "adaptive_cutoff_method",
    "attention_temperature",
    "num_neighbors_adaptive",
    "cutoff_function",
)


@pytest.fixture
def published():
    return read(REFERENCE / "pet_multitarget_seed1.ckpt")


def of_version(published, version, missing):
    """As an older package would have written it."""
    return dataclasses.replace(
        published,
        version=version,
        hypers={name: value for name, value in published.hypers.items() if name not in missing},
        weights={name.removeprefix("backend."): value for name, value in published.weights.items()},
    )


def refusal_of(published, **changes):
    with pytest.raises(MetatrainError) as caught:
        Pet.from_published(dataclasses.replace(published, **changes))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_version_before_the_last_gives_the_same_model(published):
    found = Pet.from_published(of_version(published, 15, BEFORE_16)).state_dict()
    expected = Pet.from_published(published).state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_what_old_versions_had_no_option_for_is_as_it_was(published):
    hypers = Pet.from_published(of_version(published, 9, BEFORE_10)).hypers
    assert hypers.cutoff_function == "Cosine"
    assert hypers.adaptive_cutoff_method == "grid"
    assert hypers.cutoff_width_adaptive == hypers.cutoff_width
    assert hypers.num_neighbors_adaptive is None


def test_versions_that_are_not_known_are_refused(published):
    assert "of version 7 of pet, older than version 8" in refusal_of(published, version=7)
    assert "of version 17 of pet, newer than version 16" in refusal_of(published, version=17)


def test_low_rank_corrections_are_refused(published):
    name = next(iter(published.weights))
    weights = published.weights | {f"{name}.lora_A.weight": torch.zeros(1)}
    assert "low-rank corrections" in refusal_of(published, weights=weights)


def test_options_and_weights_that_do_not_fit_are_refused(published):
    more = published.weights | {"backend.gnn_layers.7.compress.0.bias": torch.zeros(1)}
    assert "'gnn_layers.7.compress.0.bias' is among" in refusal_of(published, weights=more)
    large = published.hypers | {"d_pet": 8_000_000}
    assert "too few for its options" in refusal_of(published, hypers=large)


def test_a_loaded_model_trains_on_and_loads_again(published, tmp_path):
    model = Pet.from_published(published)
    again = Pet.from_container(model.as_container())
    assert all(
        torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items()
    )
