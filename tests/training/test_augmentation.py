"""Batches turned at random: labels turn with them, uniformly, and only when asked for."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from metatrain.data.batches import Batch
from metatrain.losses import expand
from metatrain.metrics import ErrorSums
from metatrain.nn import Graph, SphericalHarmonics
from metatrain.standardize import Standardization
from metatrain.testing import systems
from metatrain.training.augmentation import (
    Augmentation,
    WignerMatrices,
    random_orthogonal_matrices,
)
from metatrain.training.step import Objective, predict
from pair_model import ENERGY, PairModel, batch_of, labelled, new_model, trained
from tensor_model import DIPOLE, TENSORS, TensorModel, tensors_of

TARGETS = {target.name: target for target in (ENERGY, *TENSORS)}


class Directional(PairModel):
    """Sees each direction in another way, and has to learn not to."""

    is_rotation_invariant = False

    def __init__(self, hypers, dataset_info):
        super().__init__(hypers, dataset_info)
        self.stretch = torch.nn.Parameter(torch.tensor([1.2, 0.7, 1.0]))

    @torch.jit.ignore
    def density(self, graph: Graph) -> Tensor:
        return super().density(graph._replace(vectors=graph.vectors * self.stretch))


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def model():
    return new_model(*TARGETS.values(), model_class=TensorModel)


def labels_of(batch):
    """All labels of a batch by name, forces and stress too."""
    kinds = {"values": batch.values, "forces": batch.forces, "stress": batch.stress}
    return {f"{kind} {name}": of for kind, all_of in kinds.items() for name, of in all_of.items()}


def test_what_an_equivariant_model_says_of_turned_systems_is_the_turned_label(model):
    batch = tensors_of(6, *TARGETS.values(), model=model)
    assert batch.graph.cells.det().count_nonzero() == 3
    turned = Augmentation(TARGETS)(batch)
    predictions = predict(model, turned.graph, TARGETS, is_training=False)
    again = Batch(
        turned.graph,
        {name: of.values for name, of in predictions.items()},
        {"energy": predictions["energy"].forces},
        {"energy": predictions["energy"].strain},
    )
    before = labels_of(batch)
    for name, label in labels_of(turned).items():
        assert_close(labels_of(again)[name], label, rtol=0, atol=1e-13)
        has_turned = (label - before[name]).abs().max() > 1e-3 * label.abs().max()
        assert has_turned == (name != "values energy")


def test_errors_of_an_equivariant_model_are_those_of_the_batch_that_was_not_turned(model):
    batch = batch_of(labelled(6, *TARGETS.values()))
    objective = Objective(
        TARGETS, expand("mse", TARGETS), Standardization.identity(model.dataset_info), frozenset()
    )
    losses, errors = [], []
    for given in (batch, Augmentation(TARGETS)(batch)):
        predictions = predict(model, given.graph, TARGETS, is_training=False)
        losses.append(objective.loss(predictions, given).item())
        errors.append(ErrorSums())
        objective.add_errors(errors[-1], predictions, given)
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    for name in errors[0].names:
        assert errors[0].rmse(name) == pytest.approx(errors[1].rmse(name), rel=1e-12)


def test_atoms_stay_where_their_neighbors_see_them():
    graph = Augmentation(TARGETS)(batch_of(labelled(4, *TARGETS.values()))).graph
    ends = graph.positions[graph.neighbors] - graph.positions[graph.centers]
    cells = graph.cells[graph.system[graph.centers]]
    is_periodic = cells.abs().sum(dim=(1, 2)) > 0
    assert_close(graph.vectors[~is_periodic], ends[~is_periodic], rtol=0, atol=1e-13)
    images = (graph.vectors - ends)[is_periodic]
    shifts = torch.linalg.solve(cells[is_periodic].mT, images)
    assert_close(shifts, shifts.round(), rtol=0, atol=1e-12)


def test_turns_are_uniform_in_the_group_of_rotations_and_inversions():
    matrices = random_orthogonal_matrices(200_000)
    identity = torch.eye(3, dtype=torch.float64)
    assert_close(matrices @ matrices.mT, identity.expand_as(matrices), rtol=0, atol=1e-14)
    is_inverted = torch.linalg.det(matrices) < 0
    noise = 5 / 200_000**0.5
    assert is_inverted.double().mean().item() == pytest.approx(0.5, abs=noise)
    # of a compact group: means of products of matrix elements vanish, or are delta delta / 3
    flat = matrices.flatten(1)
    assert flat.mean(dim=0).abs().max() < noise
    assert_close(flat.T @ flat / len(flat), torch.eye(9).double() / 3, rtol=0, atol=noise)
    # mean of trace^2n: 1, 3, 15 ways to couple 2, 4, 6 vectors to nothing in three dimensions
    trace = matrices.diagonal(dim1=1, dim2=2).sum(dim=1)
    moments = [trace.pow(power).mean().item() for power in (2, 4, 6)]
    assert moments == pytest.approx([1.0, 3.0, 15.0], rel=0.02)


def test_wigner_matrices_turn_spherical_harmonics():
    matrices = random_orthogonal_matrices(5)
    proper = matrices * torch.linalg.det(matrices).reshape(-1, 1, 1)
    directions = torch.nn.functional.normalize(torch.randn(7, 3, dtype=torch.float64))
    harmonics = SphericalHarmonics(6).double()
    turned = harmonics((directions @ proper.mT).flatten(0, 1)).reshape(5, 7, -1)
    for degree, wigner in enumerate(WignerMatrices(6)(matrices)):
        part = slice(degree**2, (degree + 1) ** 2)
        expected = harmonics(directions)[:, part] @ wigner.mT
        assert_close(turned[..., part], expected, rtol=0, atol=1e-13)


def test_what_is_missing_stays_missing_and_nothing_else_goes():
    batch = batch_of(labelled(4, *TARGETS.values()))
    for name in TARGETS:
        batch.values[name][:1] = torch.nan
    batch.forces["energy"][:4] = torch.nan
    turned = Augmentation(TARGETS)(batch)
    for name, label in labels_of(turned).items():
        assert torch.equal(label.isnan(), labels_of(batch)[name].isnan())


def test_scalars_stay_as_they_are_and_so_does_what_was_given():
    batch = batch_of(labelled(4, *TARGETS.values()))
    before = {name: label.clone() for name, label in labels_of(batch).items()}
    vectors = batch.graph.vectors.clone()
    turned = Augmentation(TARGETS)(batch)
    assert turned.values["energy"] is batch.values["energy"]
    assert torch.equal(batch.graph.vectors, vectors)
    for name, label in labels_of(batch).items():
        assert torch.equal(label.nan_to_num(), before[name].nan_to_num())


def test_the_state_of_the_generator_decides():
    batch = batch_of(labelled(2, DIPOLE))
    augmentation = Augmentation({DIPOLE.name: DIPOLE})
    first, second = augmentation(batch), augmentation(batch)
    torch.manual_seed(0)
    again = augmentation(batch)
    assert torch.equal(first.graph.vectors, again.graph.vectors)
    assert not torch.equal(first.graph.vectors, second.graph.vectors)


def spread(model):
    """How much the energy of a molecule depends on its orientation, in units of what it learns."""
    graph = batch_of(systems.columns_of([systems.molecule()] * 50)).graph
    turned = Augmentation({})(Batch(graph, {}, {}, {})).graph
    return model(turned)["energy"].detach().reshape(50, -1).sum(dim=1).std().item()


def test_a_model_that_is_not_invariant_learns_to_be(tmp_path):
    spreads = []
    for augmentation in (False, None):
        model = new_model(model_class=Directional)
        data = labelled(8)
        exact = tensors_of(8, ENERGY, model=new_model())
        data.values["energy"] = exact.values["energy"] * 4
        data.forces["energy"] = exact.forces["energy"]
        data.stress["energy"][:] = torch.nan
        hypers = {"num_epochs": 40, "learning_rate": 1e-2, "augmentation": augmentation}
        trained(tmp_path / str(augmentation), model=model, training=data, **hypers)
        spreads.append(spread(model))
    assert spreads[1] < 0.5 * spreads[0]


@pytest.mark.parametrize(
    ("model_class", "augmentation", "is_on"),
    [
        (PairModel, None, False),
        (PairModel, True, True),
        (Directional, None, True),
        (Directional, False, False),
    ],
)
def test_it_is_on_where_the_model_needs_it_unless_the_user_says_otherwise(
    tmp_path, model_class, augmentation, is_on
):
    model = new_model(model_class=model_class)
    _, trainer = trained(tmp_path, model=model, num_epochs=1, augmentation=augmentation)
    assert (trainer._loop.augmentation is not None) is is_on


def test_validation_is_never_turned(tmp_path):
    hypers = {"num_epochs": 1, "learning_rate": 1e-300, "augmentation": True}
    tables = []
    for seed in (1, 2):
        model = new_model(model_class=Directional)
        folder = tmp_path / str(seed)
        trained(folder, model=model, validation=labelled(3), seed=seed, **hypers)
        (row,) = (folder / "metrics.csv").read_text().splitlines()[1:]
        names = (folder / "metrics.csv").read_text().splitlines()[0].split(",")
        tables.append(dict(zip(names, row.split(","), strict=True)))
    losses = [[table[f"{part} loss"] for table in tables] for part in ("training", "validation")]
    assert losses[0][0] != losses[0][1]
    assert losses[1][0] == losses[1][1]
