"""The sections of an options file, as they may be written."""

from dataclasses import dataclass, field
from typing import Any

from metatrain.hypers import hyper


def _required(meaning: str, **bounds: Any) -> Any:
    """A field that must be given, within the bounds of :func:`metatrain.hypers.hyper`."""
    return field(metadata={"meaning": meaning, **bounds})


@dataclass(frozen=True)
class FileSection:
    """The whole file."""

    architecture: Any = _required("the architecture to train: its name and its options")
    training_set: Any = _required("the data to train on")
    validation_set: Any = _required("the data to validate with: a fraction such as 0.1, or a file")
    test_set: Any = hyper(0.0, "the data to test with")
    device: str | None = hyper(None, "where to compute; by default the best device there is")
    base_precision: int | None = hyper(
        None, "bits of a number in the network", choices=(16, 32, 64)
    )
    seed: int | None = hyper(None, "what all random numbers are drawn from", minimum=0)
    print_stats: bool | str = hyper(
        "auto", "whether to log the census", choices=(True, False, "auto")
    )
    final_eval: bool = hyper(
        True, "whether to log errors on validation and test set after training"
    )
    wandb: Any = hyper(None, "known from other versions, and refused")


@dataclass(frozen=True)
class ArchitectureSection:
    """``architecture``."""

    name: str = _required("the name of an installed architecture")
    model: Any = hyper(None, "options of the model")
    training: Any = hyper(None, "options of the trainer")
    atomic_types: list[int] | None = hyper(
        None, "atomic numbers the model knows", minimum=1, maximum=118
    )


@dataclass(frozen=True)
class DatasetSection:
    """One data set."""

    systems: Any = _required("the file with the systems")
    targets: Any = hyper(None, "what is learned")
    indices: Any = hyper(None, "rows of the file to take")
    extra_data: Any = hyper(None, "known from other versions, and refused")


@dataclass(frozen=True)
class SystemsSection:
    """``systems`` of a data set."""

    read_from: str = _required("the file with the systems")
    reader: str | None = hyper(None, "reader plug-in; by default the suffix decides")
    length_unit: str | None = hyper(None, "unit of positions and cells")


@dataclass(frozen=True)
class TargetSection:
    """One entry of ``targets``."""

    quantity: str | None = hyper(None, "what is measured, such as 'energy'")
    read_from: str | None = hyper(None, "the file; by default that of the systems")
    reader: str | None = hyper(None, "reader plug-in; by default the suffix decides")
    key: str | None = hyper(None, "name in the file; by default the name of the target")
    unit: str | None = hyper(None, "unit of the values")
    sample_kind: str | None = hyper(None, "whether a value belongs to a system or an atom")
    per_atom: bool | None = hyper(None, "older way to say sample_kind: atom")
    reduction: str | None = hyper(None, "from atoms to a system", choices=("sum", "mean"))
    type: Any = hyper("scalar", "how values turn with the system")
    num_subtargets: int = hyper(1, "number of values per sample", minimum=1)
    description: str = hyper("", "free text for the exported model")
    forces: Any = hyper(None, "negative derivative by the positions")
    stress: Any = hyper(None, "derivative by the strain, over the volume")
    virial: Any = hyper(None, "negative derivative by the strain")


@dataclass(frozen=True)
class CartesianSection:
    """``type.cartesian`` of a target."""

    rank: int = _required("1 for a vector, 2 for a 3x3 matrix", minimum=1)


@dataclass(frozen=True)
class SphericalSection:
    """``type.spherical`` of a target."""

    irreps: Any = _required("the irreducible representations, a list")
    product: str | None = hyper(None, "known from other versions, and refused")


@dataclass(frozen=True)
class IrrepSection:
    """One entry of ``type.spherical.irreps``."""

    o3_lambda: int = _required("angular momentum: 2 lambda + 1 components", minimum=0)
    o3_sigma: int = _required("1 for proper tensors, -1 for pseudotensors", choices=(1, -1))
    num: int = hyper(1, "known from other versions: num_subtargets says it here")


@dataclass(frozen=True)
class GradientSection:
    """``forces``, ``stress`` or ``virial`` of a target."""

    read_from: str | None = hyper(None, "the file; by default that of the target")
    reader: str | None = hyper(None, "reader plug-in; by default the suffix decides")
    key: str | None = hyper(None, "name in the file; by default that of the gradient")


@dataclass(frozen=True)
class RowsSection:
    """``validation_set`` or ``test_set`` as rows of the training file."""

    indices: Any = _required("rows of the training file")
