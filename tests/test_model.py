"""Models from checkpoints that somebody altered, or that were damaged."""

import copy
from pathlib import Path

import pytest
import torch

from metatrain import checkpoint
from metatrain.errors import MetatrainError
from metatrain.published import read
from pair_model import PairModel, new_model

PUBLISHED = (
    Path(__file__).parent
    / "architectures"
    / "soap_bpnn"
    / "reference"
    / "soap_bpnn_test_v9.ckpt.gz"
)


@pytest.fixture
def container():
    return new_model().as_container()


@pytest.fixture
def refusal(tmp_path):
    """Writes a checkpoint of that content, which has to be refused in one line."""

    def of(content):
        checkpoint.save(tmp_path / "altered.ckpt", content)
        with pytest.raises(MetatrainError) as caught:
            PairModel.load_checkpoint(tmp_path / "altered.ckpt")
        message = str(caught.value)
        assert "\n" not in message
        start = f"{tmp_path}/altered.ckpt: "
        assert message.startswith(start)
        return message.removeprefix(start)

    return of


@pytest.mark.parametrize("content", [{}, {"trainer": {}}, 3, [], None])
def test_a_checkpoint_without_a_model_is_refused(refusal, content):
    assert refusal(content) == "has no model."


@pytest.mark.parametrize(
    "part", ["version", "hypers", "dataset_info", "standardization", "weights"]
)
def test_a_model_that_lacks_a_part_is_damaged(refusal, container, part):
    del container[part]
    assert refusal({"model": container}).startswith("is damaged")


@pytest.mark.parametrize("part", ["hypers", "dataset_info", "standardization", "weights"])
@pytest.mark.parametrize("value", [None, "x", 3])
def test_a_part_of_the_wrong_type_is_damaged(refusal, container, part, value):
    assert refusal({"model": container | {part: value}}).startswith("is damaged")


@pytest.mark.parametrize(
    "field", ["name", "unit", "num_properties", "irreps", "has_forces", "more"]
)
def test_a_target_with_other_fields_is_damaged(refusal, container, field):
    container["dataset_info"]["targets"]["energy"][field] = 2.5
    assert refusal({"model": container}).startswith("is damaged")


@pytest.mark.parametrize("types", [None, [], ["H"], "H", [-1]])
def test_atomic_types_that_are_none_are_damaged(refusal, container, types):
    container["dataset_info"]["atomic_types"] = types
    assert refusal({"model": container}).startswith("is damaged")


@pytest.mark.parametrize("part", ["baselines", "scales"])
@pytest.mark.parametrize("value", [None, torch.zeros(2)])
def test_a_standardization_of_another_shape_is_damaged(refusal, container, part, value):
    container["standardization"][part]["energy"] = value
    message = refusal({"model": container})
    assert message == "is damaged: the baseline or scale of 'energy' does not fit it."


def test_a_weight_that_is_missing_is_named(refusal, container):
    del container["weights"]["readouts.0.bias"]
    assert refusal({"model": container}) == (
        "is damaged or of another architecture: for the weights 'readouts.0.bias' it has nothing, "
        "and the model float32 of shape (1,)."
    )


def test_a_weight_of_another_shape_or_type_is_named(refusal, container):
    for value in (torch.zeros(2), torch.zeros(1, dtype=torch.int64)):
        altered = copy.deepcopy(container)
        altered["weights"]["readouts.0.bias"] = value
        assert "for the weights 'readouts.0.bias' it has" in refusal({"model": altered})


def test_a_weight_too_many_is_named(refusal, container):
    container["weights"]["more"] = torch.zeros(1)
    assert "it has weights 'more', and the model none" in refusal({"model": container})


def test_an_option_that_is_unknown_is_named(refusal, container):
    container["hypers"]["cutof"] = 3.0
    assert "cutof: unknown option; did you mean 'cutoff'?" in refusal({"model": container})


def test_published_checkpoints_are_for_architectures_that_know_them():
    with pytest.raises(MetatrainError, match="which PairModel cannot read"):
        PairModel.from_published(read(PUBLISHED))
