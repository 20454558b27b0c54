"""The model: a vector of weights for each target."""

import json
from dataclasses import asdict, dataclass
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import torch
from metatomic.torch import (
    AtomisticModel,
    ModelCapabilities,
    ModelMetadata,
    ModelOutput,
    NeighborListOptions,
)

from ada_linear.descriptors import descriptors
from ada_linear.exported import ExportedLinear


@dataclass(frozen=True)
class Hypers:
    """Options of the model; ``cutoff`` has no default, it has to be given."""

    cutoff: float
    num_radial: int = 6

    def __post_init__(self):
        if not self.cutoff > 0:
            raise ValueError(f"cutoff: found {self.cutoff}, expected a radius above 0")


class LinearModel:
    """Energies of systems, linear in the descriptors of their atoms."""

    Hypers = Hypers
    __supported_devices__: ClassVar[list[str]] = ["cpu"]
    __supported_dtypes__: ClassVar[list[torch.dtype]] = [torch.float64]

    def __init__(self, model_hypers, dataset_info):
        self.hypers = model_hypers
        self.length_unit = dataset_info.length_unit
        self.atomic_types = list(dataset_info.atomic_types)
        self.units = {name: target.unit for name, target in dataset_info.targets.items()}
        self.radii = self.hypers.cutoff * torch.linspace(0.1, 1.0, self.hypers.num_radial).double()
        num_types = len(self.atomic_types)
        size = num_types + num_types**2 * self.hypers.num_radial
        self.weights = {name: torch.zeros(size, dtype=torch.float64) for name in self.units}

    @classmethod
    def complete_hypers(cls, hypers, targets):
        """Refuse what is no sum over atoms; metatrain asks before it reads any data."""
        for name, target in targets.items():
            if target.quantity != "energy" or target.sample_kind != "system":
                raise ValueError(f"a linear model learns energies of systems, {name!r} is none")
        return hypers

    def requested_neighbor_lists(self):
        return [NeighborListOptions(cutoff=self.hypers.cutoff, full_list=True, strict=True)]

    def describe(self, system):
        """(D,) the descriptors of all atoms of a system, summed."""
        pairs = system.get_neighbor_list(*self.requested_neighbor_lists())
        centers, neighbors = pairs.samples.values[:, :2].long().unbind(dim=1)
        rows = torch.searchsorted(torch.tensor(self.atomic_types), system.types.long())
        vectors, num_types = pairs.values.squeeze(2), len(self.atomic_types)
        cutoff = self.hypers.cutoff
        of_atoms = descriptors(
            rows, centers, rows[neighbors], vectors, self.radii, num_types, cutoff
        )
        return of_atoms.sum(dim=0)

    def restart(self, dataset_info):
        if dataset_info.targets.keys() != self.units.keys():
            raise ValueError(f"the model has the targets {list(self.units)}")
        return self

    def export(self):
        module = ExportedLinear(
            self.weights, self.radii, self.atomic_types, *self.requested_neighbor_lists()
        )
        capabilities = ModelCapabilities(
            outputs={
                # which it can sum over the system too
                name: ModelOutput(unit=unit, sample_kind="atom")
                for name, unit in self.units.items()
            },
            atomic_types=self.atomic_types,
            interaction_range=self.hypers.cutoff,
            length_unit=self.length_unit,
            supported_devices=["cpu"],
            dtype="float64",
        )
        return AtomisticModel(module.eval(), ModelMetadata(), capabilities)

    def arrays(self):
        """All that defines the model, as arrays by name: what its checkpoints hold."""
        about = {
            "hypers": asdict(self.hypers),
            "length_unit": self.length_unit,
            "atomic_types": self.atomic_types,
            "units": self.units,
        }
        weights = {f"weights of {name}": values.numpy() for name, values in self.weights.items()}
        return {"about": np.array(json.dumps(about))} | weights

    @classmethod
    def load_checkpoint(cls, path):
        with np.load(path, allow_pickle=False) as arrays:
            about = json.loads(arrays["about"].item())
            targets = {name: SimpleNamespace(unit=unit) for name, unit in about["units"].items()}
            info = SimpleNamespace(
                length_unit=about["length_unit"],
                atomic_types=about["atomic_types"],
                targets=targets,
            )
            model = cls(Hypers(**about["hypers"]), info)
            for name in targets:
                model.weights[name] = torch.from_numpy(arrays[f"weights of {name}"])
            return model
