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

    def slots(self, pairs: Neighborhoods, types: Tensor, num_types: int) -> Tuple[Tensor, int]:
        """Where the functions of each pair are written, in units of their number.

        :param pairs: where the pairs stand
        :param types: (E,) index of the neighbor's type
        :param num_types: how many types there are among the neighbors
        :return: (E,) places, and how many there are for each of the pairs' slots
        """
        # Writing into the channel of the type saves multiplying with the zeros and the one.
        return pairs.slots * num_types + types, num_types

    def forward(self, functions: Tensor, types: Tensor) -> Tensor:  # noqa: ARG002
        """What is written: the functions themselves.

        :param functions: (E, n)
        :param types: (E,) index of the neighbor's type
        """
        return functions


class EmbeddedChannels(torch.nn.Module):
    """A few density channels that all types share: s_a is a learned number of each type.

    :param num_types: how many atomic types there are
    :param num_channels: how many channels there are
    """

    def __init__(self, num_types: int, num_channels: int) -> None:
        super().__init__()
        self.num_channels = num_channels
        self.embedding = torch.nn.Embedding(num_types, num_channels)

    def slots(self, pairs: Neighborhoods, types: Tensor, num_types: int) -> Tuple[Tensor, int]:  # noqa: ARG002
        """As in :class:`TypeChannels`."""
        return pairs.slots, 1

    def forward(self, functions: Tensor, types: Tensor) -> Tensor:
        """As in :class:`TypeChannels`: s_a times the functions, the function fastest."""
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
        self.is_embedded = isinstance(channels, EmbeddedChannels)
        # beyond l = 12 the harmonics of components lose more than 1e-5 to rounding in float32
        self.fills_directions = max_angular <= 12
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
        radial, directions = self._radial_functions(vectors)
        num_slots = pairs.num_rows * pairs.width
        if torch.jit.is_scripting() and self.fills_directions:  # type: ignore[attr-defined]
            # The harmonics of empty slots, too, whose vector is zero: they cost less than it takes to
            # move those of the pairs, (L + 1)^2 columns, rather than the three of their directions.
            angular = self.angular.of_components(fill_slots(directions, pairs.slots, num_slots).t())
        else:
            angular = fill_slots(self.angular.lean(directions), pairs.slots, num_slots)
        angular = angular.view(pairs.num_rows, pairs.width, angular.shape[1])
        slots, num_each = self.channels.slots(pairs, types, num_types)
        groups = self._groups(num_each)
        angular_counts = [sum([self.angular_counts[k] for k in group]) for group in groups]
        radial_counts = [sum([self.radial_counts[k] for k in group]) for group in groups]
        functions = radial.split(radial_counts, dim=1)
        coefficients: List[Tensor] = []
        for k, harmonics in enumerate(angular.split(angular_counts, dim=2)):
            part = self.channels(functions[k], types)
            spread = fill_slots(part, slots, num_slots * num_each)
            spread = spread.view(pairs.num_rows, pairs.width, num_each * part.shape[1])
            products = torch.bmm(harmonics.transpose(1, 2), spread)
            if len(groups[k]) == 1:
                coefficients.append(products)
            else:
                coefficients += self._of_each(products, groups[k])
        return coefficients

    def _groups(self, num_each: int) -> List[List[int]]:
        """Which l are multiplied together.

        A product of all harmonics with all radial functions of several l has entries that nobody
        needs, but with few columns it takes less time than one product for each l. Embedded
        channels have several columns for each function, and no single one to choose them by.

        :param num_each: columns for each radial function, but those of embedded channels
        """
        num_groups = len(self.radial_counts)
        if torch.jit.is_scripting() and num_each == 1 and not self.is_embedded:  # type: ignore[attr-defined]
            num_groups = min(num_groups, 2)
        width = -(-len(self.radial_counts) // num_groups)
        degrees = list(range(len(self.radial_counts)))
        return [degrees[k * width : (k + 1) * width] for k in range(num_groups)]

    def _of_each(self, products: Tensor, group: List[int]) -> List[Tensor]:
        """The coefficients of each l, from products of all harmonics with all radial functions.

        :param products: (N, sum of 2 l + 1, sum of Q_l)
        :param group: the l
        """
        rows = products.split([self.angular_counts[degree] for degree in group], dim=1)
        coefficients: List[Tensor] = []
        first = 0
        for k, degree in enumerate(group):
            coefficients.append(rows[k].narrow(2, first, self.radial_counts[degree]))
            first += self.radial_counts[degree]
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
