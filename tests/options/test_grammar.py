"""What may be written in an options file, and what it means."""

import pytest

from metatrain.options import Fraction, Rows, parse_evaluation

HEAD = "architecture: {name: toy}\nvalidation_set: 0.1\n"
UNITS = "length_unit: angstrom"


def training(read, text, **changes):
    """The first training set of a file with this ``training_set``."""
    return read(f"{HEAD}training_set: {text}\n").training_set[0]


def energy_of(read, text):
    return training(read, f"{{systems: water.xyz, targets: {{energy: {text}}}}}").targets["energy"]


def test_a_path_is_a_file_with_systems_and_their_energies(read):
    long = """
  systems:
    read_from: water.xyz
    reader: null
    length_unit: angstrom
  targets:
    energy:
      quantity: energy
      read_from: water.xyz
      key: energy
      unit: eV
      sample_kind: system
      type: scalar
      num_subtargets: 1
"""
    assert training(read, "water.xyz") == training(read, long)


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("water.xyz", "{read_from: water.xyz, key: energy, unit: eV}"),
        ("{}", "{quantity: energy, reduction: sum}"),
        ("{forces: on}", "{forces: {read_from: water.xyz, key: forces}}"),
        ("{forces: yes}", "{forces: true}"),
        ("{forces: forces.xyz}", "{forces: {read_from: forces.xyz}}"),
        ("{forces: off, stress: no}", "{forces: false, stress: false}"),
        ("{virial: on}", "{virial: {key: virial}, stress: off}"),
        ("{per_atom: true}", "{sample_kind: atom}"),
        ("{per_atom: false}", "{sample_kind: system}"),
        ("{stress: null}", "{stress: off}"),
    ],
)
def test_a_shorthand_means_what_its_long_form_means(read, short, long):
    assert energy_of(read, short) == energy_of(read, long)


def test_an_energy_has_forces_and_stress_where_the_file_has_them(read):
    energy = energy_of(read, "{}")
    assert not energy.forces.is_required
    assert not energy.stress.is_required
    assert energy.virial is None


def test_forces_that_are_asked_for_are_required(read):
    energy = energy_of(read, "{forces: on}")
    assert energy.forces.is_required
    assert energy.forces.key == "forces"


def test_virial_takes_the_place_of_stress(read):
    energy = energy_of(read, "{virial: on}")
    assert energy.virial.is_required
    assert energy.stress is None


def test_any_target_can_be_an_energy(read):
    text = "{systems: water.xyz, targets: {'mtt::U0': {quantity: energy, key: U0}}}"
    target = training(read, text).targets["mtt::U0"]
    assert target.key == "U0"
    assert target.unit == "eV"
    assert target.forces is not None


def test_a_target_of_another_quantity_has_no_forces(read):
    text = "{systems: water.xyz, targets: {'mtt::gap': {reduction: mean, unit: eV}}}"
    target = training(read, text).targets["mtt::gap"]
    assert (target.reduction, target.quantity, target.unit) == ("mean", "", "eV")
    assert target.forces is target.stress is target.virial is None


def test_a_target_reads_from_the_file_of_the_systems(read, folder):
    source = training(read, "{systems: {read_from: water.xyz, reader: plain}, targets: {energy: }}")
    energy = source.targets["energy"]
    assert energy.read_from == energy.forces.read_from == str(folder / "water.xyz")
    assert energy.reader == energy.forces.reader == "plain"


def test_the_reader_of_one_file_does_not_read_another(read):
    text = "{systems: water.xyz, targets: {energy: {reader: plain, forces: forces.xyz}}}"
    energy = training(read, text).targets["energy"]
    assert energy.reader == energy.stress.reader == "plain"
    assert energy.forces.reader is None


def test_units_that_are_not_given_are_assumed_and_noted(read):
    options = read(f"{HEAD}training_set: water.xyz\n")
    assert options.training_set[0].systems.length_unit == "angstrom"
    assert options.training_set[0].targets["energy"].unit == "eV"
    assert options.notes == (
        "training_set.systems.length_unit: not given, 'angstrom' is assumed",
        "training_set.targets.energy.unit: not given, 'eV' is assumed",
    )


def test_nothing_is_noted_where_the_units_are_given(read):
    text = "{systems: {read_from: water.xyz, length_unit: nm}, targets: {energy: {unit: kJ/mol}}}"
    assert read(f"{HEAD}training_set: {text}\n").notes == ()


def test_a_list_makes_several_data_sets_that_know_their_place(read):
    text = "[{systems: water.xyz, targets: {energy: }}, water.xyz]"
    sources = read(f"{HEAD}training_set: {text}\n").training_set
    assert [source.where for source in sources] == ["training_set[0]", "training_set[1]"]
    assert sources[0].targets == sources[1].targets


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.2", Fraction(0.2)),
        ("0", Fraction(0.0)),
        ("{indices: [3, 1]}", Rows((3, 1))),
        ("{indices: rows.txt}", Rows((4, 2))),
    ],
)
def test_a_held_out_set_is_a_part_of_the_training_file(read, folder, text, expected):
    (folder / "rows.txt").write_text("4\n\n2  # the second\n")
    head = "architecture: {name: toy}\ntraining_set: water.xyz\n"
    assert read(f"{head}validation_set: {text}\n").validation_set == expected
    assert read(f"{head}validation_set: 0\ntest_set: {text}\n").test_set == expected


def test_a_held_out_set_may_have_files_and_rows_of_its_own(read):
    text = "{systems: forces.xyz, targets: {energy: {unit: meV}}, indices: [0, 5]}"
    head = "architecture: {name: toy}\ntraining_set: water.xyz\n"
    (source,) = read(f"{head}validation_set: {text}\n").validation_set
    assert source.where == "validation_set"
    assert source.indices == (0, 5)
    assert source.targets["energy"].unit == "meV"


def test_the_test_set_is_empty_by_default(read):
    assert read(f"{HEAD}training_set: water.xyz\n").test_set == Fraction(0.0)


def test_a_path_may_begin_with_the_home_folder(read, folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    assert training(read, "~/water.xyz").systems.read_from == str(folder / "water.xyz")


def test_an_evaluation_needs_no_targets(folder):
    (folder / "eval.yaml").write_text("systems: water.xyz\n")
    (source,) = parse_evaluation("eval.yaml")
    assert source.systems.read_from == str(folder / "water.xyz")
    assert source.targets == {}


def test_an_evaluation_may_be_a_list_and_leaves_reductions_to_the_model(folder):
    text = "- systems: water.xyz\n- systems: forces.xyz\n  targets: {'mtt::gap': {key: gap}}\n"
    (folder / "eval.yaml").write_text(text)
    first, second = parse_evaluation("eval.yaml")
    assert (first.where, second.where) == ("[0]", "[1]")
    assert second.targets["mtt::gap"].key == "gap"
