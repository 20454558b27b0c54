"""All that changes while a model is trained, and its form in a checkpoint."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from metatrain.metrics import ErrorSums

Weights = dict[str, Tensor]


def copy_of(weights: Mapping[str, Tensor]) -> Weights:
    """Weights that later training steps leave alone."""
    return {name: value.detach().clone() for name, value in weights.items()}


@dataclass
class Progress:
    """How far a run has come.

    :param epoch: finished epochs
    :param step: finished steps of the epoch that is running
    :param errors: of these steps
    :param loss: sum over these steps of loss times number of systems, where the losses are
    :param num_systems: seen in these steps
    :param history: metrics of the finished epochs
    :param best_metric: the smallest so far
    :param best_epoch: the epoch that had it; 0 before there is one
    """

    epoch: int = 0
    step: int = 0
    errors: ErrorSums = field(default_factory=ErrorSums)
    loss: float | Tensor = 0.0
    num_systems: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best_metric: float = math.inf
    best_epoch: int = 0

    def begin_epoch(self) -> None:
        """Forget the sums of the epoch before."""
        self.step, self.loss, self.num_systems = 0, 0.0, 0
        self.errors = ErrorSums()

    def as_container(self) -> dict[str, Any]:
        """The same as plain containers and tensors."""
        return vars(self) | {"errors": self.errors.as_container(), "loss": float(self.loss)}

    @classmethod
    def from_container(cls, container: dict[str, Any], device: torch.device) -> "Progress":
        """The inverse of :meth:`as_container`."""
        errors = ErrorSums.from_container(container["errors"], device)
        return cls(**(container | {"errors": errors}))


class Average:
    """Exponential running average of the trainable weights.

    :param model: the model whose weights are averaged
    :param decay: part of the average that stays in each step
    """

    def __init__(self, model: torch.nn.Module, decay: float) -> None:
        self.decay = decay
        # a tensor with two names is averaged under both, as a state_dict has both
        self.parameters = dict(model.named_parameters(remove_duplicate=False))
        self.values = copy_of(self.parameters)

    def update(self) -> None:
        """Take in the weights after a step."""
        torch._foreach_lerp_(
            list(self.values.values()),
            [value.detach() for value in self.parameters.values()],
            1.0 - self.decay,
        )

    def load(self, values: Weights) -> None:
        """Go on from an average that was saved."""
        for name, value in self.values.items():
            value.copy_(values[name])
