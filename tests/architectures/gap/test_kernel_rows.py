"""The rows of the fit: kernels summed over atoms, and their derivatives."""

import numpy as np
import pytest
import torch

from architectures.gap import Gap, GapHypers, kernel_rows
from architectures.gap.hypers import BasisHypers, KrrHypers, RadialHypers, SoapHypers
from architectures.gap.kernel_rows import KernelRows
from metatrain.data.target import DatasetInfo, Target
from metatrain.testing import systems
from metatrain.training.step import predict
from sparse_points import graph_of, with_points

ENERGY = Target("energy", "energy", "eV", has_forces=True, has_stress=True)
INFO = DatasetInfo("angstrom", [1, 6, 8], {"energy": ENERGY})
SOAP = SoapHypers(basis=BasisHypers(max_angular=2, radial=RadialHypers(max_radial=2)))


def model_of_degree(degree):
    return with_points(Gap(GapHypers(SOAP, KrrHypers(degree=degree)), INFO))


def rows_of(model, atoms):
    with torch.no_grad():
        return KernelRows(model).of(graph_of(atoms, model.cutoff), with_derivatives=True)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_rows_times_coefficients_are_what_the_model_says(degree, monkeypatch):
    monkeypatch.setattr(kernel_rows, "CHUNK_NUMBERS", 50_000)  # several chunks
    model = model_of_degree(degree)
    graph = graph_of(systems.everything(), model.cutoff)
    rows = rows_of(model, systems.everything())
    coefficients = torch.cat([kernel.coefficients for kernel in model.sparse_kernels()])
    expected = predict(model, graph, INFO.targets, is_training=False)["energy"]
    num_atoms = torch.bincount(graph.system)
    torch.testing.assert_close(rows.values @ coefficients / num_atoms[:, None], expected.values)
    torch.testing.assert_close((rows.forces @ coefficients).squeeze(2), expected.forces)
    strain = (rows.strain @ coefficients).reshape(-1, 3, 3) / num_atoms.reshape(-1, 1, 1)
    torch.testing.assert_close(strain, expected.strain)


def test_rows_of_forces_are_finite_differences_of_kernels():
    model, atoms, step = model_of_degree(2), systems.crystal(), 1e-4
    forces = rows_of(model, [atoms]).forces
    for atom, axis in ((0, 0), (2, 1), (3, 2)):
        moved = []
        for sign in (1, -1):
            moved.append(atoms.copy())
            moved[-1].positions[atom, axis] += sign * step
        up, down = rows_of(model, moved).values
        torch.testing.assert_close(forces[atom, axis], (down - up) / (2 * step), atol=1e-7, rtol=0)


def test_rows_of_strain_are_finite_differences_of_kernels():
    model, atoms, step = model_of_degree(2), systems.crystal(), 1e-4
    strain = rows_of(model, [atoms]).strain[0].reshape(3, 3, -1)
    for row, column in ((0, 0), (0, 1), (2, 1)):
        change = np.zeros((3, 3))
        change[row, column] = step
        moved = [systems.strained(atoms, change), systems.strained(atoms, -change)]
        up, down = rows_of(model, moved).values
        numerical = (up - down) / (2 * step)
        torch.testing.assert_close(strain[row, column], numerical, atol=1e-6, rtol=0)


def test_an_atom_alone_has_kernels_and_no_derivatives():
    rows = rows_of(model_of_degree(2), [systems.lone_atom()])
    assert (rows.values > 0).any()
    assert (rows.forces == 0).all()
    assert (rows.strain == 0).all()


def test_atoms_see_sparse_points_of_their_own_type_only():
    model = model_of_degree(2)
    of_oxygen = len(model.sparse_kernels()[2].points)
    rows = rows_of(model, [systems.lone_atom()])
    assert (rows.values[:, :-of_oxygen] == 0).all()
