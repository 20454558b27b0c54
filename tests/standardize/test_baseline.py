"""Reference values per element: exact where the data is, finite where it is not enough."""

import ase
import pytest
import torch
from torch.testing import assert_close

from metatrain.data.target import Target
from metatrain.errors import MetatrainError
from metatrain.standardize import fit_baseline, residuals_per_atom
from metatrain.testing import systems
from tensor_model import DIPOLE, MOMENTS

ENERGY = Target("energy", "energy", "eV")
GAP = Target("mtt::gap", unit="eV", reduction="mean")
CHARGE = Target("mtt::charge", sample_kind="atom", num_properties=2)
REFERENCES = {1: -13.587222780835477, 6: -1029.4889999855063, 8: -10000.000123456789}
TYPES = list(REFERENCES)


def columns_of(*formulas):
    """Systems without geometry: the baseline looks at compositions only."""
    frames = [ase.Atoms(formula) for formula in formulas]
    columns = systems.columns_of(frames)
    total = [[sum(REFERENCES[number] for number in frame.numbers)] for frame in frames]
    columns.values["energy"] = torch.tensor(total, dtype=torch.float64)
    columns.values["mtt::gap"] = columns.values["energy"] / columns.num_atoms.unsqueeze(1)
    per_atom = torch.tensor(
        [REFERENCES[int(number)] for number in columns.types], dtype=torch.float64
    )
    per_atom = per_atom.unsqueeze(1)
    columns.values["mtt::charge"] = torch.cat([per_atom, -per_atom], dim=1)
    return columns


def references():
    return torch.tensor(list(REFERENCES.values()), dtype=torch.float64).unsqueeze(1)


def test_least_squares_finds_the_references_the_data_was_made_of():
    columns = columns_of("H2O", "CO2", "CH4", "C2H6O")
    assert_close(fit_baseline(columns, ENERGY, TYPES), references(), rtol=1e-12, atol=0)


def test_systems_of_400_atoms_lose_nothing():
    columns = columns_of("C100H150O150", "C149H51O200", "C20H40O340", "C300H50O50")
    found = fit_baseline(columns, ENERGY, TYPES)
    assert_close(found, references(), rtol=1e-9, atol=0)
    rest = residuals_per_atom(columns, ENERGY, TYPES, found)
    assert rest.abs().max() < 1e-8  # eV; float32 would leave 1e-3


def test_a_mean_target_is_fitted_against_fractions():
    columns = columns_of("H2O", "CO2", "CH4", "C2H6O")
    assert_close(fit_baseline(columns, GAP, TYPES), references(), rtol=1e-12, atol=0)


def test_a_target_per_atom_gets_the_mean_of_each_element():
    columns = columns_of("H2O", "CO2", "CH4")
    expected = torch.cat([references(), -references()], dim=1)
    assert_close(fit_baseline(columns, CHARGE, TYPES), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("given", ["least_squares", "isolated_atoms", 2.0, {1: 2.0}])
def test_what_turns_with_the_system_has_no_baseline(given):
    columns = columns_of("H", "C", "O", "H2O", "CO2", "CH4")
    labels = torch.arange(6 * 20.0, dtype=torch.float64).reshape(6, 20)
    columns.values["mtt::moments"], columns.values["mtt::dipole"] = labels, labels[:, :3]
    found = fit_baseline(columns, MOMENTS, TYPES, given)
    assert (found[:, :2] != 0).any()
    assert (found[:, 2:] == 0).all()
    assert (fit_baseline(columns, DIPOLE, TYPES, given) == 0).all()
    invariant = Target("mtt::moments", num_properties=2)
    columns.values["mtt::moments"] = labels[:, :2]
    assert torch.equal(found[:, :2], fit_baseline(columns, invariant, TYPES, given))


def test_systems_without_a_label_are_left_out():
    columns = columns_of("H2O", "CO2", "CH4", "C2H6O", "C6H6")
    columns.values["energy"][4] = torch.nan
    assert_close(fit_baseline(columns, ENERGY, TYPES), references(), rtol=1e-12, atol=0)
    columns.values["energy"][:] = torch.nan
    assert (fit_baseline(columns, ENERGY, TYPES) == 0).all()


def test_one_composition_gives_finite_values_that_reproduce_the_labels():
    columns = columns_of("CH4O", "CH4O", "CH4O")
    found = fit_baseline(columns, ENERGY, TYPES)
    assert found.isfinite().all()
    assert residuals_per_atom(columns, ENERGY, TYPES, found).abs().max() < 1e-8


def test_a_type_that_no_labelled_system_has_gets_zero():
    columns = columns_of("CH4", "C2H6")
    found = fit_baseline(columns, ENERGY, TYPES)
    assert found[2] == 0
    assert_close(found[:2], references()[:2], rtol=1e-10, atol=0)


def test_a_number_stands_for_all_types():
    expected = torch.full((3, 1), -5.0, dtype=torch.float64)
    assert torch.equal(fit_baseline(columns_of("CH4"), ENERGY, TYPES, -5), expected)


def test_given_values_stay_and_the_others_are_fitted_to_the_rest():
    columns = columns_of("H2O", "CO2", "CH4", "C2H6O")
    found = fit_baseline(columns, ENERGY, TYPES, {8: REFERENCES[8]})
    assert_close(found, references(), rtol=1e-12, atol=0)
    shifted = fit_baseline(columns_of("H2O"), ENERGY, [1, 8], {1: 0.0})
    assert shifted[0] == 0
    assert_close(shifted[1, 0].item(), REFERENCES[8] + 2 * REFERENCES[1], rtol=1e-12, atol=0)


def test_isolated_atoms_give_their_own_labels():
    columns = columns_of("H", "O", "H2O", "CO2", "C", "H")
    columns.values["energy"][2] += 3.0
    found = fit_baseline(columns, ENERGY, TYPES, "isolated_atoms")
    assert torch.equal(found, references())
    found = fit_baseline(columns, CHARGE, TYPES, "isolated_atoms")
    assert torch.equal(found, torch.cat([references(), -references()], dim=1))


def test_a_missing_isolated_atom_is_named():
    columns = columns_of("H", "O", "C", "CO2")
    columns.values["energy"][2] = torch.nan
    with pytest.raises(MetatrainError, match=r"atomic_baseline: .* there is none for \[6\]"):
        fit_baseline(columns, ENERGY, TYPES, "isolated_atoms")


def test_residuals_of_energies_are_per_atom_and_those_of_means_are_not():
    columns = columns_of("H2O", "CO2")
    columns.values["energy"] += 6.0
    columns.values["mtt::gap"] += 6.0
    rest = residuals_per_atom(columns, ENERGY, TYPES, references())
    assert_close(rest, torch.full((2, 1), 2.0).double(), rtol=1e-8, atol=0)
    rest = residuals_per_atom(columns, GAP, TYPES, references())
    assert_close(rest, torch.full((2, 1), 6.0).double(), rtol=1e-8, atol=0)
