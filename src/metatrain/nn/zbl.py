"""The repulsion of two atoms at short distances.

J. F. Ziegler, J. P. Biersack, U. Littmark, "The Stopping and Range of Ions in Solids", 1985.
"""

from collections.abc import Mapping
from typing import Dict, List, Tuple

import torch
from ase.data import covalent_radii
from torch import Tensor

from metatrain.nn.atomic_types import AtomicTypeIndex
from metatrain.nn.graph import Graph

COULOMB = 14.399645478425668
"""e^2 / (4 pi epsilon_0) [eV angstrom]"""
SCREENING_LENGTH = 0.46850
"""[angstrom]"""
SCREENING = (
    (0.02817, 0.20162),
    (0.28022, 0.40290),
    (0.50986, 0.94229),
    (0.18175, 3.19980),
)
"""Coefficients and inverse lengths of the screening function's exponentials."""


class ZBL(torch.nn.Module):
    """The screened Coulomb repulsion of nuclei, which vanishes where covalent bonds begin.

    For each pair i -> j closer than the sum of the covalent radii, c, half of
    V(r) + A r^3 / 3 + B r^4 / 4 + G belongs to i, where

        V(r) = k Z_i Z_j / r sum_n C_n exp(−D_n r / a),  a = 0.4685 / (Z_i^0.23 + Z_j^0.23),

    and A, B and G are such that value, slope and curvature vanish at c.

    A prior: it is not trained.

    :param atomic_types: atomic numbers, ascending
    :param units: for each target that gets the repulsion, one eV in its unit
    :param length_unit: one unit of length of the data [angstrom]
    """

    def __init__(
        self, atomic_types: list[int], units: Mapping[str, float], length_unit: float = 1.0
    ) -> None:
        super().__init__()
        self.screening = SCREENING
        self.names = list(units)
        self.units = list(units.values())
        self.length_unit = length_unit
        self.type_index = AtomicTypeIndex(atomic_types)
        # In single precision, whatever the model computes in: so does the published package,
        # and a model keeps its energies when it is cast.
        charges = torch.tensor(atomic_types, dtype=torch.float32)
        radii = torch.tensor(covalent_radii[atomic_types], dtype=torch.float32)
        powers = charges**0.23
        dtype = torch.get_default_dtype()
        self.radii: Tensor
        self.strengths: Tensor
        self.lengths: Tensor
        self.register_buffer("radii", radii.to(dtype))
        strengths = COULOMB * charges.unsqueeze(1) * charges
        self.register_buffer("strengths", strengths.to(dtype), persistent=False)
        lengths = SCREENING_LENGTH / (powers.unsqueeze(1) + powers)
        self.register_buffer("lengths", lengths.to(dtype), persistent=False)

    @property
    def cutoff(self) -> float:
        """The largest distance at which any two atoms repel each other, in the data's unit."""
        return 2.0 * float(self.radii.max()) / self.length_unit

    __jit_unused_properties__ = ["cutoff"]  # noqa: RUF012 (read by TorchScript)

    def forward(self, graph: Graph) -> Dict[str, Tensor]:
        """Values per atom in the targets' units (N, 1).

        :param graph: the systems, with all pairs within :attr:`cutoff`
        """
        types = self.type_index(graph.types)
        distances = graph.vectors.square().sum(dim=1).sqrt() * self.length_unit
        ends = self.radii.index_select(0, types)
        ends = ends.index_select(0, graph.centers) + ends.index_select(0, graph.neighbors)
        near = torch.nonzero(distances <= ends).squeeze(1)
        centers = graph.centers.index_select(0, near)
        first, second = types[centers], types[graph.neighbors.index_select(0, near)]
        energies = self._energies(
            distances.index_select(0, near),
            ends.index_select(0, near),
            self.strengths[first, second],
            self.lengths[first, second],
        )
        per_atom = energies.new_zeros([types.shape[0]]).index_add(0, centers, 0.5 * energies)
        values: Dict[str, Tensor] = {}
        for k, name in enumerate(self.names):
            values[name] = per_atom.unsqueeze(1) * self.units[k]
        return values

    def _energies(self, r: Tensor, c: Tensor, strengths: Tensor, lengths: Tensor) -> Tensor:
        """(E,) [eV] of pairs at distances r, which vanish at c [angstrom]."""
        value, slope, curvature = self._screened(c, strengths, lengths)
        cubic = (c * curvature - 3.0 * slope) / c**2
        quartic = (2.0 * slope - c * curvature) / c**3
        constant = 0.5 * c * slope - value - c**2 * curvature / 12.0
        return (
            self._screened(r, strengths, lengths)[0]
            + cubic / 3.0 * r**3
            + quartic / 4.0 * r**4
            + constant
        )

    def _screened(
        self, r: Tensor, strengths: Tensor, lengths: Tensor
    ) -> Tuple[Tensor, Tensor, Tensor]:
        """V(r) and its first and second derivative."""
        phi: List[Tensor] = [torch.zeros_like(r), torch.zeros_like(r), torch.zeros_like(r)]
        for coefficient, inverse in self.screening:
            rate = inverse / lengths
            term = coefficient * torch.exp(-rate * r)
            phi = [phi[0] + term, phi[1] - rate * term, phi[2] + rate.square() * term]
        value = phi[0] / r
        slope = (phi[1] - value) / r
        curvature = (phi[2] - 2.0 * slope) / r
        return strengths * value, strengths * slope, strengths * curvature
