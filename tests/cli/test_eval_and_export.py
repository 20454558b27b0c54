"""`mtt eval` and `mtt export` as a user runs them."""

import json

import ase.io
import numpy as np
import pytest
import torch
import yaml
from metatomic.torch import load_atomistic_model
from metatomic_ase import MetatomicCalculator

from runs import ETHANOL, ethanol_file, run_mtt


def evaluation_options(folder, data, **target):
    path = folder / "evaluate.yaml"
    systems = {"read_from": str(data), "length_unit": "angstrom"}
    path.write_text(yaml.safe_dump({"systems": systems, "targets": {"energy": target}}))
    return path


@pytest.mark.parametrize("model", ["model.pt", "model.ckpt"])
def test_a_model_or_a_checkpoint_is_evaluated_alike(finished, tmp_path, model):
    data = ethanol_file(tmp_path / "data.xyz", 7)
    path = evaluation_options(tmp_path, data, unit="eV")
    done = run_mtt("eval", finished / model, path, "-b", 3, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    metrics = json.loads((tmp_path / "output_metrics.json").read_text())
    assert metrics["num_systems"] == 7
    predicted, reference = ase.io.read(tmp_path / "output.xyz", ":"), ase.io.read(data, ":")
    calculator = MetatomicCalculator(finished / "model.pt")
    for found, known in zip(predicted, reference, strict=True):
        bare = known.copy()
        bare.calc = calculator
        assert found.get_potential_energy() == pytest.approx(bare.get_potential_energy())
        np.testing.assert_allclose(found.get_forces(), bare.get_forces(), atol=1e-5)
    errors = [
        1000 * (found.get_potential_energy() - known.get_potential_energy()) / 9
        for found, known in zip(predicted, reference, strict=True)
    ]
    assert metrics["errors"]["energy"]["rmse"] == pytest.approx(np.sqrt(np.mean(np.square(errors))))
    assert metrics["errors"]["energy"]["unit"] == "meV/atom"


def test_systems_written_are_the_systems_read(finished, tmp_path):
    atoms = ase.io.read(ETHANOL, 0)
    atoms.calc = None
    atoms.info = {"name": "my slab", "number": 7}
    atoms.arrays["tags"] = np.arange(9)
    atoms.set_cell([[12.0, 0.0, 0.0], [1.0, 13.0, 0.0], [0.0, 0.0, 0.0]])
    atoms.pbc = [True, True, False]
    ase.io.write(tmp_path / "slab.xyz", atoms)
    (tmp_path / "evaluate.yaml").write_text("systems: slab.xyz\n")
    done = run_mtt("eval", finished / "model.pt", "evaluate.yaml", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    found = ase.io.read(tmp_path / "output.xyz")
    known = ase.io.read(tmp_path / "slab.xyz")
    np.testing.assert_array_equal(found.cell.array, known.cell.array)
    np.testing.assert_array_equal(found.pbc, known.pbc)
    np.testing.assert_array_equal(found.arrays["tags"], known.arrays["tags"])
    assert found.info["name"] == "my slab"
    assert found.info["number"] == 7
    assert "stress" not in found.calc.results  # there is none of a slab


def test_labels_of_the_file_stay_beside_the_predictions(finished, tmp_path):
    data = ethanol_file(tmp_path / "data.xyz", 2)
    path = evaluation_options(tmp_path, data, unit="eV")
    assert run_mtt("eval", finished / "model.pt", path, folder=tmp_path).returncode == 0
    found, known = ase.io.read(tmp_path / "output.xyz"), ase.io.read(data)
    assert found.info["reference_energy"] == known.get_potential_energy()
    np.testing.assert_array_equal(found.arrays["reference_forces"], known.get_forces())


def test_a_data_set_in_other_units_gives_the_same_predictions_in_its_units(finished, tmp_path):
    factor = 23.060547830619026  # kcal/mol in an eV
    frames = ase.io.read(ethanol_file(tmp_path / "data.xyz", 3), ":")
    for atoms in frames:
        atoms.calc.results["energy"] *= factor
        atoms.calc.results["forces"] = atoms.calc.results["forces"] * factor
    ase.io.write(tmp_path / "kcal.xyz", frames)
    results = {}
    for unit, name in (("eV", "data.xyz"), ("kcal/mol", "kcal.xyz")):
        path = evaluation_options(tmp_path, tmp_path / name, unit=unit)
        done = run_mtt("eval", finished / "model.pt", path, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        results[unit] = json.loads((tmp_path / "output_metrics.json").read_text())["errors"]
    assert results["kcal/mol"]["energy"]["unit"] == "kcal/mol/atom"
    for name in ("energy", "forces"):
        in_ev = results["eV"][name]["rmse"] / 1000
        assert results["kcal/mol"][name]["rmse"] == pytest.approx(factor * in_ev, rel=1e-5)


def test_export_writes_the_model_that_training_wrote(finished, tmp_path):
    done = run_mtt("export", finished / "model.ckpt", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "finite differences" in done.stdout
    trained = load_atomistic_model(finished / "model.pt")
    exported = load_atomistic_model(tmp_path / "model.pt")
    for one, other in zip(trained.parameters(), exported.parameters(), strict=True):
        assert torch.equal(one, other)


def test_export_takes_metadata_and_a_precision(finished, tmp_path):
    (tmp_path / "about.yaml").write_text(
        "name: ethanol\nauthors: [Ada]\nreferences: {model: [a paper]}\nextra: {level: PBE}\n"
    )
    words = ["-o", "small.pt", "-m", "about.yaml", "--dtype", "float32"]
    done = run_mtt("export", finished / "model.ckpt", *words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    model = load_atomistic_model(tmp_path / "small.pt")
    assert model.capabilities().dtype == "float32"
    metadata = model.metadata()
    assert metadata.name == "ethanol"
    assert metadata.authors[0] == "Ada"
    assert metadata.references["model"] == ["a paper"]
    assert metadata.extra["level"] == "PBE"
