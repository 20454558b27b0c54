"""Batches of systems, cut out of columns without a loop over systems."""

from typing import NamedTuple

import torch
from torch import Tensor

from metatrain.data.columns import Columns
from metatrain.data.neighbor_lists import Pairs
from metatrain.data.segments import repeat_per_row, rows_of, segment_of_row, sent
from metatrain.nn.graph import Graph


class Batch(NamedTuple):
    """Some systems as a graph, and their labels.

    :param graph: the systems
    :param values: by target, (S, V), or (N, V) for a target per atom
    :param forces: by target, (N, 3)
    :param stress: by target, (S, 3, 3)
    """

    graph: Graph
    values: dict[str, Tensor]
    forces: dict[str, Tensor]
    stress: dict[str, Tensor]


class BatchColumns:
    """A data set on the device and in the precision of the network, ready to be batched.

    What is to be subtracted from labels has to be subtracted before, in float64. A data set
    that would fill a GPU stays on the CPU, and its batches are sent.

    :param columns: systems and labels
    :param pairs: the pairs of the same systems
    :param dtype: of all floating-point numbers
    :param device: of all tensors of batches
    """

    def __init__(
        self, columns: Columns, pairs: Pairs, dtype: torch.dtype, device: torch.device
    ) -> None:
        self._target = device
        if not _has_room(columns, pairs, device):
            device = torch.device("cpu")

        def cast(labels: dict[str, Tensor]) -> dict[str, Tensor]:
            return {name: label.to(device, dtype) for name, label in labels.items()}

        # offsets stay on the CPU: sizes are needed there, and waiting for the device is slow
        self._atom_offsets = columns.offsets
        self._pair_offsets = pairs.offsets
        self._device = device
        first_atoms = repeat_per_row(columns.offsets[:-1], pairs.offsets)
        # centers and neighbors count through all systems, as the atoms of the columns do
        self._graph = Graph(
            types=columns.types.to(device),
            vectors=pairs.vectors.to(device, dtype),
            centers=(pairs.centers + first_atoms).to(device),
            neighbors=(pairs.neighbors + first_atoms).to(device),
            system=columns.system_of_atom.to(device),
            positions=columns.positions.to(device, dtype),
            cells=columns.cells.to(device, dtype),
            shifts=pairs.shifts.to(device),
            charges=columns.inputs["charge"].to(device, torch.int64),
            spin_multiplicities=columns.inputs["spin_multiplicity"].to(device, torch.int64),
        )
        self._per_atom = frozenset(filter(columns.is_per_atom, columns.values))
        self._values = cast(columns.values)
        self._forces = cast(columns.forces)
        self._stress = cast(columns.stress)

    def __len__(self) -> int:
        """Number of systems."""
        return len(self._atom_offsets) - 1

    @property
    def num_atoms(self) -> Tensor:
        """(S,) of each system."""
        return self._atom_offsets.diff()

    @property
    def num_pairs(self) -> Tensor:
        """(S,) of each system."""
        return self._pair_offsets.diff()

    def batch(self, systems: Tensor) -> Batch:
        """The systems in the order given.

        Where they stand in a row, the tensors are views of the data set: don't write to them.

        :param systems: (S,) which systems, on the CPU, at least one
        """
        first, last = int(systems[0]), int(systems[-1])
        if last - first + 1 == len(systems) and bool((systems.diff() == 1).all()):
            batch = self._batch_of_range(first, last + 1)
        else:
            batch = self._batch_of(systems)
        return batch if self._target == self._device else _sent(batch, self._target)

    def _batch_of_range(self, begin: int, end: int) -> Batch:
        atoms = slice(int(self._atom_offsets[begin]), int(self._atom_offsets[end]))
        pairs = slice(int(self._pair_offsets[begin]), int(self._pair_offsets[end]))
        systems = slice(begin, end)
        graph = Graph(
            types=self._graph.types[atoms],
            vectors=self._graph.vectors[pairs],
            centers=self._graph.centers[pairs] - atoms.start,
            neighbors=self._graph.neighbors[pairs] - atoms.start,
            system=self._graph.system[atoms] - begin,
            positions=self._graph.positions[atoms],
            cells=self._graph.cells[systems],
            shifts=self._graph.shifts[pairs],
            charges=self._graph.charges[systems],
            spin_multiplicities=self._graph.spin_multiplicities[systems],
        )
        return Batch(
            graph,
            {
                name: values[atoms if name in self._per_atom else systems]
                for name, values in self._values.items()
            },
            {name: forces[atoms] for name, forces in self._forces.items()},
            {name: stress[systems] for name, stress in self._stress.items()},
        )

    def _batch_of(self, systems: Tensor) -> Batch:
        atoms, atom_offsets = rows_of(self._atom_offsets, systems, self._device)
        pairs, pair_offsets = rows_of(self._pair_offsets, systems, self._device)
        # from counting through the columns to counting through the batch
        shifts = sent(atom_offsets[:-1] - self._atom_offsets[systems], self._device)
        shift_of_pair = repeat_per_row(shifts, pair_offsets)
        rows = sent(systems, self._device)
        graph = Graph(
            types=self._graph.types.index_select(0, atoms),
            vectors=self._graph.vectors.index_select(0, pairs),
            centers=self._graph.centers.index_select(0, pairs).add_(shift_of_pair),
            neighbors=self._graph.neighbors.index_select(0, pairs).add_(shift_of_pair),
            system=sent(segment_of_row(atom_offsets), self._device),
            positions=self._graph.positions.index_select(0, atoms),
            cells=self._graph.cells.index_select(0, rows),
            shifts=self._graph.shifts.index_select(0, pairs),
            charges=self._graph.charges.index_select(0, rows),
            spin_multiplicities=self._graph.spin_multiplicities.index_select(0, rows),
        )
        return Batch(
            graph,
            {
                name: values.index_select(0, atoms if name in self._per_atom else rows)
                for name, values in self._values.items()
            },
            {name: forces.index_select(0, atoms) for name, forces in self._forces.items()},
            {name: stress.index_select(0, rows) for name, stress in self._stress.items()},
        )


def _has_room(columns: Columns, pairs: Pairs, device: torch.device) -> bool:
    """Whether a data set takes less than half of the memory that a GPU has left."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    # of each pair vector, center, neighbor and shifts; of each atom type, system, position, forces
    needed = 40 * len(pairs.centers) + 40 * len(columns.types)
    return needed < free / 2


def _sent(batch: Batch, device: torch.device) -> Batch:
    """The same batch on a device."""

    def all_sent(labels: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: sent(label, device) for name, label in labels.items()}

    graph = Graph(*(sent(part, device) for part in batch.graph))
    return Batch(graph, all_sent(batch.values), all_sent(batch.forces), all_sent(batch.stress))
