"""Baseline and scale of every target."""

from dataclasses import dataclass, replace
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
    :param baselines: for each target (T, V) in the target's unit; zero where a value turns
        with the system
    :param scales: for each target (1, V) in the target's unit; (T, V) where the scale of a
        target per atom differs by atomic type
    """

    atomic_types: list[int]
    baselines: dict[str, Tensor]
    scales: dict[str, Tensor]

    @classmethod
    def identity(cls, dataset_info: DatasetInfo) -> "Standardization":
        """No baseline, and scales of one."""
        types = list(dataset_info.atomic_types)
        targets = dataset_info.targets.values()
        widths = {target.name: target.num_values for target in targets}
        return cls(
            types,
            {name: torch.zeros(len(types), v, dtype=torch.float64) for name, v in widths.items()},
            {name: torch.ones(1, v, dtype=torch.float64) for name, v in widths.items()},
        )

    def scale_of_rows(self, target: str, types: Tensor) -> Tensor:
        """What the rows of a target's values are multiplied by.

        :param types: (N,) atomic numbers of the atoms of the systems
        :return: (1, V), or (N, V) where the scale differs by atomic type
        """
        scale = self.scales[target]
        return scale if len(scale) == 1 else scale[self.type_index(types)]

    def scales_on(self, device: torch.device, dtype: torch.dtype) -> "Standardization":
        """The same with scales on a device and in the precision of a network."""
        scales = {name: scale.to(device, dtype) for name, scale in self.scales.items()}
        return replace(self, scales=scales)

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
        baselines, scales = dict(container["baselines"]), dict(container["scales"])
        return cls(list(container["atomic_types"]), baselines, scales)
