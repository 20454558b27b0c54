"""What is learned: targets, and what a model knows about its data set."""

import re
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap


@dataclass(frozen=True)
class Target:
    """A quantity that a model learns to predict.

    :param name: the name in the options file; also the name of the model's output
    :param quantity: ``"energy"``, another physical quantity, or ``""``
    :param unit: unit of the values; ``""`` if the user gave none
    :param sample_kind: ``"system"`` (one value per system) or ``"atom"``
    :param reduction: how a value per system comes from values per atom, ``"sum"`` or
        ``"mean"``; without meaning for ``sample_kind="atom"``
    :param num_properties: P, the number of values per sample
    :param has_forces: the data has −dE/dr, one vector per atom
    :param has_stress: the data has (dE/dstrain)/volume, one matrix per system
    :param description: free text that goes into the exported model
    """

    name: str
    quantity: str = ""
    unit: str = ""
    sample_kind: Literal["system", "atom"] = "system"
    reduction: Literal["sum", "mean"] = "sum"
    num_properties: int = 1
    has_forces: bool = False
    has_stress: bool = False
    description: str = ""

    @property
    def is_per_atom(self) -> bool:
        """Whether the data has one value per atom rather than per system."""
        return self.sample_kind == "atom"

    @property
    def is_extensive(self) -> bool:
        """Whether a value per system grows with the number of its atoms."""
        return not self.is_per_atom and self.reduction == "sum"

    @property
    def gradients(self) -> tuple[str, ...]:
        """The derivatives of the target that the data holds: ``positions``, ``strain``."""
        return ("positions",) * self.has_forces + ("strain",) * self.has_stress

    @property
    def layout(self) -> TensorMap:
        """A ``TensorMap`` without samples: the keys, components and properties of a value."""
        names = ["system", "atom"] if self.is_per_atom else ["system"]
        block = TensorBlock(
            values=torch.zeros((0, self.num_properties), dtype=torch.float64),
            samples=Labels(names, torch.zeros((0, len(names)), dtype=torch.int32)),
            components=[],
            properties=Labels.range(self.property_name, self.num_properties),
        )
        return TensorMap(Labels("_", torch.tensor([[0]])), [block])

    @property
    def property_name(self) -> str:
        """Name of the property dimension of the target's ``TensorMap``s."""
        # metatomic fixes the names of the properties of its standard quantities
        if self.quantity == "energy":
            return "energy"
        # and metatensor takes identifiers alone
        name = re.sub(r"\W", "_", self.name, flags=re.ASCII)
        return name if name.isidentifier() else f"_{name}"


@dataclass(frozen=True)
class DatasetInfo:
    """What a model is told about its data set.

    :param length_unit: unit of positions and cells, and so of the model's cutoff
    :param atomic_types: atomic numbers that the model knows, ascending
    :param targets: the targets by name
    """

    length_unit: str
    atomic_types: list[int]
    targets: dict[str, Target] = field(default_factory=dict)

    def as_container(self) -> dict[str, Any]:
        """The same as plain dictionaries, lists, strings and numbers, for checkpoints."""
        return {
            "length_unit": self.length_unit,
            "atomic_types": list(self.atomic_types),
            "targets": {name: vars(target).copy() for name, target in self.targets.items()},
        }

    @classmethod
    def from_container(cls, container: dict[str, Any]) -> "DatasetInfo":
        """The inverse of :meth:`as_container`."""
        targets = {name: Target(**fields) for name, fields in container["targets"].items()}
        return cls(container["length_unit"], list(container["atomic_types"]), targets)
