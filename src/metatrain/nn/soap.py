"""SOAP: the neighbor density of an atom, and its rotation-invariant power spectrum.

A. P. Bartok, R. Kondor, G. Csanyi, "On representing chemical environments", Phys. Rev. B
87, 184115 (2013).
"""

from typing import List, Protocol, Tuple

import torch
from torch import Tensor

from metatrain.nn.cutoff import shifted_cosine
from metatrain.nn.neighborhoods import Neighborhoods, fill_slots
from metatrain.nn.second_order import joined
from metatrain.nn.spherical_harmonics import SphericalHarmonics
from metatrain.nn.spline import CubicHermiteSpline, HermiteTable


class TypeChannels(torch.nn.Module):
    """One density channel for each atomic type: s_a is one for the neighbor's type, else zero.

    :param num_types: how many atomic types there are
    """

    def __init__(self, num_types: int) -> None:
        super().__init__()
        self.num_channels = num_types

    def forward(self, functions: Tensor, types: Tensor, num_types: int) -> Tensor:
        """s_a times the functions.

        :param functions: (X, n)
        :param types: (X,) index of the neighbor's type
        :param num_types: how many types there are among the neighbors
        :return: (X, channels n), the function fastest
        """
        if num_types == 1:
            return functions
        # Writing into the channel of the type saves multiplying with the zeros and the one.
        num_rows = functions.shape[0]
        channels = torch.arange(num_rows, device=types.device) * num_types + types
        return fill_slots(functions, channels, num_rows * num_types).view(num_rows, num_types * functions.shape[1])


class EmbeddedChannels(torch.nn.Module):
    """A few density channels that all types share: s_a is a learned number of each type.

    :param num_types: how many atomic types there are
    :param num_channels: how many channels there are
    """

    def __init__(self, num_types: int, num_channels: int) -> None:
        super().__init__()
        self.num_channels = num_channels
        self.embedding = torch.nn.Embedding(num_types, num_channels)

    def forward(self, functions: Tensor, types: Tensor, num_types: int) -> Tensor:  # noqa: ARG002
        """As in :class:`TypeChannels`."""
        return (self.embedding(types).unsqueeze(2) * functions.unsqueeze(1)).flatten(1)


class RadialBasis(Protocol):
    """Radial functions R_nl of a ball around the center, ordered by l, then n."""

    @property
    def cutoff(self) -> float:
        """Radius of the ball [length]."""

    @property
    def counts(self) -> list[int]:
        """Number of radial functions of each l."""

    def table(self) -> HermiteTable:
        """The functions as a table for :class:`metatrain.nn.CubicHermiteSpline`."""


class SphericalExpansion(torch.nn.Module):
    """Expansion of the neighbor density in radial functions and spherical harmonics.

    c_(i, l m q) = sum over the neighbors j of i of f(r) R_nl(r) Y_lm(v / r) s_a(j)

    with v from the center to the neighbor, f the cutoff function, R_nl the radial
    functions, and s_a the channels. The index q = (a, n), n fastest.

    :param basis: the radial functions, such as :class:`metatrain.nn.LaplacianEigenstates`
    :param cutoff_width: thickness of the shell in which the cutoff function falls [length]
    :param channels: how the types of the neighbors enter
    """

    def __init__(
        self, basis: RadialBasis, cutoff_width: float, channels: TypeChannels | EmbeddedChannels
    ) -> None:
        super().__init__()
        self.cutoff = basis.cutoff
        self.cutoff_width = cutoff_width
        self.radial_counts = basis.counts
        max_angular = len(self.radial_counts) - 1
        self.angular_counts = [2 * l + 1 for l in range(max_angular + 1)]  # noqa: E741
        self.radial = CubicHermiteSpline(basis.table())
        self.angular = SphericalHarmonics(max_angular)
        self.channels = channels
        self.num_columns = [channels.num_channels * count for count in self.radial_counts]

    def forward(
        self, vectors: Tensor, types: Tensor, pairs: Neighborhoods, num_types: int
    ) -> List[Tensor]:
        """The coefficients for each l.

        :param vectors: (E, 3) from center to neighbor [length]
        :param types: (E,) index of the neighbor's type
        :param pairs: where the pairs stand
        :param num_types: how many types there are among the neighbors
        :return: for each l (N, 2 l + 1, Q_l), Q_l = channels * radial functions
        """
        # Empty slots hold a neighbor beyond the cutoff, where radial functions are zero. It is less
        # to compute with some of these than to move functions, in place of vectors, into slots.
        num_slots = pairs.num_rows * pairs.width
        vectors = fill_slots(vectors, pairs.slots, num_slots, filler=self.cutoff)
        types = types.new_zeros([num_slots]).index_copy(0, pairs.slots, types)
        radial, directions = self._radial_functions(vectors)
        angular = self.angular.lean(directions)  # (rows width, (L + 1)^2)
        angular = angular.view(pairs.num_rows, pairs.width, angular.shape[1]).transpose(1, 2)
        functions = radial.split(self.radial_counts, dim=1)
        coefficients: List[Tensor] = []
        for k, harmonics in enumerate(angular.split(self.angular_counts, dim=1)):
            channels = self.channels(functions[k], types, num_types)  # (rows width, Q_l)
            channels = channels.view(pairs.num_rows, pairs.width, channels.shape[1])
            coefficients.append(torch.bmm(harmonics, channels))
        return coefficients

    def pair_functions(self, vectors: Tensor) -> Tuple[Tensor, Tensor]:
        """The two factors of each pair's part of the density.

        :param vectors: (E, 3) from center to neighbor [length]
        :return: f(r) R_nl(r), (E, K), and Y_lm, (E, (L + 1)^2)
        """
        radial, directions = self._radial_functions(vectors)
        return radial, self.angular(directions)

    def _radial_functions(self, vectors: Tensor) -> Tuple[Tensor, Tensor]:
        distances = (vectors * vectors).sum(dim=1).sqrt()  # (E,)
        weights = shifted_cosine(distances, self.cutoff, self.cutoff_width)
        radial = self.radial(distances) * weights.unsqueeze(1)
        return radial, vectors / distances.unsqueeze(1)


def power_spectrum(coefficients: List[Tensor]) -> Tensor:
    """Invariants: p_(i, l q q') = sum over m of c_(i, l m q) c_(i, l m q').

    :param coefficients: for each l (N, 2 l + 1, Q_l)
    :return: (N, F) for all l and ordered pairs (q, q'), q' fastest
    """
    return joined([torch.bmm(c.transpose(1, 2), c).flatten(1) for c in coefficients])
