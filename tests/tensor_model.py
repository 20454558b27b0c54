"""A model of a few lines whose tensors turn with the system, exactly, and data for it."""

from typing import Dict, List

import torch
from torch import Tensor

from metatrain.data.batches import Batch
from metatrain.data.target import DatasetInfo, Target
from metatrain.nn import Graph, SphericalHarmonics
from metatrain.training import GradientTrainer
from metatrain.training.step import predict
from pair_model import PairHypers, PairModel, batch_of, labelled, new_model

DIPOLE = Target("mtt::dipole", unit="e*A", rank=1)
SHIELDING = Target("mtt::shielding", sample_kind="atom", num_properties=2, rank=2)
MOMENTS = Target("mtt::moments", num_properties=2, irreps=((0, 1), (2, 1), (1, -1), (0, -1)))
PER_ATOM = Target("mtt::multipoles", sample_kind="atom", irreps=((3, 1), (1, 1), (2, -1)))
TENSORS = (DIPOLE, SHIELDING, MOMENTS, PER_ATOM)


class TensorModel(PairModel):
    """Sums of directions of neighbors, with weights that are learned."""

    def __init__(self, hypers: PairHypers, dataset_info: DatasetInfo) -> None:
        super().__init__(hypers, dataset_info)
        targets = list(dataset_info.targets.values())
        self.ranks: List[int] = [target.rank for target in targets]
        self.irreps: List[List[List[int]]] = [
            [list(irrep) for irrep in target.irreps] or [[-1, 1]] for target in targets
        ]
        angular = [irrep[0] for target in targets for irrep in target.irreps]
        self.harmonics = SphericalHarmonics(max(angular, default=0))
        self.readouts = torch.nn.ModuleList(
            torch.nn.Linear(hypers.num_features, target.num_properties, bias=target.is_scalar)
            for target in targets
        )

    def forward(self, graph: Graph) -> Dict[str, Tensor]:
        """Values per atom of each target."""
        gates = torch.tanh(self.density(graph) + self.center_shifts(graph.types))  # (N, F)
        values: Dict[str, Tensor] = {}
        for index, readout in enumerate(self.readouts):
            blocks: List[Tensor] = []
            for angular, sigma in self.irreps[index]:
                features = gates.unsqueeze(1)
                if angular < 0 and self.ranks[index] > 0:
                    features = features * self.moments(graph, self.powers(graph, self.ranks[index]))
                elif angular >= 0:
                    directions = self.harmonics(torch.nn.functional.normalize(graph.vectors))
                    first, last = angular * angular, (angular + 1) * (angular + 1)
                    features = features * self.moments(graph, directions[:, first:last])
                if sigma < 0:
                    features = features * self.pseudoscalar(graph)
                blocks.append(readout(features).flatten(1))
            values[self.target_names[index]] = torch.cat(blocks, dim=1)
        return values

    def moments(self, graph: Graph, directions: Tensor) -> Tensor:
        """(N, C, F) sums over the neighbors, from (E, C)."""
        squares = (graph.vectors / self.cutoff).square().sum(dim=1, keepdim=True)
        fading = squares * (1.0 - squares).clamp(min=0.0) ** 3
        weights = fading * self.neighbor_factors(graph.types[graph.neighbors])
        zeros = torch.zeros(
            (len(graph.types), directions.shape[1], weights.shape[1]),
            dtype=weights.dtype,
            device=weights.device,
        )
        each = directions.unsqueeze(2) * weights.unsqueeze(1)
        return zeros.index_add(0, graph.centers, each)

    def powers(self, graph: Graph, rank: int) -> Tensor:
        """(E, 3^rank) products of the components of the pair vectors."""
        products = graph.vectors
        for _ in range(rank - 1):
            products = (products.unsqueeze(2) * graph.vectors.unsqueeze(1)).flatten(1)
        return products

    def pseudoscalar(self, graph: Graph) -> Tensor:
        """(N, 1, 1) volume that three weighted sums of vectors span; a mirror turns its sign."""
        return torch.linalg.det(self.moments(graph, graph.vectors)[:, :, :3]).reshape(-1, 1, 1)


class architecture:  # noqa: N801 (options name it ``tensor_model:architecture``)
    """The plug-in that a package with this model would be."""

    __model__ = TensorModel
    __trainer__ = GradientTrainer
    __authors__ = (("Ada <ada@example.org>", "@ada"),)
    __maintainers__ = (("Ada <ada@example.org>", "@ada"),)


def tensors_of(num_systems: int, *targets: Target, model: TensorModel | None = None) -> Batch:
    """Molecules and crystals in turn, with labels that a model gives: they turn as they should."""
    model = model or new_model(*targets, model_class=TensorModel)
    graph = batch_of(labelled(num_systems)).graph
    found = predict(model, graph, model.dataset_info.targets, is_training=False)
    return Batch(
        graph,
        {name: of.values.detach() for name, of in found.items()},
        {name: of.forces for name, of in found.items() if of.forces is not None},
        {name: of.strain for name, of in found.items() if of.strain is not None},
    )
