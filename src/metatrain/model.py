"""ModelInterface, the full contract of a model, and GraphModel, the easy way to fulfil it."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Dict, Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from metatrain import checkpoint, published
from metatrain.data.inputs import SYSTEM_INPUTS
from metatrain.data.target import DatasetInfo
from metatrain.errors import MetatrainError
from metatrain.hypers import plain, restored
from metatrain.nn.graph import Graph
from metatrain.nn.prior import NoPrior
from metatrain.published import Published
from metatrain.standardize import Standardization
from metatrain.transfer import transferred

if TYPE_CHECKING:
    from metatomic.torch import AtomisticModel, ModelOutput, NeighborListOptions


@runtime_checkable
class ModelInterface(Protocol):
    """What the hub expects of a model, whatever it is made of.

    A model need not derive from this class: whatever has these members is a model. It
    may have a frozen dataclass ``Hypers``, whose fields are the options under
    ``architecture.model``, and the methods ``requested_neighbor_lists()`` and
    ``requested_inputs()`` of metatomic's modules.
    """

    __supported_devices__: ClassVar[list[str]]
    """Devices the model runs on, best first: ``"cuda"``, ``"mps"``, ``"cpu"``."""
    __supported_dtypes__: ClassVar[list[torch.dtype]]
    """Floating-point types the model computes in, best first."""

    def __init__(self, model_hypers: Any, dataset_info: DatasetInfo) -> None:
        """A new, untrained model."""

    @classmethod
    @abstractmethod
    def load_checkpoint(cls, path: Path) -> Self:
        """The model that a checkpoint holds, ready to be used."""

    @abstractmethod
    def restart(self, dataset_info: DatasetInfo) -> Self:
        """The model made ready for more training, on this data and these targets.

        :raises ValueError: if the model refuses them; the message is what the user sees
        """

    @abstractmethod
    def export(self) -> "AtomisticModel":
        """The model as metatomic engines load it."""


class GraphModel(torch.nn.Module, ABC):
    """A model that gets a graph and gives one row of values per atom for each target.

    A subclass sets ``Hypers``, calls ``super().__init__``, sets ``self.cutoff`` and writes
    ``forward``. Sums over atoms, forces, stress, units, baseline, scale, checkpoints and
    export are derived here and in the hub. ``forward`` has to compile with
    ``torch.jit.script`` and to be traceable with ``make_fx``. A fixed part of the targets,
    such as a repulsion at short distances, may be put into ``self.prior``
    (see :class:`metatrain.nn.NoPrior`).

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
    is_rotation_invariant: ClassVar[bool] = True
    """Whether values turn with the systems exactly; others learn it from turned systems."""
    readout_lists: ClassVar[tuple[str, ...]] = ("readouts",)
    """The ``ModuleList``s that hold one module per target, in the order of the targets."""
    num_message_passing: int = 1
    """How many cutoffs far an atom's energy can see; the interaction range follows."""
    uses_positions: bool = False
    """Whether ``forward`` looks at positions and cells beside pair vectors: then there are
    derivatives by them, too, and the interaction range is infinite."""

    def __init__(self, hypers: Any, dataset_info: DatasetInfo) -> None:
        super().__init__()
        self.hypers = hypers
        self.dataset_info = dataset_info
        # A module of which TorchScript must see the own type; a subclass may put another here.
        self.prior: torch.nn.Module = NoPrior()
        # Not a module: it stays in float64 whatever the network is cast to.
        self.standardization = Standardization.identity(dataset_info)
        # What the model looks at beside atoms, with the values that it knows: of 'charge' and
        # 'spin_multiplicity'; files and engines are asked for these alone.
        self.inputs: dict[str, range] = {}
        # In how many directions systems may be periodic; others are refused.
        self.periodicities: tuple[int, ...] = (0, 1, 2, 3)
        # Those whose standardization is still to be fitted.
        self.untrained_targets = frozenset(dataset_info.targets)

    @abstractmethod
    def forward(self, graph: Graph) -> Dict[str, Tensor]:
        """Values per atom, before scale and baseline.

        A model that spends time on each target may have a second parameter, ``targets:
        Optional[List[str]] = None``, and leave out those that are not named: an engine that
        wants energies alone then waits for nothing else.

        :param graph: the systems
        :return: (N, V) for each target, V being its ``num_values``
        """

    @classmethod
    def takes_targets(cls) -> bool:
        """Whether ``forward`` can leave out targets that are not named."""
        return list(inspect.signature(cls.forward).parameters)[2:3] == ["targets"]

    def requested_neighbor_lists(self) -> "list[NeighborListOptions]":
        """The one full list of pairs closer than the cutoff."""
        from metatomic.torch import NeighborListOptions  # noqa: PLC0415 (takes half a second)

        return [NeighborListOptions(cutoff=self.cutoff, full_list=True, strict=True)]

    def requested_inputs(self) -> "dict[str, ModelOutput]":
        """What metatomic has to know of each system beside atoms and pairs."""
        if not self.inputs:
            return {}
        from metatomic.torch import ModelOutput  # noqa: PLC0415 (takes half a second)

        return {
            name: ModelOutput(unit=SYSTEM_INPUTS[name].unit, sample_kind="system")
            for name in self.inputs
        }

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
        """The inverse of :meth:`as_container`.

        What is wrong with it is said as the end of a sentence that begins with the file's name.
        """
        try:
            version, hypers, weights = (container[key] for key in ("version", "hypers", "weights"))
            dataset_info = DatasetInfo.from_container(container["dataset_info"])
            standardization = Standardization.from_container(container["standardization"])
            if not (type(version), type(hypers), type(weights)) == (int, dict, dict):
                raise TypeError
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise MetatrainError("is damaged: its model lacks parts, or has other ones.") from error
        if version > cls.__checkpoint_version__:
            raise MetatrainError(
                f"has version {version} of {cls.__name__}, which is newer than version "
                f"{cls.__checkpoint_version__} installed here; install the release that wrote it, "
                "or a later one."
            )
        model = cls(restored(cls.Hypers, hypers), dataset_info)
        return model.with_weights(weights, standardization)

    def with_weights(self, weights: dict[str, Tensor], standardization: Standardization) -> Self:
        """The same model, filled with weights of its own kind and in their precision.

        :param weights: as in :meth:`state_dict`; others are refused
        :param standardization: baselines and scales of all targets
        """
        _check_standardization(standardization, self.dataset_info)
        _check_weights(weights, expected=self.state_dict())
        name, _ = next(self.named_parameters())
        self.to(weights[name].dtype)
        self.load_state_dict(weights)
        self.standardization = standardization
        self.untrained_targets = frozenset()
        return self

    @classmethod
    def load_checkpoint(cls, path: Path) -> Self:
        """The model of a checkpoint with its best weights, ready to be used."""
        if published.is_published(path):
            found = published.read(path)
            with _of_file(path):
                return cls.from_published(found)
        content = checkpoint.load(path)
        with _of_file(path):
            if not isinstance(content, dict) or "model" not in content:
                raise MetatrainError("has no model.")
            return cls.from_container(content["model"])

    @classmethod
    def from_published(cls, published: Published) -> Self:
        """The model of a checkpoint of the published package; refused unless overridden.

        What is wrong with it is said as the end of a sentence that begins with the file's name.
        """
        raise MetatrainError(
            f"is a checkpoint of {published.architecture!r} of the published metatrain, which "
            f"{cls.__name__} cannot read."
        )

    def restart(self, dataset_info: DatasetInfo) -> Self:
        """The model for more training, on this data and these targets.

        Atomic types must be among those that the model knows. Targets may come or go: a new
        one gets a new readout, all other weights stay. Forces and stress may come or go, too.
        """
        return transferred(self, dataset_info)

    def export(self, dtype: torch.dtype = torch.float64) -> "AtomisticModel":
        """The model as metatomic engines load it.

        :param dtype: of what engines give and get; the network keeps its own, unless this
            is float32, which makes all of it float32
        """
        from metatrain.export.module import AtomisticExport  # noqa: PLC0415 (takes half a second)

        return AtomisticExport.of(self, dtype)


@contextmanager
def _of_file(path: Path) -> Iterator[None]:
    """Within this context, mistakes are said of the file."""
    try:
        yield
    except MetatrainError as error:
        # a value that was found where another belongs may have several lines
        raise MetatrainError(f"{path}: {' '.join(str(error).split())}") from error


def _check_standardization(standardization: Standardization, info: DatasetInfo) -> None:
    """Refuse baselines and scales that are not those of the targets."""
    num_types = len(info.atomic_types)
    for name, target in info.targets.items():
        baseline = standardization.baselines.get(name)
        scale = standardization.scales.get(name)
        if (
            not isinstance(baseline, Tensor)
            or not isinstance(scale, Tensor)
            or baseline.shape != (num_types, target.num_values)
            or scale.shape not in ((1, target.num_values), (num_types, target.num_values))
            or standardization.atomic_types != info.atomic_types
        ):
            raise MetatrainError(f"is damaged: the baseline or scale of {name!r} does not fit it.")


def _check_weights(weights: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Refuse weights that a model of these options does not have."""
    for name, value in expected.items():
        found = weights.get(name)
        is_same = (
            isinstance(found, Tensor)
            and found.shape == value.shape
            and found.is_floating_point() == value.is_floating_point()
        )
        if not is_same:
            what = _described(found) if isinstance(found, Tensor) else "nothing"
            raise MetatrainError(
                f"is damaged or of another architecture: for the weights {name!r} it has {what}, "
                f"and the model {_described(value)}."
            )
    unknown = sorted(weights.keys() - expected.keys())
    if unknown:
        raise MetatrainError(
            "is damaged, of another architecture, or older than the model: it has weights "
            f"{unknown[0]!r}, and the model none of that name."
        )


def _described(value: Tensor) -> str:
    return f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"
