"""Baseline and scale of every target."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from metatrain.data.target import DatasetInfo


@dataclass(frozen=True)
class Standardization:
    """Values per atom are ``scale * network + baseline[atomic type]``, in float64.

    Reference energies are 1e4 times the differences a network learns, so they never pass
    through the network's own precision.

    :param atomic_types: atomic numbers, ascending; the rows of a baseline
    :param baselines: for each target (T, P) in the target's unit
    :param scales: for each target (P,) in the target's unit
    """

    atomic_types: list[int]
    baselines: dict[str, Tensor]
    scales: dict[str, Tensor]

    @classmethod
    def identity(cls, dataset_info: DatasetInfo) -> "Standardization":
        """No baseline, and scales of one."""
        types = list(dataset_info.atomic_types)
        targets = dataset_info.targets.values()
        shapes = {target.name: target.num_properties for target in targets}
        return cls(
            types,
            {name: torch.zeros(len(types), p, dtype=torch.float64) for name, p in shapes.items()},
            {name: torch.ones(p, dtype=torch.float64) for name, p in shapes.items()},
        )

    def type_index(self, types: Tensor) -> Tensor:
        """Row of the baseline for each atom.

        :param types: (N,) atomic numbers, all among ``atomic_types``
        :return: (N,)
        """
        return torch.searchsorted(torch.tensor(self.atomic_types, device=types.device), types)

    def as_container(self) -> dict[str, Any]:
        """The same as plain containers and tensors, for checkpoints."""
        return vars(self).copy()

    @classmethod
    def from_container(cls, container: dict[str, Any]) -> "Standardization":
        """The inverse of :meth:`as_container`."""
        return cls(**container)
