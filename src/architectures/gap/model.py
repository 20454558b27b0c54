"""GAP: sums of kernels between environments."""

from collections.abc import Mapping
from typing import Dict, List, Self

import torch
from torch import Tensor

from architectures.gap.density import Density
from architectures.gap.hypers import GapHypers
from architectures.gap.spectrum import HalfSpectrum, normalised
from metatrain.data.target import DatasetInfo, Target, check_scalars
from metatrain.errors import MetatrainError
from metatrain.model import GraphModel
from metatrain.nn import AtomicTypeIndex, Graph, Grouped, group_sizes, neighborhoods
from metatrain.standardize import Standardization, check_repulsion, repulsion


class SparseKernel(torch.nn.Module):
    """Sum of kernels with the sparse points of one atomic type.

    y = sum over the points m of c_m (p . p_m)^degree

    :param num_features: F, length of a power spectrum
    :param num_values: V, of all targets together
    :param degree: the power
    """

    def __init__(self, num_features: int, num_values: int, degree: int) -> None:
        super().__init__()
        self.degree = degree
        self.points: Tensor
        self.coefficients: Tensor
        self.num_features = num_features
        self.num_values = num_values
        self.resize(0)

    def resize(self, num_points: int) -> None:
        """Make place for M points."""
        self.set(
            torch.zeros(num_points, self.num_features, dtype=torch.float64),
            torch.zeros(num_points, self.num_values, dtype=torch.float64),
        )

    def set(self, points: Tensor, coefficients: Tensor) -> None:
        """Take these points and coefficients.

        :param points: (M, F) normalised power spectra
        :param coefficients: (M, V)
        """
        self.points = torch.nn.Parameter(points, requires_grad=False)
        self.coefficients = torch.nn.Parameter(coefficients, requires_grad=False)

    def forward(self, spectra: Tensor) -> Tensor:
        """The sums of some atoms.

        :param spectra: (N, F) normalised power spectra
        :return: (N, V)
        """
        return torch.matmul(spectra, self.points.t()).pow(self.degree) @ self.coefficients


class Gap(GraphModel):
    """A Gaussian approximation potential on normalised SOAP power spectra.

    Atoms of one type are compared with sparse points of the same type. A new model has no
    points, and knows the baseline only.

    :param hypers: see :class:`GapHypers`
    :param dataset_info: length unit, atomic types and targets
    """

    Hypers = GapHypers
    __supported_devices__ = ["cpu", "cuda"]  # noqa: RUF012
    __supported_dtypes__ = [torch.float64]  # noqa: RUF012

    def __init__(self, hypers: GapHypers, dataset_info: DatasetInfo) -> None:
        super().__init__(hypers, dataset_info)
        _check_targets(dataset_info)
        self.cutoff = hypers.soap.cutoff.radius
        self.num_types = len(dataset_info.atomic_types)
        self.type_index = AtomicTypeIndex(dataset_info.atomic_types)
        self.density = Density(hypers.soap, self.num_types)
        self.spectrum = HalfSpectrum(self.density.expansion.num_columns)
        self.target_names = list(dataset_info.targets)
        self.num_values = [target.num_values for target in dataset_info.targets.values()]
        self.kernels = Grouped(
            SparseKernel(self.spectrum.num_features, sum(self.num_values), hypers.krr.degree)
            for _ in range(self.num_types)
        )
        if hypers.zbl:
            prior = repulsion(dataset_info)
            self.prior = prior
            self.cutoff = max(self.cutoff, prior.cutoff)
        self.to(torch.float64)

    @classmethod
    def complete_hypers(cls, hypers: GapHypers, targets: Mapping[str, Target]) -> GapHypers:
        """The same options, after a look whether they fit the targets."""
        if hypers.zbl:
            check_repulsion(targets)
        return hypers

    def forward(self, graph: Graph) -> Dict[str, Tensor]:
        """Values per atom, before scale and baseline.

        :param graph: the systems
        :return: (N, V) for each target
        """
        types = self.type_index(graph.types)  # (N,)
        order = torch.argsort(types, stable=True)
        spectra = normalised(self.spectrum(self.coefficients(graph, types)))  # (N, F)
        sums = self.kernels(spectra.index_select(0, order), group_sizes(types, self.num_types))
        sums = sums.index_select(0, torch.argsort(order))
        values: Dict[str, Tensor] = {}
        for k, part in enumerate(sums.split(self.num_values, dim=1)):
            values[self.target_names[k]] = part
        return values

    def coefficients(self, graph: Graph, types: Tensor) -> List[Tensor]:
        """The density around each atom: for each l (N, 2 l + 1, Q_l).

        :param types: (N,) index of each atom's type
        """
        atoms = torch.arange(types.shape[0], device=types.device)
        pairs = neighborhoods(graph.centers, atoms)
        return self.density(graph.vectors, types, types.index_select(0, graph.neighbors), pairs)

    def sparse_kernels(self) -> list[SparseKernel]:
        """The kernel of each atomic type."""
        return [kernel for kernel in self.kernels.members if isinstance(kernel, SparseKernel)]

    def with_weights(self, weights: dict[str, Tensor], standardization: Standardization) -> Self:
        """As for all models, with as many sparse points as the weights have."""
        for index, kernel in enumerate(self.sparse_kernels()):
            points = weights.get(f"kernels.members.{index}.points")
            if isinstance(points, Tensor) and points.dim() == 2:
                kernel.resize(len(points))
        return super().with_weights(weights, standardization)

    def restart(self, dataset_info: DatasetInfo) -> Self:
        """A new model with the same options: a fit begins from nothing, on the data it is given."""
        return type(self)(self.hypers, dataset_info)


def _check_targets(dataset_info: DatasetInfo) -> None:
    check_scalars(dataset_info.targets, "gap")
    for name, target in dataset_info.targets.items():
        if not target.is_extensive:
            kind = "has values per atom" if target.is_per_atom else "is a mean over atoms"
            raise MetatrainError(
                f"targets.{name}: {kind}, and gap learns sums over the atoms of a system only; "
                "take another architecture, such as soap_bpnn."
            )
