"""What is learned: targets, and what a model knows about its data set."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from metatrain.errors import MetatrainError

if TYPE_CHECKING:
    from metatensor.torch import Labels, TensorBlock, TensorMap


@dataclass(frozen=True)
class BlockLayout:
    """One block of a target: its key, its components, and where its flat values stand.

    :param key: values of the key, one for each of :attr:`Target.key_names`
    :param components: name and indices of each component
    :param columns: which of the target's flat values are the block's
    """

    key: tuple[int, ...]
    components: tuple[tuple[str, range], ...]
    columns: slice

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of components of each kind."""
        return tuple(len(indices) for _, indices in self.components)

    @property
    def num_components(self) -> int:
        """The number of values for each property."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Target:
    """A quantity that a model learns to predict.

    A target is a scalar, a Cartesian tensor, or a list of spherical tensors (irreducible
    representations of O(3)). Inside metatrain the values of a sample are one flat row of
    ``num_values`` numbers: block after block, and within a block by component, property
    fastest. A scalar or Cartesian target is one block, a spherical one has a block for
    each irreducible representation.

    :param name: the name in the options file; also the name of the model's output
    :param quantity: ``"energy"``, another physical quantity, or ``""``
    :param unit: unit of the values; ``""`` if the user gave none
    :param sample_kind: ``"system"`` (one value per system) or ``"atom"``
    :param reduction: how a value per system comes from values per atom, ``"sum"`` or
        ``"mean"``; without meaning for ``sample_kind="atom"``
    :param num_properties: P, the number of tensors of the same kind per sample
    :param rank: of a Cartesian tensor: 1 for a vector, 2 for a 3x3 matrix; 0 for others
    :param irreps: lambda and sigma of each spherical tensor: it has 2 lambda + 1 components,
        and inversion multiplies it by sigma (-1)^lambda; empty for others
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
    rank: int = 0
    irreps: tuple[tuple[int, int], ...] = ()
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
    def is_scalar(self) -> bool:
        """Whether its values stay what they are when the system turns."""
        return self.rank == 0 and not self.irreps

    @property
    def num_values(self) -> int:
        """V, the number of values per sample."""
        return self.blocks[-1].columns.stop

    @property
    def key_names(self) -> list[str]:
        """Names of the keys of the target's ``TensorMap``s."""
        return ["o3_lambda", "o3_sigma"] if self.irreps else ["_"]

    @property
    def blocks(self) -> tuple[BlockLayout, ...]:
        """The blocks, in the order of their values."""
        if not self.irreps:
            names = ["xyz"] if self.rank == 1 else [f"xyz_{i + 1}" for i in range(self.rank)]
            components = tuple((name, range(3)) for name in names)
            return (BlockLayout((0,), components, slice(0, 3**self.rank * self.num_properties)),)
        blocks, first = [], 0
        for angular, sigma in self.irreps:
            components = (("o3_mu", range(-angular, angular + 1)),)
            last = first + (2 * angular + 1) * self.num_properties
            blocks.append(BlockLayout((angular, sigma), components, slice(first, last)))
            first = last
        return tuple(blocks)

    @property
    def is_invariant(self) -> Tensor:
        """(V,) which values stay what they are when the system turns or is mirrored."""
        is_invariant = torch.full((self.num_values,), self.is_scalar)
        for block in self.blocks:
            is_invariant[block.columns] |= block.key == (0, 1)
        return is_invariant

    @property
    def gradients(self) -> tuple[str, ...]:
        """The derivatives of the target that the data holds: ``positions``, ``strain``."""
        return ("positions",) * self.has_forces + ("strain",) * self.has_stress

    @property
    def sample_names(self) -> list[str]:
        """Names of the samples of the target's ``TensorMap``s."""
        return ["system", "atom"] if self.is_per_atom else ["system"]

    @property
    def layout(self) -> "TensorMap":
        """A ``TensorMap`` without samples: the keys, components and properties of a value."""
        from metatensor.torch import Labels, TensorMap  # noqa: PLC0415 (takes half a second)

        names = self.sample_names
        samples = Labels(names, torch.zeros((0, len(names)), dtype=torch.int32))
        nothing = torch.zeros((0, self.num_values), dtype=torch.float64)
        return TensorMap(self.keys, self.tensor_blocks(nothing, samples))

    @property
    def keys(self) -> "Labels":
        """The keys of the target's ``TensorMap``s."""
        from metatensor.torch import Labels  # noqa: PLC0415 (takes half a second)

        return Labels(self.key_names, torch.tensor([block.key for block in self.blocks]))

    def tensor_blocks(self, values: Tensor, samples: "Labels") -> "list[TensorBlock]":
        """The flat values of some samples as the blocks of a ``TensorMap``.

        :param values: (S, V), or (N, V) for a target per atom
        :param samples: what the rows belong to
        """
        from metatensor.torch import Labels, TensorBlock  # noqa: PLC0415 (takes half a second)

        # Labels.range cannot be saved in an export
        properties = Labels(self.property_name, torch.arange(self.num_properties).reshape(-1, 1))
        return [
            TensorBlock(
                values=values[:, block.columns].reshape(
                    len(values), *block.shape, self.num_properties
                ),
                samples=samples,
                components=[
                    Labels(name, torch.tensor(indices).reshape(-1, 1))
                    for name, indices in block.components
                ],
                properties=properties,
            )
            for block in self.blocks
        ]

    def flat_values(self, tensor_map: "TensorMap") -> Tensor:
        """The inverse of :meth:`tensor_blocks`, whatever the order of the blocks.

        :return: (S, V), or (N, V) for a target per atom
        """
        if len(tensor_map.keys) == 1:
            return tensor_map.block().values.flatten(start_dim=1)
        keys = [dict(zip(self.key_names, block.key, strict=True)) for block in self.blocks]
        return torch.cat([tensor_map.block(key).values.flatten(start_dim=1) for key in keys], dim=1)

    @property
    def property_name(self) -> str:
        """Name of the property dimension of the target's ``TensorMap``s."""
        if self.irreps:
            return "n"
        # metatomic fixes the names of the properties of its standard quantities
        if self.quantity == "energy":
            return "energy"
        # and metatensor takes identifiers alone
        name = re.sub(r"\W", "_", self.name, flags=re.ASCII)
        return name if name.isidentifier() else f"_{name}"


def check_scalars(targets: Mapping[str, Target], architecture: str) -> None:
    """Refuse targets that turn with the system, for an architecture that learns scalars only."""
    for name, target in targets.items():
        if not target.is_scalar:
            kind = "spherical" if target.irreps else "Cartesian"
            raise MetatrainError(
                f"targets.{name}: is a {kind} tensor, and {architecture} learns scalars only; take "
                "another architecture or a scalar target."
            )


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
        info = cls(container["length_unit"], list(container["atomic_types"]), targets)
        if not info._is_plain:
            raise TypeError
        return info

    @property
    def _is_plain(self) -> bool:
        """Whether everything is of the type it should be, as it need not be in a file."""
        kinds = {name: type(value) for name, value in vars(Target("")).items()}
        values = [item for target in self.targets.values() for item in vars(target).items()]
        return (
            type(self.length_unit) is str
            and len(self.atomic_types) > 0
            and all(type(number) is int and number >= 0 for number in self.atomic_types)
            and all(type(value) is kinds[name] for name, value in values)
        )
