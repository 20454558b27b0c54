"""The samples of a data set: systems and labels as metatensor objects.

A module of its own: to import metatensor takes half a second, and who trains on columns needs
none of it before the export.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from metatensor.learn import Dataset as SampleDataset
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import NeighborListOptions, System
from torch import Tensor

from metatrain.data.inputs import SYSTEM_INPUTS
from metatrain.data.target import Target

PAIR_NAMES = ["first_atom", "second_atom", "cell_shift_a", "cell_shift_b", "cell_shift_c"]


class Samples:
    """What a data set gives for an index, made when it is asked for.

    :param dataset: a :class:`metatrain.data.dataset.Dataset`
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self.columns = dataset.columns
        self.dtype = dataset.dtype
        fields: dict[str, Callable[[int], Any]] = {"system": self._system}
        for name, target in dataset.targets.items():
            fields[name] = partial(self._labels, target)
        self._samples = SampleDataset.from_dict(fields, size=len(dataset))

    def __getitem__(self, index: int) -> Any:
        """The sample of one system."""
        return self._samples[index]

    def _system(self, index: int) -> System:
        columns = self.columns
        atoms = _segment(columns.offsets, index)
        system = System(
            types=columns.types[atoms].to(torch.int32),
            positions=columns.positions[atoms].to(self.dtype),
            cell=columns.cells[index].to(self.dtype),
            pbc=columns.pbc[index],
        )
        for options in self.dataset.neighbor_lists:
            system.add_neighbor_list(options, self._neighbors(index, options))
        for name in self.dataset.inputs:
            value = columns.inputs[name][index].to(self.dtype)
            system.add_data(name, tensor_map_of(name, value))
        return system

    def _neighbors(self, index: int, options: NeighborListOptions) -> TensorBlock:
        pairs = self.dataset.pairs(options.engine_cutoff(self.dataset.length_unit))
        rows = _segment(pairs.offsets, index)
        ends = torch.stack([pairs.centers[rows], pairs.neighbors[rows]], dim=1)
        samples = torch.cat([ends, pairs.shifts[rows]], dim=1)
        vectors = pairs.vectors[rows].to(self.dtype)
        if not options.full_list:
            is_first = _is_first_of_two(samples)
            samples, vectors = samples[is_first], vectors[is_first]
        return TensorBlock(
            values=vectors.unsqueeze(2),
            samples=Labels(PAIR_NAMES, samples, assume_unique=True),
            components=[Labels.range("xyz", 3)],
            properties=Labels.range("distance", 1),
        )

    def _labels(self, target: Target, index: int) -> TensorMap:
        atoms = _segment(self.columns.offsets, index)
        if target.is_per_atom:
            values, samples = self._label(self.columns.values, target, atoms), _atoms(index, atoms)
        else:
            values = self._label(self.columns.values, target, slice(index, index + 1))
            samples = torch.tensor([[index]])
        blocks = target.tensor_blocks(values, Labels(target.sample_names, samples))
        for block in blocks:
            if target.has_forces:
                block.add_gradient("positions", self._position_gradient(target, index, block))
            if target.has_stress:
                block.add_gradient("strain", self._strain_gradient(target, index, block))
        return TensorMap(target.keys, blocks)

    def _label(self, labels: dict[str, Tensor], target: Target, rows: slice) -> Tensor:
        return labels[target.name][rows].to(self.dtype)

    def _position_gradient(self, target: Target, index: int, block: TensorBlock) -> TensorBlock:
        atoms = _segment(self.columns.offsets, index)
        samples = torch.nn.functional.pad(_atoms(index, atoms), (1, 0))
        return TensorBlock(
            values=-self._label(self.columns.forces, target, atoms).unsqueeze(2),
            samples=Labels(["sample", "system", "atom"], samples),
            components=[Labels.range("xyz", 3)],
            properties=block.properties,
        )

    def _strain_gradient(self, target: Target, index: int, block: TensorBlock) -> TensorBlock:
        derivative = self.columns.stress[target.name][index] * self.columns.volumes[index]
        return TensorBlock(
            values=derivative.to(self.dtype).reshape(1, 3, 3, 1),
            samples=Labels.range("sample", 1),
            components=[Labels.range("xyz_1", 3), Labels.range("xyz_2", 3)],
            properties=block.properties,
        )


def _segment(offsets: Tensor, index: int) -> slice:
    return slice(int(offsets[index]), int(offsets[index + 1]))


def _atoms(index: int, atoms: slice) -> Tensor:
    """(N, 2) the system, and the atoms counted within it."""
    numbers = torch.arange(atoms.stop - atoms.start)
    return torch.stack([torch.full_like(numbers, index), numbers], dim=1)


def _is_first_of_two(samples: Tensor) -> Tensor:
    """Which of the two directions of each pair a half list keeps.

    :param samples: (E, 5) center, neighbor and the three shifts
    """
    center, neighbor, *shifts = samples.unbind(dim=1)
    is_up = center < neighbor
    is_tie = center == neighbor
    # an atom sees an image of itself on either side: the first shift that is not zero decides
    for shift in shifts:
        is_up = is_up | (is_tie & (shift > 0))
        is_tie = is_tie & (shift == 0)
    return is_up


def tensor_map_of(name: str, value: Tensor) -> TensorMap:
    """The value of one system as metatomic keeps it.

    :param name: one of :data:`SYSTEM_INPUTS`
    :param value: one number
    """
    zero = torch.tensor([[0]])
    block = TensorBlock(
        values=value.reshape(1, 1),
        samples=Labels(["system"], zero),
        components=[],
        properties=Labels([name], zero),
    )
    tensor_map = TensorMap(Labels(["_"], zero), [block])
    tensor_map.set_info("unit", SYSTEM_INPUTS[name].unit)
    return tensor_map
