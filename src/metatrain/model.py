"""ModelInterface, the full contract of a model, and GraphModel, the easy way to fulfil it."""

import dataclasses
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Dict, Protocol, Self, runtime_checkable

import torch
from metatomic.torch import AtomisticModel, NeighborListOptions
from torch import Tensor

from metatrain import checkpoint
from metatrain.data.target import DatasetInfo, Target
from metatrain.errors import MetatrainError
from metatrain.export import AtomisticExport
from metatrain.hypers import plain, restored
from metatrain.nn.graph import Graph
from metatrain.standardize import Standardization
from metatrain.units import conversion_factor


@runtime_checkable
class ModelInterface(Protocol):
    """What the hub expects of a model, whatever it is made of.

    A model need not derive from this class: whatever has these members is a model. It
    may have a frozen dataclass ``Hypers``, whose fields are the options under
    ``architecture.model``, and a method ``requested_neighbor_lists()``.
    """

    __supported_devices__: ClassVar[list[str]]
    """Devices the model runs on, best first: ``"cuda"``, ``"mps"``, ``"cpu"``."""
    __supported_dtypes__: ClassVar[list[torch.dtype]]
    """Floating-point types the model computes in, best first."""

    def __init__(self, model_hypers: Any, dataset_info: DatasetInfo) -> None:
        """A new, untrained model."""

    @classmethod
    def load_checkpoint(cls, path: Path) -> Self:
        """The model that a checkpoint holds, ready to be used."""

    def restart(self, dataset_info: DatasetInfo) -> Self:
        """The model made ready for more training, on this data and these targets."""

    def export(self) -> AtomisticModel:
        """The model as metatomic engines load it."""


class GraphModel(torch.nn.Module, ABC):
    """A model that gets a graph and gives one row of values per atom for each target.

    A subclass sets ``Hypers``, calls ``super().__init__``, sets ``self.cutoff`` and writes
    ``forward``. Sums over atoms, forces, stress, units, baseline, scale, checkpoints and
    export are derived here and in the hub. ``forward`` has to compile with
    ``torch.jit.script`` and to be traceable with ``make_fx``.

    :param hypers: the options under ``architecture.model``
    :param dataset_info: length unit, atomic types and targets
    """

    Hypers: ClassVar[type]
    """Frozen dataclass of the options, with fields made by :func:`metatrain.hypers.hyper`."""
    __supported_devices__: ClassVar[list[str]] = ["cuda", "cpu"]
    __supported_dtypes__: ClassVar[list[torch.dtype]] = [torch.float32, torch.float64]
    __checkpoint_version__: ClassVar[int] = 1
    """Raised by an architecture whenever its ``state_dict`` or ``Hypers`` change."""

    cutoff: float
    """Radius of the neighborhood, in the length unit of the data set."""
    num_message_passing: int = 1
    """How many cutoffs far an atom's energy can see; the interaction range follows."""

    def __init__(self, hypers: Any, dataset_info: DatasetInfo) -> None:
        super().__init__()
        self.hypers = hypers
        self.dataset_info = dataset_info
        # Not a module: it stays in float64 whatever the network is cast to.
        self.standardization = Standardization.identity(dataset_info)

    @abstractmethod
    def forward(self, graph: Graph) -> Dict[str, Tensor]:
        """Values per atom, before scale and baseline.

        :param graph: the systems
        :return: (N, P) for each target
        """

    def requested_neighbor_lists(self) -> list[NeighborListOptions]:
        """The one full list of pairs closer than the cutoff."""
        return [NeighborListOptions(cutoff=self.cutoff, full_list=True, strict=True)]

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type that the network computes in."""
        return next(self.parameters()).dtype

    __jit_unused_properties__ = ["dtype"]  # noqa: RUF012 (read by TorchScript)

    def as_container(self) -> dict[str, Any]:
        """All that defines the model, as tensors and plain containers."""
        return {
            "version": self.__checkpoint_version__,
            "hypers": plain(self.hypers),
            "dataset_info": self.dataset_info.as_container(),
            "standardization": self.standardization.as_container(),
            "weights": {name: value.detach().cpu() for name, value in self.state_dict().items()},
        }

    @classmethod
    def from_container(cls, container: dict[str, Any]) -> Self:
        """The inverse of :meth:`as_container`."""
        if container["version"] > cls.__checkpoint_version__:
            raise MetatrainError(
                f"the checkpoint has version {container['version']} of {cls.__name__}, which is "
                f"newer than version {cls.__checkpoint_version__} installed here; "
                "install the release that wrote it, or a later one."
            )
        dataset_info = DatasetInfo.from_container(container["dataset_info"])
        model = cls(restored(cls.Hypers, container["hypers"]), dataset_info)
        name, _ = next(model.named_parameters())
        model.to(container["weights"][name].dtype)
        model.load_state_dict(container["weights"])
        model.standardization = Standardization.from_container(container["standardization"])
        return model

    @classmethod
    def load_checkpoint(cls, path: Path) -> Self:
        """The model of a checkpoint with its best weights, ready to be used."""
        return cls.from_container(checkpoint.load(path)["model"])

    def restart(self, dataset_info: DatasetInfo) -> Self:
        """The same model, told of new data with the same targets in the same units.

        Atomic types must be among those that the model knows. Forces and stress may come or go.
        """
        unknown = sorted(set(dataset_info.atomic_types) - set(self.dataset_info.atomic_types))
        if unknown:
            raise MetatrainError(
                f"the data holds atomic types {unknown}, which the model of the checkpoint does "
                f"not know; it was made for {self.dataset_info.atomic_types}."
            )
        if dataset_info.targets.keys() != self.dataset_info.targets.keys():
            raise MetatrainError(
                f"the data has targets {sorted(dataset_info.targets)}, the model of the "
                f"checkpoint has {sorted(self.dataset_info.targets)}; a restart needs the same."
            )
        found, expected = dataset_info.length_unit, self.dataset_info.length_unit
        if not _are_equal_units(found, expected):
            raise MetatrainError(
                f"the data has length_unit {found!r}, the model of the checkpoint {expected!r}; a "
                "restart needs the same."
            )
        targets = {}
        for name, known in self.dataset_info.targets.items():
            target = dataset_info.targets[name]
            _check_same(target, known)
            targets[name] = dataclasses.replace(
                known, has_forces=target.has_forces, has_stress=target.has_stress
            )
        self.dataset_info = dataclasses.replace(self.dataset_info, targets=targets)
        return self

    def export(self, dtype: torch.dtype = torch.float64) -> AtomisticModel:
        """The model as metatomic engines load it.

        :param dtype: of what engines give and get; the network keeps its own, unless this
            is float32, which makes all of it float32
        """
        return AtomisticExport.of(self, dtype)


def _check_same(found: Target, expected: Target) -> None:
    """Refuse a target that is not what the model was trained for."""
    for field in ("quantity", "unit", "sample_kind", "reduction", "num_properties"):
        one, other = getattr(found, field), getattr(expected, field)
        if not (_are_equal_units(one, other) if field == "unit" else one == other):
            raise MetatrainError(
                f"target {found.name!r} of the data has {field} {one!r}, that of the checkpoint's "
                f"model {other!r}; a restart needs the same."
            )


def _are_equal_units(one: str, other: str) -> bool:
    """Whether two units are the same, however they are written."""
    if one == other or not (one and other):
        return one == other
    return abs(conversion_factor(one, other, "unit") - 1.0) < 1e-12
