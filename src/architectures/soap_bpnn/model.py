"""SOAP-BPNN: neural networks on the SOAP power spectrum."""

from collections.abc import Mapping
from typing import Dict, Final, List, Optional, Self, Tuple

import torch
from torch import Tensor

from architectures.soap_bpnn.hypers import SoapBpnnHypers
from architectures.soap_bpnn.networks import AtomicNetworks, atomic_network, readout
from architectures.soap_bpnn.published import hypers_of, published_order, scalar_part, weights_of
from metatrain.data.target import DatasetInfo, Target, check_scalars
from metatrain.errors import MetatrainError, did_you_mean
from metatrain.log import logger
from metatrain.model import GraphModel
from metatrain.nn import (
    LONG_RANGE_PERIODICITIES,
    AtomicTypeIndex,
    EmbeddedChannels,
    Graph,
    Grouped,
    LaplacianEigenstates,
    LongRangeFeatures,
    Neighborhoods,
    SphericalExpansion,
    TypeChannels,
    group_sizes,
    neighborhoods,
    power_spectrum,
)
from metatrain.published import Published
from metatrain.standardize import check_repulsion, repulsion

NUM_EMBEDDED_CHANNELS = 4
"""Channels of the density where types are embedded."""
MANY_WEIGHTS = 50_000_000
"""Where the user is told that weights grow with the third power of the number of types."""


class SoapBpnn(GraphModel):
    """A Behler-Parrinello network on the SOAP power spectrum of each atom.

    With ``legacy``, each atomic type has its own density channel and its own networks.
    Without, neighbors enter through an embedding of their type, centers through a
    factor on each invariant, and all atoms share one network.

    Atoms are treated in the order of their groups (types with ``legacy``, else one
    group), so that each network gets its rows as one block.

    :param hypers: see :class:`SoapBpnnHypers`
    :param dataset_info: length unit, atomic types and targets
    """

    Hypers = SoapBpnnHypers
    knows_parts: Final[bool]

    def __init__(self, hypers: SoapBpnnHypers, dataset_info: DatasetInfo) -> None:
        super().__init__(hypers, dataset_info)
        check_scalars(dataset_info.targets, "soap_bpnn")
        num_types = len(dataset_info.atomic_types)
        self.num_types = num_types
        self.cutoff = hypers.soap.cutoff.radius
        self.type_index = AtomicTypeIndex(dataset_info.atomic_types)
        soap = hypers.soap
        self.expansion = SphericalExpansion(
            LaplacianEigenstates(soap.max_angular, soap.max_radial, soap.cutoff.radius),
            soap.cutoff.width,
            TypeChannels(num_types)
            if hypers.legacy
            else EmbeddedChannels(num_types, NUM_EMBEDDED_CHANNELS),
        )
        num_features = sum(count**2 for count in self.expansion.num_columns)
        self.center_encoding = (
            None if hypers.legacy else torch.nn.Embedding(num_types, num_features)
        )
        self.num_groups = num_types if hypers.legacy else 1
        self.networks = AtomicNetworks(
            atomic_network(num_features, hypers.bpnn) for _ in range(self.num_groups)
        )
        self.knows_parts = hypers.legacy and hypers.bpnn.layernorm
        self.channel_pairs: Tensor
        pairs = channel_pairs(self.expansion.radial_counts, num_types)
        self.register_buffer("channel_pairs", pairs, persistent=False)
        if hypers.bpnn.num_hidden_layers > 0:
            num_features = hypers.bpnn.num_neurons_per_layer
        num_weights = sum(weights.numel() for weights in self.networks.parameters())
        if hypers.legacy and num_weights > MANY_WEIGHTS:
            logger.warning(
                "soap_bpnn: %d atomic types make %.0f million weights, since each type has a density "
                "channel and a network of its own; architecture.model.legacy: false shares them",
                num_types,
                num_weights / 1e6,
            )
        self.long_range = None
        if hypers.long_range.enable:
            self.long_range = LongRangeFeatures(num_features, hypers.long_range, self.cutoff)
            self.uses_positions, self.periodicities = True, LONG_RANGE_PERIODICITIES
        if hypers.zbl:
            prior = repulsion(dataset_info)
            self.prior = prior
            self.cutoff = max(self.cutoff, prior.cutoff)
        self.target_names = list(dataset_info.targets)
        self.readouts = torch.nn.ModuleList(
            Grouped(
                readout(hypers.heads.get(name, "linear"), num_features, target.num_properties)
                for _ in range(self.num_groups)
            )
            for name, target in dataset_info.targets.items()
        )

    @classmethod
    def complete_hypers(
        cls, hypers: SoapBpnnHypers, targets: Mapping[str, Target]
    ) -> SoapBpnnHypers:
        """The same options, after a look whether heads and repulsion are those of targets."""
        if hypers.zbl:
            check_repulsion(targets)
        for name in hypers.heads:
            if name not in targets:
                raise MetatrainError(
                    f"heads.{name}: no such target{did_you_mean(name, targets) or ';'} "
                    f"the targets are: {', '.join(targets)}."
                )
        return hypers

    @classmethod
    def from_published(cls, published: Published) -> Self:
        """The model of a published checkpoint, with those of its targets that are scalars."""
        published = scalar_part(published)
        model = cls(hypers_of(published), published.dataset_info)
        published.tell_of_long_range()
        expansion = model.expansion
        order = published_order(expansion.radial_counts, expansion.channels.num_channels)
        weights = weights_of(published, model.hypers, model.state_dict(), order)
        return model.with_weights(weights, published.standardization)

    def forward(self, graph: Graph, targets: Optional[List[str]] = None) -> Dict[str, Tensor]:
        """Values per atom, before scale and baseline.

        :param graph: the systems
        :param targets: those wanted; all if ``None``
        :return: (N, P) for each target
        """
        features, rows, sizes = self.hidden_features(graph)
        values: Dict[str, Tensor] = {}
        for k, target_readout in enumerate(self.readouts):
            name = self.target_names[k]
            if targets is None or name in targets:
                values[name] = target_readout(features, sizes).index_select(0, rows)
        return values

    def hidden_features(self, graph: Graph) -> Tuple[Tensor, Tensor, List[int]]:
        """What the readouts start from, group by group.

        :return: the features (N, H), for each atom its row there (N,), the group sizes
        """
        types = self.type_index(graph.types)  # (N,)
        groups = types if self.center_encoding is None else torch.zeros_like(types)
        order = torch.argsort(groups, stable=True)
        rows = torch.argsort(order)
        pairs = neighborhoods(graph.centers, rows)
        sizes = group_sizes(groups, self.num_groups)
        neighbor_types = types.index_select(0, graph.neighbors)  # (E,)
        if torch.jit.is_scripting() and self.knows_parts:  # type: ignore[attr-defined]
            features = self._features_of_present(graph.vectors, neighbor_types, pairs, sizes)
        else:
            coefficients = self.expansion(graph.vectors, neighbor_types, pairs, self.num_types)
            invariants = power_spectrum(coefficients)  # (N, F)
            if self.center_encoding is not None:
                invariants = invariants * self.center_encoding(types.index_select(0, order))
            features = self.networks(invariants, sizes)
        if self.long_range is not None:
            further = self.long_range(features.index_select(0, rows), graph)
            features = features + further.index_select(0, order)
        return features, rows, sizes

    def _features_of_present(
        self, vectors: Tensor, neighbor_types: Tensor, pairs: Neighborhoods, sizes: List[int]
    ) -> Tensor:
        """The features of an exported model, without channels of types that are not there.

        :param vectors: (E, 3) from center to neighbor [length]
        :param neighbor_types: (E,) index of the neighbor's type
        :param pairs: where the pairs stand
        :param sizes: the number of atoms of each type
        """
        is_present = torch.tensor(sizes, device=vectors.device) > 0  # (T,)
        num_present = int(is_present.sum())
        if not self.networks.is_folded or 2 * num_present > self.num_types:
            # as much is won as the choice of columns costs
            coefficients = self.expansion(vectors, neighbor_types, pairs, self.num_types)
            return self.networks(power_spectrum(coefficients), sizes)
        channels = is_present.cumsum(0) - 1  # of each type
        channels = channels.index_select(0, neighbor_types)
        invariants = power_spectrum(self.expansion(vectors, channels, pairs, num_present))
        columns = is_present.index_select(0, self.channel_pairs.flatten())
        columns = torch.nonzero(columns.view(2, -1).all(dim=0)).squeeze(1)
        return self.networks.of_part(invariants, columns, sizes)


def channel_pairs(radial_counts: List[int], num_channels: int) -> Tensor:
    """The two channels that each invariant is a product of.

    :param radial_counts: number of radial functions of each l
    :param num_channels: how many channels there are
    :return: (2, F)
    """
    columns = []
    for count in radial_counts:
        channels = torch.arange(num_channels).repeat_interleave(count)
        columns.append(torch.cartesian_prod(channels, channels).t())
    return torch.cat(columns, dim=1)
