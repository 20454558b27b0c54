"""The model as simulation engines run it, written by hand for metatomic."""

from typing import Dict, List, Optional

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import ModelOutput, NeighborListOptions, System
from torch import Tensor

from ada_linear.descriptors import descriptors


class ExportedLinear(torch.nn.Module):
    """Sums over atoms of weights times descriptors.

    :param weights: (D,) for each target
    :param radii: (K,) bins of the histograms
    :param atomic_types: the T elements
    """

    def __init__(
        self,
        weights: Dict[str, Tensor],
        radii: Tensor,
        atomic_types: List[int],
        request: NeighborListOptions,
    ) -> None:
        super().__init__()
        self.names: List[str] = list(weights)
        self.register_buffer("weights", torch.stack(list(weights.values())))
        self.register_buffer("radii", radii)
        self.register_buffer("types", torch.tensor(atomic_types))
        self.request = request

    def requested_neighbor_lists(self) -> List[NeighborListOptions]:
        return [self.request]

    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels],
    ) -> Dict[str, TensorMap]:
        if len(systems) == 0:
            return {}
        described: List[Tensor] = []
        atoms: List[Tensor] = []
        for index, system in enumerate(systems):
            described.append(self.describe(system))
            atom = torch.arange(len(system), device=system.device)
            atoms.append(torch.stack([torch.full_like(atom, index), atom], dim=1))
        per_atom = torch.cat(described) @ self.weights.T  # (N, targets)
        samples = torch.cat(atoms)
        if selected_atoms is not None:
            kept = Labels(["system", "atom"], samples.to(torch.int32)).select(selected_atoms)
            per_atom, samples = per_atom[kept], samples[kept]
        results: Dict[str, TensorMap] = {}
        for column, name in enumerate(self.names):
            if name in outputs:
                sample_kind = outputs[name].sample_kind
                results[name] = self.result(per_atom[:, column], samples, sample_kind)
        return results

    def describe(self, system: System) -> Tensor:
        """(N, D) descriptors, whose gradient leads to positions and cell through the pairs."""
        pairs = system.get_neighbor_list(self.request)
        centers = pairs.samples.column("first_atom").long()
        neighbors = pairs.samples.column("second_atom").long()
        rows = torch.searchsorted(self.types, system.types.long())
        return descriptors(
            rows,
            centers,
            rows[neighbors],
            pairs.values.squeeze(2),
            self.radii,
            self.types.shape[0],
            self.request.cutoff,
        )

    def result(self, values: Tensor, samples: Tensor, sample_kind: str) -> TensorMap:
        """One value per atom, or their sums over each system that has any."""
        labels = Labels(["system", "atom"], samples.to(torch.int32))
        if sample_kind == "system":
            of_system, row = torch.unique(samples[:, 0], return_inverse=True)
            sums = torch.zeros(of_system.shape[0], dtype=values.dtype, device=values.device)
            values = sums.index_add(0, row, values)
            labels = Labels(["system"], of_system.to(torch.int32).unsqueeze(1))
        zero = torch.zeros((1, 1), dtype=torch.int32, device=values.device)
        block = TensorBlock(values.unsqueeze(1), labels, [], Labels(["energy"], zero))
        return TensorMap(Labels(["_"], zero), [block])
