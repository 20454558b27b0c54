"""A cutoff for each atom, within which it has about the same number of neighbors."""

import math

import torch
from torch import Tensor, nn

from metatrain.nn.cutoff import bump

FIRST_RADIUS = 0.5
"""The smallest radius of the grid [length]."""


class RootCutoff(nn.Module):
    """The radius r at which the smooth number of neighbors, and a little more, is N.

    n(r) = sum over the pairs of b(d, r) + N (r / cutoff)^3 = N

    The root is found by Newton's method within a bracket. Derivatives come from one more
    step, as the implicit function theorem has them.

    :param cutoff: the largest radius [length]
    :param num_neighbors: N
    :param width: thickness of the shell in which b falls [length]
    """

    def __init__(self, cutoff: float, num_neighbors: float, width: float) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.num_neighbors = num_neighbors
        self.width = width

    def forward(self, distances: Tensor, centers: Tensor, num_atoms: int) -> Tensor:
        """(N,) the radius of each atom.

        :param distances: (E,) of all pairs within the largest radius [length]
        :param centers: (E,) index of each pair's center
        :param num_atoms: N
        """
        fixed = distances.detach()
        low = distances.new_zeros([num_atoms])
        high = torch.full_like(low, self.cutoff)
        radii = 0.5 * high
        # where the root is not found to the last digit, the model is what ten steps make of it
        for _ in range(10):
            excess = self._count(fixed, radii, centers) - self.num_neighbors
            low = torch.where(excess <= 0.0, radii, low)
            high = torch.where(excess <= 0.0, high, radii)
            newton = radii - excess / self._slope(fixed, radii, centers)
            is_inside = (low <= newton) & (newton <= high)
            radii = torch.where(is_inside, newton, 0.5 * (low + high))
        excess = self._count(distances, radii, centers) - self.num_neighbors
        radii = radii - excess / self._slope(fixed, radii, centers)
        return radii.clamp(self.cutoff / 16.0, self.cutoff)

    def _phases(self, distances: Tensor, radii: Tensor, centers: Tensor) -> Tensor:
        return (distances - radii.index_select(0, centers) + self.width) / self.width

    def _count(self, distances: Tensor, radii: Tensor, centers: Tensor) -> Tensor:
        weights = bump(self._phases(distances, radii, centers))
        more = self.num_neighbors * (radii / self.cutoff) ** 3
        return more.index_add(0, centers, weights)

    def _slope(self, distances: Tensor, radii: Tensor, centers: Tensor) -> Tensor:
        """dn/dr, or something small instead of nothing."""
        phases = self._phases(distances, radii, centers)
        inside = phases.clamp(1e-6, 1.0 - 1e-6) * math.pi
        tanh = torch.tanh(torch.cos(inside) / torch.sin(inside))
        slopes = 0.5 * math.pi / self.width * (1.0 - tanh.square()) / torch.sin(inside).square()
        slopes = torch.where((phases > 0.0) & (phases < 1.0), slopes, 0.0)
        more = 3.0 * self.num_neighbors / self.cutoff * (radii / self.cutoff) ** 2
        return more.index_add(0, centers, slopes).clamp(min=1e-6)


class GridCutoff(nn.Module):
    """A mean of the radii of a grid, by how little the number of neighbors differs from N.

    :param cutoff: the largest radius [length]
    :param num_neighbors: N
    :param width: thickness of the shell in which neighbors fade out [length]
    """

    def __init__(self, cutoff: float, num_neighbors: float, width: float) -> None:
        super().__init__()
        self.num_neighbors = num_neighbors
        self.width = width
        # 0.5, ... and all below the cutoff
        self.num_radii = max(1, math.ceil((cutoff - FIRST_RADIUS) / (width / 4.0)))
        self.first_radius = FIRST_RADIUS

    def forward(self, distances: Tensor, centers: Tensor, num_atoms: int) -> Tensor:
        """As in :class:`RootCutoff`."""
        step = torch.arange(self.num_radii, dtype=distances.dtype, device=distances.device)
        radii = self.first_radius + step * (self.width / 4.0)
        fraction = step / max(1, self.num_radii - 1)
        excess = self.num_neighbors * (fraction**3 - 1.0)
        weights = bump((distances.unsqueeze(1) - radii + self.width) / self.width)  # (E, K)
        excess = excess.repeat(num_atoms, 1).index_add(0, centers, weights)  # (N, K)
        logits = -0.5 * (excess / _spacings(excess)).square()
        # Softmax takes off the largest of each row, which changes nothing.
        return torch.mv(torch.softmax(logits, dim=1), radii)


def _spacings(values: Tensor) -> Tensor:
    """The size of the differences between neighboring columns, central where there are two.

    :param values: (N, K)
    """
    if values.shape[1] == 1:
        return 0.5 * values.abs() + 1e-12
    inner = 0.5 * (values[:, 2:] - values[:, :-2])
    first = values[:, 1:2] - values[:, :1]
    last = values[:, -1:] - values[:, -2:-1]
    return torch.cat([first, inner, last], dim=1).abs().clamp(min=1e-12)
