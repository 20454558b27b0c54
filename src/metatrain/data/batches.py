"""Batches of systems, cut out of columns without a loop over systems."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from metatrain.data.columns import Columns
from metatrain.data.neighbor_lists import Pairs
from metatrain.data.segments import repeat_per_row, rows_of, segment_of_row
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

    What is to be subtracted from labels has to be subtracted before, in float64.

    :param columns: systems and labels
    :param pairs: the pairs of the same systems
    :param dtype: of all floating-point numbers
    :param device: of all tensors
    """

    def __init__(
        self, columns: Columns, pairs: Pairs, dtype: torch.dtype, device: torch.device
    ) -> None:
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

    def batch(self, systems: Tensor) -> Batch:
        """The systems in the order given.

        Where they stand in a row, the tensors are views of the data set: don't write to them.

        :param systems: (S,) which systems, on the CPU, at least one
        """
        first, last = int(systems[0]), int(systems[-1])
        if last - first + 1 == len(systems) and bool((systems.diff() == 1).all()):
            return self._batch_of_range(first, last + 1)
        return self._batch_of(systems)

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
        shifts = (atom_offsets[:-1] - self._atom_offsets[systems]).to(self._device)
        shift_of_pair = repeat_per_row(shifts, pair_offsets)
        rows = systems.to(self._device)
        graph = Graph(
            types=self._graph.types.index_select(0, atoms),
            vectors=self._graph.vectors.index_select(0, pairs),
            centers=self._graph.centers.index_select(0, pairs).add_(shift_of_pair),
            neighbors=self._graph.neighbors.index_select(0, pairs).add_(shift_of_pair),
            system=segment_of_row(atom_offsets).to(self._device),
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


def epoch_batches(num_systems: int, batch_size: int, seed_of_epoch: int | None) -> list[Tensor]:
    """The batches of one epoch: every system once, the last batch possibly smaller.

    :param num_systems: S
    :param batch_size: systems per batch
    :param seed_of_epoch: seed of the order of this epoch alone; ``None`` keeps the order
    """
    if seed_of_epoch is None:
        order = np.arange(num_systems)
    else:
        order = np.random.default_rng(seed_of_epoch).permutation(num_systems)
    return list(torch.from_numpy(order).split(batch_size))
