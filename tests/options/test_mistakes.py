"""Mistakes in an options file: each is found at once, and the message says the way out."""

import os
import re

import pytest

from metatrain.errors import MetatrainError
from metatrain.options import parse, parse_evaluation

GOOD = """\
seed: 1
architecture:
  name: toy
  model:
    cutoff: {radius: 4}
  training:
    num_epochs: 5
training_set:
  systems: water.xyz
  targets:
    energy: {unit: eV}
validation_set: 0.1
"""


def message_of(read, text, *overrides):
    """The message for a file; it is one line, and shows nothing of OmegaConf or C++."""
    with pytest.raises(MetatrainError) as caught:
        read(text, *overrides)
    message = str(caught.value)
    assert "\n" not in message
    assert not re.search(r"full_key|object_type|omegaconf|DictConfig|\.cpp", message)
    return message


def replaced(old, new):
    assert old in GOOD
    return GOOD.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        # names
        (
            "num_epochs",
            "num_epoch",
            "options.yaml, line 7: architecture.training.num_epoch: unknown option; did you mean 'num_epochs'? allowed: batch_size, num_epochs, learning_rate, betas, loss, seed",
        ),
        (
            "radius: 4",
            "radus: 4",
            "options.yaml, line 5: architecture.model.cutoff.radus: unknown option; did you mean 'radius'? allowed: radius, width",
        ),
        (
            "  name: toy",
            "  nam: toy",
            "line 3: architecture.nam: unknown option; did you mean 'name'?",
        ),
        (
            "architecture:",
            "architecure:",
            "line 2: architecure: unknown option; did you mean 'arch",
        ),
        ("seed", "wandb", "line 1: wandb: not available here, metrics.csv is written"),
        (
            "name: toy",
            "name: toi",
            "line 3: architecture.name: 'toi' is not installed; did you mean 'toy'? installed: ",
        ),
        ("name: toy", "name: [toy]", "line 3: architecture.name: found ['toy'], expected the name"),
        ("  name: toy\n", "", "options.yaml: 'architecture.name' is missing; it gives"),
        ("validation_set: 0.1\n", "", "options.yaml: 'validation_set' is missing; it gives"),
        ("training_set:", "test_set:", "options.yaml: 'training_set' is missing; it gives"),
        # types
        (
            "epochs: 5",
            "epochs: five",
            "line 7: architecture.training.num_epochs: found 'five', expected a whole number",
        ),
        ("epochs: 5", "epochs: true", "num_epochs: found true, expected a whole number"),
        ("epochs: 5", "epochs: 2.5", "num_epochs: found 2.5, expected a whole number"),
        ("epochs: 5", "epochs:", "num_epochs: found null, expected a whole number"),
        ("num_epochs: 5", "betas: [0.1]", "betas: found [0.1], expected a list of 2 numbers"),
        ("num_epochs: 5", "seed: x", "seed: found 'x', expected a whole number or null"),
        ("cutoff: {radius: 4}", "legacy: 2", "legacy: found 2, expected true or false"),
        (
            "cutoff: {radius: 4}",
            "activation: on",
            "activation: found true, expected one of 'silu', 'tanh'",
        ),
        (
            "cutoff: {radius: 4}",
            "cutoff: 4",
            "line 5: architecture.model.cutoff: found 4, expected a mapping of the options radius, width",
        ),
        ("cutoff: {radius: 4}", "heads: linear", "heads: found 'linear', expected a mapping"),
        (
            "seed: 1",
            "print_stats: maybe",
            "print_stats: found 'maybe', expected one of true, false, 'auto'",
        ),
        # ranges
        ("radius: 4", "radius: -1", "cutoff.radius: found -1.0, expected a number above 0"),
        ("radius: 4", "radius: .nan", "cutoff.radius: found nan, expected a number above 0"),
        ("num_epochs: 5", "batch_size: 0", "batch_size: found 0, expected at least 1"),
        ("num_epochs: 5", "betas: [0.5, 2]", "betas[1]: found 2.0, expected at most 1"),
        (
            "cutoff: {radius: 4}",
            "activation: tan",
            "found 'tan', expected one of 'silu', 'tanh'; did you mean 'tanh'?",
        ),
        (
            "cutoff: {radius: 4}",
            "heads: {energy: mpl}",
            "heads.energy: found 'mpl', expected one of 'linear', 'mlp'; did you mean 'mlp'?",
        ),
        ("seed: 1", "seed: -1", "line 1: seed: found -1, expected at least 0"),
        ("seed: 1", "base_precision: 8", "base_precision: found 8, expected one of 16, 32, 64"),
        (
            "name: toy",
            "name: toy\n  atomic_types: [1, 1]",
            "line 4: architecture.atomic_types: found [1, 1], expected atomic numbers, each once",
        ),
        # relations between options
        (
            "radius: 4",
            "radius: 4, width: 5",
            "line 5: architecture.model.cutoff.width: 5.0 exceeds the radius 4.0",
        ),
        (
            "num_epochs: 5",
            "loss: {enrgy: mse}",
            "line 7: architecture.training.loss.enrgy: no such target; targets: energy",
        ),
        # interpolation
        ("seed: 1", "seed: ${sed}", "line 1: seed: refers to 'sed', which is not in this file"),
        ("seed: 1", "seed: ${seed}", "line 1: seed: refers to itself"),
        (
            "seed: 1",
            "seed: ${oc.env:NO_SUCH}",
            "seed: the environment variable 'NO_SUCH' is not set",
        ),
        ("seed: 1", "seed: ${env:X}", "seed: 'env' is no function"),
        ("seed: 1", "seed: ${x", "seed: a '${' that cannot be understood"),
        ("seed: 1", "seed: ???", "seed: is '???': a value must be given"),
        ("name: toy", "name: ${nome}", "line 3: architecture.name: refers to 'nome'"),
    ],
)
def test_a_mistake_in_an_option_is_explained(read, old, new, message):
    assert message in message_of(read, replaced(old, new))


@pytest.mark.parametrize(
    ("training_set", "message"),
    [
        ("watr.xyz", "line 2: training_set: found no file 'watr.xyz'; did you mean 'water.xyz'?"),
        (".", "training_set: '.' is a folder, expected a file"),
        ("5", "training_set: found 5, expected the path of a file, or a mapping"),
        ("[]", "training_set: found an empty list"),
        ("{systems: water.xyz}", "training_set: 'targets' is missing"),
        ("{systems: water.xyz, targets: {}}", "training_set: 'targets' is missing"),
        ("{systems: water.xyz, targets: [energy]}", "targets: found ['energy'], expected a mapping"),
        ("{targets: {energy: }}", "training_set: 'systems' is missing"),
        ("{system: water.xyz}", "training_set.system: unknown option; did you mean 'systems'?"),
        ("{systems: {reader: plain}}", "training_set.systems: 'read_from' is missing"),
        ("{systems: {read_from: x.xyz}}", "training_set.systems.read_from: found no file 'x.xyz'"),
        ("{systems: {read_from: water.xyz, reader: plan}}", "systems.reader: 'plan' is not installed; did you mean 'plain'?"),
        ("{systems: {read_from: water.xyz, length_unit: agstrom}}", "systems.length_unit: 'agstrom' is no known unit; did you mean 'angstrom'?"),
        ("{systems: {read_from: water.xyz, length_unit: eV}}", "systems.length_unit: 'eV' is no unit of length; use one such as 'angstrom'"),
        ("{systems: water.xyz, extra_data: {a: b}}", "training_set.extra_data: not available in this version"),
        ("{systems: water.xyz, targets: {energy: }, indices: []}", "training_set.indices: found no rows"),
        ("{systems: water.xyz, targets: {energy: }, indices: [-1]}", "training_set.indices: found -1, expected rows: whole numbers from 0"),
        ("{systems: water.xyz, targets: {energy: }, indices: rows}", "training_set.indices: found no file 'rows'"),
        ("{systems: water.xyz, targets: {energy: }, indices: water.xyz}", "training_set.indices: line 3 of"),
        ("{systems: water.xyz, targets: {U0: {reduction: sum}}}", "training_set.targets.U0: this version trains no target called 'U0'; write 'mtt::U0', and 'key: U0'"),
        ("{systems: water.xyz, targets: {'mtt::a': b.xyz}}", "targets.mtt::a: found no file 'b.xyz'"),
        ("[water.xyz, {systems: water.xyz, targets: {energy: {}, 'mtt::g': {}}}]", "training_set[1].targets.mtt::g: say how the values of atoms"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_data_set_is_explained(read, training_set, message):
    text = f"architecture: {{name: toy}}\ntraining_set: {training_set}\nvalidation_set: 0.1\n"
    assert message in message_of(read, text)


@pytest.mark.parametrize(
    ("energy", "message"),
    [
        ("{forcs: on}", "energy.forcs: unknown option; did you mean 'forces'?"),
        ("{unit: evv}", "energy.unit: 'evv' is no known unit; did you mean 'eV'?"),
        ("{unit: bohr}", "energy.unit: 'bohr' is no unit of energy"),
        ("{stress: on, virial: on}", "energy.virial: stress and virial are the same label twice"),
        (
            "{forces: 3}",
            "energy.forces: found 3, expected on, off, the path of a file, or a mapping",
        ),
        ("{forces: {kee: f}}", "energy.forces.kee: unknown option; did you mean 'key'?"),
        ("{forces: {read_from: f.xyz}}", "energy.forces.read_from: found no file 'f.xyz'"),
        ("{type: {cartesian: {rank: 1}}}", "energy.type: an energy is a scalar; use 'scalar'"),
        ("{type: vector}", "energy.type: found 'vector', expected 'scalar'"),
        (
            "{per_atom: true, sample_kind: system}",
            "energy.per_atom: contradicts sample_kind: system",
        ),
        (
            "{sample_kind: atom_pair}",
            "energy.sample_kind: targets per pair of atoms are not available",
        ),
        ("{sample_kind: atoms}", "energy.sample_kind: found 'atoms', expected one of"),
        ("{sample_kind: atom, forces: on}", "energy.forces: only a single scalar that is a sum"),
        ("{sample_kind: atom, reduction: sum}", "energy.reduction: a target with a value per atom"),
        ("{num_subtargets: 0}", "energy.num_subtargets: found 0, expected at least 1"),
        ("{reduction: mean}", "energy.reduction: an energy is the sum over the atoms"),
        ("{quantity: length}", "energy.quantity: found 'length', but what is called 'energy'"),
    ],
)
def test_a_mistake_in_a_target_is_explained(read, energy, message):
    text = GOOD.replace("{unit: eV}", energy)
    found = message_of(read, text)
    assert found.startswith("options.yaml, line 11: training_set.targets.")
    assert message in found


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("vector", "type: found 'vector', expected 'scalar', {cartesian: {rank: 1}}, or"),
        ("{}", "type: found {}, expected 'scalar', {cartesian"),
        ("{cartesian: }", "type.cartesian: 'rank' is missing"),
        ("{cartesian: {rank: 0}}", "type.cartesian.rank: found 0, expected at least 1"),
        ("{spherical: {irreps: []}}", "type.spherical.irreps: found [], expected a list such as"),
        ("{spherical: {irreps: {1: []}}}", "type.spherical.irreps: found {1: []}, expected a list"),
        ("{spherical: {irreps: [{o3_lambda: -1, o3_sigma: 1}]}}", "irreps[0].o3_lambda: found -1"),
        ("{spherical: {irreps: [{o3_lambda: 1, o3_sigma: 0}]}}", "irreps[0].o3_sigma: found 0"),
        ("{spherical: {irreps: [{o3_lambda: 1}]}}", "irreps[0]: 'o3_sigma' is missing"),
        ("{spherical: {irreps: [{o3_lambda: 1, o3_sigma: 1, num: 2}]}}", "irreps[0]: the irreps of"),
        ("{spherical: {irreps: [{o3_lambda: 1, o3_sigma: 1}, {o3_lambda: 1, o3_sigma: 1}]}}", "irreps[1]: the irreps of a target are there once"),
        ("{spherical: {irreps: [{o3_lambda: 1, o3_sigma: 1}], product: coupled}}", "product: products of irreps are not available"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_type_of_a_target_is_explained(read, kind, message):
    target = f"mtt::moment: {{reduction: sum, type: {kind}}}"
    found = message_of(read, GOOD.replace("energy: {unit: eV}", target))
    assert "line 11: training_set.targets.mtt::moment.type" in found
    assert message in found


def test_a_target_of_unknown_extensivity_is_refused(read):
    text = GOOD.replace("energy: {unit: eV}", "mtt::gap: {unit: eV, quantity: gap}")
    message = message_of(read, text)
    assert "line 11: training_set.targets.mtt::gap: say how" in message
    assert "'reduction: sum' (extensive), 'reduction: mean' (intensive)" in message


@pytest.mark.parametrize(
    ("held_out", "message"),
    [
        ("validation_set: 1.0", "validation_set: found 1.0, expected a fraction from 0 to below 1"),
        ("validation_set: -0.1", "validation_set: found -0.1, expected a fraction"),
        ("validation_set: on", "validation_set: found true, expected a fraction such as 0.1, the"),
        ("validation_set: 0.6\ntest_set: 0.4", "test_set: validation_set 0.6 and test_set 0.4 leave nothing to train on"),
        ("validation_set: {indices: [1]}\ntest_set: {indices: [2, 1]}", "validation_set.indices: row 1 is in test_set too"),
        ("validation_set: {systems: water.xyz, indices: [1]}", "validation_set: 'targets' is missing"),
        ("validation_set: {systems: water.xyz, targets: {'mtt::e': {reduction: sum}}}", "validation_set.targets.mtt::e: the training set has no such target; it has: energy"),
        ("validation_set: {systems: water.xyz, targets: {energy: {per_atom: on}}}", "validation_set.targets.energy.sample_kind: is 'atom' here and 'system' in training_set"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_held_out_set_is_explained(read, held_out, message):
    text = f"architecture: {{name: toy}}\ntraining_set: water.xyz\n{held_out}\n"
    assert message in message_of(read, text)


def test_rows_of_several_training_files_are_refused(read):
    text = "architecture: {name: toy}\ntraining_set: [water.xyz, forces.xyz]\n"
    message = message_of(read, f"{text}validation_set: {{indices: [1]}}\n")
    assert "line 3: validation_set: rows of which of the 2 training files?" in message


def test_a_row_that_is_trained_on_cannot_be_held_out(read):
    rows = "{systems: water.xyz, targets: {energy: }, indices: [0, 1]}"
    text = f"architecture: {{name: toy}}\ntraining_set: {rows}\nvalidation_set: {{indices: [1]}}\n"
    assert "validation_set.indices: row 1 is in training_set too" in message_of(read, text)


def test_data_sets_that_disagree_about_a_target_are_refused(read):
    second = "{systems: water.xyz, targets: {energy: {num_subtargets: 2}}}"
    text = f"architecture: {{name: toy}}\nvalidation_set: 0\ntraining_set:\n  - water.xyz\n  - {second}\n"
    message = message_of(read, text)
    assert "line 5: training_set[1].targets.energy.num_subtargets: is 2 here and 1 in" in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "options.yaml: the file is empty; it must hold options"),
        ("# nothing\n", "options.yaml: the file is empty; it must hold options"),
        ("water.xyz\n", "options.yaml: found text, expected a mapping"),
        ("- seed\n", "options.yaml: found ['seed'], expected a mapping"),
        (
            "a: 1\nb: c: 2\n",
            "options.yaml, line 2, column 5: this is not YAML: found a colon where",
        ),
        ("a: [1, 2\n", "this is not YAML: found a bracket that is not closed"),
        ("a: 'x\n", "this is not YAML: found a quote that is not closed"),
        ("a:\n\tb: 1\n", "line 2, column 1: this is not YAML: found a tab; indent with spaces"),
        ("a:\n  b: 1\n c: 2\n", "line 3, column 2: this is not YAML: found an indentation"),
        ("a: 1\nb\n", "this is not YAML: found a key without a colon"),
        ("a: *b\n", "this is not YAML: found a *name that no &name defines"),
        ("a: &b [*b]\n", "this is not YAML: found a *name that contains itself"),
        ("a: 1\n---\nb: 2\n", "line 2, column 1: this is not YAML: found a second document"),
        (
            "a: !!python/name:os.system\n",
            "this is not YAML: found a !tag; options are plain values",
        ),
        ("[1]: 2\n", "this is not YAML: found a key that is no plain word"),
        ("a: \x00\n", "this is not YAML: found a character that is no text"),
        (
            "seed: 1\nx:\n  a: 1\n  a: 2\n",
            "line 4: x.a: this key stands in lines 3 and 4; remove one",
        ),
    ],
)
def test_a_file_that_is_no_options_file_is_explained(read, text, message):
    assert message in message_of(read, text)


def test_a_missing_options_file_is_named(folder):
    with pytest.raises(MetatrainError, match=r"^no/options.yaml: there is no such options file"):
        parse("no/options.yaml")


def test_a_folder_is_no_options_file(folder):
    with pytest.raises(MetatrainError, match="this is a folder, expected an options file"):
        parse(folder)


def test_a_binary_file_is_no_options_file(folder):
    (folder / "model.pt").write_bytes(b"PK\x03\x04\xff\xfe")
    with pytest.raises(MetatrainError, match=r"^model.pt: this is no text"):
        parse("model.pt")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_named(read, folder):
    (folder / "water.xyz").chmod(0)
    assert "'water.xyz' cannot be read; check its permissions" in message_of(read, GOOD)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("architecture.training.num_epoch=3", "-r architecture.training.num_epoch=3: architecture.training.num_epoch: unknown option; did you mean 'num_epochs'?"),
        ("architecture.training.num_epochs=x", "-r architecture.training.num_epochs=x: architecture.training.num_epochs: found 'x'"),
        ("architecture.model={cutoff: {radius: 0}}", "-r architecture.model={cutoff: {radius: 0}}: architecture.model.cutoff.radius: found 0.0"),
        ("seed", "-r seed: expected KEY=VALUE"),
        ("=1", "-r =1: expected KEY=VALUE"),
        ("seed=[1", "-r seed=[1: the value is not YAML; check brackets and quotes"),
        ("training_set[2].x=1", "-r training_set[2].x=1: the file has nothing at 'training_set[2].x'"),
    ],
)  # fmt: skip
def test_a_mistake_in_an_override_is_explained(read, override, message):
    text = GOOD.replace("training_set:\n  systems", "training_set:\n- systems").replace(
        "    cutoff: {radius: 4}", "    num_layers: 2"
    )
    assert message in message_of(read, text, override)


def test_an_override_does_not_blame_the_rest_of_its_section(read):
    message = message_of(
        read, replaced("num_epochs: 5", "num_epochs: x"), "architecture.training.batch_size=2"
    )
    assert message.startswith("options.yaml, line 7: architecture.training.num_epochs: found 'x'")


def test_a_mistake_in_an_evaluation_is_explained(folder):
    (folder / "eval.yaml").write_text("- systems: water.xyz\n- systems: nothing.xyz\n")
    with pytest.raises(MetatrainError, match=r"^eval.yaml, line 2: \[1\].systems: found no file"):
        parse_evaluation("eval.yaml")
