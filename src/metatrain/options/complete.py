"""Options as the rest of metatrain sees them: typed, complete, frozen."""

import dataclasses
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml

from metatrain.data.source import DataSource, GradientSource, TargetSource
from metatrain.files import replacing
from metatrain.hypers.check import escaped, plain
from metatrain.hypers.mistakes import Origin, Place
from metatrain.options.target_type import type_of
from metatrain.plugins import Architecture


@dataclass(frozen=True)
class Fraction:
    """A part of the training data, drawn from the seed.

    :param value: between 0 (nothing) and 1 (not included)
    """

    value: float


@dataclass(frozen=True)
class Rows:
    """Rows of the training file.

    :param indices: counted from 0, in this order
    """

    indices: tuple[int, ...]


@dataclass(frozen=True)
class ArchitectureOptions:
    """What to train, and how.

    :param name: the name in the options file
    :param plugin: the classes
    :param model: options of the model: an instance of its ``Hypers``, or a dictionary if it
        has none
    :param training: the same for the trainer
    :param atomic_types: atomic numbers that the model is to know, ascending; ``None`` for
        those of the data
    :param given_model: the options of the model that the file gives, as they stand there
    """

    name: str
    plugin: Architecture
    model: Any
    training: Any
    atomic_types: tuple[int, ...] | None = None
    given_model: Any = field(default=None, compare=False)


@dataclass(frozen=True)
class Options:
    """All that one run needs to know.

    :param training_set: the data to learn from
    :param validation_set: the data to choose the best model by
    :param test_set: the data for the final errors
    :param device: the user's wish; ``None`` for the best there is
    :param base_precision: bits of a number in the network; ``None`` for the model's wish
    :param seed: what all random numbers come from; ``None`` if it is still to be drawn
    :param print_stats: whether the census goes to the log; ``"auto"`` is read as yes
    :param final_eval: whether errors on validation and test set are computed after training
    :param notes: what was assumed because the file does not say it, one line each
    :param place: the file, for messages
    """

    architecture: ArchitectureOptions
    training_set: tuple[DataSource, ...]
    validation_set: Fraction | Rows | tuple[DataSource, ...]
    test_set: Fraction | Rows | tuple[DataSource, ...] = Fraction(0.0)
    device: str | None = None
    base_precision: int | None = None
    seed: int | None = None
    print_stats: bool | str = "auto"
    final_eval: bool = True
    notes: tuple[str, ...] = field(default=(), compare=False)
    place: Place = field(default=Place(Origin("")), compare=False)

    def resolved(self, **found: Any) -> Self:
        """The same options with what was found out since: seed, device, precision, data.

        :param found: the fields that are now known
        """
        return dataclasses.replace(self, **found)

    def as_container(self) -> dict[str, Any]:
        """Plain dictionaries, lists, strings and numbers that ``parse`` understands."""
        architecture = self.architecture
        return {
            "device": self.device,
            "base_precision": self.base_precision,
            "seed": self.seed,
            "print_stats": self.print_stats,
            "final_eval": self.final_eval,
            "architecture": {
                "name": architecture.name,
                "atomic_types": plain(architecture.atomic_types),
                "model": plain(architecture.model),
                "training": plain(architecture.training),
            },
            "training_set": _set_container(self.training_set),
            "validation_set": _set_container(self.validation_set),
            "test_set": _set_container(self.test_set),
        }

    def complete_yaml(self) -> str:
        """The options file that says all of it; ``parse`` makes equal options from it."""
        return yaml.dump(
            self.as_container(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=96
        )

    def write(self, path: str | Path) -> None:
        """Write :meth:`complete_yaml`: to a temporary name, synced, renamed."""
        with replacing(Path(path)) as temporary:
            temporary.write_text(self.complete_yaml(), encoding="utf-8")


def _set_container(data: Fraction | Rows | tuple[DataSource, ...]) -> Any:
    if isinstance(data, Fraction):
        return data.value
    if isinstance(data, Rows):
        return {"indices": list(data.indices)}
    containers = [_source_container(source) for source in data]
    # a list of one set is written as such, so that its sources keep their names
    is_list = len(data) != 1 or data[0].where.endswith("]")
    return containers if is_list else containers[0]


def _source_container(source: DataSource) -> dict[str, Any]:
    container: dict[str, Any] = {
        "systems": vars(source.systems).copy(),
        "targets": {name: _target_container(target) for name, target in source.targets.items()},
    }
    if source.indices is not None:
        container["indices"] = list(source.indices)
    return container


def _target_container(target: TargetSource) -> dict[str, Any]:
    gradients = {
        key: _gradient_container(gradient)
        for key, gradient in (
            ("forces", target.forces),
            ("stress", target.stress),
            ("virial", target.virial),
        )
        if gradient is None or gradient.is_required
    }
    container = vars(target) | {"type": type_of(target)}
    for key in ("rank", "irreps", "forces", "stress", "virial"):
        container.pop(key)
    if target.sample_kind == "atom":
        container.pop("reduction")
    return container | gradients


def _gradient_container(gradient: GradientSource | None) -> Any:
    """``False`` for what is off; what the file may or may not have is left out before."""
    if gradient is None:
        return False
    return {"read_from": gradient.read_from, "reader": gradient.reader, "key": gradient.key}


class _Dumper(yaml.SafeDumper):
    """Lists of plain values on one line, no aliases, text that stays text."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _represent_list(dumper: _Dumper, values: list[Any]) -> yaml.Node:
    is_flat = not any(isinstance(value, dict | list) for value in values)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=is_flat)


def _represent_text(dumper: _Dumper, text: str) -> yaml.Node:
    # what looks like an interpolation is text here: all of them are resolved
    return dumper.represent_scalar("tag:yaml.org,2002:str", escaped(text))


_Dumper.add_representer(list, _represent_list)
_Dumper.add_representer(str, _represent_text)
# The options are read by YAML 1.2's rule for floats, which takes '1e5' for a number; text
# that looks so must be quoted.
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*\.?[\d_]*|\.[\d_]+)([eE][-+]?\d+)?$"),
    list("-+.0123456789"),
)
