"""The size of what a network has to learn."""

import dataclasses

import pytest
import torch

from metatrain.data.target import Target
from metatrain.standardize import fit_baseline, fit_scale
from metatrain.standardize.fit import residuals_per_atom
from pair_model import ENERGY, labelled, new_model
from tensor_model import MOMENTS

TYPES = [1, 6, 8]
WITHOUT_FORCES = Target("energy", "energy", "eV")
CHARGE = Target("mtt::charge", sample_kind="atom", num_properties=2)


def scale_of(columns, target, baseline=None):
    if baseline is None:
        baseline = fit_baseline(columns, target, TYPES)
    return fit_scale(columns, target, TYPES, baseline).squeeze(0)


def test_forces_tell_the_scale_where_there_are_any():
    columns = labelled(6)
    expected = columns.forces["energy"].square().mean().sqrt()
    assert torch.equal(scale_of(columns, ENERGY), expected.reshape(1))


def test_forces_that_are_missing_count_for_nothing():
    columns = labelled(6)
    columns.forces["energy"][4:] = torch.nan
    expected = columns.forces["energy"][:4].square().mean().sqrt()
    assert torch.equal(scale_of(columns, ENERGY), expected.reshape(1))


def test_without_forces_it_is_the_spread_of_the_energies_per_atom():
    columns = labelled(6)
    baseline = fit_baseline(columns, WITHOUT_FORCES, TYPES)
    rest = residuals_per_atom(columns, WITHOUT_FORCES, TYPES, baseline)
    expected = rest.square().mean().sqrt().reshape(1)
    assert torch.equal(scale_of(columns, WITHOUT_FORCES), expected)
    columns.forces["energy"][:] = torch.nan
    assert torch.equal(scale_of(columns, ENERGY), expected)


def test_small_forces_beside_large_energies_are_no_noise():
    columns = labelled(4)
    columns.values["energy"] -= 4e6
    columns.forces["energy"] *= 1e-5
    assert 0 < scale_of(columns, ENERGY) < 1e-4


def test_each_property_has_its_own_scale():
    columns = labelled(4, CHARGE)
    columns.values["mtt::charge"][:, 1] *= 100
    scale = scale_of(columns, CHARGE)
    assert scale[1] / scale[0] == pytest.approx(100, rel=0.5)


def test_the_components_of_a_tensor_have_one_scale():
    columns = labelled(4, MOMENTS)
    labels = columns.values["mtt::moments"]
    labels[:, 2:12:2] *= 100  # the first property of lambda = 2
    scale = scale_of(columns, MOMENTS)
    size = (labels[:, 2:12:2] / 4).square().mean().sqrt()
    torch.testing.assert_close(scale[2:12:2], size.repeat(5), rtol=1e-13, atol=0)
    assert (scale[3:12:2] == scale[3]).all()
    assert 10 < scale[2] / scale[3] < 1000


def test_a_scale_may_differ_by_atomic_type():
    scales = {"mtt::charge": torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])}
    standardization = dataclasses.replace(new_model(CHARGE).standardization, scales=scales)
    found = standardization.scale_of_rows("mtt::charge", torch.tensor([8, 1]))
    assert found.tolist() == [[5.0, 6.0], [1.0, 2.0]]


def test_equal_labels_have_a_scale_of_one():
    columns = labelled(4, WITHOUT_FORCES)
    columns.values["energy"][:] = -12345.678
    assert scale_of(columns, WITHOUT_FORCES) == 1
    columns.values["energy"][:] = torch.nan
    assert scale_of(columns, WITHOUT_FORCES) == 1


def test_rows_of_the_baseline_are_found_by_atomic_number():
    standardization = new_model().standardization
    assert standardization.type_index(torch.tensor([8, 1, 6, 8])).tolist() == [2, 0, 1, 2]
