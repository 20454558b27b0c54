"""The density around an atom: Gaussians at its neighbors and at itself, fading with distance."""

from typing import List

import numpy as np
import torch
from torch import Tensor

from architectures.gap.gaussian_orbitals import GaussianOrbitals
from architectures.gap.hypers import SoapHypers
from metatrain.nn import Neighborhoods, SphericalExpansion, TypeChannels


class Density(torch.nn.Module):
    """Coefficients of the density around each atom, the atom itself included.

    :param hypers: options of the descriptor
    :param num_types: T, how many atomic types there are
    """

    def __init__(self, hypers: SoapHypers, num_types: int) -> None:
        super().__init__()
        self.num_types = num_types
        basis = GaussianOrbitals(
            hypers.basis.max_angular,
            hypers.basis.radial.max_radial,
            hypers.cutoff.radius,
            hypers.density.width,
            hypers.density.scaling,
        )
        width = hypers.cutoff.smoothing.width
        self.expansion = SphericalExpansion(basis, width, TypeChannels(num_types))
        # An atom at distance zero has no direction: only l = 0 is there.
        values, _ = basis.evaluate(np.zeros(1))
        itself = torch.from_numpy(values[0, : basis.counts[0]]) / np.sqrt(4 * np.pi)
        itself = hypers.density.center_atom_weight * itself
        self.itself: Tensor
        self.register_buffer("itself", torch.block_diag(*[itself] * num_types), persistent=False)

    def forward(
        self, vectors: Tensor, types: Tensor, neighbor_types: Tensor, pairs: Neighborhoods
    ) -> List[Tensor]:
        """The coefficients for each l.

        :param vectors: (E, 3) from center to neighbor [length]
        :param types: (N,) index of each atom's type
        :param neighbor_types: (E,) index of the neighbor's type
        :param pairs: where the pairs stand
        :return: for each l (N, 2 l + 1, Q_l), Q_l = types * radial functions
        """
        coefficients = self.expansion(vectors, neighbor_types, pairs, self.num_types)
        coefficients[0] = coefficients[0] + self.itself.index_select(0, types).unsqueeze(1)
        return coefficients
