"""Which published checkpoints become our model, and what is said of the others."""

import dataclasses
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from architectures.soap_bpnn import SoapBpnn
from metatrain import checkpoint
from metatrain.errors import MetatrainError
from metatrain.published import read

REFERENCE = Path(__file__).parent / "reference"
SMALL = REFERENCE / "soap_bpnn_test_v9.ckpt.gz"
MULTITARGET = REFERENCE / "soap_bpnn_legacy_multitarget_seed1.ckpt"


@pytest.fixture
def published():
    return read(SMALL)


def refusal_of(published, **changes):
    with pytest.raises(MetatrainError) as caught:
        SoapBpnn.from_published(dataclasses.replace(published, **changes))
    return str(caught.value)


def test_tensors_are_left_out_and_named(caplog):
    model = SoapBpnn.load_checkpoint(MULTITARGET)
    assert list(model.dataset_info.targets) == ["energy", "mtt::charges"]
    assert "left out non_conservative_force, non_conservative_stress, mtt::sph" in caplog.text


def test_a_model_of_tensors_alone_is_refused(published):
    (target,) = published.dataset_info.targets.values()
    vector = {"force": dataclasses.replace(target, name="force", rank=1)}
    info = dataclasses.replace(published.dataset_info, targets=vector)
    assert "tensors alone (force)" in refusal_of(published, dataset_info=info)


def test_what_was_loaded_is_the_same_after_a_checkpoint_of_ours(tmp_path):
    model = SoapBpnn.load_checkpoint(MULTITARGET)
    checkpoint.save(tmp_path / "ours.ckpt", {"model": model.as_container()})
    again = SoapBpnn.load_checkpoint(tmp_path / "ours.ckpt")
    assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)
    assert_close(again.standardization.scales, model.standardization.scales, rtol=0, atol=0)


def test_weights_are_loaded_in_their_precision(published):
    weights = {
        name: value.double() if value.is_floating_point() else value
        for name, value in published.weights.items()
    }
    model = SoapBpnn.from_published(dataclasses.replace(published, weights=weights))
    assert model.dtype == torch.float64


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"architecture": "other"}, "is a checkpoint of 'other', not of 'soap_bpnn'"),
        ({"version": 10}, "newer than version 9 known here; install a release that knows it: pip"),
        ({"version": 8}, "older than version 9; load and save it with metatrain 2026.4.1"),
    ],
)
def test_other_architectures_and_versions_are_refused(published, changes, expected):
    assert expected in refusal_of(published, **changes)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ({"zbl": True}, "is among its weights or its options, and not in both"),
        ({"long_range": {"enable": True}}, "is among its weights or its options, and not in both"),
        ({"something": 1}, "something: unknown option"),
        ({"soap": {"max_radial": 10**9}}, "its weights are too few for its options"),
        ({"bpnn": {"num_neurons_per_layer": 10**9}}, "its weights are too few for its options"),
        ({"bpnn": {"num_hidden_layers": 10**9}}, "its weights are too few for its options"),
        ({"legacy": False}, "is among its weights or its options, and not in both"),
    ],
)
def test_options_that_are_not_those_of_the_weights_are_refused(published, option, expected):
    assert expected in refusal_of(published, hypers=published.hypers | option)


def test_weights_that_are_missing_unknown_or_of_another_shape_are_refused(published):
    weights, name = published.weights, "bpnn.module_list.2.0.weight"
    others = {key: value for key, value in weights.items() if key != name}
    assert f"{name!r} is among" in refusal_of(published, weights=others)
    assert "'more' is among" in refusal_of(published, weights=weights | {"more": weights[name]})
    wide = weights | {name: torch.zeros(1, 81)}
    assert "has float32 of shape (1, 81), and the model" in refusal_of(published, weights=wide)
