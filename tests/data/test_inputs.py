import dataclasses

import pytest
import torch

from metatrain.data.columns import Columns
from metatrain.data.dataset import Dataset
from metatrain.data.inputs import SYSTEM_INPUTS
from metatrain.data.known_inputs import check_inputs, overlooked
from metatrain.data.reading import read_columns
from metatrain.data.source import DataSource, SystemsSource
from metatrain.errors import MetatrainError

KNOWN = {"charge": range(-2, 3), "spin_multiplicity": range(1, 4)}


@pytest.fixture
def read(write_file):
    """Reads hydrogen atoms, one for each of the comments."""

    def read(*comments):
        header = 'Properties=species:S:1:pos:R:3 pbc="F F F"'
        text = "".join(f"1\n{header} {comment}\nH 0 0 0\n" for comment in comments)
        path = write_file(text)
        return read_columns(DataSource("", SystemsSource(str(path))))

    return read


def inputs_of(columns):
    return {name: values.tolist() for name, values in columns.inputs.items()}


def refusal_of(columns, known=KNOWN):
    with pytest.raises(MetatrainError) as caught:
        check_inputs(columns, known, where="test_set: ", way_out="leave it out")
    return str(caught.value)


def test_systems_are_neutral_singlets_unless_the_file_says_otherwise(read):
    columns = read("", "charge=-1 spin_multiplicity=2", "charge=2.0")
    assert inputs_of(columns) == {"charge": [0, -1, 2], "spin_multiplicity": [1, 2, 1]}


def test_the_multiplicity_has_other_names_too_of_which_the_clearest_counts(read):
    columns = read("multiplicity=3", "spin=2", "spin=0.5 multiplicity=2", "spin_multiplicity=4")
    assert inputs_of(columns)["spin_multiplicity"] == [3, 2, 2, 4]


def test_real_charges_and_multiplicities_are_read(files, energy_source):
    columns = read_columns(energy_source(files / "aimnet.xyz"))
    assert inputs_of(columns) == {
        "charge": [0, 0, 1, -1, -1, -1, 0, 0],
        "spin_multiplicity": [1, 3, 2, 3, 2, 2, 2, 1],
    }


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("charge=3", "charge (read from 'charge') is 3, but the model knows whole numbers from -2"),
        (
            "charge=0.5",
            "is 0.5, but the model knows whole numbers from -2 to 2 only; leave it out.",
        ),
        ('charge="1 2"', "is no single number, but"),
        ("charge=none", "is no single number, but"),
        ("charge=T", "is no single number, but"),
        (
            "spin=0",
            "spin_multiplicity (read from 'spin_multiplicity', 'multiplicity', 'spin') is 0",
        ),
    ],
)
def test_what_the_model_does_not_know_is_refused_and_located(read, comment, expected):
    message = refusal_of(read("charge=1", comment))
    assert message.startswith("test_set: ")
    assert "systems.xyz, system 1: " in message
    assert expected in message
    assert "\n" not in message


def test_a_model_that_does_not_look_at_charges_takes_any(read):
    check_inputs(read("charge=0.5", "charge=none"), {}, where="", way_out="")


def test_it_is_told_what_systems_differ_in_and_the_model_does_not_look_at(read):
    assert overlooked(read("charge=-1", "charge=2"), []) == ["charge (-1 to 2)"]
    assert overlooked(read("charge=-1", "charge=2"), ["charge"]) == []
    assert overlooked(read("charge=1", "charge=1", "charge=none"), []) == []


def test_charges_follow_their_systems_and_change_the_fingerprint(read):
    columns = read("charge=-1", "charge=2", "")
    assert inputs_of(columns.select([1, 0]))["charge"] == [2, -1]
    both = Columns.concatenate([columns.select([2]), columns])
    assert inputs_of(both)["charge"] == [0, -1, 2, 0]
    neutral = read("", "", "")
    assert columns.fingerprint() != neutral.fingerprint()
    named = dataclasses.replace(neutral, inputs=read("charge=0", "", "").inputs)
    assert named.fingerprint() == neutral.fingerprint()


def test_systems_of_samples_carry_what_is_asked_for(read):
    columns = read("", "charge=-1 spin=2")
    system = Dataset(columns, {}, torch.float32, inputs=SYSTEM_INPUTS)[1].system
    assert sorted(system.known_data()) == ["charge", "spin_multiplicity"]
    charge = system.get_data("charge")
    assert charge.block().values.tolist() == [[-1.0]]
    assert charge.get_info("unit") == "e"
    assert Dataset(columns, {}, torch.float32)[1].system.known_data() == []


def test_a_model_that_asks_for_something_else_is_told_what_there_is(read):
    with pytest.raises(MetatrainError, match=r"asks for 'mass' of each system.*knows 'charge'"):
        Dataset(read(""), {}, torch.float32, inputs=["mass"])
