"""A dipole from an options file to an exported model and back into a file."""

import csv
import json
import shutil
from pathlib import Path

import ase.io
import numpy as np
import pytest
import yaml
from metatomic.torch import load_atomistic_model

from metatrain.cli import main
from runs import merged, only_run, write_options

H2CO = Path(__file__).parents[1] / "data" / "files" / "h2co.xyz"
VECTOR = {"cartesian": {"rank": 1}}
DIPOLE = {"key": "dipole", "unit": "e*A", "reduction": "sum", "type": VECTOR}


def options(**changes):
    plain = {
        "seed": 1,
        "base_precision": 64,
        "architecture": {
            "name": "tensor_model:architecture",
            "model": {"num_features": 8},
            "training": {"num_epochs": 60, "learning_rate": 0.03, "batch_size": 8},
        },
        "training_set": {"systems": "h2co.xyz", "targets": {"mtt::dipole": DIPOLE}},
        "validation_set": 0.2,
    }
    return merged(plain, changes)


def evaluation(**target):
    content = {"systems": "h2co.xyz", "targets": {"mtt::dipole": target}}
    return write_options(Path("evaluate.yaml"), content)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which ``mtt train`` has learned dipoles."""
    folder = tmp_path_factory.mktemp("dipoles")
    shutil.copy(H2CO, folder / "h2co.xyz")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["train", str(write_options(Path("options.yaml"), options()))]) == 0
    return folder


@pytest.fixture
def folder(trained, tmp_path, monkeypatch):
    for name in ("h2co.xyz", "model.pt", "model.ckpt"):
        shutil.copy(trained / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_dipoles_are_learned_to_a_tenth(trained):
    with (only_run(trained) / "metrics.csv").open() as table:
        last = list(csv.DictReader(table))[-1]
    dipoles = np.array([atoms.get_dipole_moment() for atoms in ase.io.read(H2CO, ":")])
    size = np.sqrt(np.mean(np.square(dipoles))) / 4
    assert float(last["validation mtt::dipole RMSE (e*A/atom)"]) < 0.1 * size


@pytest.mark.parametrize("model", ["model.pt", "model.ckpt"])
def test_predicted_dipoles_stand_in_the_file_and_in_the_errors(folder, model):
    path = evaluation(**DIPOLE)
    trusted = ["-a", "tensor_model:architecture"] if model.endswith(".ckpt") else []
    assert main(["eval", model, str(path), *trusted]) == 0
    frames = ase.io.read("output.xyz", ":")
    found = np.array([atoms.info["mtt::dipole"] for atoms in frames])
    known = np.array([atoms.get_dipole_moment() for atoms in frames])
    rmse = np.sqrt(np.mean(np.square(found - known))) / 4
    errors = json.loads(Path("output_metrics.json").read_text())["errors"]["mtt::dipole"]
    assert errors["rmse"] == pytest.approx(rmse, rel=1e-10)
    assert errors["num_labels"] == 180


def test_a_dipole_turns_with_the_molecule(folder):
    frames = ase.io.read("h2co.xyz", ":3")
    for atoms in frames:
        atoms.calc = None
        atoms.positions = atoms.positions[:, [1, 2, 0]] * [1, 1, -1]
    ase.io.write("turned.xyz", frames)
    found = []
    for name in ("h2co.xyz", "turned.xyz"):
        write_options(Path("evaluate.yaml"), {"systems": name})
        assert main(["eval", "model.pt", "evaluate.yaml"]) == 0
        found.append([atoms.info["mtt::dipole"] for atoms in ase.io.read("output.xyz", ":3")])
    before, after = np.array(found)
    np.testing.assert_allclose(after, before[:, [1, 2, 0]] * [1, 1, -1], rtol=0, atol=1e-12)


def test_the_exported_model_gives_vectors(folder):
    output = load_atomistic_model("model.pt").capabilities().outputs["mtt::dipole"]
    assert output.unit == "e*A"


def test_a_restart_goes_on_with_vectors(folder):
    write_options(Path("options.yaml"), options(architecture={"training": {"num_epochs": 61}}))
    assert main(["train", "options.yaml", "--restart", "model.ckpt"]) == 0


def test_labels_of_another_type_than_the_models_are_refused(folder, capsys):
    path = evaluation(
        **(DIPOLE | {"type": {"spherical": {"irreps": [{"o3_lambda": 1, "o3_sigma": 1}]}}})
    )
    assert main(["eval", "model.pt", str(path)]) == 2
    told = capsys.readouterr().err
    assert "targets.mtt::dipole.type: is {'spherical'" in told
    assert "the target of the model is {'cartesian': {'rank': 1}}; write that" in told


def test_a_baseline_of_a_vector_is_refused_before_data_is_read(folder, capsys):
    baseline = {"atomic_baseline": {"mtt::dipole": 1.0}}
    content = options(architecture={"training": baseline}, training_set={"systems": "h2co.xyz"})
    assert main(["train", str(write_options(Path("options.yaml"), content))]) == 2
    assert "atomic_baseline.mtt::dipole: its values turn with the system" in capsys.readouterr().err


def test_complete_options_say_the_type(trained):
    complete = yaml.safe_load((only_run(trained) / "options.yaml").read_text())
    assert complete["training_set"]["targets"]["mtt::dipole"]["type"] == VECTOR
