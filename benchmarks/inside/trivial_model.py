"""Exports a model that does next to nothing: what is left of a step of MD is the calculator's.

It asks for the neighbors, and gives the sum of a function of their distances.
"""

import sys
from typing import Dict, List, Optional

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import (
    AtomisticModel,
    ModelCapabilities,
    ModelMetadata,
    ModelOutput,
    NeighborListOptions,
    System,
)

CUTOFF = 5.0


class PairSum(torch.nn.Module):
    """E = sum over pairs of (1 − r²/cutoff²)³."""

    def __init__(self) -> None:
        super().__init__()
        self.cutoff = CUTOFF
        self.request = NeighborListOptions(CUTOFF, full_list=True, strict=True)

    def requested_neighbor_lists(self) -> List[NeighborListOptions]:
        """What an engine has to find."""
        return [self.request]

    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],  # noqa: ARG002
        selected_atoms: Optional[Labels],  # noqa: ARG002
    ) -> Dict[str, TensorMap]:
        """The energy of each system."""
        energies: List[torch.Tensor] = []
        for system in systems:
            vectors = system.get_neighbor_list(self.request).values
            squares = vectors.squeeze(-1).square().sum(dim=1) / self.cutoff**2
            energies.append((1.0 - squares).pow(3).sum())
        values = torch.stack(energies).unsqueeze(1)
        rows = torch.arange(len(systems), device=values.device).unsqueeze(1)
        block = TensorBlock(
            values,
            Labels(["system"], rows),
            torch.jit.annotate(List[Labels], []),
            Labels(["energy"], torch.zeros((1, 1), dtype=torch.int64, device=values.device)),
        )
        keys = Labels(["_"], torch.zeros((1, 1), dtype=torch.int64, device=values.device))
        return {"energy": TensorMap(keys, [block])}


capabilities = ModelCapabilities(
    outputs={"energy": ModelOutput(unit="eV", sample_kind="system")},
    atomic_types=[1, 6, 7, 8],
    interaction_range=CUTOFF,
    length_unit="angstrom",
    supported_devices=["cpu", "cuda"],
    dtype="float32",
)
AtomisticModel(PairSum().eval(), ModelMetadata(), capabilities).save(sys.argv[1])
