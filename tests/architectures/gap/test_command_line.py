"""GAP through `mtt`, on a few slabs of silicon with energies, forces and stress."""

import json
import re

import ase.io
import pytest
import yaml
from metatomic_ase import MetatomicCalculator

from runs import ROOT, only_run, run_mtt

SILICON = ROOT / "tests" / "data" / "files" / "silicon.xyz"
SMALL_SOAP = {"basis": {"max_angular": 3, "radial": {"max_radial": 3}}}


def options_for(folder, name="options.yaml", **model):
    content = {
        "seed": 1,
        "architecture": {
            "name": "gap",
            "model": {"soap": SMALL_SOAP, "krr": {"num_sparse_points": 40}} | model,
        },
        "training_set": {
            "systems": {"read_from": str(SILICON), "length_unit": "angstrom"},
            "targets": {"energy": {"unit": "eV"}},
        },
        "validation_set": 0.13,
        "test_set": 0.25,
    }
    (folder / name).write_text(yaml.safe_dump(content))
    return name


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("silicon")
    done = run_mtt("train", options_for(folder), folder=folder)
    assert done.returncode == 0, done.stderr
    (folder / "stdout.txt").write_text(done.stdout)
    return folder


def test_the_log_says_what_was_done(trained):
    log = (trained / "stdout.txt").read_text()
    assert "environments in 5 systems; sparse points by atomic type: 14: 40" in log
    assert "jitter " in log
    assert "fitted in " in log
    assert "training: RMSE (MAE) energy " in log


def test_slabs_are_learned(trained):
    log = (trained / "stdout.txt").read_text()
    energy, forces = re.search(r"training: .*energy (\S+) .*forces (\S+) ", log).groups()
    # without any model 40 meV/atom and 400 meV/A
    assert float(energy) < 10
    assert float(forces) < 150


def test_a_checkpoint_is_exported_and_evaluated_as_the_model_is(trained, tmp_path):
    done = run_mtt("export", trained / "model.ckpt", "-o", "again.pt", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    (atoms,) = ase.io.read(SILICON, ":1")
    energies = []
    for path in (trained / "model.pt", tmp_path / "again.pt"):
        atoms.calc = MetatomicCalculator(path)
        energies.append(atoms.get_potential_energy())
    assert energies[0] == energies[1]


def test_the_errors_of_eval_are_those_of_the_log(trained, tmp_path):
    targets = {"energy": {"unit": "eV"}}
    systems = {"read_from": str(SILICON), "length_unit": "angstrom"}
    (tmp_path / "eval.yaml").write_text(yaml.safe_dump({"systems": systems, "targets": targets}))
    done = run_mtt("eval", trained / "model.pt", "eval.yaml", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "8 systems" in done.stdout


def test_a_restart_fits_anew_and_gives_the_same(trained, tmp_path):
    options = options_for(tmp_path)
    words = ["--restart", trained / "model.ckpt"]
    done = run_mtt("train", options, *words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    before, after = (
        json.loads((only_run(folder) / "report.json").read_text())["test"]["energy"]["rmse"]
        for folder in (trained, tmp_path)
    )
    assert after == pytest.approx(before, rel=1e-9)


def test_single_precision_is_refused(tmp_path):
    done = run_mtt("train", options_for(tmp_path), "-r", "base_precision=32", folder=tmp_path)
    assert done.returncode == 2
    assert "gap does not compute in 32 bits; it does in 64" in done.stderr
