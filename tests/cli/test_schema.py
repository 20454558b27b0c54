"""`mtt schema`, against every options file of the project."""

import json

import pytest
import yaml
from jsonschema import Draft202012Validator
from omegaconf import OmegaConf

from metatrain.cli import main
from runs import ETHANOL, ROOT, only_run, options


@pytest.fixture(scope="module")
def schema():
    """The schema for all architectures."""
    return Draft202012Validator(printed())


def printed(*words):
    with pytest.MonkeyPatch.context() as patch:
        lines = []
        patch.setattr("builtins.print", lines.append)
        assert main(["schema", *words]) == 0
    return json.loads(lines[0])


def test_it_is_a_schema(schema):
    Draft202012Validator.check_schema(schema.schema)


def test_the_examples_are_valid(schema):
    files = [path for path in ROOT.glob("examples/**/*.yaml") if "training_set" in path.read_text()]
    assert files
    for path in files:
        schema.validate(OmegaConf.to_container(OmegaConf.load(path)))


def test_the_options_of_the_tests_are_valid(schema):
    schema.validate(options(ETHANOL))


def test_complete_options_as_a_run_leaves_them_are_valid(schema, finished):
    schema.validate(yaml.safe_load((only_run(finished) / "options.yaml").read_text()))


def test_options_of_one_architecture_are_not_those_of_another(schema):
    content = options(ETHANOL)
    content["architecture"]["model"] = {"krr": {"degree": 2}}
    assert not schema.is_valid(content)
    content["architecture"] = {"name": "gap", "model": {"krr": {"degree": 2}}}
    assert schema.is_valid(content)


def test_the_schema_of_one_architecture_takes_no_other():
    only = Draft202012Validator(printed("-a", "soap_bpnn"))
    content = options(ETHANOL)
    assert only.is_valid(content)
    content["architecture"] = {"name": "gap"}
    assert not only.is_valid(content)


def test_an_unknown_architecture_is_answered_with_the_nearest(capsys):
    assert main(["schema", "-a", "soap_bpn"]) == 2
    assert "did you mean 'soap_bpnn'?" in capsys.readouterr().err
