"""An energy for each element, and nothing else: no options, no neighbors, JSON checkpoints."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar, Dict, List, Optional

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import (
    AtomisticModel,
    ModelCapabilities,
    ModelMetadata,
    ModelOutput,
    System,
)
from torch import Tensor


class ExportedComposition(torch.nn.Module):
    """Sums the energies of the elements of all atoms."""

    def __init__(self, energies: Tensor) -> None:
        super().__init__()
        self.register_buffer("energies", energies)

    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels],
    ) -> Dict[str, TensorMap]:
        if "energy" not in outputs or len(systems) == 0:
            return {}
        values: List[Tensor] = []
        samples: List[List[int]] = []
        is_per_atom = outputs["energy"].sample_kind == "atom"
        for index, system in enumerate(systems):
            atoms = torch.arange(len(system), device=system.device)
            if selected_atoms is not None:
                chosen = selected_atoms.values[selected_atoms.column("system") == index, 1]
                atoms = chosen.long()
            energies = self.energies[system.types.long()][atoms]
            if is_per_atom:
                values.append(energies)
                samples += [[index, int(atom)] for atom in atoms]
            elif len(atoms) > 0:
                values.append(energies.sum().unsqueeze(0))
                samples.append([index])
        names = ["system", "atom"] if is_per_atom else ["system"]
        labels = Labels(names, torch.tensor(samples, dtype=torch.int32).reshape(-1, len(names)))
        zero = torch.zeros((1, 1), dtype=torch.int32)
        block = TensorBlock(torch.cat(values).unsqueeze(1), labels, [], Labels(["energy"], zero))
        return {"energy": TensorMap(Labels(["_"], zero), [block])}


class CompositionModel:
    """Energies of the elements, in one dictionary from atomic number to energy."""

    __supported_devices__: ClassVar[list[str]] = ["cpu"]
    __supported_dtypes__: ClassVar[list[torch.dtype]] = [torch.float64]

    def __init__(self, model_hypers, dataset_info):
        if model_hypers:
            raise ValueError(f"the composition model has no options, found {list(model_hypers)}")
        self.about = {
            "length_unit": dataset_info.length_unit,
            "atomic_types": list(dataset_info.atomic_types),
            "unit": dataset_info.targets["energy"].unit,
        }
        self.energies = dict.fromkeys(self.about["atomic_types"], 0.0)

    def restart(self, dataset_info):
        return self

    def export(self):
        by_type = torch.zeros(max(self.energies) + 1, dtype=torch.float64)
        for atomic_type, energy in self.energies.items():
            by_type[atomic_type] = energy
        capabilities = ModelCapabilities(
            outputs={"energy": ModelOutput(unit=self.about["unit"], sample_kind="atom")},
            atomic_types=self.about["atomic_types"],
            interaction_range=0.0,
            length_unit=self.about["length_unit"],
            supported_devices=["cpu"],
            dtype="float64",
        )
        return AtomisticModel(ExportedComposition(by_type).eval(), ModelMetadata(), capabilities)

    @classmethod
    def load_checkpoint(cls, path):
        content = json.loads(Path(path).read_text())
        unit = SimpleNamespace(unit=content["about"].pop("unit"))
        model = cls({}, SimpleNamespace(**content["about"], targets={"energy": unit}))
        model.energies = {int(key): energy for key, energy in content["energies"].items()}
        return model


class CompositionTrainer:
    """One least-squares fit; its options are a plain dictionary, which nobody reads."""

    def __init__(self, train_hypers):
        self.hypers = train_hypers
        self.model = None

    def train(self, model, devices, train_datasets, val_datasets, checkpoint_dir):
        self.model = model
        samples = [dataset[index] for dataset in train_datasets for index in range(len(dataset))]
        counts = torch.stack(
            [
                torch.stack([(sample.system.types == key).sum() for key in model.energies])
                for sample in samples
            ]
        ).double()
        energies = torch.cat([sample["energy"].block().values.squeeze(1) for sample in samples])
        found = torch.linalg.lstsq(counts, energies, driver="gelsd").solution
        model.energies = dict(zip(model.energies, found.tolist(), strict=True))

    def save_checkpoint(self, path):
        content = {"about": self.model.about, "energies": self.model.energies}
        Path(path).write_text(json.dumps(content))

    @classmethod
    def load_checkpoint(cls, path, train_hypers):
        return cls(train_hypers)


__model__ = CompositionModel
__trainer__ = CompositionTrainer
__authors__ = [("Ada Lovelace <ada@example.org>", "@ada")]
__maintainers__ = [("Ada Lovelace <ada@example.org>", "@ada")]
