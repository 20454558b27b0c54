"""Schedules of the learning rate: frozen dataclasses that build a torch scheduler.

Warm-up is the trainer's: it multiplies whatever the schedule says. A schedule that follows
the training steps is stepped after each of them; one that follows the validation says so by
``follows_validation`` and is stepped once per epoch.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from metatrain.hypers import hyper


@dataclass(frozen=True)
class Cosine:
    """From the learning rate down to ``final_fraction`` of it, along half a cosine.

    :param final_fraction: what is left of the learning rate after the last step
    """

    follows_validation: ClassVar[bool] = False
    final_fraction: float = hyper(
        0.0, "part of the learning rate that is left at the end", minimum=0.0, maximum=1.0
    )

    def __call__(
        self, optimizer: torch.optim.Optimizer, num_steps: int
    ) -> torch.optim.lr_scheduler.LRScheduler:
        """The scheduler for a run of ``num_steps`` steps after warm-up."""

        def factor(step: int) -> float:
            progress = min(step / max(1, num_steps), 1.0)
            cosine = 0.5 * (1.0 + math.cos(math.pi * progress))
            return self.final_fraction + (1.0 - self.final_fraction) * cosine

        return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


@dataclass(frozen=True)
class Constant:
    """The learning rate as it is."""

    follows_validation: ClassVar[bool] = False

    def __call__(
        self,
        optimizer: torch.optim.Optimizer,
        num_steps: int,  # noqa: ARG002
    ) -> torch.optim.lr_scheduler.LRScheduler:
        """The scheduler; the number of steps does not matter."""
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)


@dataclass(frozen=True)
class Exponential:
    """From the learning rate down to ``final_fraction`` of it, by the same factor each step.

    :param final_fraction: what is left of the learning rate after the last step
    """

    follows_validation: ClassVar[bool] = False
    final_fraction: float = hyper(
        0.01, "part of the learning rate that is left at the end", above=0.0, maximum=1.0
    )

    def __call__(
        self, optimizer: torch.optim.Optimizer, num_steps: int
    ) -> torch.optim.lr_scheduler.LRScheduler:
        """The scheduler for a run of ``num_steps`` steps after warm-up."""
        return torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: self.final_fraction ** min(step / max(1, num_steps), 1.0)
        )


@dataclass(frozen=True)
class Plateau:
    """Lower the learning rate when the validation has not improved for a while.

    :param factor: what the learning rate is multiplied by
    :param patience: epochs without improvement before that
    """

    follows_validation: ClassVar[bool] = True
    factor: float = hyper(0.5, "what the learning rate is multiplied by", above=0.0, maximum=0.99)
    patience: int = hyper(10, "epochs without improvement before that", minimum=0)

    def __call__(
        self,
        optimizer: torch.optim.Optimizer,
        num_steps: int,  # noqa: ARG002
    ) -> torch.optim.lr_scheduler.ReduceLROnPlateau:
        """The scheduler; its ``step`` takes the validation metric."""
        return torch.optim.lr_scheduler.ReduceLROnPlateau(
            # torch leaves a rate alone that would fall by less than eps
            optimizer,
            factor=self.factor,
            patience=self.patience,
            eps=0.0,
        )
