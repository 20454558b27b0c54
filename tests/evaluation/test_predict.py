"""Predictions equal those of the simulation engine that everybody has."""

import dataclasses

import numpy as np
import pytest
import torch
from metatomic_ase import MetatomicCalculator
from torch.testing import assert_close

from metatrain.data.target import Target
from metatrain.errors import MetatrainError
from metatrain.evaluation import Predictor
from metatrain.standardize import Standardization
from metatrain.testing import systems
from pair_model import CPU, ENERGY, PairModel, new_model
from tensor_model import DIPOLE, MOMENTS, TensorModel

CHARGE = Target("mtt::charge", "charge", "e", "atom", num_properties=2)


class Constant(PairModel):
    """Looks at the elements alone."""

    def forward(self, graph):
        return {"energy": self.center_shifts(graph.types)[:, :1]}


def predictor_of(model, *targets, batch_size=8, length_unit="angstrom"):
    named = {target.name: target for target in targets or (ENERGY,)}
    return Predictor(model, named, length_unit=length_unit, device=CPU, batch_size=batch_size)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A file, and the model in it."""
    model = new_model(ENERGY, CHARGE)
    model.standardization = Standardization(
        [1, 6, 8],
        {"energy": torch.tensor([[-13.6], [-1029.5], [-2041.8]]).double()}
        | {"mtt::charge": torch.zeros(3, 2).double()},
        {"energy": torch.tensor([[1.5]]).double(), "mtt::charge": torch.ones(1, 2).double()},
    )
    path = tmp_path_factory.mktemp("exported") / "model.pt"
    exported = model.export()
    exported.save(path)
    return path, exported


def test_energies_forces_and_stress_are_those_of_the_ase_calculator(exported):
    path, model = exported
    calculator = MetatomicCalculator(path, device="cpu")
    frames = systems.everything()
    found = predictor_of(model)(systems.columns_of(frames))
    forces = found.forces["energy"].split([len(frame) for frame in frames])
    for index, frame in enumerate(frames):
        frame.calc = calculator
        energy = found.values["energy"][index].item()
        assert energy == pytest.approx(frame.get_potential_energy(), rel=1e-13)
        np.testing.assert_allclose(forces[index], frame.get_forces(), rtol=0, atol=1e-12)
        if frame.pbc.all():
            stress = frame.get_stress(voigt=False)
            np.testing.assert_allclose(found.stress["energy"][index], stress, rtol=0, atol=1e-12)
        else:
            assert found.stress["energy"][index].isnan().all()


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_the_size_of_a_batch_does_not_matter(exported, batch_size):
    columns = systems.columns_of(systems.everything())
    expected = predictor_of(exported[1], ENERGY, CHARGE)(columns)
    found = predictor_of(exported[1], ENERGY, CHARGE, batch_size=batch_size)(columns)
    for one, other in zip(vars(found).values(), vars(expected).values(), strict=True):
        for name in one:
            assert_close(one[name], other[name], rtol=1e-12, atol=1e-13, equal_nan=True)


def test_predictions_are_in_the_unit_of_the_labels(exported):
    columns = systems.columns_of([systems.crystal()])
    in_mev = dataclasses.replace(ENERGY, unit="meV")
    expected, found = (predictor_of(exported[1], t)(columns) for t in (ENERGY, in_mev))
    assert_close(found.values["energy"], 1000 * expected.values["energy"], rtol=1e-12, atol=0)
    assert_close(found.forces["energy"], 1000 * expected.forces["energy"], rtol=1e-12, atol=1e-12)
    assert_close(found.stress["energy"], 1000 * expected.stress["energy"], rtol=1e-12, atol=1e-12)


def test_forces_and_stress_are_in_the_length_unit_of_the_data(exported):
    columns = systems.columns_of([systems.crystal()])
    expected = predictor_of(exported[1])(columns)
    in_nm = dataclasses.replace(columns, positions=columns.positions / 10, cells=columns.cells / 10)
    found = predictor_of(exported[1], length_unit="nm")(in_nm)
    assert_close(found.values["energy"], expected.values["energy"], rtol=1e-12, atol=0)
    assert_close(found.forces["energy"], 10 * expected.forces["energy"], rtol=1e-9, atol=1e-10)
    assert_close(found.stress["energy"], 1000 * expected.stress["energy"], rtol=1e-9, atol=1e-9)


def test_targets_per_atom_have_a_row_per_atom(exported):
    found = predictor_of(exported[1], CHARGE)(systems.columns_of(systems.everything()))
    num_atoms = sum(map(len, systems.everything()))
    assert found.values["mtt::charge"].shape == (num_atoms, 2)
    assert found.forces == found.stress == {}


@pytest.mark.parametrize(
    ("given", "wanted", "message"),
    [
        (
            DIPOLE,
            dataclasses.replace(DIPOLE, rank=0),
            "gives 3 numbers per system in 1 blocks, expected 1 in",
        ),
        (
            MOMENTS,
            dataclasses.replace(MOMENTS, irreps=()),
            "gives 20 numbers per system in 4 blocks, expected",
        ),
        (
            MOMENTS,
            dataclasses.replace(MOMENTS, irreps=((0, 1),)),
            "expected 2 in 1; correct 'type' and",
        ),
    ],
)
def test_outputs_of_another_type_are_refused(given, wanted, message):
    predictor = predictor_of(new_model(given, model_class=TensorModel).export(), wanted)
    with pytest.raises(MetatrainError, match=message):
        predictor(systems.columns_of([systems.molecule()]))


def test_predicting_leaves_the_columns_as_they_were(exported):
    columns = systems.columns_of([systems.molecule()])
    before = columns.positions.clone()
    predictor_of(exported[1])(columns)
    assert not columns.positions.requires_grad
    assert torch.equal(columns.positions, before)


def test_a_model_that_no_geometry_enters_has_no_forces():
    model = new_model(model_class=Constant).export()
    found = predictor_of(model)(systems.columns_of([systems.crystal()]))
    assert (found.forces["energy"] == 0).all()
    assert (found.stress["energy"] == 0).all()


def test_results_are_in_float64_whatever_the_model():
    model = new_model(dtype=torch.float32).export(torch.float32)
    found = predictor_of(model)(systems.columns_of([systems.crystal()]))
    assert found.values["energy"].dtype == torch.float64
    assert found.stress["energy"].dtype == torch.float64
