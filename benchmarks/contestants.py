"""Who is measured: our architectures, and what users would run instead."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, final

import yaml

from benchmarks.figures import published
from benchmarks.targets import METATRAIN, PET, SOAP

OPTIONS = Path(__file__).parent / "options"
INSIDE = Path(__file__).parent / "inside"
BATCH_SIZES = {SOAP: 8, PET: 16}
BATCH_SIZE_OF_OTHERS = 8

Words = list[object]
"""A command."""


@dataclass(frozen=True)
class Contestant:
    """A model that a tool trains.

    :param name: as in the table
    :param tool: what trains it
    :param batch_size: structures of a step
    :param architecture: of metatrain; empty for other tools
    :param device: ``cpu`` or ``cuda``
    :param options: of metatrain's training, beside the size of batches
    """

    name: str
    tool: "Tool"
    batch_size: int
    architecture: str
    device: str
    options: dict[str, Any] = field(default_factory=dict)

    def training(self, folder: Path, num_epochs: int | None = None) -> Words:
        """The command that trains on ``training.xyz`` and ``validation.xyz`` of a folder.

        :param folder: gets ``options.yaml``
        :param num_epochs: ``None`` for as many as in a real run
        """
        options = yaml.safe_load((OPTIONS / f"{self.tool.kind}.yaml").read_text())
        self.tool.fill_in(options, self, num_epochs)
        (folder / "options.yaml").write_text(yaml.safe_dump(options, sort_keys=False))
        return self.tool.training(folder)


@dataclass(frozen=True)
class Tool(ABC):
    """A program in an environment of its own.

    :param name: as in the table
    :param python: the interpreter of its environment
    """

    kind: ClassVar[str]
    """The name of its calculator, and of its options file."""
    model: ClassVar[str]
    """The file to calculate with that it leaves."""

    name: str
    python: Path

    def command(self, name: str) -> Path:
        """A command of its environment."""
        return self.python.parent / name

    def script(self, name: str, *words: object) -> Words:
        """The words that run one of the scripts beside in its environment."""
        return [self.python, INSIDE / name, *words]

    @abstractmethod
    def fill_in(
        self, options: dict[str, Any], contestant: Contestant, num_epochs: int | None
    ) -> None:
        """Put into the options what is measured; epochs only if they are given."""

    @abstractmethod
    def training(self, folder: Path) -> Words:
        """The command that trains by the ``options.yaml`` of a folder."""

    def compiling(self, device: str) -> Words:  # noqa: ARG002
        """The command that turns the trained model into :attr:`model`; empty if it is that."""
        return []


@final
class Metatrain(Tool):
    """Ours, and the published one."""

    kind = "metatomic"
    model = "model.pt"

    def fill_in(
        self, options: dict[str, Any], contestant: Contestant, num_epochs: int | None
    ) -> None:
        """See :class:`Tool`."""
        training = {"batch_size": contestant.batch_size, **contestant.options}
        if num_epochs is not None:
            training["num_epochs"] = num_epochs
        options["device"] = contestant.device
        options["architecture"] = {"name": contestant.architecture, "training": training}

    def training(self, folder: Path) -> Words:
        """See :class:`Tool`."""
        return [self.command("mtt"), "train", folder / "options.yaml", "-e", "extensions"]


@final
class Mace(Tool):
    """MACE."""

    kind = "mace"
    model = "benchmark.model"

    def fill_in(
        self, options: dict[str, Any], contestant: Contestant, num_epochs: int | None
    ) -> None:
        """See :class:`Tool`."""
        options |= {"device": contestant.device, "batch_size": contestant.batch_size}
        if num_epochs is not None:
            options["max_num_epochs"] = num_epochs

    def training(self, folder: Path) -> Words:
        """See :class:`Tool`."""
        return [self.command("mace_run_train"), "--config", folder / "options.yaml"]


@final
class NequIP(Tool):
    """NequIP."""

    kind = "nequip"
    model = "model.nequip.pt2"

    def fill_in(
        self, options: dict[str, Any], contestant: Contestant, num_epochs: int | None
    ) -> None:
        """See :class:`Tool`."""
        options["data"]["train_dataloader"]["batch_size"] = contestant.batch_size
        trainer = options["trainer"]
        trainer["accelerator"] = "cpu" if contestant.device == "cpu" else "gpu"
        if num_epochs is not None:
            trainer["max_epochs"] = num_epochs

    def training(self, folder: Path) -> Words:
        """See :class:`Tool`."""
        return [self.command("nequip-train"), "-cp", folder, "-cn", "options"]

    def compiling(self, device: str) -> Words:
        """See :class:`Tool`."""
        words = ["--mode", "aotinductor", "--target", "ase", "--device", device]
        return [self.command("nequip-compile"), *words, "last.ckpt", self.model]


def contestants(tools: list[Tool], architectures: list[str], device: str) -> Iterator[Contestant]:
    """Everyone, ours beside their published twins so that these are measured in turns."""
    for architecture in architectures:
        for tool in tools:
            if isinstance(tool, Metatrain):
                name = architecture if tool.name == METATRAIN else published(architecture)
                yield Contestant(name, tool, BATCH_SIZES[architecture], architecture, device)
    for tool in tools:
        if not isinstance(tool, Metatrain):
            yield Contestant(tool.name, tool, BATCH_SIZE_OF_OTHERS, "", device)
