"""The repulsion of nuclei in the units of a data set."""

import ase
import torch

from metatrain.data.target import DatasetInfo, Target
from metatrain.nn import NoPrior
from metatrain.standardize import repulsion
from published_models import graph_of

GRAPH = graph_of([ase.Atoms("CO", [[0, 0, 0], [0, 0, 0.9]])], 3.0)


def repulsion_in(length_unit, energy_unit, quantity="energy"):
    targets = {"x": Target("x", quantity, energy_unit)}
    return repulsion(DatasetInfo(length_unit, [6, 8], targets)).double()


def test_lengths_and_energies_are_those_of_the_data_set():
    usual, other = repulsion_in("angstrom", "eV"), repulsion_in("nm", "kcal/mol")
    expected = 23.0605 * usual(GRAPH)["x"]
    found = other(GRAPH._replace(vectors=0.1 * GRAPH.vectors))["x"]
    assert expected.min() > 1.0
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)
    assert abs(other.cutoff - 0.1 * usual.cutoff) < 1e-9


def test_without_an_energy_there_is_none():
    assert isinstance(repulsion_in("nm", "e", "charge"), NoPrior)
