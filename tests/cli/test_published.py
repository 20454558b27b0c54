"""Published checkpoints on the command line: used like ours, and harmless whatever they hold."""

import gzip
import json
import os
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
from metatomic_ase import MetatomicCalculator

REFERENCE = Path(__file__).parents[1] / "architectures" / "soap_bpnn" / "reference"
SMALL = REFERENCE / "soap_bpnn_test_v9.ckpt.gz"


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


@pytest.fixture
def published():
    predictions = json.loads((REFERENCE / "predictions_soap_bpnn_test_v9.json").read_text())
    return predictions["predictions"]["float64"]["water"]


def test_the_export_of_a_published_checkpoint_gives_its_energies(mtt, tmp_path, water, published):
    done = mtt("export", SMALL)
    assert done.returncode == 0, done.stderr
    water.calc = MetatomicCalculator(tmp_path / "soap_bpnn_test_v9.pt")
    # the network runs in float32
    assert water.get_potential_energy() == pytest.approx(published["energy"], abs=1e-6)
    np.testing.assert_allclose(water.get_forces(), published["forces"], atol=1e-6)


def test_a_published_checkpoint_is_evaluated(mtt, tmp_path, water, published):
    water.pbc, water.cell, water.info = False, None, {}
    ase.io.write(tmp_path / "water.xyz", water)
    (tmp_path / "eval.yaml").write_text("systems: {read_from: water.xyz, length_unit: angstrom}")
    done = mtt("eval", SMALL, "eval.yaml", "-o", "predictions.xyz")
    assert done.returncode == 0, done.stderr
    predicted = ase.io.read(tmp_path / "predictions.xyz")
    assert predicted.get_potential_energy() == pytest.approx(published["energy"], abs=1e-6)


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
