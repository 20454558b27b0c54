"""The trainer: a least-squares fit for each of several penalties; the best one is kept."""

import json
import math
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class TrainHypers:
    """Options of the trainer."""

    penalties: tuple[float, ...] = (1e-2, 1e-4, 1e-6)


class LinearTrainer:
    """Fits energies, with one penalty on the size of the weights after the other."""

    Hypers = TrainHypers

    def __init__(self, train_hypers):
        self.penalties = train_hypers.penalties
        self.num_tried = 0
        self.least_error = math.inf
        self.model = None

    def train(self, model, devices, train_datasets, val_datasets, checkpoint_dir):
        self.model = model
        training = self.table(train_datasets)
        # what is best is for unseen data to say
        unseen = self.table(val_datasets) if val_datasets else training
        for penalty in self.penalties[self.num_tried :]:
            weights = {name: self.fit(*training[name], penalty) for name in training}
            error = sum(self.error(*unseen[name], weights[name]) for name in weights)
            self.num_tried += 1
            if error < self.least_error:
                self.least_error, model.weights = error, weights
            self.save_checkpoint(checkpoint_dir / "last.ckpt")

    def table(self, datasets):
        """By target: (S, D) descriptors, (S,) energies and (S,) numbers of atoms."""
        samples = [dataset[index] for dataset in datasets for index in range(len(dataset))]
        described = torch.stack([self.model.describe(sample.system) for sample in samples])
        sizes = torch.tensor([len(sample.system) for sample in samples])
        tables = {}
        for name in self.model.units:
            energies = torch.cat([sample[name].block().values.squeeze(1) for sample in samples])
            is_known = ~energies.isnan()
            tables[name] = described[is_known], energies[is_known], sizes[is_known]
        return tables

    def fit(self, described, energies, sizes, penalty):
        """(D,) weights of least squared error per atom, plus penalty times their square.

        The weights of the lone atoms, which are large, carry next to no penalty.
        """
        num_types, size = len(self.model.atomic_types), described.shape[1]
        strength = torch.full((size,), math.sqrt(penalty), dtype=torch.float64)
        strength[:num_types] *= 1e-6
        rows = torch.cat([described / sizes.unsqueeze(1), torch.diag(strength)])
        values = torch.cat([energies / sizes, torch.zeros(size, dtype=torch.float64)])
        return torch.linalg.lstsq(rows, values, driver="gelsd").solution

    @staticmethod
    def error(described, energies, sizes, weights):
        """Mean squared error per atom."""
        return float((((described @ weights) - energies) / sizes).square().mean())

    def save_checkpoint(self, path):
        about = {"num_tried": self.num_tried, "least_error": self.least_error}
        new = path.with_name(f".{path.name}.new")
        # numpy gives a file of its own making the suffix .npz
        with new.open("wb") as file:
            np.savez(file, trainer=np.array(json.dumps(about)), **self.model.arrays())
        new.replace(path)

    @classmethod
    def load_checkpoint(cls, path, train_hypers):
        trainer = cls(train_hypers)
        with np.load(path, allow_pickle=False) as arrays:
            about = json.loads(arrays["trainer"].item())
        trainer.num_tried, trainer.least_error = about["num_tried"], about["least_error"]
        return trainer
