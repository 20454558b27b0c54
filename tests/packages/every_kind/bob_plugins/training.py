"""A loss, an optimizer, a schedule of the learning rate, and a logger."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from metatrain.hypers import hyper


@dataclass(frozen=True)
class LogCosh:
    """log(cosh(s e)) / s² of the error e: half its square where small, linear where large."""

    sharpness: float = hyper(1.0, "inverse of the error at which the loss turns linear", above=0.0)

    def __call__(self, prediction, target):
        scaled = (self.sharpness * (prediction - target)).abs()
        # cosh itself would overflow
        log_cosh = scaled + torch.nn.functional.softplus(-2.0 * scaled) - math.log(2.0)
        return log_cosh / self.sharpness**2


@dataclass(frozen=True)
class HeavyBall:
    """Gradient descent with momentum (Polyak, 1964)."""

    momentum: float = hyper(0.5, "part of the last step that is taken again", minimum=0.0)

    def __call__(self, parameters, learning_rate, weight_decay):
        return torch.optim.SGD(
            parameters, lr=learning_rate, momentum=self.momentum, weight_decay=weight_decay
        )


@dataclass(frozen=True)
class Straight:
    """From the learning rate down to ``final_fraction`` of it, along a straight line."""

    follows_validation: ClassVar[bool] = False
    final_fraction: float = hyper(0.0, "part that is left at the end", minimum=0.0, maximum=1.0)

    def __call__(self, optimizer, num_steps):
        def factor(step):
            return 1.0 + (self.final_fraction - 1.0) * min(step / max(1, num_steps), 1.0)

        return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


@dataclass(frozen=True)
class JsonLines:
    """A line of JSON per epoch, in a file in the run's folder."""

    file: str = hyper("metrics.jsonl", "name of the file")
    digits: int = hyper(6, "significant digits", minimum=1, maximum=17)

    def __call__(self, folder):
        return JsonLinesSession(Path(folder, self.file).open("w"), self.digits)


class JsonLinesSession:
    """The file while it is open."""

    def __init__(self, file, digits):
        self.file, self.digits = file, digits

    def log(self, step, metrics):
        rounded = {name: float(f"{value:.{self.digits}g}") for name, value in metrics.items()}
        self.file.write(json.dumps({"epoch": step} | rounded) + "\n")

    def close(self):
        self.file.close()
