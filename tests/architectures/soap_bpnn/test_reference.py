"""Our model with published weights gives the published values."""

import pytest
import torch
from torch.testing import assert_close

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


def double(numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def pair_gradients(published, graph):
    vectors = graph.vectors.clone().requires_grad_()
    energies = published.values(graph._replace(vectors=vectors))["energy"]
    (gradients,) = torch.autograd.grad(energies.sum(), vectors)
    return energies.detach().squeeze(1), gradients


def forces_of(graph, gradients):
    forces = torch.zeros(len(graph.types), 3, dtype=gradients.dtype)
    return forces.index_add(0, graph.centers, gradients).index_add(0, graph.neighbors, -gradients)


@pytest.mark.parametrize("name", STRUCTURES)
def test_energies_forces_and_stress_are_the_published_ones(
    published, structures, build_graph, name
):
    atoms, expected = structures[name], published.predictions[name]
    graph = build_graph([atoms], published.model.cutoff)
    energies, gradients = pair_gradients(published, graph)
    strain_gradient = graph.vectors.T @ gradients
    assert_close(energies, double(expected["energies"]), **TIGHT)
    assert energies.sum().item() == pytest.approx(expected["energy"], rel=1e-11)
    assert_close(forces_of(graph, gradients), double(expected["forces"]), **TIGHT)
    assert_close(strain_gradient, double(expected["dE_dstrain"]), **TIGHT)
    if expected["stress"] is not None:
        stress = strain_gradient / abs(atoms.get_volume())
        assert_close(stress, double(expected["stress"]), **TIGHT)


def test_all_structures_in_one_graph_give_the_published_values(published, structures, build_graph):
    graph = build_graph(structures.values(), published.model.cutoff)
    energies, gradients = pair_gradients(published, graph)
    expected = [published.predictions[name] for name in structures]
    assert_close(energies, torch.cat([double(e["energies"]) for e in expected]), **TIGHT)
    forces = torch.cat([double(e["forces"]) for e in expected])
    assert_close(forces_of(graph, gradients), forces, **TIGHT)


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("checkpoint", ["legacy_multitarget_seed1", "modern_seed2"])
def test_charges_per_atom_are_the_published_ones(load, structures, build_graph, checkpoint, name):
    published = load(checkpoint)
    graph = build_graph([structures[name]], published.model.cutoff)
    charges = published.values(graph)["mtt::charges"]
    (block,) = published.predictions[name]["other"]["mtt::charges"]["blocks"]
    assert_close(charges, double(block["values"]), **TIGHT)


@pytest.mark.parametrize("name", ["acetamide", "triclinic_crystal"])
def test_float32_forces_agree_with_float64(published, load, structures, build_graph, request, name):
    checkpoint = request.node.callspec.params["published"]
    graph = build_graph([structures[name]], published.model.cutoff)
    _, gradients = pair_gradients(published, graph)
    single = load(checkpoint, torch.float32)
    _, rough = pair_gradients(single, graph._replace(vectors=graph.vectors.float()))
    forces = forces_of(graph, gradients)
    error = (forces_of(graph, rough.double()) - forces).abs().max()
    assert error < 1e-5 * forces.abs().max()
