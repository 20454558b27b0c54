"""Plug-ins that are not installed: an options file names them as ``own_plug_ins:Thing``."""

import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch


class WatchedSGD(torch.optim.SGD):
    """Gradient descent that notes what it is given, and can send a signal in a step."""

    def __init__(self, parameters, learning_rate, notes, signal_at, number):
        super().__init__(parameters, lr=learning_rate, momentum=0.5)
        self.notes, self.signal_at, self.number = notes, signal_at, number

    def step(self, closure=None):
        parameters = self.param_groups[0]["params"]
        gradients = torch.cat([parameter.grad.flatten() for parameter in parameters])
        super().step(closure)
        weights = [parameter.detach().clone() for parameter in parameters]
        self.notes.append((self.param_groups[0]["lr"], gradients, weights))
        if len(self.notes) == self.signal_at:
            signal.raise_signal(self.number)


@dataclass(frozen=True)
class Watched:
    """An optimizer whose steps are noted in ``notes``."""

    notes: ClassVar[list] = []
    signal_at: int = 0
    signal_number: int = int(signal.SIGINT)

    def __call__(self, parameters, learning_rate, weight_decay):
        self.notes.clear()
        return WatchedSGD(parameters, learning_rate, self.notes, self.signal_at, self.signal_number)


@dataclass(frozen=True)
class Lines:
    """A logger that writes one line per epoch."""

    file: str = "lines.txt"

    def __call__(self, directory: Path) -> "Lines.Session":
        return self.Session((directory / self.file).open("w"))

    @dataclass
    class Session:
        """An open file."""

        stream: object

        def log(self, step, metrics):
            self.stream.write(f"{step} {metrics['training loss']!r}\n")

        def close(self):
            self.stream.write("end\n")
            self.stream.close()


@dataclass(frozen=True)
class KeptCheckpoint:
    """A logger that keeps the checkpoint of an epoch as ``kept.ckpt``."""

    epoch: int = 1

    def __call__(self, directory: Path) -> "KeptCheckpoint.Session":
        return self.Session(directory, self.epoch)

    @dataclass
    class Session:
        """The run whose checkpoint is kept."""

        directory: Path
        epoch: int

        def log(self, step, metrics):
            # an epoch is saved after it is logged
            if step == self.epoch + 1:
                shutil.copy(self.directory / "last.ckpt", self.directory / "kept.ckpt")

        def close(self):
            """Nothing is open."""
