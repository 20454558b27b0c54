"""Charges from a file to a model that tells them apart, and on to an engine."""

import shutil
from pathlib import Path

import ase.io
import pytest
from metatomic_ase import MetatomicCalculator

from metatrain.cli import main
from runs import merged, write_options

AIMNET = Path(__file__).parents[1] / "data" / "files" / "aimnet.xyz"
SMALL = {"d_pet": 8, "d_node": 12, "d_head": 8, "d_feedforward": 8, "num_heads": 2}
SHALLOW = {"num_gnn_layers": 1, "num_attention_layers": 1}
LEARN_QUICKLY = {"num_epochs": 200, "learning_rate": 0.02, "batch_size": 8, "augmentation": False}
DOUBLY_CHARGED = 3.0  # eV that every system has more, in the made-up half of the data


def options(**changes):
    plain = {
        "seed": 1,
        "architecture": {
            "name": "pet",
            "model": SMALL | SHALLOW | {"system_conditioning": True, "max_charge": 2},
            "training": LEARN_QUICKLY,
        },
        "training_set": {
            "systems": {"read_from": "systems.xyz", "length_unit": "angstrom"},
            "targets": {"energy": {"unit": "eV", "forces": False}},
        },
        "validation_set": 0,
    }
    return merged(plain, changes)


def systems():
    """Real ones, and the same with two charges more and another energy."""
    real = ase.io.read(AIMNET, ":")
    charged = [atoms.copy() for atoms in real]
    for atoms, one in zip(charged, real, strict=True):
        atoms.info["charge"] = 2
        atoms.info["energy"] = one.get_potential_energy() + DOUBLY_CHARGED
    return real, charged


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which ``mtt train`` has learned energies of charged systems."""
    folder = tmp_path_factory.mktemp("charges")
    real, charged = systems()
    ase.io.write(folder / "systems.xyz", real + charged)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["train", str(write_options(Path("options.yaml"), options()))]) == 0
    return folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    shutil.copy(AIMNET, tmp_path / "systems.xyz")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_same_atoms_with_another_charge_have_the_energy_that_was_learned(trained):
    calculator = MetatomicCalculator(trained / "model.pt", do_gradients_with_energy=False)
    for atoms in systems()[0]:
        atoms.info["spin_multiplicity"] = atoms.info["multiplicity"]
        atoms.calc = calculator
        before = atoms.get_potential_energy()
        atoms.info["charge"] = 2
        assert atoms.get_potential_energy() - before == pytest.approx(DOUBLY_CHARGED, abs=0.3)


def test_evaluation_tells_the_model_of_charges_and_keeps_them_in_the_file(trained, folder):
    shutil.copy(trained / "systems.xyz", folder)
    write_options(Path("evaluate.yaml"), {"systems": "systems.xyz", "targets": {"energy": {}}})
    assert main(["eval", str(trained / "model.pt"), "evaluate.yaml", "-o", "out.xyz"]) == 0
    found = ase.io.read("out.xyz", ":")
    energies = [atoms.get_potential_energy() for atoms in found]
    for neutral, charged in zip(energies[:8], energies[8:], strict=True):
        assert charged - neutral == pytest.approx(DOUBLY_CHARGED, abs=0.3)
    assert [atoms.info["charge"] for atoms in found[8:]] == [2] * 8
    assert found[0].info["multiplicity"] == 1


def test_charges_that_the_model_does_not_know_stop_before_training(folder, capsys):
    model = {"max_charge": 0}
    path = write_options(Path("options.yaml"), options(architecture={"model": model}))
    assert main(["train", str(path)]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: options.yaml, line ")
    assert "systems.xyz, system 2: charge (read from 'charge') is 1, but the model" in message
    assert "raise the largest one in architecture.model" in message
    assert not (folder / "model.pt").exists()


def test_evaluation_refuses_charges_that_the_model_does_not_know(trained, folder, capsys):
    atoms = ase.io.read("systems.xyz")
    atoms.info["charge"] = -3
    ase.io.write("systems.xyz", atoms)
    write_options(Path("evaluate.yaml"), {"systems": "systems.xyz", "targets": {"energy": {}}})
    assert main(["eval", str(trained / "model.pt"), "evaluate.yaml", "-o", "out.xyz"]) == 2
    message = capsys.readouterr().err
    assert "systems.xyz, system 0: charge (read from 'charge') is -3, but the model" in message


def test_a_model_that_does_not_look_at_charges_says_so(folder, caplog):
    training = {"num_epochs": 1}
    changes = {"model": {"system_conditioning": False}, "training": training}
    path = write_options(Path("options.yaml"), options(architecture=changes))
    assert main(["train", str(path)]) == 0
    assert "the systems differ in charge (-1 to 1), which the model does not" in caplog.text
