"""What a network is to learn of some data sets: labels without the part that is fixed."""

import copy
import dataclasses
from typing import NamedTuple, Self

import torch

from metatrain.data.batches import BatchColumns
from metatrain.data.columns import Columns
from metatrain.data.dataset import Dataset
from metatrain.data.neighbor_lists import Pairs
from metatrain.data.target import Target
from metatrain.model import GraphModel
from metatrain.nn.prior import NoPrior
from metatrain.training.labels import standardized_labels
from metatrain.training.step import Prediction, predict

# Enough for vectorisation, few enough to stay in memory however large the systems are.
SYSTEMS_AT_ONCE = 64


class Learnable(NamedTuple):
    """Systems with their pairs, and labels without the model's prior.

    :param columns: systems and labels
    :param pairs: the pairs within the model's cutoff
    """

    columns: Columns
    pairs: Pairs

    @classmethod
    def of(cls, datasets: list[Dataset], model: GraphModel) -> Self:
        """What the model is to learn of all systems of some data sets."""
        columns = Columns.concatenate([dataset.columns for dataset in datasets])
        pairs = Pairs.concatenate([dataset.pairs(model.cutoff) for dataset in datasets])
        return cls(_without_prior(columns, pairs, model), pairs)

    def batches(self, model: GraphModel, device: torch.device) -> BatchColumns:
        """The same with standardized labels, ready to be cut into batches."""
        return BatchColumns(
            standardized_labels(self.columns, model.dataset_info.targets, model.standardization),
            self.pairs,
            dtype=model.dtype,
            device=device,
        )


def _without_prior(columns: Columns, pairs: Pairs, model: GraphModel) -> Columns:
    """The columns with the values, forces and stress of the prior taken from the labels."""
    if isinstance(model.prior, NoPrior) or len(columns) == 0:
        return columns
    prior = copy.deepcopy(model.prior).to(device="cpu", dtype=torch.float64)
    systems = BatchColumns(columns, pairs, dtype=torch.float64, device=torch.device("cpu"))
    parts: dict[str, list[Prediction]] = {}
    for rows in torch.arange(len(columns)).split(SYSTEMS_AT_ONCE):
        graph = systems.batch(rows).graph
        targets = {name: model.dataset_info.targets[name] for name in prior(graph)}
        for name, prediction in predict(prior, graph, targets, is_training=False).items():
            parts.setdefault(name, []).append(prediction)
    for name, predictions in parts.items():
        columns = _without(columns, model.dataset_info.targets[name], predictions)
    return columns


def _without(columns: Columns, target: Target, parts: list[Prediction]) -> Columns:
    """The columns with what is predicted of one target taken from its labels."""
    values = torch.cat([part.values for part in parts]).detach()
    if target.is_extensive:
        values = values * columns.num_atoms.unsqueeze(1)
    name = target.name
    forces, stress = dict(columns.forces), dict(columns.stress)
    if target.has_forces:
        predicted = torch.cat([part.forces for part in parts if part.forces is not None])
        forces[name] = forces[name] - predicted
    if target.has_stress:
        strain = torch.cat([part.strain for part in parts if part.strain is not None])
        # where there is no volume there is no label either: NaN stays
        per_volume = (columns.num_atoms / columns.volumes).reshape(-1, 1, 1)
        stress[name] = stress[name] - strain * per_volume
    remaining = columns.values | {name: columns.values[name] - values}
    return dataclasses.replace(columns, values=remaining, forces=forces, stress=stress)
