"""Published models in our architectures: what they gave when they were published, and tests of it."""

import dataclasses
import json
import re
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
from torch.testing import assert_close

from metatrain.data.batches import BatchColumns
from metatrain.data.neighbor_lists import find_pairs
from metatrain.model import GraphModel
from metatrain.testing.systems import columns_of

ARCHITECTURES = Path(__file__).parent / "architectures"
# The published values are float64 with 17 digits; sums in another order change the last few.
TIGHT = {"rtol": 1e-10, "atol": 1e-11}
STRUCTURES = [
    "water",
    "acetamide",
    "triclinic_crystal",
    "diamond_primitive",
    "slab_ttf",
    "chain_fft",
    "isolated_atom",
    "water_plus_far_atom",
    "dimer_in_taper",
]


@dataclasses.dataclass
class PublishedModel:
    """A published model in our architecture, and what it gave when it was published."""

    model: GraphModel
    predictions: dict
    intermediates: dict

    @classmethod
    def of(cls, model, name):
        """With the values that stand in the folder of the architecture."""
        folder = ARCHITECTURES / name.partition("/")[0] / "reference"
        name = name.replace("/", "_")
        predictions = json.loads((folder / f"predictions_{name}.json").read_text())
        values = predictions["predictions"]["float64"]
        return cls(model.eval(), values, read_intermediates(folder / f"intermediate_{name}_water"))

    def values(self, graph):
        """Per-atom values of each target, with scale, baseline and prior."""
        standardization, prior = self.model.standardization, self.model.prior(graph)
        rows = standardization.type_index(graph.types)
        return {
            name: raw * standardization.scale_of_rows(name, graph.types)
            + standardization.baselines[name][rows]
            + prior.get(name, 0.0)
            for name, raw in self.model(graph).items()
        }


def read_intermediates(path):
    if path.with_suffix(".npz").exists():
        with np.load(path.with_suffix(".npz")) as file:
            return {re.sub(r"(?<!_)__(?!_)", "/", key): torch.from_numpy(file[key]) for key in file}
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
    for atoms in ase.io.read(ARCHITECTURES / "soap_bpnn/reference/structures.extxyz", ":"):
        atoms.cell[~atoms.pbc] = 0.0
        structures[atoms.info["name"]] = atoms
    return structures


def graph_of(structures, cutoff):
    """One graph of several structures, in float64."""
    columns = columns_of(list(structures))
    pairs = find_pairs(columns, cutoff)
    batches = BatchColumns(columns, pairs, dtype=torch.float64, device=torch.device("cpu"))
    return batches.batch(torch.arange(len(columns))).graph


def double(numbers):
    return torch.as_tensor(numbers, dtype=torch.float64)


def pair_gradients(published, graph):
    vectors = graph.vectors.clone().requires_grad_()
    energies = published.values(graph._replace(vectors=vectors))["energy"]
    (gradients,) = torch.autograd.grad(energies.sum(), vectors)
    return energies.detach().squeeze(1), gradients


def forces_of(graph, gradients):
    forces = torch.zeros(len(graph.types), 3, dtype=gradients.dtype)
    return forces.index_add(0, graph.centers, gradients).index_add(0, graph.neighbors, -gradients)


class PublishedModelTests:
    """What holds for every published model; ``published`` and ``load`` are fixtures."""

    @pytest.mark.parametrize("name", STRUCTURES)
    def test_energies_forces_and_stress_are_the_published_ones(self, published, structures, name):
        atoms, expected = structures[name], published.predictions[name]
        graph = graph_of([atoms], published.model.cutoff)
        energies, gradients = pair_gradients(published, graph)
        strain_gradient = graph.vectors.T @ gradients
        assert_close(energies, double(expected["energies"]), **TIGHT)
        assert energies.sum().item() == pytest.approx(expected["energy"], rel=1e-11)
        assert_close(forces_of(graph, gradients), double(expected["forces"]), **TIGHT)
        assert_close(strain_gradient, double(expected["dE_dstrain"]), **TIGHT)
        if expected["stress"] is not None:
            stress = strain_gradient / abs(atoms.get_volume())
            assert_close(stress, double(expected["stress"]), **TIGHT)

    def test_all_structures_in_one_graph_give_the_published_values(self, published, structures):
        graph = graph_of(structures.values(), published.model.cutoff)
        energies, gradients = pair_gradients(published, graph)
        expected = [published.predictions[name] for name in structures]
        assert_close(energies, torch.cat([double(e["energies"]) for e in expected]), **TIGHT)
        forces = torch.cat([double(e["forces"]) for e in expected])
        assert_close(forces_of(graph, gradients), forces, **TIGHT)

    @pytest.mark.parametrize("name", STRUCTURES)
    def test_energies_and_forces_in_float32_are_the_published_ones(
        self, published, load, structures, request, name
    ):
        expected = published.predictions[name]
        single = load(request.node.callspec.params["published"], torch.float32)
        graph = graph_of([structures[name]], published.model.cutoff)
        energies, gradients = pair_gradients(
            single, graph._replace(vectors=graph.vectors.float(), cells=graph.cells.float())
        )
        assert_close(energies.double(), double(expected["energies"]), rtol=1e-6, atol=0)
        # as far from the float64 values as the published model is in float32 itself
        tolerance = 5e-5 if single.model.hypers.zbl else 5e-6
        forces = forces_of(graph, gradients.double())
        assert_close(forces, double(expected["forces"]), rtol=1e-5, atol=tolerance)
