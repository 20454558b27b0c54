"""Hypers, overrides, interpolation, and the complete options that are written."""

import pytest

from metatrain.options import parse

DATA = "training_set: water.xyz\nvalidation_set: 0.1\n"


def model_and_training(read, model="{}", training="{}", *overrides):
    text = f"architecture: {{name: toy, model: {model}, training: {training}}}\n{DATA}"
    architecture = read(text, *overrides).architecture
    return architecture.model, architecture.training


def test_hypers_have_their_defaults(read):
    options = read(f"architecture: {{name: toy}}\n{DATA}")
    assert options.architecture.model == options.architecture.plugin.model_hypers()
    assert options.architecture.training.num_epochs == 100
    assert options.architecture.atomic_types is None
    assert (options.seed, options.device, options.base_precision) == (None, None, None)
    assert (options.print_stats, options.final_eval) == ("auto", True)


def test_hypers_given_replace_their_defaults_at_any_depth(read):
    model, training = model_and_training(
        read,
        "{cutoff: {radius: 3}, legacy: off, heads: {energy: mlp}, zbl: {radius: 1}}",
        "{learning_rate: 1e-2, betas: [0, 0.5], batch_size: 1}",
    )
    assert (model.cutoff.radius, model.cutoff.width) == (3.0, 0.5)
    assert (model.legacy, model.heads, model.zbl.radius) == (False, {"energy": "mlp"}, 1.0)
    assert (training.learning_rate, training.betas, training.batch_size) == (0.01, (0.0, 0.5), 1)


def test_an_integer_is_taken_for_a_float_as_a_float(read):
    model, _ = model_and_training(read, "{cutoff: {radius: 3}}")
    assert isinstance(model.cutoff.radius, float)


def test_what_the_trainer_fills_in_from_the_data_stays_as_it_was_written(read):
    _, training = model_and_training(read)
    assert training.loss == "mse"


def test_the_options_of_the_file_are_typed(read):
    text = "device: cpu\nbase_precision: 32\nseed: 7\nprint_stats: off\nfinal_eval: false\n"
    options = read(f"{text}architecture: {{name: toy, atomic_types: [8, 1]}}\n{DATA}")
    assert (options.device, options.base_precision, options.seed) == ("cpu", 32, 7)
    assert (options.print_stats, options.final_eval) == (False, False)
    assert options.architecture.atomic_types == (1, 8)


def test_an_override_beats_the_file(read):
    overrides = "architecture.training.num_epochs=3", "seed=9", "architecture.model.cutoff.radius=2"
    text = f"seed: 1\narchitecture: {{name: toy, training: {{num_epochs: 5}}}}\n{DATA}"
    options = read(text, *overrides)
    assert options.architecture.training.num_epochs == 3
    assert options.seed == 9
    assert options.architecture.model.cutoff.radius == 2.0


def test_an_override_reaches_into_lists(read):
    text = "architecture: {name: toy}\nvalidation_set: 0.1\ntraining_set: [water.xyz]\n"
    options = read(text, "training_set[0]={systems: forces.xyz, targets: {energy: {}}}")
    assert options.training_set[0].systems.read_from.endswith("forces.xyz")


def test_an_override_may_stand_for_a_missing_option(read):
    options = read("architecture: {name: toy}\nvalidation_set: 0\n", "training_set=water.xyz")
    assert options.training_set[0].where == "training_set"


def test_options_refer_to_each_other(read, monkeypatch):
    monkeypatch.setenv("EPOCHS", "12")
    text = """
seed: 4
architecture:
  name: toy
  model: {cutoff: {radius: 4, width: "${.radius}"}}
  training: {num_epochs: "${oc.env:EPOCHS}", batch_size: "${seed}"}
training_set: water.xyz
validation_set: 0.1
test_set: ${validation_set}
"""
    options = read(text)
    assert options.architecture.model.cutoff.width == 4.0
    assert options.architecture.training.num_epochs == 12
    assert options.architecture.training.batch_size == 4
    assert options.test_set == options.validation_set


def test_options_refer_to_defaults_that_the_file_does_not_give(read):
    width = "${architecture.training.betas[0]}"
    model, _ = model_and_training(
        read,
        f"{{num_layers: '${{architecture.training.batch_size}}', cutoff: {{width: '{width}'}}}}",
    )
    assert (model.num_layers, model.cutoff.width) == (8, 0.9)


def test_anchors_and_merge_keys_work(read):
    text = "x: &x {radius: 3}\n"
    with pytest.raises(Exception, match="line 1: x: unknown option"):
        read(text + f"architecture: {{name: toy}}\n{DATA}")
    model, _ = model_and_training(
        read, "{cutoff: &c {radius: 3, width: 1}, zbl: {<<: *c, radius: 2}}"
    )
    assert (model.zbl.radius, model.zbl.width) == (2.0, 1.0)


@pytest.mark.parametrize(
    "text",
    [
        DATA,
        "training_set: [water.xyz]\nvalidation_set: 0\ntest_set: {indices: [1, 2]}\n",
        """
training_set:
  - {systems: {read_from: water.xyz, reader: plain, length_unit: nm}, targets: {energy: forces.xyz}}
  - {systems: water.xyz, targets: {energy: {virial: on, forces: off, unit: Ry}}, indices: [4]}
validation_set: {systems: water.xyz, targets: {energy: {forces: {key: f}}}}
test_set: 1e-3
""",
        """
training_set:
  systems: water.xyz
  targets:
    energy: {key: 1e5, description: "a \\\\${b}: c"}
    mtt::gap: {reduction: mean, key: "yes"}
    mtt::charge: {per_atom: true, num_subtargets: 3, description: "1.5"}
    mtt::dipole: {reduction: sum, type: {cartesian: {rank: 1}}}
    mtt::moments:
      reduction: mean
      type: {spherical: {irreps: [{o3_lambda: 0, o3_sigma: 1}, {o3_lambda: 2, o3_sigma: -1}]}}
validation_set: {indices: [0]}
""",
    ],
)
def test_the_complete_options_are_an_options_file_that_says_the_same(read, folder, text):
    head = "seed: 3\narchitecture: {name: toy, model: {cutoff: {radius: 2.5e-7, width: 0}}}\n"
    options = read(head + text)
    options.write("complete.yaml")
    again = parse("complete.yaml")
    assert again == options
    assert again.notes == ()
    assert again.complete_yaml() == options.complete_yaml()


def test_the_complete_options_do_not_depend_on_the_folder(read, tmp_path, monkeypatch):
    options = read(f"architecture: {{name: toy}}\n{DATA}")
    options.write("complete.yaml")
    path = tmp_path / "work" / "complete.yaml"
    monkeypatch.chdir(tmp_path)
    assert parse(path) == options


def test_what_was_found_out_later_is_in_the_complete_options(read, folder):
    options = read(f"architecture: {{name: toy}}\n{DATA}")
    found = options.resolved(seed=11, device="cpu", base_precision=64)
    found.write("complete.yaml")
    assert parse("complete.yaml") == found
    assert not list(folder.glob(".*"))


def test_lists_of_numbers_stand_on_one_line(read):
    options = read(f"architecture: {{name: toy, atomic_types: [1, 8]}}\n{DATA}")
    assert "atomic_types: [1, 8]\n" in options.complete_yaml()
    assert "betas: [0.9, 0.999]\n" in options.complete_yaml()
