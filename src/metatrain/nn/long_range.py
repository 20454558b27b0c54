"""Interactions beyond the cutoff: features from the potential of charges that are learned.

P. Loche et al., J. Chem. Phys. 162, 142501 (2025); the sum over waves is that of P. P. Ewald,
Ann. Phys. 369, 253 (1921).
"""

import math
from dataclasses import dataclass
from typing import List, Tuple

import torch
from torch import Tensor, nn

from metatrain.hypers import hyper
from metatrain.nn.cutoff import shifted_cosine
from metatrain.nn.graph import Graph
from metatrain.nn.grouped import group_sizes
from metatrain.nn.second_order import silu

LONG_RANGE_PERIODICITIES = (0, 3)
"""In how many directions a system may be periodic that has a long-range potential."""


@dataclass(frozen=True)
class LongRangeHypers:
    """Options of long-range interactions, named as in published metatrain."""

    enable: bool = hyper(
        False,
        "add features from a long-range potential, of systems periodic in no or all directions; time "
        "and memory grow with the square of their size",
    )
    use_ewald: bool = hyper(
        False, "without effect: Ewald sums are used in training and in evaluation"
    )
    smearing: float = hyper(1.4, "width of the Gaussian charges [length]", above=0.0)
    kspace_resolution: float = hyper(
        1.33, "shortest wavelength of the Ewald sum [length]", above=0.0
    )
    interpolation_nodes: int = hyper(
        5, "without effect: of a mesh, which Ewald sums do without", minimum=1
    )


class LongRangePotential(nn.Module):
    """The electrostatic potential of charges at each atom, without what is near.

    In a periodic system charges are Gaussians of width s in a uniform background that
    neutralises them, and with f(r) = (1 + cos(pi r / R)) / 2 for r < R and zero beyond

        V_i = sum_{k != 0} 4 pi / (volume k^2) exp(−k^2 s^2 / 2) sum_j q_j cos(k · (r_i − r_j))
              − sqrt(2 / pi) q_i / s − 2 pi s^2 / volume sum_j q_j
              − sum over pairs of f(r) q_j erf(r / (sqrt(2) s)) / r.

    With the sum over pairs of q_j (erfc(r / (sqrt(2) s)) + f(r) erf(r / (sqrt(2) s))) / r
    added to it, it would be the potential of point charges, whatever s. Waves fade out
    as their length nears the shortest one, so that nothing jumps when a cell is strained.

    In a system without periodicity, V_i = sum_{j != i} (1 − f(r)) q_j / r. Nothing is said of
    systems that are periodic in one or two directions.

    It depends on positions and cells beside the pair vectors. Time and memory grow with the
    number of atoms times that of waves, thus with the square of the system's size.

    :param smearing: s [length]
    :param resolution: wavelength of the shortest waves [length]
    :param exclusion_radius: R, at most the cutoff of the graph [length]
    """

    def __init__(self, smearing: float, resolution: float, exclusion_radius: float) -> None:
        super().__init__()
        self.smearing = smearing
        self.resolution = resolution
        self.exclusion_radius = exclusion_radius

    def forward(self, charges: Tensor, graph: Graph) -> Tensor:
        """(N, D) potentials [charge / length].

        :param charges: (N, D) charges of D kinds, which do not see each other
        :param graph: the systems, with pairs in any order
        """
        # cell vectors that are zero stand for directions without periodicity
        is_bulk = (graph.cells != 0).any(dim=2).all(dim=1)  # (S,)
        sizes = group_sizes(graph.system, graph.cells.shape[0])
        kernels = self._kernels(is_bulk.index_select(0, graph.system), sizes, graph)
        # where there is none, a cell that has an inverse
        cells = torch.where(is_bulk.view(-1, 1, 1), graph.cells, torch.eye(3).to(graph.cells))
        vectors, strengths, num_waves = self._waves(is_bulk, cells)
        kernels_of = kernels.split([size * size for size in sizes])
        charges_of, positions_of = charges.split(sizes), graph.positions.split(sizes)
        vectors_of, strengths_of = vectors.split(num_waves), strengths.split(num_waves)
        potentials: List[Tensor] = []
        # Each system is a product of matrices of its own shape: padded to one, they would
        # multiply mostly zeros.
        for k, size in enumerate(sizes):
            potential = torch.mm(kernels_of[k].view(size, size), charges_of[k])
            if num_waves[k] > 0:
                phases = torch.mm(positions_of[k], vectors_of[k].t())  # (n, K)
                waves = torch.cat([phases.cos(), phases.sin()], dim=1)
                weighted = waves * torch.cat([strengths_of[k], strengths_of[k]])
                # in the order that takes the fewest multiplications
                matrices = [weighted, waves.t(), charges_of[k]]
                potential = potential + torch.linalg.multi_dot(matrices)
            potentials.append(potential)
        taken = self._own_and_background(charges, graph.system, cells)
        is_taken = is_bulk.index_select(0, graph.system).unsqueeze(1)
        return torch.cat(potentials) - torch.where(is_taken, taken, 0.0)

    def _kernels(self, is_bulk: Tensor, sizes: List[int], graph: Graph) -> Tensor:
        """What a unit charge at each atom adds in real space to the potential at each other.

        :param is_bulk: (N,) whether the atom's system is periodic
        :param sizes: number of atoms of each system, n
        :return: (sum of n^2,) one system after the other, row by row
        """
        counts = torch.bincount(graph.system, minlength=len(sizes))
        first = (counts.cumsum(0) - counts).index_select(0, graph.system)  # (N,)
        width = counts.index_select(0, graph.system)
        # where the row of an atom begins, less the number of its system's first atom
        row = width.cumsum(0) - width - first
        is_near = self._lengths(graph.vectors) < self.exclusion_radius
        near = torch.nonzero(is_near & is_bulk.index_select(0, graph.centers)).squeeze(1)
        centers = graph.centers.index_select(0, near)
        neighbors = graph.neighbors.index_select(0, near)
        of_near = self._of_near(self._lengths(graph.vectors.index_select(0, near)))
        one, other = _pairs_within(torch.where(is_bulk, 0, width), first)
        of_all = self._of_molecule(
            self._lengths(
                graph.positions.index_select(0, other) - graph.positions.index_select(0, one)
            )
        )
        places = torch.cat(
            [row.index_select(0, centers) + neighbors, row.index_select(0, one) + other]
        )
        kernels = graph.positions.new_zeros([sum([size * size for size in sizes])])
        return kernels.index_add(0, places, torch.cat([of_near, of_all]))

    def _of_near(self, r: Tensor) -> Tensor:
        """(E,) what is taken from the sum over waves for pairs within the exclusion radius."""
        fading = shifted_cosine(r, self.exclusion_radius, self.exclusion_radius)
        return -fading * torch.erf(r / (math.sqrt(2.0) * self.smearing)) / r

    def _of_molecule(self, r: Tensor) -> Tensor:
        """(P,) potential of a unit charge without periodic images."""
        return (1.0 - shifted_cosine(r, self.exclusion_radius, self.exclusion_radius)) / r

    def _waves(self, is_bulk: Tensor, cells: Tensor) -> Tuple[Tensor, Tensor, List[int]]:
        """Wave vectors of all periodic systems, one of k and −k for both.

        :return: wave vectors (K, 3) [1 / length], strengths (K,) [1 / length], and how many
            waves each system has
        """
        reciprocal = 2.0 * math.pi * torch.linalg.inv(cells).transpose(1, 2)
        indices = self._wave_indices(is_bulk, cells.detach())  # (M, 3)
        largest = 2.0 * math.pi / self.resolution
        is_kept = self._lengths(indices @ reciprocal.detach()) < largest  # (S, M)
        kept = torch.nonzero(is_kept & is_bulk.unsqueeze(1))
        system, index = kept[:, 0], kept[:, 1]
        of_system = reciprocal.index_select(0, system)  # (K, 3, 3)
        vectors = (indices.index_select(0, index).unsqueeze(2) * of_system).sum(dim=1)
        squares = vectors.square().sum(dim=1)
        fading = shifted_cosine(squares.sqrt(), largest, 0.1 * largest)
        volumes = self._volumes(cells).index_select(0, system)
        smooth = torch.exp(-0.5 * self.smearing**2 * squares) / squares
        return (
            vectors,
            8.0 * math.pi / volumes * smooth * fading,
            group_sizes(system, cells.shape[0]),
        )

    def _wave_indices(self, is_bulk: Tensor, cells: Tensor) -> Tensor:
        """(M, 3) of each pair k and −k in reach one, as multiples of reciprocal cell vectors."""
        lengths = self._lengths(cells) * is_bulk.unsqueeze(1)
        reach = (lengths / self.resolution).to(torch.int64)
        axes: List[Tensor] = []
        for axis in range(3):
            # The size of a tensor, unlike the value of one, is followed by symbolic tracing.
            size = torch.bincount(reach[:, axis]).shape[0]
            axes.append(torch.arange(1 - size, size, device=cells.device))
        shape = [axes[0].shape[0], axes[1].shape[0], axes[2].shape[0]]
        grid = torch.stack(
            [
                axes[0].view(-1, 1, 1).expand(shape),
                axes[1].view(1, -1, 1).expand(shape),
                axes[2].view(1, 1, -1).expand(shape),
            ],
            dim=3,
        ).reshape(-1, 3)
        # the first half are the negatives of the second, with zero between
        return grid[grid.shape[0] // 2 + 1 :].to(cells.dtype)

    def _own_and_background(self, charges: Tensor, system: Tensor, cells: Tensor) -> Tensor:
        """(N, D) the potential of each atom's own Gaussian, and what the background takes."""
        totals = charges.new_zeros([cells.shape[0], charges.shape[1]])
        densities = totals.index_add(0, system, charges) / self._volumes(cells).unsqueeze(1)
        background = 2.0 * math.pi * self.smearing**2 * densities.index_select(0, system)
        return math.sqrt(2.0 / math.pi) / self.smearing * charges + background

    def _volumes(self, cells: Tensor) -> Tensor:
        return torch.linalg.det(cells).abs()

    def _lengths(self, vectors: Tensor) -> Tensor:
        return vectors.square().sum(dim=-1).sqrt()


def _pairs_within(widths: Tensor, first: Tensor) -> Tuple[Tensor, Tensor]:
    """All directed pairs of different atoms of a system.

    :param widths: (N,) the number of atoms that each atom is paired with, itself included
    :param first: (N,) the first of them
    :return: (P,) the one atom and (P,) the other
    """
    atoms = torch.arange(widths.shape[0], device=widths.device)
    one = torch.repeat_interleave(atoms, widths)
    start = (widths.cumsum(0) - widths - first).index_select(0, one)
    other = torch.arange(one.shape[0], device=widths.device) - start
    different = torch.nonzero(one != other).squeeze(1)
    return one.index_select(0, different), other.index_select(0, different)


class LongRangeFeatures(nn.Module):
    """Features of each atom from the potential of charges that are linear in its features.

    x = W_2 silu(W_1 V / 2 + b_1) + b_2, with V the potential of the charges W h + b.

    :param width: of features before and after, and the number of charges
    :param hypers: see :class:`LongRangeHypers`
    :param exclusion_radius: within which the rest of the model describes what happens [length]
    """

    def __init__(self, width: int, hypers: LongRangeHypers, exclusion_radius: float) -> None:
        super().__init__()
        self.potential = LongRangePotential(
            hypers.smearing, hypers.kspace_resolution, exclusion_radius
        )
        self.charges = nn.Linear(width, width)
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)

    def forward(self, features: Tensor, graph: Graph) -> Tensor:
        """(N, F) features.

        :param features: (N, F)
        :param graph: the systems, with all pairs within the exclusion radius
        """
        potentials = 0.5 * self.potential(self.charges(features), graph)
        return self.outer(silu(self.inner(potentials)))
