"""Published checkpoints on the command line: used like ours, and harmless whatever they hold."""

import gzip
import json
import os

import ase.io
import numpy as np
import pytest
import torch
from metatomic_ase import MetatomicCalculator

from architectures.pet import Pet
from runs import ROOT, ethanol_file, options, write_options

ARCHITECTURES = ROOT / "tests/architectures"
REFERENCE = ARCHITECTURES / "soap_bpnn/reference"
SMALL = REFERENCE / "soap_bpnn_test_v9.ckpt.gz"
PET = ARCHITECTURES / "pet/reference/pet_test_v16_a.ckpt.gz"


class Malicious:
    """Touches a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.fixture
def water():
    return next(
        a for a in ase.io.iread(REFERENCE / "structures.extxyz") if a.info["name"] == "water"
    )


def predicted_by(path):
    """What a published model gives for water."""
    name = f"predictions_{path.name.removesuffix('.ckpt.gz')}.json"
    return json.loads((path.parent / name).read_text())["predictions"]["float64"]["water"]


@pytest.mark.parametrize("path", [SMALL, PET], ids=["soap_bpnn", "pet"])
def test_the_export_of_a_published_checkpoint_gives_its_energies(mtt, tmp_path, water, path):
    done = mtt("export", path)
    assert done.returncode == 0, done.stderr
    published = predicted_by(path)
    # a cell without periodicity: the calculator divides by its volume
    water.cell = 20.0 * np.eye(3)
    water.calc = MetatomicCalculator(tmp_path / path.name.replace(".ckpt.gz", ".pt"))
    # the network runs in float32
    assert water.get_potential_energy() == pytest.approx(published["energy"], abs=1e-6)
    np.testing.assert_allclose(water.get_forces(), published["forces"], atol=1e-6)


def test_a_published_checkpoint_is_evaluated(mtt, tmp_path, water):
    water.pbc, water.cell, water.info = False, None, {}
    ase.io.write(tmp_path / "water.xyz", water)
    (tmp_path / "eval.yaml").write_text("systems: {read_from: water.xyz, length_unit: angstrom}")
    done = mtt("eval", SMALL, "eval.yaml", "-o", "predictions.xyz")
    assert done.returncode == 0, done.stderr
    predicted = ase.io.read(tmp_path / "predictions.xyz")
    assert predicted.get_potential_energy() == pytest.approx(
        predicted_by(SMALL)["energy"], abs=1e-6
    )


def test_a_published_checkpoint_of_pet_is_trained_on(mtt, tmp_path):
    content = options(ethanol_file(tmp_path / "ethanol.xyz", 12))
    # so small a learning rate that the weights stay the published ones
    training = {"num_epochs": 1, "batch_size": 4, "learning_rate": 1e-12}
    content["architecture"] = {"name": "pet", "training": training}
    write_options(tmp_path / "options.yaml", content)
    done = mtt("train", "options.yaml", "--restart", PET)
    assert done.returncode == 0, done.stderr
    assert "its weights are the beginning of a new run" in done.stdout
    one = Pet.load_checkpoint(PET).state_dict()
    other = Pet.load_checkpoint(tmp_path / "model.ckpt").state_dict()
    assert one.keys() == other.keys()
    assert all(torch.allclose(value, other[name], atol=1e-9) for name, value in one.items())


@pytest.mark.parametrize("kind", ["archive", "compressed", "old"])
def test_code_in_a_checkpoint_is_refused_in_one_line_and_not_run(mtt, tmp_path, kind):
    marker, path = tmp_path / "marker", tmp_path / "model.ckpt"
    keys = dict.fromkeys(("architecture_name", "model_ckpt_version", "model_data"))
    content = keys | {"evil": Malicious(marker)}
    torch.save(content, path, _use_new_zipfile_serialization=kind != "old")
    if kind == "compressed":
        path.write_bytes(gzip.compress(path.read_bytes()))
    done = mtt("export", path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "nothing of it was run" in done.stderr
    assert ("holds posix.system" in done.stderr) == (kind != "old")
    assert not marker.exists()
