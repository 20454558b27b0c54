"""A complete architecture that does nothing: what the options file is checked against."""

from dataclasses import dataclass, replace
from typing import Any

import torch

from metatrain.errors import MetatrainError
from metatrain.hypers import hyper


@dataclass(frozen=True)
class Cutoff:
    radius: float = hyper(5.0, "radius of the neighborhood", above=0.0)
    width: float = hyper(0.5, "width of the switch", minimum=0.0)

    def __post_init__(self) -> None:
        if self.width > self.radius:
            raise ValueError(f"width: {self.width} exceeds the radius {self.radius}")


@dataclass(frozen=True)
class ModelHypers:
    cutoff: Cutoff = hyper(Cutoff, "the neighborhood")
    num_layers: int = hyper(2, "number of layers", minimum=1)
    legacy: bool = hyper(True, "older variant")
    activation: str = hyper("silu", "nonlinearity", choices=("silu", "tanh"))
    heads: dict[str, str] = hyper({}, "readout of each target", choices=("linear", "mlp"))
    zbl: Cutoff | None = hyper(None, "short-range repulsion")


@dataclass(frozen=True)
class TrainHypers:
    batch_size: int = hyper(8, "systems per step", minimum=1)
    num_epochs: int = hyper(100, "passes over the data", minimum=0)
    learning_rate: float = hyper(1e-3, "step size", above=0.0)
    betas: tuple[float, float] = hyper((0.9, 0.999), "decay rates", minimum=0.0, maximum=1.0)
    loss: Any = hyper("mse", "the loss: a name, or options per target")
    seed: int | None = hyper(None, "seed of the order of the data")


class Model:
    Hypers = ModelHypers
    __supported_devices__ = ("cpu",)
    __supported_dtypes__ = (torch.float64,)

    def __init__(self, model_hypers, dataset_info): ...

    @classmethod
    def load_checkpoint(cls, path): ...

    def restart(self, dataset_info): ...

    def export(self): ...


class Trainer:
    Hypers = TrainHypers

    def __init__(self, train_hypers): ...

    @classmethod
    def complete_hypers(cls, hypers, targets):
        """Write out the loss of each target."""
        if isinstance(hypers.loss, str):
            return replace(hypers, loss=dict.fromkeys(targets, hypers.loss))
        if not isinstance(hypers.loss, dict):
            raise MetatrainError(f"loss: found {hypers.loss!r}, expected a name or a mapping")
        for name in hypers.loss:
            if name not in targets:
                raise MetatrainError(f"loss.{name}: no such target; targets: {', '.join(targets)}")
        return hypers

    def train(self, *arguments): ...

    def save_checkpoint(self, path): ...

    @classmethod
    def load_checkpoint(cls, path, train_hypers): ...


__model__ = Model
__trainer__ = Trainer
__authors__ = [("Ada <ada@example.org>", "@ada")]
__maintainers__ = [("Ada <ada@example.org>", "@ada")]
