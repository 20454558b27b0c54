"""A model of a few lines, and data for it: what the tests of the shared rooms train and export."""

from dataclasses import dataclass
from pathlib import Path
from typing import Dict

import torch
from torch import Tensor

from metatrain.data.batches import Batch, BatchColumns
from metatrain.data.columns import Columns
from metatrain.data.dataset import Dataset
from metatrain.data.neighbor_lists import find_pairs
from metatrain.data.target import DatasetInfo, Target
from metatrain.hypers import hyper
from metatrain.model import GraphModel
from metatrain.nn import Graph
from metatrain.plugins import Architecture
from metatrain.testing import systems
from metatrain.training import GradientHypers, GradientTrainer

ENERGY = Target("energy", "energy", "eV", has_forces=True, has_stress=True)
CPU = torch.device("cpu")


@dataclass(frozen=True)
class PairHypers:
    """Options of :class:`PairModel`."""

    cutoff: float = hyper(3.5, "cutoff radius", above=0.0)
    num_features: int = hyper(4, "features per atom", minimum=1)
    exponent: float = hyper(2.0, "of the density")


class PairModel(GraphModel):
    """A network on a density of the neighbors: many-body, smooth, rotation-invariant."""

    Hypers = PairHypers

    def __init__(self, hypers: PairHypers, dataset_info: DatasetInfo) -> None:
        super().__init__(hypers, dataset_info)
        self.cutoff = hypers.cutoff
        self.exponent = hypers.exponent
        num_types = max(dataset_info.atomic_types) + 1
        self.neighbor_factors = torch.nn.Embedding(num_types, hypers.num_features)
        self.center_shifts = torch.nn.Embedding(num_types, hypers.num_features)
        self.target_names = list(dataset_info.targets)
        self.readouts = torch.nn.ModuleList(
            torch.nn.Linear(hypers.num_features, target.num_values)
            for target in dataset_info.targets.values()
        )

    def forward(self, graph: Graph) -> Dict[str, Tensor]:
        """Values per atom of each target."""
        features = torch.tanh(self.density(graph) + self.center_shifts(graph.types))
        values: Dict[str, Tensor] = {}
        for index, readout in enumerate(self.readouts):
            values[self.target_names[index]] = readout(features)
        return values

    def density(self, graph: Graph) -> Tensor:
        """(N, F) sum over neighbors."""
        squares = (graph.vectors / self.cutoff).square().sum(dim=1, keepdim=True)
        fading = (1.0 - squares).clamp(min=0.0) ** 3 * torch.exp(-self.exponent * squares)
        factors = self.neighbor_factors(graph.types[graph.neighbors])
        zeros = torch.zeros_like(self.center_shifts(graph.types))
        return zeros.index_add(0, graph.centers, fading * factors)


def architecture_of(model_class: type, name: str = "pair") -> Architecture:
    """The plug-in that a package with this model would be."""
    people = (("Ada <ada@example.org>", "@ada"),)
    return Architecture(
        name=name,
        package="tests",
        version="1",
        model_class=model_class,
        trainer_class=GradientTrainer,
        model_hypers=model_class.Hypers,
        train_hypers=GradientHypers,
        authors=people,
        maintainers=people,
    )


def info_of(*targets: Target) -> DatasetInfo:
    """What a model of hydrogen, carbon and oxygen is told."""
    targets = targets or (ENERGY,)
    return DatasetInfo("angstrom", [1, 6, 8], {target.name: target for target in targets})


def new_model(
    *targets: Target, dtype: torch.dtype = torch.float64, model_class: type = PairModel
) -> GraphModel:
    """A model; the same every time."""
    torch.manual_seed(0)
    return model_class(model_class.Hypers(), info_of(*targets)).to(dtype)


def labelled(num_systems: int, *targets: Target) -> Columns:
    """Molecules and triclinic crystals in turn, distorted, with made-up labels."""
    frames = []
    for index in range(num_systems):
        frame = systems.crystal() if index % 2 else systems.molecule()
        frame.rattle(0.05, seed=index)
        frames.append(frame)
    columns = systems.columns_of(frames)
    generator = torch.Generator().manual_seed(1)

    def numbers(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    for target in targets or (ENERGY,):
        rows = len(columns.types) if target.is_per_atom else num_systems
        columns.values[target.name] = numbers(rows, target.num_values)
        if target.has_forces:
            columns.forces[target.name] = numbers(len(columns.types), 3)
        if target.has_stress:
            stress = numbers(num_systems, 3, 3)
            is_bulk = columns.pbc.all(dim=1).reshape(-1, 1, 1)
            columns.stress[target.name] = torch.where(is_bulk, stress, torch.nan)
    return columns


def batch_of(columns: Columns, cutoff: float = 3.5) -> Batch:
    """All systems as one batch in float64."""
    batches = BatchColumns(columns, find_pairs(columns, cutoff), torch.float64, CPU)
    return batches.batch(torch.arange(len(columns)))


def dataset(columns: Columns, *targets: Target, dtype: torch.dtype = torch.float64) -> Dataset:
    """What trainers get."""
    named = {target.name: target for target in targets or (ENERGY,)}
    return Dataset(columns, named, dtype, length_unit="angstrom")


def trained(
    folder: Path,
    *,
    model: GraphModel | None = None,
    training: Columns | None = None,
    validation: Columns | None = None,
    dtype: torch.dtype = torch.float64,
    start: Path | None = None,
    **hypers: object,
) -> tuple[GraphModel, GradientTrainer]:
    """A model and its trainer after a run in ``folder``, with 6 systems to learn from.

    :param start: the checkpoint of a :class:`PairModel` to go on from
    """
    model = model or new_model(dtype=dtype)
    targets = list(model.dataset_info.targets.values())
    training = training or labelled(6, *targets)
    options = {"batch_size": 2, "num_epochs": 3, "warmup_fraction": 0.0, "seed": 1} | hypers
    trainer = GradientTrainer(GradientHypers(**options))
    if start is not None:
        model = PairModel.load_checkpoint(start)
        trainer = GradientTrainer.load_checkpoint(start, trainer.hypers)
    folder.mkdir(exist_ok=True)
    parts = [[dataset(training, *targets, dtype=dtype)], []]
    if validation is not None:
        parts[1].append(dataset(validation, *targets, dtype=dtype))
    trainer.train(model, [CPU], *parts, folder)
    return model, trainer
