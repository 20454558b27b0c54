"""The fit: it finds what can be found, in blocks, in any unit, from whatever labels there are."""

import dataclasses
from pathlib import Path

import pytest
import torch

from architectures.gap import Gap, GapHypers, GapTrainer, GapTrainingHypers, trainer
from architectures.gap.hypers import BasisHypers, KrrHypers, RadialHypers, SoapHypers
from architectures.gap.kernel_rows import Rows
from architectures.gap.least_squares import LeastSquares
from metatrain.data.batches import Batch
from metatrain.data.dataset import Dataset
from metatrain.data.target import DatasetInfo, Target
from metatrain.testing import systems
from metatrain.training.learnable import Learnable
from metatrain.training.step import predict
from sparse_points import graph_of, with_points

ENERGY = Target("energy", "energy", "eV", has_forces=True, has_stress=True)
SOAP = SoapHypers(basis=BasisHypers(max_angular=2, radial=RadialHypers(max_radial=2)))
ATOMS = [systems.molecule(), systems.crystal(), systems.supercell(), systems.lone_atom()]
PRECISE = GapTrainingHypers(regularizer=1e-7)
# a baseline is not in the span of the kernels
NO_BASELINE = dataclasses.replace(PRECISE, atomic_baseline={"energy": 0.0})


def new_model(target=ENERGY, *, zbl=False, **krr):
    info = DatasetInfo("angstrom", [1, 6, 8], {target.name: target})
    return Gap(GapHypers(SOAP, KrrHypers(**krr), zbl), info)


def labelled(values, forces=None, stress=None, name="energy"):
    """The systems with these labels."""
    forces = {} if forces is None else {name: forces}
    stress = {} if stress is None else {name: stress}
    columns = systems.columns_of(ATOMS)
    return dataclasses.replace(columns, values={name: values}, forces=forces, stress=stress)


def made_by(model):
    """Labels that a model of the same kind has."""
    graph = graph_of(ATOMS, model.cutoff)
    found = predict(model, graph, {"energy": ENERGY}, is_training=False)["energy"]
    num_atoms = torch.bincount(graph.system)
    volumes = torch.linalg.det(graph.cells).abs()
    stress = found.strain * (num_atoms / volumes).reshape(-1, 1, 1)
    stress[volumes == 0] = torch.nan
    return labelled((found.values * num_atoms[:, None]).detach(), found.forces, stress)


def random_labels():
    columns = systems.columns_of(ATOMS)
    generator = torch.Generator().manual_seed(0)
    return labelled(
        torch.randn(4, 1, generator=generator).double(),
        torch.randn(len(columns.types), 3, generator=generator).double(),
    )


def fit(columns, hypers=PRECISE, model=None):
    """A fitted model."""
    model = new_model() if model is None else model
    data = Dataset(columns, model.dataset_info.targets, torch.float64, length_unit="angstrom")
    GapTrainer(hypers).train(model, [torch.device("cpu")], [data], [], Path())
    return model


def compare(model, columns):
    """Predictions and labels, both standardized."""
    targets = model.dataset_info.targets
    data = Dataset(columns, targets, torch.float64)
    batch = Learnable.of([data], model).batches(model, torch.device("cpu")).batch(torch.arange(4))
    return predict(model, batch.graph, targets, is_training=False)["energy"], batch


def test_a_function_in_the_span_of_the_kernels_is_found():
    columns = made_by(with_points(new_model()))
    found, labels = compare(fit(columns, NO_BASELINE), columns)
    torch.testing.assert_close(found.values, labels.values["energy"], atol=1e-6, rtol=0)
    torch.testing.assert_close(found.forces, labels.forces["energy"], atol=1e-6, rtol=0)
    is_bulk = ~labels.stress["energy"].isnan()
    assert is_bulk.sum() == 18
    strain = labels.stress["energy"][is_bulk]
    torch.testing.assert_close(found.strain[is_bulk], strain, atol=1e-6, rtol=0)


def test_without_regularizer_any_energies_are_interpolated():
    columns = dataclasses.replace(random_labels(), forces={})
    target = dataclasses.replace(ENERGY, has_forces=False, has_stress=False)
    found, labels = compare(fit(columns, model=new_model(target)), columns)
    torch.testing.assert_close(found.values, labels.values["energy"], atol=1e-6, rtol=0)


def test_a_large_regularizer_leaves_the_baseline_alone():
    model = fit(random_labels(), GapTrainingHypers(regularizer=1e6))
    found, _ = compare(model, random_labels())
    assert found.values.abs().max() < 1e-6


@pytest.mark.parametrize(
    ("field", "weight"),
    # four atoms: the energy per atom, twelve forces, and nine derivatives by strain per atom
    [("values", 4 / 10**2), ("forces", 12 / 5**2), ("strain", 9 * 4 / 15**2)],
)
def test_each_kind_of_label_counts_by_its_own_error(field, weight):
    graph = graph_of([systems.crystal()], 3.0)
    shapes = {"values": (1, 1), "forces": (4, 3, 1), "strain": (1, 9, 1)}
    zeros = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in shapes.items()}
    rows = Rows(**zeros | {field: zeros[field] + (1.0 if field == "forces" else 4.0)})
    labels = [{"energy": torch.ones(shape).double()} for shape in ((1, 1), (4, 3), (1, 3, 3))]
    equations = LeastSquares(1, 1)
    hypers = GapTrainingHypers(regularizer=10.0, regularizer_forces=5.0)
    GapTrainer(hypers)._add(equations, ENERGY, rows, Batch(graph, *labels))
    # the least of weight (1 - c)^2 + c^2
    found = equations.solve(torch.eye(1, dtype=torch.float64)).item()
    assert found == pytest.approx(weight / (1.0 + weight))


def test_blocks_give_what_all_systems_at_once_give(monkeypatch):
    whole, _ = compare(fit(random_labels(), GapTrainingHypers()), random_labels())
    monkeypatch.setattr(trainer, "BLOCK_NUMBERS", 1)
    parts, _ = compare(fit(random_labels(), GapTrainingHypers()), random_labels())
    torch.testing.assert_close(parts.values, whole.values, atol=1e-9, rtol=0)
    torch.testing.assert_close(parts.forces, whole.forces, atol=1e-9, rtol=0)


def test_blocks_are_as_large_as_the_memory_allows(monkeypatch):
    monkeypatch.setattr(trainer, "BLOCK_NUMBERS", 120)
    num_atoms = torch.tensor([2, 3, 4, 5, 50, 1, 9])
    blocks = [block.tolist() for block in trainer._blocks(num_atoms, numbers_per_atom=10)]
    assert blocks == [[0, 1, 2], [3], [4], [5, 6]]


def test_few_candidates_are_enough_where_spectra_are_too_many(monkeypatch):
    model = new_model()
    monkeypatch.setattr(trainer, "CANDIDATE_NUMBERS", 10 * model.spectrum.num_features)
    fit(random_labels(), model=model)
    # every second of 17 atoms, and no block of a type without one
    assert [len(kernel.points) for kernel in model.sparse_kernels()] == [4, 2, 3]


def test_the_unit_of_the_labels_does_not_matter():
    columns = random_labels()
    in_mev = labelled(1000 * columns.values["energy"], 1000 * columns.forces["energy"])
    found, _ = compare(fit(columns), columns)
    other, _ = compare(fit(in_mev), in_mev)
    torch.testing.assert_close(other.values, found.values, atol=1e-8, rtol=0)
    torch.testing.assert_close(other.forces, found.forces, atol=1e-8, rtol=0)


def test_systems_without_forces_or_energy_are_learned_from_as_far_as_they_go():
    columns = made_by(with_points(new_model()))
    columns.forces["energy"][:4] = torch.nan
    columns.values["energy"][1] = torch.nan
    found, labels = compare(fit(columns, NO_BASELINE), columns)
    for prediction, label in (
        (found.values, labels.values["energy"]),
        (found.forces, labels.forces["energy"]),
    ):
        is_known = ~label.isnan()
        torch.testing.assert_close(prediction[is_known], label[is_known], atol=1e-5, rtol=0)


def test_several_targets_are_fitted_each_to_its_labels():
    columns = random_labels()
    values = {"energy": columns.values["energy"], "other": torch.randn(4, 2).double()}
    other = Target("other", num_properties=2)
    model = new_model()
    info = dataclasses.replace(model.dataset_info, targets={"energy": ENERGY, "other": other})
    both = fit(dataclasses.replace(columns, values=values), model=Gap(model.hypers, info))
    alone, _ = compare(fit(columns, model=model), columns)
    found = both(graph_of(ATOMS, both.cutoff))
    sums = (
        torch.zeros(4, 1)
        .double()
        .index_add(0, graph_of(ATOMS, both.cutoff).system, found["energy"])
    )
    num_atoms = torch.tensor([[4.0], [4.0], [8.0], [1.0]])
    torch.testing.assert_close(sums / num_atoms, alone.values, atol=1e-9, rtol=0)
    assert found["other"].shape == (17, 2)


def test_the_repulsion_is_taken_off_before_the_fit():
    model = new_model(zbl=True)
    graph = graph_of(ATOMS, model.cutoff)
    per_atom = model.prior(graph)["energy"]
    model = fit(
        labelled(torch.zeros(4, 1).double().index_add(0, graph.system, per_atom)),
        NO_BASELINE,
        model,
    )
    assert model(graph)["energy"].abs().max() < 1e-9


def test_a_second_fit_forgets_the_first():
    columns = random_labels()
    model = fit(made_by(with_points(new_model())))
    again, _ = compare(fit(columns, model=model), columns)
    fresh, _ = compare(fit(columns), columns)
    torch.testing.assert_close(again.values, fresh.values, atol=0, rtol=0)


def test_more_sparse_points_than_environments_take_them_all():
    model = fit(random_labels(), model=new_model(num_sparse_points=1000))
    assert 0 < sum(len(kernel.points) for kernel in model.sparse_kernels()) <= 17


def test_a_type_of_which_there_is_no_atom_has_the_baseline_alone():
    info = DatasetInfo("angstrom", [1, 6, 8, 14], {"energy": ENERGY})
    model = fit(random_labels(), model=Gap(GapHypers(SOAP), info))
    atoms = systems.lone_atom()
    atoms.numbers[:] = 14
    assert model(graph_of([atoms], model.cutoff))["energy"].tolist() == [[0.0]]


@pytest.mark.parametrize("degree", [1, 3])
def test_other_degrees_fit_too(degree):
    columns = made_by(with_points(new_model(degree=degree)))
    found, labels = compare(fit(columns, NO_BASELINE, new_model(degree=degree)), columns)
    torch.testing.assert_close(found.forces, labels.forces["energy"], atol=1e-5, rtol=0)
