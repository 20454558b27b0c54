"""Runs that begin with the weights of another."""

import ase.io
import pytest
import torch
import yaml

from metatrain import checkpoint
from runs import ROOT, ethanol_file, only_run, options, run_mtt, write_options

PUBLISHED = ROOT / "tests/architectures/soap_bpnn/reference/soap_bpnn_test_v9.ckpt.gz"
PER_ATOM = {"H": -13.0, "C": 40.0, "O": 2.5}


@pytest.fixture
def other_method(tmp_path):
    """The structures of the finished run and more, with other energies of atoms."""
    frames = ase.io.read(ethanol_file(tmp_path / "ethanol.xyz", 30), ":")
    for atoms in frames:
        atoms.calc.results["energy"] += sum(PER_ATOM[symbol] for symbol in atoms.symbols)
    ase.io.write(tmp_path / "other.xyz", frames)
    return tmp_path / "other.xyz"


def finetuned(folder, data, path, *words, **changes):
    training = {"finetune": {"read_from": str(path)}, "num_epochs": 1, "learning_rate": 1e-9}
    content = options(data, architecture={"training": training}, test_set=0.5, **changes)
    write_options(folder / "options.yaml", content)
    done = run_mtt("train", "options.yaml", *words, folder=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_fine_tuning_keeps_what_was_learned_and_moves_the_baseline(
    finished, other_method, tmp_path
):
    printed = finetuned(tmp_path, other_method, finished / "model.ckpt")
    # ethanol is C2H6O: the least change of norm that gives the difference of all atoms
    assert f"beginning with the weights of {finished / 'model.ckpt'}" in printed
    assert "fine-tuning: the baseline of energy moves by at most" in printed
    one = checkpoint.load(finished / "model.ckpt")["model"]
    other = checkpoint.load(tmp_path / "model.ckpt")["model"]
    for name, weight in one["weights"].items():
        torch.testing.assert_close(other["weights"][name], weight, rtol=0, atol=1e-6)
    counts, shifts = [6, 2, 1], [PER_ATOM[symbol] for symbol in ("H", "C", "O")]
    moved = sum(
        n * float(b - a)
        for n, a, b in zip(
            counts,
            one["standardization"]["baselines"]["energy"],
            other["standardization"]["baselines"]["energy"],
            strict=True,
        )
    )
    expected = sum(n * shift for n, shift in zip(counts, shifts, strict=True))
    # what the short training left of the energies is in it, too
    assert moved == pytest.approx(expected, abs=0.5)


def test_fine_tuning_takes_the_model_as_it_is_and_so_does_its_restart(
    finished, other_method, tmp_path
):
    content = options(other_method)
    del content["architecture"]["model"]
    training = {"finetune": {"read_from": str(finished / "model.ckpt")}, "num_epochs": 1}
    content["architecture"]["training"] = training
    write_options(tmp_path / "options.yaml", content)
    assert run_mtt("train", "options.yaml", folder=tmp_path).returncode == 0
    training["num_epochs"] = 2
    write_options(tmp_path / "options.yaml", content)
    done = run_mtt("train", "options.yaml", "--restart", "model.ckpt", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "going on from model.ckpt" in done.stdout
    for path in tmp_path.glob("outputs/*/*/options.yaml"):
        stored = yaml.safe_load(path.read_text())
        assert stored["architecture"]["model"]["bpnn"]["num_neurons_per_layer"] == 8


def test_a_checkpoint_of_published_metatrain_begins_a_run(other_method, tmp_path):
    content = options(other_method, architecture={"training": {"num_epochs": 1}})
    del content["architecture"]["model"]
    write_options(tmp_path / "options.yaml", content)
    done = run_mtt("train", "options.yaml", "--restart", PUBLISHED, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "its weights are the beginning of a new run" in done.stdout
    stored = yaml.safe_load((only_run(tmp_path) / "options.yaml").read_text())
    assert stored["architecture"]["training"]["finetune"]["read_from"] == str(PUBLISHED)
    assert stored["architecture"]["model"]["soap"]["max_angular"] == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training": {"finetune": {}}}, "finetune: read_from: is missing; name the checkpoint"),
        ({"training": {"finetune": {"read_from": "no.ckpt"}}}, "no.ckpt: no such checkpoint"),
        (
            {"training": {"finetune": {"read_from": str(PUBLISHED)}}},
            "architecture.model.soap.max_angular: is 2, but 1 in",
        ),
    ],
)
def test_fine_tuning_from_what_is_not_there_is_an_error(other_method, tmp_path, changes, message):
    write_options(tmp_path / "options.yaml", options(other_method, architecture=changes))
    done = run_mtt("train", "options.yaml", folder=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "outputs").exists()
