"""What an exported model says of the systems of a data set."""

from dataclasses import dataclass

import torch
from metatensor.torch import TensorMap
from metatomic.torch import (
    AtomisticModel,
    ModelEvaluationOptions,
    ModelOutput,
    System,
    register_autograd_neighbors,
)
from torch import Tensor

from metatrain.data.columns import Columns
from metatrain.data.dataset import Dataset
from metatrain.data.target import Target
from metatrain.errors import MetatrainError


@dataclass(frozen=True)
class Predictions:
    """Predictions in float64 on the CPU, shaped like the labels of :class:`Columns`.

    :param values: by target, (S, V), or (N, V) for a target per atom
    :param forces: by target, (N, 3), −dE/dr
    :param stress: by target, (S, 3, 3), NaN unless periodic in three directions
    """

    values: dict[str, Tensor]
    forces: dict[str, Tensor]
    stress: dict[str, Tensor]

    @staticmethod
    def concatenate(parts: "list[Predictions]") -> "Predictions":
        """The predictions of several batches, one after the other."""

        def join(of: list[dict[str, Tensor]]) -> dict[str, Tensor]:
            return {name: torch.cat([one[name] for one in of]) for name in of[0]}

        return Predictions(
            join([part.values for part in parts]),
            join([part.forces for part in parts]),
            join([part.stress for part in parts]),
        )


class Predictor:
    """An exported model at work, in batches, on one device.

    :param model: as loaded, or as :meth:`ModelInterface.export` gives it
    :param targets: what to predict, with forces and stress where the target has them
    :param length_unit: of the systems
    :param device: where to compute
    :param batch_size: systems at a time
    """

    def __init__(
        self,
        model: AtomisticModel,
        targets: dict[str, Target],
        *,
        length_unit: str,
        device: torch.device,
        batch_size: int,
    ) -> None:
        self.model = model.to(device=device)
        self.targets = targets
        self.device = device
        self.batch_size = batch_size
        self.dtype = getattr(torch, model.capabilities().dtype)
        self.options = ModelEvaluationOptions(
            length_unit=length_unit,
            outputs={
                name: ModelOutput(unit=target.unit, sample_kind=target.sample_kind)
                for name, target in targets.items()
            },
        )

    def __call__(self, columns: Columns) -> Predictions:
        """Predict for all systems; each batch's graph is gone before the next begins."""
        batches = torch.arange(len(columns)).split(self.batch_size)
        # On a CPU nothing is fused: TorchScript's optimisation takes as long as some ten batches,
        # for every kind of shapes again, and makes them faster by some percent.
        optimized = torch.jit.optimized_execution  # type: ignore[attr-defined]
        with optimized(self.device.type != "cpu"):
            return Predictions.concatenate([self._batch(columns.select(b)) for b in batches])

    def _batch(self, columns: Columns) -> Predictions:
        needs_gradient = any(target.gradients for target in self.targets.values())
        # a tensor of its own: the columns' must not require gradients
        positions = columns.positions.to(device=self.device, dtype=self.dtype).detach()
        positions.requires_grad_(needs_gradient)
        identity = torch.eye(3, device=self.device, dtype=self.dtype)
        strain = identity.repeat(len(columns), 1, 1).requires_grad_(needs_gradient)
        cells = columns.cells.to(device=self.device, dtype=self.dtype) @ strain
        owner = columns.system_of_atom.to(self.device)
        strained = (positions.unsqueeze(1) @ strain[owner]).squeeze(1)
        systems = self._systems(columns, strained, cells)
        outputs = self.model(systems, self.options, check_consistency=False)

        values, forces, stress = {}, {}, {}
        for name, target in self.targets.items():
            flat = _flat(outputs[name], target)
            values[name] = _plain(flat)
            if target.gradients:
                # A value that nothing of the geometry enters has derivatives too: zero.
                total = flat.sum() + 0.0 * (positions.sum() + strain.sum())
                by_position, by_strain = torch.autograd.grad(
                    total, [positions, strain], retain_graph=True
                )
                if target.has_forces:
                    forces[name] = _plain(-by_position)
                if target.has_stress:
                    volumes = columns.volumes.reshape(-1, 1, 1)
                    per_volume = _plain(by_strain) / volumes
                    stress[name] = torch.where(volumes > 0, per_volume, torch.nan)
        return Predictions(values, forces, stress)

    def _systems(self, columns: Columns, positions: Tensor, cells: Tensor) -> list[System]:
        """Systems whose pair vectors depend on these positions and cells."""
        requests = self.model.requested_neighbor_lists()
        length_unit = self.options.length_unit
        plain = Dataset(
            columns,
            {},
            self.dtype,
            length_unit=length_unit,
            neighbor_lists=self.model.requested_neighbor_lists,
            inputs=self.model.requested_inputs(use_new_names=True),
        )
        systems = []
        for index in range(len(columns)):
            sample = plain[index].system.to(device=self.device)
            atoms = slice(int(columns.offsets[index]), int(columns.offsets[index + 1]))
            system = System(sample.types, positions[atoms], cells[index], sample.pbc)
            for options in requests:
                pairs = sample.get_neighbor_list(options).copy()
                register_autograd_neighbors(system, pairs, check_consistency=False)
                system.add_neighbor_list(options, pairs)
            for name in sample.known_data():
                system.add_data(name, sample.get_data(name))
            systems.append(system)
        return systems


def _flat(output: TensorMap, target: Target) -> Tensor:
    """(S, V), or (N, V) for a target per atom."""
    blocks = output.blocks()
    width = sum(block.values.shape[1:].numel() for block in blocks)
    is_other = len(blocks) > 1 and output.keys.names != target.key_names
    if is_other or width != target.num_values:
        raise MetatrainError(
            f"targets.{target.name}: the model gives {width} numbers per {target.sample_kind} in "
            f"{len(blocks)} blocks, expected {target.num_values} in {len(target.blocks)}; correct "
            "'type' and 'num_subtargets'."
        )
    return target.flat_values(output)


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().to(device="cpu", dtype=torch.float64)
