"""The repulsion at short distances."""

import ase
import pytest
import torch
from torch.autograd import gradcheck
from torch.testing import assert_close

from metatrain.nn import ZBL
from published_models import graph_of

TYPES = [1, 6, 8]


def repulsion(**changes):
    return ZBL(TYPES, **({"units": {"energy": 1.0}} | changes)).double()


def dimer(distance, symbols="CO", cutoff=3.0):
    return graph_of([ase.Atoms(symbols, [[0, 0, 0], [0, 0, distance]])], cutoff)


def energy(model, graph):
    return model(graph)["energy"].sum()


def test_two_nuclei_repel_each_other_as_if_they_were_bare_when_they_are_very_near():
    # 14.4 eV angstrom * 6 * 8 / r, screened by a few percent at this distance
    assert_close(energy(repulsion(), dimer(1e-3)).item(), 14.3996 * 48 / 1e-3, rtol=0.03, atol=0)


def test_energy_slope_and_curvature_vanish_at_the_sum_of_the_covalent_radii():
    model = repulsion()
    end = 0.76 + 0.66
    distance = torch.tensor(end - 1e-4, dtype=torch.float64, requires_grad=True)
    graph = dimer(1.3)
    value = energy(model, graph._replace(vectors=graph.vectors / 1.3 * distance))
    (slope,) = torch.autograd.grad(value, distance, create_graph=True)
    (curvature,) = torch.autograd.grad(slope, distance)
    # three powers of the distance to the end, times the third derivative of some 1e3 eV/A^3
    assert abs(value.item()) < 1e-8
    assert abs(slope.item()) < 1e-4
    assert abs(curvature.item()) < 1.0
    assert energy(model, dimer(end + 1e-6)).item() == 0.0


def test_forces_are_derivatives():
    graph = graph_of([ase.Atoms("CHO", [[0, 0, 0], [0, 0.3, 0.6], [0.7, 0, 0.2]])], 3.0)
    function = lambda vectors: energy(repulsion(), graph._replace(vectors=vectors))  # noqa: E731
    assert gradcheck(function, graph.vectors.requires_grad_())


def test_each_atom_has_half_of_each_of_its_pairs():
    values = repulsion()(dimer(1.0))["energy"]
    assert values.shape == (2, 1)
    assert_close(values[0], values[1])


def test_other_units_of_length_and_energy():
    nanometers = dimer(1.0)
    nanometers = nanometers._replace(vectors=nanometers.vectors / 10)
    other = repulsion(units={"energy": 1000.0}, length_unit=10.0)
    assert_close(energy(other, nanometers), 1000 * energy(repulsion(), dimer(1.0)))
    assert other.cutoff == pytest.approx(2 * 0.76 / 10)


def test_a_cast_model_keeps_its_energies():
    model = repulsion()
    again = repulsion().float().double()
    assert_close(energy(again, dimer(0.8)), energy(model, dimer(0.8)), rtol=0, atol=0)
