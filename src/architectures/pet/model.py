"""PET: a transformer on the neighborhood of each atom, and messages between neighborhoods."""

from collections.abc import Mapping
from typing import Dict, List, Optional, Self, Tuple

import torch
from torch import Tensor, nn

from architectures.pet.conditioning import Conditioning
from architectures.pet.featurizers import Features, FeedForwardFeaturizer, ResidualFeaturizer
from architectures.pet.hypers import PetHypers
from architectures.pet.layers import Inputs
from architectures.pet.long_range import LongRange
from architectures.pet.pair_selection import Neighborhoods, PairSelection
from architectures.pet.parts import (
    NUM_TOKENS,
    NUM_TOKENS_OF_EXPORT,
    in_own_order,
    part_by_part,
    parts_of,
)
from architectures.pet.published import hypers_of, weights_of
from architectures.pet.readouts import STRESS, Readout
from metatrain.data.target import DatasetInfo, Target
from metatrain.errors import MetatrainError
from metatrain.model import GraphModel
from metatrain.nn import LONG_RANGE_PERIODICITIES, AtomicTypeIndex, Graph
from metatrain.published import Published
from metatrain.standardize import check_repulsion, repulsion


class Pet(GraphModel):
    """A point edge transformer: the tokens of a neighborhood are its atom and its pairs.

    Vectors enter as they are, so that the model has to learn what rotations do.

    :param hypers: see :class:`PetHypers`
    :param dataset_info: length unit, atomic types and targets
    """

    Hypers = PetHypers
    is_rotation_invariant = False

    def __init__(self, hypers: PetHypers, dataset_info: DatasetInfo) -> None:
        super().__init__(hypers, dataset_info)
        self.cutoff = hypers.cutoff
        is_residual = hypers.featurizer_type == "residual"
        # A message of the last layer brings what its sender knew in the same layer, and a cutoff
        # of the sender's own what its neighbors are.
        is_further = (not is_residual) + (hypers.num_neighbors_adaptive is not None)
        self.num_message_passing = hypers.num_gnn_layers + is_further
        self.num_heads = hypers.num_heads
        self.num_tokens = NUM_TOKENS
        self.num_tokens_of_export = NUM_TOKENS_OF_EXPORT
        self.type_index = AtomicTypeIndex(dataset_info.atomic_types)
        self.selection = PairSelection(hypers)
        featurizer = ResidualFeaturizer if is_residual else FeedForwardFeaturizer
        self.featurizer = featurizer(hypers, len(dataset_info.atomic_types))
        self.conditioning = Conditioning(hypers) if hypers.system_conditioning else None
        if hypers.system_conditioning:
            self.inputs = {
                "charge": range(-hypers.max_charge, hypers.max_charge + 1),
                "spin_multiplicity": range(1, hypers.max_spin_multiplicity + 1),
            }
        self.target_names = list(dataset_info.targets)
        self.readouts = nn.ModuleList(
            Readout(hypers, target, self.featurizer.num_read)
            for target in dataset_info.targets.values()
        )
        self.long_range = LongRange(hypers) if hypers.long_range.enable else None
        if self.long_range is not None:
            self.uses_positions, self.periodicities = True, LONG_RANGE_PERIODICITIES
        if hypers.zbl:
            self.prior = repulsion(dataset_info)
            self.cutoff = max(hypers.cutoff, self.prior.cutoff)

    @classmethod
    def complete_hypers(cls, hypers: PetHypers, targets: Mapping[str, Target]) -> PetHypers:
        """The same options, after a look whether they fit the targets."""
        if hypers.zbl:
            check_repulsion(targets)
        if STRESS in targets and targets[STRESS].rank != 2:
            raise MetatrainError(
                f"architecture.model: the target {STRESS!r} has to be a Cartesian tensor of rank 2, "
                "one 3x3 matrix per system or atom; give it that type, or another name."
            )
        return hypers

    @classmethod
    def from_published(cls, published: Published) -> Self:
        """The model of a published checkpoint."""
        model = cls(hypers_of(published), published.dataset_info)
        published.tell_of_long_range()
        weights = weights_of(published, model.state_dict())
        return model.with_weights(weights, published.standardization)

    def forward(self, graph: Graph, targets: Optional[List[str]] = None) -> Dict[str, Tensor]:
        """Values per atom, before scale and baseline.

        :param graph: the systems
        :param targets: those wanted; all if ``None``
        :return: (N, V) for each target
        """
        features, neighborhoods = self.features(graph)
        values: Dict[str, Tensor] = {}
        for k, readout in enumerate(self.readouts):
            name = self.target_names[k]
            if targets is None or name in targets:
                values[name] = readout(features, neighborhoods)
        return values

    def features(self, graph: Graph) -> Tuple[Features, Neighborhoods]:
        """What the readouts start from, and the pairs that it belongs to."""
        neighborhoods = self.selection(graph)
        given, graph, weights = graph, neighborhoods.graph, neighborhoods.weights
        types = self.type_index(graph.types)
        lengths = (graph.vectors.square().sum(dim=1, keepdim=True) + 1e-15).sqrt()
        # a pair at the very cutoff has no weight, and shall have a logarithm
        log_weights = weights.clamp(min=1e-15).log()
        parts = parts_of(graph.centers, types.shape[0], self.num_heads, self.num_parts(given))
        sizes = parts.pairs.sizes
        geometry = part_by_part(torch.cat([graph.vectors, lengths], dim=1), parts.pairs)
        of_pairs = part_by_part(log_weights, parts.pairs).split(sizes)
        of_atoms = weights.new_zeros([types.shape[0]]).split(parts.atoms.sizes)
        neighbor_types = types.index_select(0, graph.neighbors)
        condition: Optional[Tensor] = None
        if self.conditioning is not None:
            condition = part_by_part(self.conditioning(graph), parts.atoms)
        inputs = Inputs(
            types=part_by_part(types, parts.atoms),
            neighbor_types=neighbor_types,
            geometry=geometry.split(sizes),
            own_types=part_by_part(neighbor_types, parts.pairs).split(sizes),
            log_weights=[torch.cat([of_atoms[k], own]) for k, own in enumerate(of_pairs)],
            parts=parts,
            condition=condition,
        )
        features = self.featurizer(inputs)
        nodes = [in_own_order(states, parts.atoms) for states in features.nodes]
        features = Features(nodes, features.messages)
        if self.long_range is not None:
            features = self.long_range(features, given)
        return features, neighborhoods

    def num_parts(self, graph: Graph) -> int:
        """In how many parts the atoms are treated."""
        num_atoms = graph.types.shape[0]
        is_whole = graph.types.is_cuda  # a GPU is the faster the more it gets at once
        if not torch.jit.is_scripting():  # type: ignore[attr-defined]
            # a graph for batches of any size cannot have more parts for some of them
            is_whole = is_whole or isinstance(num_atoms, torch.SymInt)
        if is_whole:
            return 1
        is_exported = torch.jit.is_scripting()  # type: ignore[attr-defined]
        num_tokens = self.num_tokens_of_export if is_exported else self.num_tokens
        return max(1, min((num_atoms + graph.centers.shape[0]) // num_tokens + 1, num_atoms))
