"""What a measurement is: turns that are taken in every repeat."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contestants import Contestant, Tool
from benchmarks.figures import Figure
from benchmarks.processes import Launcher

Turn = Callable[[], list[Figure]]
"""Measures one thing of one contestant, once."""


@dataclass(frozen=True)
class Setting:
    """What all measurements share.

    :param data: folder with the structures
    :param work: an empty folder
    :param launcher: starts processes
    :param tools: ours first
    :param contestants: ours first
    :param device: ``cpu`` or ``cuda``
    :param num_epochs: epochs that are timed in training
    :param num_frames: of the file that is read
    """

    data: Path
    work: Path
    launcher: Launcher
    tools: list[Tool]
    contestants: list[Contestant]
    device: str
    num_epochs: int
    num_frames: int

    @property
    def ours(self) -> Tool:
        """The metatrain of this environment."""
        return self.tools[0]

    def folder(self, *names: str) -> Path:
        """A new folder; the name of who it is for may have blanks."""
        path = self.work.joinpath(*(name.replace(" ", "-") for name in names))
        path.mkdir(parents=True)
        return path
