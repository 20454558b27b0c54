"""Random rotations and inversions of a batch, for models that have to learn how tensors turn."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from metatrain.data.batches import Batch
from metatrain.data.segments import sent
from metatrain.data.target import Target
from metatrain.nn.spherical_harmonics import SphericalHarmonics


class Augmentation:
    """Turns every system of a batch in a random way, uniformly in O(3), and its labels with it.

    Who sees whom does not change, so that neighbor lists stay. The random numbers are those
    of torch's own generator on the CPU, whose state checkpoints hold. A label of which some
    component is missing is missing as a whole when it is turned.

    :param targets: what the batches have labels of
    """

    def __init__(self, targets: Mapping[str, Target]) -> None:
        self.targets = targets
        angular = [degree for target in targets.values() for degree, _ in target.irreps]
        self._wigner = WignerMatrices(max(angular)) if angular else None

    def __call__(self, batch: Batch) -> Batch:
        """The batch with each system turned; what was given stays as it is."""
        return self.turned(batch, random_orthogonal_matrices(batch.graph.cells.shape[0]))

    def turned(self, batch: Batch, matrices: Tensor) -> Batch:
        """The batch with each system turned by a matrix of its own: r' = R r.

        :param matrices: (S, 3, 3) orthogonal matrices in float64 on the CPU
        """
        graph = batch.graph
        of_system = sent(matrices.to(graph.vectors.dtype), graph.vectors.device)
        of_atom = of_system.index_select(0, graph.system)
        graph = graph._replace(
            vectors=_product(of_atom.index_select(0, graph.centers), graph.vectors),
            positions=_product(of_atom, graph.positions),
            # cell vectors are rows
            cells=graph.cells @ of_system.mT,
        )
        return Batch(
            graph,
            self._turned_values(batch, matrices),
            {name: _product(of_atom, forces) for name, forces in batch.forces.items()},
            {name: of_system @ label @ of_system.mT for name, label in batch.stress.items()},
        )

    def _turned_values(self, batch: Batch, matrices: Tensor) -> dict[str, Tensor]:
        values = dict(batch.values)
        wigner = self._wigner(matrices) if self._wigner is not None else []
        for name, target in self.targets.items():
            if target.is_scalar:
                continue
            label, blocks = values[name], []
            for block in target.blocks:
                turns = matrices
                if target.irreps:
                    angular, sigma = block.key
                    turns = wigner[angular] * _parity(matrices, angular, sigma)
                turns = sent(turns.to(label.dtype), label.device)
                if target.is_per_atom:
                    turns = turns.index_select(0, batch.graph.system)
                blocks.append(_turned_block(label[:, block.columns], turns, block.shape))
            values[name] = torch.cat(blocks, dim=1)
        return values


def _turned_block(values: Tensor, turns: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The flat values of tensors, turned in each of their components.

    :param values: (R, C...P), flat
    :param turns: (R, C, C)
    :param shape: the number of components of each kind
    """
    num_properties = values.shape[1] // math.prod(shape)
    for size in shape:
        # the component in front is turned, and goes to the end
        values = (turns @ values.reshape(len(values), size, -1)).mT.flatten(1)
    # now the properties are in front
    return values.reshape(len(values), num_properties, -1).mT.flatten(1)


def _parity(matrices: Tensor, angular: int, sigma: int) -> Tensor:
    """(S, 1, 1) what each matrix multiplies spherical tensors by, beside rotating them."""
    is_inverted = torch.linalg.det(matrices) < 0
    return torch.where(is_inverted, sigma * (-1.0) ** angular, 1.0).reshape(-1, 1, 1)


def _product(matrices: Tensor, vectors: Tensor) -> Tensor:
    """(R, 3) the product of each matrix with its vector.

    :param matrices: (R, 3, 3)
    :param vectors: (R, 3)
    """
    return (matrices @ vectors.unsqueeze(2)).squeeze(2)


def random_orthogonal_matrices(number: int) -> Tensor:
    """Rotations, half of them with an inversion, uniform in O(3).

    :return: (number, 3, 3) in float64 on the CPU
    """
    # A direction in four dimensions is a random rotation as a quaternion.
    # K. Shoemake, in Graphics Gems III (1992), 124
    quaternions = torch.randn(number, 4, dtype=torch.float64)
    w, x, y, z = torch.nn.functional.normalize(quaternions).unbind(1)
    rotations = torch.stack(
        [
            1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w),
            2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w),
            2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y),
        ],
        dim=1,
    )  # fmt: skip
    signs = 1 - 2 * torch.randint(2, (number, 1, 1))
    return signs * rotations.reshape(-1, 3, 3)


class WignerMatrices:
    """How spherical tensors turn with the axes.

    D of degree l fulfils Y_l(R x) = D Y_l(x) for every x. It is solved for from the
    harmonics of some fixed points, so that it belongs to our harmonics by construction.

    :param max_angular: the largest degree
    """

    def __init__(self, max_angular: int) -> None:
        self.max_angular = max_angular
        self._harmonics = SphericalHarmonics(max_angular).double()
        self._points = _points_on_sphere(2 * (max_angular + 1) ** 2)
        of_points = self._harmonics(self._points)
        self._inverses = [torch.linalg.pinv(part) for part in self._by_degree(of_points)]

    def __call__(self, matrices: Tensor) -> list[Tensor]:
        """The matrices of each degree, for the rotation that an orthogonal matrix holds.

        :param matrices: (S, 3, 3); an inversion in it is left out
        :return: (S, 2 l + 1, 2 l + 1) for l = 0, 1, ...
        """
        rotations = matrices * torch.linalg.det(matrices).sign().reshape(-1, 1, 1)
        turned = self._points @ rotations.mT  # (S, K, 3)
        harmonics = self._harmonics(turned.reshape(-1, 3)).reshape(*turned.shape[:2], -1)
        return [
            (inverse @ part).mT
            for inverse, part in zip(self._inverses, self._by_degree(harmonics), strict=True)
        ]

    def _by_degree(self, harmonics: Tensor) -> list[Tensor]:
        widths = [2 * degree + 1 for degree in range(self.max_angular + 1)]
        return list(harmonics.split(widths, dim=-1))


def _points_on_sphere(number: int) -> Tensor:
    """(number, 3) points that are spread over the unit sphere along a spiral."""
    index = torch.arange(number, dtype=torch.float64)
    z = 1 - (2 * index + 1) / number
    radius = (1 - z * z).sqrt()
    # the golden angle: no two points have the same longitude
    angle = index * torch.pi * (3 - 5**0.5)
    return torch.stack([radius * angle.cos(), radius * angle.sin(), z], dim=1)
