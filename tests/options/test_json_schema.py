"""The JSON schema refuses what the parser refuses; what it accepts, conftest's ``read`` tests."""

import copy
import dataclasses

import pytest
from jsonschema import Draft7Validator, Draft202012Validator
from omegaconf import OmegaConf

from metatrain import plugins
from metatrain.hypers.json_schema import section_schema
from metatrain.options.json_schema import file_schema
from metatrain.training import GradientHypers

GOOD = "architecture: {name: toy}\ntraining_set: water.xyz\nvalidation_set: 0.1\n"


def is_valid(schema, text):
    content = OmegaConf.to_container(OmegaConf.create(text))
    verdict = schema.is_valid(content)
    # older editors know draft 7 alone
    assert Draft7Validator(schema.schema).is_valid(content) == verdict
    return verdict


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("validation_set: 0.1\n", ""),
        ("validation_set", "validation_sett"),
        ("0.1", "1.0"),
        ("0.1", "-0.1"),
        ("0.1", "{indices: [-1]}"),
        ("0.1", "{indices: [1], systems: water.xyz}"),
        ("name: toy", "name: tory"),
        ("name: toy", "model: {}"),
        ("name: toy", "name: toy, modell: {}"),
        ("name: toy", "name: toy, model: {num_layer: 1}"),
        ("name: toy", "name: toy, model: {num_layers: 0}"),
        ("name: toy", "name: toy, model: {num_layers: many}"),
        ("name: toy", "name: toy, model: {num_layers: 1.5}"),
        ("name: toy", "name: toy, model: {cutoff: {radius: 0.0}}"),
        ("name: toy", "name: toy, model: {cutoff: 5.0}"),
        ("name: toy", "name: toy, model: {activation: relu}"),
        ("name: toy", "name: toy, model: {heads: {energy: mpl}}"),
        ("name: toy", "name: toy, training: {betas: [0.9]}"),
        ("name: toy", "name: toy, training: {betas: [0.9, 1.1]}"),
        ("name: toy", "name: toy, atomic_types: [0]"),
        ("water.xyz", "[]"),
        ("water.xyz", "{systems: water.xyz}"),
        ("water.xyz", "{system: water.xyz, targets: {energy: {}}}"),
        ("water.xyz", "{systems: water.xyz, targets: {energy: {forces: 3}}}"),
        ("water.xyz", "{systems: water.xyz, targets: {energy: {sample_kind: atoms}}}"),
        ("water.xyz", "{systems: water.xyz, targets: {energy: {type: vector}}}"),
        ("water.xyz", "{systems: water.xyz, targets: {energy: {type: {cartesian: {}}}}}"),
        ("water.xyz", "{systems: water.xyz, targets: {energy: {num_subtargets: 0}}}"),
        ("water.xyz", "{systems: {read_from: water.xyz, reader: asse}, targets: {energy: {}}}"),
        ("\n", "\nbase_precision: 33\n"),
        ("\n", "\nseed: -1\n"),
        ("\n", "\nwandb: {}\n"),
    ],
)
def test_a_mistake_is_refused(schema, before, after):
    assert is_valid(schema, GOOD)
    assert not is_valid(schema, GOOD.replace(before, after, 1))


LOSS = "{energy: {type: huber, delta: 0.1, forces: mae, gradients: {strain: {weight: 2}}}}"


@pytest.fixture(scope="module")
def trainer():
    """The JSON schema of ``architecture.training`` where a model is trained by gradients."""
    definitions = file_schema([])["$defs"]
    return Draft202012Validator(section_schema(GradientHypers) | {"$defs": definitions})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "num_epochs: 5",
        "num_epochs: ${seed}",
        "batch_size: ${seed}",
        "batch_size: {atoms: 512}",
        "batch_size: {atoms: 512, pairs: null}",
        "log_mae: off",
        "compile: on",
        "compile: auto",
        "precision: bf16",
        "grad_clip_norm:",
        "loss: huber",
        "loss: {energy: mae, 'mtt::gap': {weight: 0.5}}",
        f"loss: {LOSS}",
        "loss: my_losses:Smooth",
        "loss: {energy: {type: 'my_losses:Smooth', anything: 3}}",
        "optimizer: {type: adamw, beta2: 0.99}",
        "scheduler: {type: plateau, patience: 3}",
        "loggers: []",
        "loggers: [csv, {type: csv, file: mine.csv}]",
        "finetune: {read_from: model.ckpt}",
        "atomic_baseline: {energy: {1: -13.6, 8: -432.1}}",
    ],
)
def test_options_of_the_trainer_are_accepted(trainer, text):
    assert is_valid(trainer, text)


@pytest.mark.parametrize(
    "text",
    [
        "num_epoch: 5",
        "num_epochs: 0",
        "num_epochs: on",
        "compile: maybe",
        "batch_size: 0",
        "batch_size: {atoms: 0}",
        "batch_size: {systems: 8}",
        "log_mae: maybe",
        "warmup_fraction: 1.1",
        "best_model_metric: rmse",
        "loss: hubr",
        "loss: {energy: {type: huber, deltaa: 0.1}}",
        "loss: {energy: {type: huber, delta: 0.0}}",
        "loss: {energy: {type: mse, delta: 0.1}}",
        "loss: {energy: {weight: -1}}",
        "loss: {energy: {gradients: {positions: {forces: mse}}}}",
        "optimizer: {beta2: 0.99}",
        "optimizer: {type: adamw, beta3: 0.99}",
        "scheduler: cosin",
        "loggers: csv",
        "loggers: [csvv]",
    ],
)
def test_mistakes_in_options_of_the_trainer_are_refused(trainer, text):
    assert not is_valid(trainer, text)


def test_the_schema_is_a_schema(schema):
    Draft202012Validator.check_schema(schema.schema)


def test_it_carries_meanings_and_defaults_to_the_editor(schema):
    (branch,) = schema.schema["properties"]["architecture"]["allOf"]
    radius = branch["then"]["properties"]["model"]["properties"]["cutoff"]["properties"]["radius"]
    assert radius["description"] == "radius of the neighborhood"
    assert radius["default"] == 5.0
    assert radius["exclusiveMinimum"] == 0.0


def test_the_options_follow_the_architecture_that_is_named(schema):
    toy = plugins.load_architecture("toy", "tests")
    other = dataclasses.replace(toy, name="other", package="elsewhere", model_hypers=None)
    both = Draft202012Validator(file_schema([toy, other]))

    def takes(name):
        return is_valid(both, GOOD.replace("toy", f"{name}, model: {{depth: 3}}"))

    assert takes("other")
    assert takes("'elsewhere:other'")
    assert takes("'my_package:Thing'")
    assert not takes("toy")
    assert not takes("another")


def test_no_option_of_the_file_is_left_open(schema):
    """What the dataclasses do not say of an option, the schema says: the grammar's shorthands."""

    def open_options(where, node):
        if isinstance(node, list):
            return [found for item in node for found in open_options(where, item)]
        if not isinstance(node, dict):
            return []
        found = [
            f"{where}.{name}"
            for name, option in node.get("properties", {}).items()
            if not set(option) - {"description", "default"}
        ]
        return found + [each for key, item in node.items() for each in open_options(key, item)]

    whole = copy.deepcopy(schema.schema)
    branches = whole["properties"]["architecture"].pop("allOf")
    assert open_options("file", whole) == []
    assert open_options("architecture", branches) == ["training.loss"]
