"""One batch: predictions with forces and strain derivatives, loss and errors."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from metatrain.data.batches import Batch
from metatrain.data.target import Target
from metatrain.losses import LossTerm
from metatrain.metrics import ErrorSums, gradient_name
from metatrain.nn.graph import Graph
from metatrain.standardize import Standardization


@dataclass(frozen=True)
class Prediction:
    """What a model says of one target, in units of the target's scale.

    :param values: (S, V), per atom where the target grows with the system; (N, V) for a
        target per atom
    :param forces: (N, 3) −dE/dr, or ``None``
    :param strain: (S, 3, 3) (dE/dstrain) / number of atoms, or ``None``
    """

    values: Tensor
    forces: Tensor | None = None
    strain: Tensor | None = None


def atoms_per_system(graph: Graph) -> Tensor:
    """(S,) number of atoms of each system."""
    # not torch.bincount, which waits for a GPU to say how many there are
    counts = graph.system.new_zeros(graph.cells.shape[0])
    return counts.index_add(0, graph.system, torch.ones_like(graph.system))


def predict(
    model: torch.nn.Module, graph: Graph, targets: dict[str, Target], *, is_training: bool
) -> dict[str, Prediction]:
    """Values, forces and strain derivatives of all systems of a batch.

    One derivative with respect to the pair vectors v gives both: F_i = sum_j dE/dv_ij −
    dE/dv_ji, and dE/dstrain = sum v ⊗ dE/dv for the strain r' = r (1 + strain). A model
    that says ``uses_positions`` adds −dE/dr_i, and r ⊗ dE/dr and a ⊗ dE/da of atoms and cell
    vectors.

    :param is_training: whether the derivatives will be differentiated by the parameters
    """
    needs_gradient = any(target.gradients for target in targets.values())
    if needs_gradient:
        graph = graph._replace(vectors=graph.vectors.detach().requires_grad_())
        if getattr(model, "uses_positions", False):
            graph = graph._replace(
                positions=graph.positions.detach().requires_grad_(),
                cells=graph.cells.detach().requires_grad_(),
            )
    with torch.set_grad_enabled(is_training or needs_gradient):
        per_atom = model(graph)
        return {
            name: _predict_target(per_atom[name], graph, target, is_training=is_training)
            for name, target in targets.items()
        }


def _predict_target(
    per_atom: Tensor, graph: Graph, target: Target, *, is_training: bool
) -> Prediction:
    if target.is_per_atom:
        return Prediction(per_atom)
    num_atoms = atoms_per_system(graph).to(per_atom.dtype)
    sums = per_atom.new_zeros(graph.cells.shape[0], per_atom.shape[1])
    means = sums.index_add(0, graph.system, per_atom) / num_atoms.unsqueeze(1)
    if not target.gradients:
        return Prediction(means)

    leaves = [leaf for leaf in (graph.vectors, graph.positions, graph.cells) if leaf.requires_grad]
    gradient, *further = torch.autograd.grad(
        per_atom.sum(),
        leaves,
        create_graph=is_training,
        # one graph serves all targets, and the loss of a training step
        retain_graph=True,
        materialize_grads=True,
    )
    forces = strain = None
    if target.has_forces:
        forces = torch.zeros_like(graph.positions)
        forces = forces.index_add(0, graph.centers, gradient)
        forces = forces.index_add(0, graph.neighbors, -gradient)
        if further:
            forces = forces - further[0]
    if target.has_stress:
        pair_strain = graph.vectors.detach().unsqueeze(2) * gradient.unsqueeze(1)
        strain = torch.zeros_like(graph.cells)
        strain = strain.index_add(0, graph.system[graph.centers], pair_strain)
        if further:
            strain = strain + _strain_of_positions(graph, *further)
        strain = strain / num_atoms.reshape(-1, 1, 1)
    return Prediction(means, forces, strain)


def _strain_of_positions(graph: Graph, by_positions: Tensor, by_cells: Tensor) -> Tensor:
    """(S, 3, 3) derivative by strain, as far as positions and cells enter by themselves.

    :param by_positions: (N, 3) derivative by the positions
    :param by_cells: (S, 3, 3) derivative by the cell vectors
    """
    of_atoms = graph.positions.detach().unsqueeze(2) * by_positions.unsqueeze(1)
    of_cells = graph.cells.detach().mT @ by_cells
    return of_cells.index_add(0, graph.system, of_atoms)


@dataclass(frozen=True)
class WeightedLoss:
    """A loss plug-in with its weight, taken over the elements that have a label."""

    loss: Callable[[Tensor, Tensor], Tensor]
    weight: float
    is_sum: bool

    @classmethod
    def of(cls, term: LossTerm) -> "WeightedLoss":
        """Build what an options file asks for."""
        return cls(term.build(), term.weight, term.reduction == "sum")

    def __call__(self, prediction: Tensor, label: Tensor) -> Tensor:
        """The weighted mean (or sum) of the loss; zero where nothing has a label."""
        is_known = ~label.isnan()
        # A missing label takes the prediction's own value: no NaN gets into the backward.
        elements = self.loss(prediction, torch.where(is_known, label, prediction.detach()))
        total = self.weight * torch.where(is_known, elements, 0.0).sum()
        return total if self.is_sum else total / is_known.sum().clamp(min=1)


class Objective:
    """The loss of a batch, and its errors in the targets' units.

    :param targets: the targets
    :param terms: the loss of each target
    :param standardization: with scales where the network is, and in its precision
    :param per_structure: targets whose loss is that of whole systems, not per atom
    """

    def __init__(
        self,
        targets: dict[str, Target],
        terms: dict[str, LossTerm],
        standardization: Standardization,
        per_structure: frozenset[str],
    ) -> None:
        self.targets = targets
        self.standardization = standardization
        self.per_structure = per_structure
        self.values = {name: WeightedLoss.of(term) for name, term in terms.items()}
        self.gradients = {
            name: {of: WeightedLoss.of(inner) for of, inner in term.gradients.items()}
            for name, term in terms.items()
        }

    def loss(self, predictions: dict[str, Prediction], batch: Batch) -> Tensor:
        """Sum of the terms."""
        total = batch.graph.vectors.new_zeros(())
        for name, prediction in predictions.items():
            values, labels = prediction.values, batch.values[name]
            if name in self.per_structure:
                num_atoms = atoms_per_system(batch.graph).to(values.dtype).unsqueeze(1)
                values, labels = values * num_atoms, labels * num_atoms
            total = total + self.values[name](values, labels)
            if prediction.forces is not None:
                loss = self.gradients[name]["positions"]
                total = total + loss(prediction.forces, batch.forces[name])
            if prediction.strain is not None:
                loss = self.gradients[name]["strain"]
                total = total + loss(prediction.strain, batch.stress[name])
        return total

    def add_errors(
        self, errors: ErrorSums, predictions: dict[str, Prediction], batch: Batch
    ) -> None:
        """Count a batch's errors: values per atom, forces, and stress, in the targets' units."""
        for name, prediction in predictions.items():
            scale = self.standardization.scale_of_rows(name, batch.graph.types)
            errors.add(name, prediction.values * scale, batch.values[name] * scale)
            if prediction.forces is not None:
                forces = batch.forces[name] * scale
                errors.add(gradient_name(name, "forces"), prediction.forces * scale, forces)
            if prediction.strain is not None:
                # Labels are derivatives per atom: back to (dE/dstrain) / volume.
                volumes = torch.linalg.det(batch.graph.cells.double()).abs()
                density = (atoms_per_system(batch.graph) / volumes).to(scale.dtype)
                factor = density.reshape(-1, 1, 1) * scale
                stress = batch.stress[name]
                stress = torch.where(stress.isnan(), stress, stress * factor)
                errors.add(gradient_name(name, "stress"), prediction.strain * factor, stress)
