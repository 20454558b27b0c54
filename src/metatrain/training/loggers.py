"""Loggers: where the metrics of each epoch go beside the console and ``train.log``."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TextIO


class LogSession(Protocol):
    """An open log of one run."""

    def log(self, step: int, metrics: dict[str, float]) -> None:
        """Take the metrics of one epoch; they have the same names every time."""

    def close(self) -> None:
        """Finish; nothing is logged afterwards."""


@dataclass(frozen=True)
class CSV:
    """A table with one row per epoch, complete after every row.

    :param file: name of the file in the run's folder
    """

    file: str = "metrics.csv"

    def __call__(self, directory: Path) -> LogSession:
        """Start the table, replacing an older one."""
        directory.mkdir(parents=True, exist_ok=True)
        return _CSVSession((directory / self.file).open("w", newline=""))


class _CSVSession:
    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.writer = csv.writer(stream)
        self.header: list[str] = []

    def log(self, step: int, metrics: dict[str, float]) -> None:
        if not self.header:
            self.header = ["epoch", *metrics]
            self.writer.writerow(self.header)
        # repr keeps every bit of a float
        self.writer.writerow([step, *(repr(metrics[name]) for name in self.header[1:])])
        self.stream.flush()

    def close(self) -> None:
        self.stream.close()
