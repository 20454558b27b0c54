"""Where data comes from: the typed form of a ``training_set`` entry."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class SystemsSource:
    """The file that holds the systems.

    :param read_from: path of the file
    :param reader: name of the reader plug-in; ``None`` lets the suffix decide
    :param length_unit: unit of positions and cells in the file
    """

    read_from: str
    reader: str | None = None
    length_unit: str = ""


@dataclass(frozen=True)
class GradientSource:
    """Where forces, stress or virial stand.

    :param read_from: path of the file
    :param reader: name of the reader plug-in; ``None`` lets the suffix decide
    :param key: name of the label in the file
    :param is_required: whether the user asked for it, so that its absence from the whole
        file is an error; otherwise it is taken where the file has it
    """

    read_from: str
    reader: str | None
    key: str
    is_required: bool


@dataclass(frozen=True)
class TargetSource:
    """Where the values of one target stand, and what they are; see ``data.target.Target``."""

    read_from: str
    reader: str | None
    key: str
    quantity: str = ""
    unit: str = ""
    sample_kind: Literal["system", "atom"] = "system"
    reduction: Literal["sum", "mean"] = "sum"
    num_subtargets: int = 1
    rank: int = 0
    irreps: tuple[tuple[int, int], ...] = ()
    description: str = ""
    forces: GradientSource | None = None
    stress: GradientSource | None = None
    virial: GradientSource | None = None


@dataclass(frozen=True)
class DataSource:
    """One data set of the options file.

    :param where: its key in the options file, such as ``training_set[0]``, for messages;
        empty where the data set is the whole file
    :param indices: rows of the file to take, in this order; ``None`` takes all
    """

    where: str
    systems: SystemsSource
    targets: dict[str, TargetSource] = field(default_factory=dict)
    indices: tuple[int, ...] | None = None

    def key(self, name: str) -> str:
        """The full key of something within, such as ``training_set[0].targets.energy``."""
        return f"{self.where}.{name}" if self.where else name
