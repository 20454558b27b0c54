"""The data set that trainers get: samples of metatensor objects, and the columns behind them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from metatrain.data.columns import Columns
from metatrain.data.inputs import check_names
from metatrain.data.neighbor_lists import Pairs, find_pairs
from metatrain.data.target import Target

if TYPE_CHECKING:
    from metatomic.torch import NeighborListOptions

    from metatrain.data.samples import Samples


class Dataset(torch.utils.data.Dataset[Any]):
    """Systems and their labels.

    A sample is a named tuple of metatensor-learn: ``sample.system`` is a ``System`` with
    the requested neighbor lists, ``sample.energy`` (or any other target) a ``TensorMap``.
    A target whose name is not an identifier is reached by it all the same, as
    ``sample["mtt::U0"]``. The collate functions of ``metatensor.learn`` take the samples,
    in one process: what they give does not go from one process to another.

    Values have the unit of the columns. Gradients by ``positions`` are −forces, those by
    ``strain`` are stress times volume; what a system has no label for is NaN.

    A trainer that wants flat arrays takes ``columns`` and ``pairs(cutoff)`` instead.

    :param columns: systems and labels
    :param targets: the targets, by name
    :param dtype: of systems and labels in the samples
    :param length_unit: unit of positions and cells
    :param neighbor_lists: gives the lists that every system carries, when a sample is asked for
    :param inputs: names of what else every system carries, ``charge`` or ``spin_multiplicity``
    """

    def __init__(
        self,
        columns: Columns,
        targets: Mapping[str, Target],
        dtype: torch.dtype,
        *,
        length_unit: str = "",
        neighbor_lists: "Callable[[], Sequence[NeighborListOptions]]" = tuple,
        inputs: Iterable[str] = (),
    ) -> None:
        self.columns = columns.completed(targets)
        self.targets = dict(targets)
        self.dtype = dtype
        self.length_unit = length_unit
        self._requested_neighbor_lists = neighbor_lists
        self.inputs = tuple(inputs)
        check_names(self.inputs)
        self._pairs: dict[float, Pairs] = {}

    def __len__(self) -> int:
        """Number of systems."""
        return len(self.columns)

    def __getitem__(self, index: int) -> Any:
        """The sample of one system."""
        if not 0 <= index < len(self):
            raise IndexError(f"there is no system {index} among {len(self)}")
        return self._samples[index]

    @cached_property
    def neighbor_lists(self) -> "tuple[NeighborListOptions, ...]":
        """The lists that every system carries."""
        return tuple(self._requested_neighbor_lists())

    @cached_property
    def _samples(self) -> "Samples":
        from metatrain.data.samples import Samples  # noqa: PLC0415 (takes half a second)

        return Samples(self)

    def pairs(self, cutoff: float) -> Pairs:
        """The pairs of all systems, found when they are first asked for, then kept.

        :param cutoff: radius of the neighborhood, in the length unit of the data set
        """
        if cutoff not in self._pairs:
            self._pairs[cutoff] = find_pairs(self.columns, cutoff)
        return self._pairs[cutoff]
