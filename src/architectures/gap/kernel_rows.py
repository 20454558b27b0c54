"""The kernels between systems and sparse points, and their derivatives by positions and strain."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from architectures.gap.model import Gap
from architectures.gap.spectrum import normalised
from metatrain.nn import Graph, fill_slots, neighborhoods

CHUNK_NUMBERS = 2**24
"""How many floating-point numbers the derivatives of the atoms treated at once may take."""


class Rows(NamedTuple):
    """What each sparse point contributes to the labels, for a coefficient of one.

    :param values: (S, M) sums over atoms
    :param forces: (N, 3, M) minus the derivatives by positions
    :param strain: (S, 9, M) the derivatives by strain
    """

    values: Tensor
    forces: Tensor
    strain: Tensor


class _Environments(NamedTuple):
    """The atoms of a graph: all that their kernels are made of."""

    graph: Graph
    types: Tensor  # (N,) index of each atom's type
    neighbor_types: Tensor  # (E,)
    coefficients: list[Tensor]  # for each l (N, 2 l + 1, Q_l)
    spectra: Tensor  # (N, F) normalised
    norms: Tensor  # (N, 1) what they were divided by


class _Chunk(NamedTuple):
    """Some atoms of one type, and their kernels with the points of that type."""

    kind: int
    atoms: Tensor  # (B,) ascending
    coefficients: list[Tensor]  # for each l (B, 2 l + 1, Q_l)
    products: Tensor  # (B, M) p_i . p_m
    factors: Tensor  # (B, M) derivative of the kernel by the product, over the norm
    own: list[Tensor]  # for each type of neighbor (B, C) 2 p_i c_i


class KernelRows:
    """Kernels of a model's sparse points with the atoms of any graph.

    With c the coefficients of the density around atom i, p the normalised power spectrum
    (|c^T c| its length before) and g(v) what a neighbor at v contributes to c,

    d(p_i . p_m)^d / dv = d (p_i . p_m)^(d−1) dg/dv 2 (p_m − (p_i . p_m) p_i) c_i / |c^T c|

    where p_m and p_i stand for the matrices (q, q') of each l. A neighbor contributes to the
    C functions of its own type's channel only, so neighbors of each type are treated by
    themselves. Everything large is a product of matrices.

    :param model: its kernels have points
    """

    def __init__(self, model: Gap) -> None:
        self.model = model
        self.points = [kernel.points for kernel in model.sparse_kernels()]
        self.expansion = model.density.expansion
        # [type of center][type of neighbor][l]: (Q_l, n_l M)
        self._matrices = [self._doubled_matrices(points) for points in self.points]

    def _doubled_matrices(self, points: Tensor) -> list[list[Tensor]]:
        """2 p_m, with the rows of each type of neighbor by themselves."""
        per_neighbor: list[list[Tensor]] = [[] for _ in range(self.model.num_types)]
        matrices = self.model.spectrum.matrices(points)
        for matrix, num_radial in zip(matrices, self.expansion.radial_counts, strict=True):
            for kind, part in enumerate(matrix.permute(1, 2, 0).split(num_radial, dim=1)):
                per_neighbor[kind].append(2.0 * part.flatten(1))
        return per_neighbor

    def of(self, graph: Graph, *, with_derivatives: bool) -> Rows:
        """The rows of all systems of a graph.

        :param with_derivatives: ``False`` leaves forces and strain without rows
        """
        environments = self._environments(graph)
        parts = [
            self._of_type(environments, kind, with_derivatives=with_derivatives)
            for kind in range(self.model.num_types)
        ]
        values, forces, strain = (
            torch.cat(of_types, dim=-1) for of_types in zip(*parts, strict=True)
        )
        return Rows(values, forces, strain)

    def _environments(self, graph: Graph) -> _Environments:
        types = self.model.type_index(graph.types)
        coefficients = self.model.coefficients(graph, types)
        spectra = self.model.spectrum(coefficients)
        return _Environments(
            graph,
            types,
            types[graph.neighbors],
            coefficients,
            normalised(spectra),
            spectra.norm(dim=1, keepdim=True),
        )

    def _of_type(self, environments: _Environments, kind: int, *, with_derivatives: bool) -> Rows:
        """The columns of the points of one type."""
        graph, points = environments.graph, self.points[kind]
        atoms = torch.nonzero(environments.types == kind).squeeze(1)
        products = environments.spectra[atoms] @ points.T
        values = points.new_zeros(len(graph.cells), len(points))
        values.index_add_(0, graph.system[atoms], products**self.model.hypers.krr.degree)
        height = len(graph.types) * with_derivatives
        forces = points.new_zeros(height, 3 * len(points))
        strain = points.new_zeros(len(graph.cells) * with_derivatives, 9 * len(points))
        if with_derivatives and products.numel():
            for part in self._parts(environments, atoms, len(points)):
                chunk = self._chunk(environments, kind, atoms[part], products[part])
                self._add_derivatives(forces, strain, environments, chunk)
        return Rows(values, forces.unflatten(1, (3, -1)), strain.unflatten(1, (9, -1)))

    def _parts(self, environments: _Environments, atoms: Tensor, num_points: int) -> list[slice]:
        """Parts of the atoms, small enough for the memory."""
        counts = torch.bincount(environments.graph.centers, minlength=len(environments.types))
        width = int(counts[atoms].max())
        expansion = self.expansion
        num_functions = sum(
            num_orders * num_radial
            for num_orders, num_radial in zip(
                expansion.angular_counts, expansion.radial_counts, strict=True
            )
        )
        per_atom = 3 * width * (num_functions + num_points) + 2 * num_functions * num_points
        size = max(1, CHUNK_NUMBERS // per_atom)
        return [slice(first, first + size) for first in range(0, len(atoms), size)]

    def _chunk(
        self, environments: _Environments, kind: int, atoms: Tensor, products: Tensor
    ) -> _Chunk:
        degree = self.model.hypers.krr.degree
        coefficients = [part[atoms] for part in environments.coefficients]
        own: list[list[Tensor]] = [[] for _ in range(self.model.num_types)]
        matrices = self.model.spectrum.matrices(environments.spectra[atoms])
        for part, matrix, num_radial in zip(
            coefficients, matrices, self.expansion.radial_counts, strict=True
        ):
            doubled = 2.0 * torch.bmm(part, matrix)
            for neighbor_kind, columns in enumerate(doubled.split(num_radial, dim=2)):
                own[neighbor_kind].append(columns.flatten(1))
        return _Chunk(
            kind,
            atoms,
            coefficients,
            products,
            degree * products ** (degree - 1) / environments.norms[atoms],
            [torch.cat(parts, dim=1) for parts in own],
        )

    def _add_derivatives(
        self, forces: Tensor, strain: Tensor, environments: _Environments, chunk: _Chunk
    ) -> None:
        """Add what some atoms contribute to forces (N, 3 M) and strain (S, 9 M)."""
        graph, atoms = environments.graph, chunk.atoms
        rows = torch.arange(len(atoms), device=atoms.device)
        row_of_atom = torch.full_like(environments.types, -1)
        row_of_atom[atoms] = rows
        centers = row_of_atom[graph.centers]
        for neighbor_kind in range(self.model.num_types):
            is_here = (centers >= 0) & (environments.neighbor_types == neighbor_kind)
            pairs = torch.nonzero(is_here).squeeze(1)
            if len(pairs) == 0:
                continue
            slots, _, width = neighborhoods(centers[pairs], rows)
            num_slots = len(atoms) * width
            jacobian = fill_slots(self._jacobian(graph.vectors[pairs]), slots, num_slots)
            by_vectors = self._by_vectors(
                jacobian.view(len(atoms), 3 * width, -1), chunk, neighbor_kind
            ).view(len(atoms), width, -1)  # (B, width, 3 M)
            # slots without a neighbor hold zeros, which atom 0 may have
            neighbors = torch.zeros(num_slots, dtype=torch.int64, device=atoms.device)
            neighbors[slots] = graph.neighbors[pairs]
            forces.index_add_(0, neighbors, by_vectors.flatten(0, 1), alpha=-1.0)
            forces.index_add_(0, atoms, by_vectors.sum(dim=1))
            vectors = fill_slots(graph.vectors[pairs], slots, num_slots)
            of_atoms = torch.bmm(vectors.view(len(atoms), width, 3).transpose(1, 2), by_vectors)
            strain.index_add_(0, graph.system[atoms], of_atoms.flatten(1))

    def _by_vectors(self, jacobian: Tensor, chunk: _Chunk, neighbor_kind: int) -> Tensor:
        """Derivatives of the kernels by the vectors to the neighbors of one type.

        :param jacobian: (B, 3 width, C) dg/dv
        :return: (B, 3 width, M)
        """
        towards = []  # for each l (B, (2 l + 1) n_l, M): 2 p_m c_i
        for part, matrix, num_radial in zip(
            chunk.coefficients,
            self._matrices[chunk.kind][neighbor_kind],
            self.expansion.radial_counts,
            strict=True,
        ):
            product = part.flatten(0, 1) @ matrix
            towards.append(product.view(len(part), part.shape[1] * num_radial, -1))
        derivatives = torch.bmm(jacobian, torch.cat(towards, dim=1))
        along = torch.bmm(jacobian, chunk.own[neighbor_kind].unsqueeze(2))
        derivatives.baddbmm_(along, chunk.products.unsqueeze(1), alpha=-1.0)
        return derivatives.mul_(chunk.factors.unsqueeze(1))

    def _jacobian(self, vectors: Tensor) -> Tensor:
        """dg/dv: (E, 3 C)."""
        expansion, columns = self.expansion, []
        for axis in torch.eye(3, dtype=vectors.dtype, device=vectors.device):
            tangent = axis.expand_as(vectors)
            # its type would allow a third result
            found: Any = torch.func.jvp(expansion.pair_functions, (vectors,), (tangent,))
            values, slopes = found
            radial, radial_slope = (
                part.unsqueeze(1).split(expansion.radial_counts, dim=2)
                for part in (values[0], slopes[0])
            )
            angular, angular_slope = (
                part.unsqueeze(2).split(expansion.angular_counts, dim=1)
                for part in (values[1], slopes[1])
            )
            columns += [
                (angular[k] * radial_slope[k] + angular_slope[k] * radial[k]).flatten(1)
                for k in range(len(radial))
            ]
        return torch.cat(columns, dim=1)
