"""The published models in our architecture, structures, and the published values."""

import dataclasses
import json
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch

from architectures.soap_bpnn import SoapBpnn
from metatrain.data.batches import BatchColumns
from metatrain.data.neighbor_lists import find_pairs
from metatrain.testing.systems import columns_of

REFERENCE = Path(__file__).parent / "reference"
CHECKPOINTS = {
    "test_v9": "soap_bpnn_test_v9.ckpt.gz",
    "default_seed0": "soap_bpnn_default_seed0.ckpt",
    "legacy_multitarget_seed1": "soap_bpnn_legacy_multitarget_seed1.ckpt",
    "modern_seed2": "soap_bpnn_modern_seed2.ckpt",
}


@dataclasses.dataclass
class Reference:
    """A published model in our architecture, and what it gave when it was published."""

    model: SoapBpnn
    predictions: dict
    intermediates: dict

    def values(self, graph):
        """Per-atom values of each target, with scale and baseline."""
        standardization = self.model.standardization
        rows = standardization.type_index(graph.types)
        return {
            name: raw * standardization.scale_of_rows(name, graph.types)
            + standardization.baselines[name][rows]
            for name, raw in self.model(graph).items()
        }


def load_published(name, dtype=torch.float64):
    model = SoapBpnn.load_checkpoint(REFERENCE / CHECKPOINTS[name])
    predictions = json.loads((REFERENCE / f"predictions_soap_bpnn_{name}.json").read_text())
    return Reference(
        model.to(dtype).eval(),
        predictions["predictions"]["float64"],
        read_intermediates(name),
    )


def read_intermediates(name):
    path = REFERENCE / f"intermediate_soap_bpnn_{name}_water"
    if path.with_suffix(".npz").exists():
        with np.load(path.with_suffix(".npz")) as file:
            return {key.replace("__", "/", 2): torch.from_numpy(file[key]) for key in file}
    if path.with_suffix(".json").exists():
        return flattened(json.loads(path.with_suffix(".json").read_text()))
    return {}


def flattened(tree, prefix=""):
    flat = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= flattened(value, f"{prefix}{key}/")
        else:
            flat[prefix + key] = torch.tensor(value, dtype=torch.float64)
    return flat


def read_structures():
    structures = {}
    for atoms in ase.io.read(REFERENCE / "structures.extxyz", ":"):
        atoms.cell[~atoms.pbc] = 0.0
        structures[atoms.info["name"]] = atoms
    return structures


def graph_of(structures, cutoff):
    """One graph of several structures, in float64."""
    columns = columns_of(list(structures))
    pairs = find_pairs(columns, cutoff)
    batches = BatchColumns(columns, pairs, dtype=torch.float64, device=torch.device("cpu"))
    return batches.batch(torch.arange(len(columns))).graph


@pytest.fixture(scope="session")
def structures():
    return read_structures()


@pytest.fixture(scope="session", params=list(CHECKPOINTS))
def published(request):
    return load_published(request.param)


@pytest.fixture(scope="session")
def load():
    return load_published


@pytest.fixture(scope="session")
def build_graph():
    return graph_of
