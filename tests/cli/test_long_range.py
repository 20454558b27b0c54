"""A model with long-range features, from the data to the exported file."""

from pathlib import Path

import ase.io
import numpy as np
import pytest

from metatrain.cli import main
from metatrain.testing import systems
from runs import write_options

MODEL = {"d_pet": 8, "d_node": 8, "d_head": 8, "d_feedforward": 8, "num_heads": 2}
SHALLOW = {"num_gnn_layers": 1, "num_attention_layers": 1}
OPTIONS = {
    "seed": 1,
    "architecture": {
        "name": "pet",
        "model": MODEL | SHALLOW | {"cutoff": 3.0, "long_range": {"enable": True}},
        "training": {"num_epochs": 1},
    },
    "training_set": {
        "systems": {"read_from": "data.xyz", "length_unit": "angstrom"},
        "targets": {"energy": {"unit": "eV", "forces": True}},
    },
    "validation_set": 0,
}
EVALUATION = {"systems": "data.xyz", "targets": {"energy": {}}}


@pytest.fixture(autouse=True)
def in_own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_options(Path("options.yaml"), OPTIONS)
    write_options(Path("evaluate.yaml"), EVALUATION)


def write_data(*frames):
    labelled = [frame.copy() for frame in frames]
    for frame in labelled:
        frame.info["energy"] = 1.0
        frame.arrays["forces"] = np.zeros((len(frame), 3))
    ase.io.write("data.xyz", labelled)


def test_it_is_trained_exported_and_evaluated_but_not_with_a_slab(capsys):
    write_data(systems.molecule(), systems.crystal(), systems.supercell())
    # the export is proved against finite differences
    assert main(["train", "options.yaml"]) == 0
    assert main(["eval", "model.pt", "evaluate.yaml", "-o", "out.xyz"]) == 0
    write_data(systems.molecule(), systems.slab())
    assert main(["eval", "model.pt", "evaluate.yaml", "-o", "out.xyz"]) == 2
    assert "data.xyz, system 1: is periodic in 2 of 3 directions, but" in capsys.readouterr().err


def test_a_chain_stops_before_training(capsys):
    write_data(systems.molecule(), systems.chain())
    assert main(["train", "options.yaml"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: options.yaml, line ")
    assert "data.xyz, system 1: is periodic in 1 of 3 directions" in message
    assert not Path("model.pt").exists()
