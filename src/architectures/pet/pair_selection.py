"""The pairs that the model sees, and how much of each."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from architectures.pet.adaptive_cutoff import GridCutoff, RootCutoff
from architectures.pet.hypers import PetHypers
from metatrain.nn import Graph, both_directions, bump, half_cosine, with_pairs


class Neighborhoods(NamedTuple):
    """The pairs that the model sees: one half of them, and in the same order their reverses.

    :param graph: the systems with these pairs alone
    :param weights: (E,) of the pairs; they vanish at the cutoff
    :param radii: (N,) the cutoff of each atom [length]
    """

    graph: Graph
    weights: Tensor
    radii: Tensor


class PairSelection(nn.Module):
    """Leaves out pairs beyond the cutoff, which each atom may have for itself, and weighs others.

    A pair is within the mean of the cutoffs of its two atoms.

    :param hypers: see :class:`PetHypers`
    """

    def __init__(self, hypers: PetHypers) -> None:
        super().__init__()
        self.cutoff = hypers.cutoff
        self.width = hypers.cutoff_width
        self.is_bump = hypers.cutoff_function.lower() == "bump"
        self.adaptive = _adaptive_cutoff(hypers)

    def forward(self, graph: Graph) -> Neighborhoods:
        """The pairs that are left.

        :param graph: the systems, with all pairs within the cutoff at least
        """
        graph = with_pairs(graph, both_directions(graph).flatten())
        graph = _half_where(graph, _lengths(graph.vectors) <= self.cutoff)
        num_atoms = graph.types.shape[0]
        radii = graph.vectors.new_full([num_atoms], self.cutoff)
        if self.adaptive is not None:
            radii = self.adaptive(_lengths(graph.vectors), graph.centers, num_atoms)
            graph = _half_where(graph, _lengths(graph.vectors) <= _of_pairs(radii, graph))
        inner = _of_pairs(radii, graph) - self.width
        phase = (_lengths(graph.vectors) - inner) / self.width
        weights = bump(phase) if self.is_bump else half_cosine(phase)
        return Neighborhoods(graph, weights, radii)


def _adaptive_cutoff(hypers: PetHypers) -> RootCutoff | GridCutoff | None:
    if hypers.num_neighbors_adaptive is None:
        return None
    method = RootCutoff if hypers.adaptive_cutoff_method == "solver" else GridCutoff
    return method(hypers.cutoff, hypers.num_neighbors_adaptive, hypers.cutoff_width_adaptive)


def _lengths(vectors: Tensor) -> Tensor:
    return vectors.square().sum(dim=1).sqrt() + 1e-15


def _of_pairs(radii: Tensor, graph: Graph) -> Tensor:
    """(E,) the cutoff of each pair, the mean of those of its atoms."""
    return 0.5 * (radii.index_select(0, graph.centers) + radii.index_select(0, graph.neighbors))


def _half_where(graph: Graph, is_kept: Tensor) -> Graph:
    """The pairs of the first half that are kept, and their reverses.

    :param is_kept: (E,), of which the first half counts: rounding may differ in the other
    """
    half = is_kept.shape[0] // 2
    kept = torch.nonzero(is_kept[:half]).squeeze(1)
    return with_pairs(graph, torch.cat([kept, kept + half]))
