"""Predictions with their derivatives, the loss, and the errors of one batch."""

import dataclasses

import pytest
import torch
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from metatrain.data.target import Target
from metatrain.losses import expand
from metatrain.metrics import ErrorSums
from metatrain.standardize import Standardization
from metatrain.testing import systems
from metatrain.training.gradients import LossOfBatch
from metatrain.training.labels import standardized_labels
from metatrain.training.step import Objective, predict
from pair_model import ENERGY, PairModel, batch_of, info_of, labelled, new_model

CHARGE = Target("mtt::charge", "charge", "e", "atom", num_properties=2)
GAP = Target("mtt::gap", unit="eV", reduction="mean")
ONLY_FORCES = dataclasses.replace(ENERGY, has_stress=False)
ONLY_ENERGY = dataclasses.replace(ONLY_FORCES, has_forces=False)


class Turned(PairModel):
    """Sees each direction in another way: its strain derivative is not symmetric."""

    def density(self, graph):
        stretch = torch.tensor([1.0, 0.8, 1.1]).double()
        return super().density(graph._replace(vectors=graph.vectors * stretch))


class Anchored(PairModel):
    """Looks at positions and cells by themselves: it knows where in space atoms are."""

    uses_positions = True

    def density(self, graph):
        axis = torch.tensor([[0.3], [0.5], [-0.4]]).double()
        sizes = graph.cells[:, :, :1].sum(dim=1).index_select(0, graph.system)
        return super().density(graph) + torch.sin(graph.positions @ axis) * torch.cos(0.2 * sizes)


def predicted(model, columns, *targets, is_training=False):
    graph = batch_of(columns).graph
    named = {target.name: target for target in targets or (ENERGY,)}
    return predict(model, graph, named, is_training=is_training)


def energies(model, *frames):
    columns = systems.columns_of(frames)
    values = predicted(model, columns, ONLY_ENERGY)["energy"].values.detach().squeeze(1)
    return values * columns.num_atoms


def objective_of(*targets, loss="mse", per_structure=()):
    named = {target.name: target for target in targets}
    standardization = Standardization.identity(info_of(*targets))
    return Objective(named, expand(loss, named), standardization, frozenset(per_structure))


def as_learned(columns, *targets, scale=1.0):
    """The columns with the labels that the training step compares with."""
    named = {target.name: target for target in targets}
    standardization = Standardization(
        [1, 6, 8],
        {t.name: torch.zeros(3, t.num_values, dtype=torch.float64) for t in targets},
        {t.name: torch.full((1, t.num_values), scale, dtype=torch.float64) for t in targets},
    )
    return standardized_labels(columns, named, standardization)


@pytest.mark.parametrize("make", [systems.molecule, systems.crystal, systems.slab, systems.chain])
@pytest.mark.parametrize("model_class", [PairModel, Anchored])
def test_forces_are_the_negative_derivative_of_the_energy(make, model_class):
    model, h = new_model(model_class=model_class), 1e-4
    forces = predicted(model, systems.columns_of([make()]))["energy"].forces
    for atom in range(4):
        for axis in range(3):
            plus, minus = make(), make()
            plus.positions[atom, axis] += h
            minus.positions[atom, axis] -= h
            up, down = energies(model, plus, minus)
            assert_close(forces[atom, axis], (down - up) / (2 * h), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("model_class", [PairModel, Turned, Anchored])
def test_strain_is_the_derivative_of_the_energy_per_atom(model_class):
    model, h = new_model(model_class=model_class), 1e-4
    strain = predicted(model, systems.columns_of([systems.crystal()]))["energy"].strain[0]
    is_symmetric = bool((strain - strain.T).abs().max() < 1e-10)
    assert is_symmetric == (model_class is PairModel)
    for row in range(3):
        for column in range(3):
            step = torch.zeros(3, 3)
            step[row, column] = h
            moved = [systems.strained(systems.crystal(), sign * step.numpy()) for sign in (1, -1)]
            up, down = energies(model, *moved)
            assert_close(strain[row, column], (up - down) / (2 * h) / 4, rtol=1e-6, atol=1e-7)


def test_strain_is_per_atom_of_its_own_system_whatever_else_is_in_the_batch():
    frames = [systems.supercell(), systems.crystal(), systems.crystal().repeat((1, 2, 3))]
    together = predicted(new_model(), systems.columns_of(frames))["energy"].strain
    for frame, strain in zip(frames, together, strict=True):
        alone = predicted(new_model(), systems.columns_of([frame]))["energy"].strain[0]
        assert_close(strain, alone, rtol=1e-12, atol=1e-13)
    # a supercell has the same energy per atom, and so the same derivative
    assert_close(together[2], together[1], rtol=1e-12, atol=1e-13)


def test_a_compressed_crystal_has_a_negative_stress():
    class Repulsion(PairModel):
        def forward(self, graph):
            squares = (graph.vectors / self.cutoff).square().sum(dim=1, keepdim=True)
            zeros = torch.zeros_like(graph.positions[:, :1])
            return {"energy": zeros.index_add(0, graph.centers, (1 - squares).clamp(min=0) ** 3)}

    # it pushes outward: energy falls when the cell grows
    strain = predicted(new_model(model_class=Repulsion), systems.columns_of([systems.crystal()]))
    assert (torch.diagonal(strain["energy"].strain[0]) < 0).all()


def test_forces_of_a_system_add_up_to_zero():
    forces = predicted(new_model(), labelled(3))["energy"].forces
    assert_close(forces.reshape(3, 4, 3).sum(dim=1), torch.zeros(3, 3).double(), rtol=0, atol=1e-13)


def test_values_and_forces_do_not_change_when_stress_is_on():
    model, columns = new_model(), labelled(4)
    with_stress = predicted(model, columns)["energy"]
    without = predicted(model, columns, ONLY_FORCES)["energy"]
    assert torch.equal(with_stress.forces, without.forces)
    assert torch.equal(with_stress.values, without.values)
    assert without.strain is None
    losses, errors = [], []
    for target in (ENERGY, ONLY_FORCES):
        objective = objective_of(target, loss={"energy": {"weight": 0.0, **no_stress(target)}})
        batch = batch_of(as_learned(columns, target))
        predictions = predict(model, batch.graph, {"energy": target}, is_training=True)
        losses.append(objective.loss(predictions, batch).item())
        errors.append(ErrorSums())
        objective.add_errors(errors[-1], predictions, batch)
    assert losses[0] == losses[1]
    assert errors[0].rmse("forces") == errors[1].rmse("forces")


def no_stress(target):
    return {"stress": {"weight": 0.0}} if target.has_stress else {}


def test_errors_are_those_of_the_labels_in_their_own_units():
    model, columns = new_model(), labelled(4)
    batch = batch_of(as_learned(columns, ENERGY, scale=3.0))
    objective = objective_of(ENERGY)
    objective.standardization.scales["energy"].fill_(3.0)
    predictions = predict(model, batch.graph, {"energy": ENERGY}, is_training=False)
    errors = ErrorSums()
    objective.add_errors(errors, predictions, batch)

    plain = predicted(model, columns)["energy"]
    energy_error = 3 * plain.values - columns.values["energy"] / 4
    force_error = 3 * plain.forces - columns.forces["energy"]
    volumes = columns.volumes[1::2].reshape(-1, 1, 1)
    stress_error = 3 * plain.strain[1::2] * 4 / volumes - columns.stress["energy"][1::2]
    for name, error in [
        ("energy", energy_error),
        ("forces", force_error),
        ("stress", stress_error),
    ]:
        assert errors.rmse(name) == pytest.approx(error.square().mean().sqrt().item(), rel=1e-12)
    assert int(errors.counts["stress"]) == 18


def gradients_of(model, columns, *targets, **options):
    batch = batch_of(as_learned(columns, *targets))
    named = {target.name: target for target in targets}
    predictions = predict(model, batch.graph, named, is_training=True)
    loss = objective_of(*targets, **options).loss(predictions, batch)
    gradients = torch.autograd.grad(loss, list(model.parameters()), materialize_grads=True)
    return loss.item(), gradients


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_missing_labels_give_no_gradient_and_no_nan(loss):
    model, columns, few = new_model(), labelled(4), labelled(4)
    for labels, rows in ((few.values, slice(1, 4)), (few.forces, slice(4, 16)), (few.stress, [3])):
        labels["energy"][rows] = torch.nan
    found, gradients = gradients_of(model, few, ENERGY, loss=loss)
    assert all(gradient.isfinite().all() for gradient in gradients)
    # the labelled ones, alone
    by_hand = {"energy": {"type": loss, "forces": loss, "stress": {"weight": 0.0}}}
    first, _ = gradients_of(model, columns.select([0]), ENERGY, loss=by_hand)
    only_stress = {"energy": {"weight": 0.0, "forces": {"weight": 0.0}, "stress": loss}}
    second, _ = gradients_of(model, columns.select([1]), ENERGY, loss=only_stress)
    assert found == pytest.approx(first + second, rel=1e-12)


def test_a_batch_without_any_label_teaches_nothing():
    columns = labelled(2)
    for labels in (columns.values, columns.forces, columns.stress):
        labels["energy"][:] = torch.nan
    loss, gradients = gradients_of(new_model(), columns, ENERGY)
    assert loss == 0
    assert all((gradient == 0).all() for gradient in gradients)


def test_the_gradient_of_the_loss_is_right_to_second_order():
    model, columns = new_model(), labelled(2)
    _, gradients = gradients_of(model, columns, ENERGY)
    weight = model.neighbor_factors.weight
    h = 1e-5
    with torch.no_grad():
        weight[6, 1] += h
    up, _ = gradients_of(model, columns, ENERGY)
    with torch.no_grad():
        weight[6, 1] -= 2 * h
    down, _ = gradients_of(model, columns, ENERGY)
    found = gradients[
        [name for name, _ in model.named_parameters()].index("neighbor_factors.weight")
    ]
    assert found[6, 1].item() == pytest.approx((up - down) / (2 * h), rel=1e-6)


def test_the_loss_is_the_weighted_sum_of_its_terms():
    model, columns = new_model(), labelled(4)
    loss = {"energy": {"weight": 2.0, "forces": {"type": "mae", "weight": 0.5, "reduction": "sum"}}}
    found, _ = gradients_of(model, columns, ONLY_FORCES, loss=loss)
    of = predicted(model, columns, ONLY_FORCES)["energy"]
    energies = (of.values - columns.values["energy"] / 4).square().mean()
    forces = (of.forces - columns.forces["energy"]).abs().sum()
    assert found == pytest.approx((2.0 * energies + 0.5 * forces).item(), rel=1e-12)


def test_per_structure_targets_are_compared_as_sums():
    model, columns = new_model(), labelled(4)
    found, _ = gradients_of(model, columns, ONLY_ENERGY, per_structure=["energy"])
    error = predicted(model, columns, ONLY_ENERGY)["energy"].values * 4 - columns.values["energy"]
    assert found == pytest.approx(error.square().mean().item(), rel=1e-12)


def test_several_targets_are_predicted_and_learned_together():
    targets = (ENERGY, CHARGE, GAP)
    model, columns = new_model(*targets), labelled(4, *targets)
    found = predicted(model, columns, *targets)
    assert [found[t.name].values.shape for t in targets] == [(4, 1), (16, 2), (4, 1)]
    assert found["mtt::charge"].forces is None
    together, _ = gradients_of(model, columns, *targets)
    alone = [gradients_of(model, columns, target)[0] for target in targets]
    assert together == pytest.approx(sum(alone), rel=1e-12)


def test_energies_grow_with_the_system_and_means_do_not():
    model = new_model(ENERGY, GAP)
    once, twice = systems.crystal(), systems.crystal().repeat((2, 1, 1))
    found = predicted(model, systems.columns_of([once, twice]), ONLY_ENERGY, GAP)
    for prediction in found.values():
        assert_close(prediction.values[0], prediction.values[1], rtol=1e-13, atol=0)


def test_atoms_without_neighbors_are_finite_and_feel_no_force():
    found = predicted(new_model(), systems.columns_of([systems.lone_atom(), systems.far_apart()]))
    assert found["energy"].values.isfinite().all()
    assert (found["energy"].forces == 0).all()
    assert (found["energy"].strain == 0).all()


class Waits(TorchDispatchMode):
    """Notes operations of which a GPU has to tell the result, or its size, before others begin."""

    TAGS = (torch.Tag.dynamic_output_shape, torch.Tag.data_dependent_output)

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        is_mask = name.startswith("index") and any(
            getattr(each, "dtype", None) == torch.bool
            for arg in args
            for each in (arg if isinstance(arg, (list, tuple)) else [arg])
        )
        # indexing with numbers has the tag as well
        is_tagged = any(tag in function.tags for tag in self.TAGS) and not name.startswith("index")
        if is_mask or is_tagged:
            self.found.append(name)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("per_structure", [(), ("energy",)])
def test_a_step_has_nothing_that_a_gpu_would_have_to_be_waited_for(per_structure):
    targets = (ENERGY, CHARGE, GAP)
    objective = objective_of(*targets, per_structure=per_structure)
    batch = batch_of(labelled(4, *targets))
    errors = ErrorSums()
    with Waits() as waits:
        result = LossOfBatch(new_model(*targets), objective).differentiated(batch)
        objective.add_errors(errors, result.predictions, batch)
        assert waits.found == []
        torch.nonzero(result.loss)
        assert waits.found == ["nonzero"]
