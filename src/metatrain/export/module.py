"""The module inside an exported model: systems in, ``TensorMap``s out."""

import copy
import math

# TorchScript reads the annotations of forward, and knows typing's names only.
from typing import Any, Dict, Final, List, Optional, Tuple

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import (
    AtomisticModel,
    ModelCapabilities,
    ModelMetadata,
    ModelOutput,
    NeighborListOptions,
    System,
)
from torch import Tensor

from metatrain.nn.folding import fold
from metatrain.nn.graph import Graph

RETAINED_BYTES = 31 << 20
"""Size of the block that makes the C library keep the memory of a step for the next one."""


class TargetOutput(torch.nn.Module):
    """Turns what the network says of one target into the target's values.

    :param target: a :class:`metatrain.data.target.Target`
    :param baseline: (T, V)
    :param scale: (1, V), or (T, V)
    """

    # TorchScript cannot tell the type of an empty list
    components: List[List[Labels]]

    def __init__(self, target: Any, baseline: Tensor, scale: Tensor) -> None:
        super().__init__()
        layout = target.layout
        self.keys = layout.keys
        self.components = [block.components for block in layout.blocks()]
        self.properties = layout.block(0).properties
        self.is_mean: bool = not target.is_per_atom and not target.is_extensive
        self.baseline: Tensor
        self.scale: Tensor
        self.register_buffer("baseline", baseline)
        self.register_buffer("scale", scale)

    def forward(self, per_atom: Tensor, rows: Tensor) -> Tensor:
        """Values per atom.

        :param per_atom: (N, V) from the network
        :param rows: (N,) row of the baseline for each atom
        :return: (N, V) in the target's unit
        """
        scale = self.scale if len(self.scale) == 1 else self.scale.index_select(0, rows)
        values = per_atom.to(self.baseline.dtype)
        return torch.addcmul(self.baseline.index_select(0, rows), values, scale)

    def reduced(
        self, values: Tensor, system: Tensor, num_systems: int, selected: Optional[Tensor]
    ) -> Tuple[Tensor, Tensor]:
        """Values per system from those per atom.

        :param values: (N, V)
        :param system: (N,)
        :param selected: indices of the atoms that count; all if ``None``
        :return: (S, V) sums or means, and (S,) the systems that have a selected atom
        """
        kept = torch.arange(num_systems, device=values.device)
        if selected is not None:
            values, system = values[selected], system[selected]
            kept = torch.unique(system)
        if num_systems == 1:
            sums = values.sum(dim=0, keepdim=True)
        else:
            sums = values.new_zeros([num_systems, values.shape[1]]).index_add(0, system, values)
        if self.is_mean:
            counts = torch.bincount(system, minlength=num_systems)
            sums = sums / counts.clamp(min=1).to(values.dtype).unsqueeze(1)
        if selected is not None:
            sums = sums[kept]
        return sums, kept

    def tensor_map(self, values: Tensor, samples: Labels) -> TensorMap:
        """The values with the components of the target.

        :param values: (S, V), or (N, V) per atom
        :param samples: what the rows belong to
        """
        device = values.device
        properties = self.properties.to(device)
        blocks: List[TensorBlock] = []
        first = 0
        for own in self.components:
            components = [labels.to(device) for labels in own]
            shape = [len(labels) for labels in own] + [len(properties)]
            width = 1
            for length in shape:
                width *= length
            block = values[:, first : first + width].reshape([len(values)] + shape)  # noqa: RUF005
            blocks.append(TensorBlock(block, samples, components, properties))
            first += width
        return TensorMap(self.keys.to(device), blocks)


def one_tensor(parts: List[Tensor]) -> Tensor:
    """All parts as one tensor; a single one, which engines mostly give, is not copied."""
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def retain_memory(num_bytes: int) -> bool:
    """Let steps use the memory of those before, instead of new pages from the system.

    glibc gives back what is free beyond twice the largest block (up to 32 MiB) that it mapped on
    its own and that was freed. Thus one large block, never written to, is enough for all that the
    process does; other allocators take no notice. Without, up to a fourth of the time of a step
    goes into page faults.

    :param num_bytes: size of the block
    :return: whether there was such a block
    """
    # TorchScript leaves out a block that nobody looks at.
    return torch.empty([num_bytes], dtype=torch.uint8).numel() > 0


class AtomisticExport(torch.nn.Module):
    """Builds the graph of the systems an engine gives, and sums up what the network says.

    Positions come in, and energies leave, in float64; the network runs in its own
    precision on the pair vectors. Scale, baseline and sums over atoms are in float64: a
    total energy of 1e4 eV would be good to 2 meV only in float32.

    :param model: a :class:`metatrain.model.GraphModel`
    :param dtype: of positions, baseline, scale and results
    """

    # TorchScript cannot tell the type of an empty dictionary
    known_inputs: Dict[str, Tuple[int, int]]
    takes_targets: Final[bool]

    def __init__(self, model: Any, dtype: torch.dtype) -> None:
        super().__init__()
        self.network = model
        self.takes_targets = model.takes_targets()
        self.neighbor_list = NeighborListOptions(cutoff=model.cutoff, full_list=True, strict=True)
        targets = model.dataset_info.targets
        standardization = model.standardization
        self.names: List[str] = list(targets)
        self.targets = torch.nn.ModuleList(
            TargetOutput(
                target,
                standardization.baselines[name].to(dtype),
                standardization.scales[name].to(dtype),
            )
            for name, target in targets.items()
        )
        self.network_dtype: Tensor
        self.row_of_type: Tensor
        # Its type is the network's: it follows when the module is cast.
        self.register_buffer("network_dtype", torch.zeros((), dtype=model.dtype))
        types = standardization.atomic_types
        row_of_type = torch.full((max(types) + 1,), -1)
        row_of_type[torch.tensor(types)] = torch.arange(len(types))
        self.register_buffer("row_of_type", row_of_type)
        # the first and the last value of each input
        self.known_inputs = {name: (known[0], known[-1]) for name, known in model.inputs.items()}
        self.periodicities: List[int] = list(model.periodicities)
        self.num_retained_bytes = RETAINED_BYTES
        self.retains_memory = False

    def requested_neighbor_lists(self) -> List[NeighborListOptions]:
        """The list of pairs that an engine has to attach to the systems."""
        return [self.neighbor_list]

    def requested_inputs(self) -> Dict[str, ModelOutput]:
        """What else an engine has to attach to the systems."""
        return self.network.requested_inputs()

    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels] = None,
    ) -> Dict[str, TensorMap]:
        """Compute what is asked for.

        :param systems: with their neighbor lists
        :param outputs: per system, or per atom where ``sample_kind`` says so
        :param selected_atoms: the atoms to give values for, or to sum over; all if ``None``
        """
        results: Dict[str, TensorMap] = {}
        if len(outputs) == 0 or len(systems) == 0:
            return results
        self.check_periodicity(systems)
        if not self.retains_memory:
            self.retains_memory = retain_memory(self.num_retained_bytes)
        graph = self.graph(systems)
        per_atom = self.network_values(graph, outputs)
        prior = self.network.prior(graph)
        rows = self.row_of_type.index_select(0, graph.types)
        selected: Optional[Tensor] = None
        if selected_atoms is not None:
            atoms = Labels(["system", "atom"], self.samples(systems, graph.system))
            selected = atoms.select(selected_atoms)

        for index, target in enumerate(self.targets):
            name = self.names[index]
            if name in outputs:
                values = target(per_atom[name], rows)
                if name in prior:
                    values = values + prior[name].to(values.dtype)
                if outputs[name].sample_kind == "atom":
                    samples = self.samples(systems, graph.system)
                    if selected is not None:
                        values, samples = values[selected], samples[selected]
                    labels = Labels(["system", "atom"], samples)
                else:
                    values, kept = target.reduced(  # type: ignore[operator]
                        values, graph.system, len(systems), selected
                    )
                    labels = Labels(["system"], kept.to(torch.int32).unsqueeze(1))
                results[name] = target.tensor_map(values, labels)  # type: ignore[operator]
        return results

    def network_values(self, graph: Graph, outputs: Dict[str, ModelOutput]) -> Dict[str, Tensor]:
        """(N, V) what the network says, of other targets only if it cannot leave them out.

        :param outputs: what is asked for
        """
        if not self.takes_targets:
            return self.network(graph)
        wanted: List[str] = []
        for name in self.names:
            if name in outputs:
                wanted.append(name)  # noqa: PERF401 (no filter in TorchScript's comprehensions)
        return self.network(graph, wanted)

    def samples(self, systems: List[System], system: Tensor) -> Tensor:
        """(N, 2) system and number within the system of each atom.

        :param system: (N,)
        """
        atoms = [torch.arange(len(one), device=system.device) for one in systems]
        return torch.stack([system, one_tensor(atoms)], dim=1).to(torch.int32)

    def check_periodicity(self, systems: List[System]) -> None:
        """Refuse systems that are periodic in a way that the model cannot treat."""
        if len(self.periodicities) == 4:
            return
        for one in systems:
            number = int(one.pbc.sum())
            if number not in self.periodicities:
                raise ValueError(
                    f"a system is periodic in {number} of 3 directions, but the model takes only "
                    f"systems that are periodic in some of {self.periodicities} directions"
                )

    def graph(self, systems: List[System]) -> Graph:
        """The systems as one graph, with pairs sorted by center."""
        dtype = self.network_dtype.dtype
        types: List[Tensor] = []
        positions: List[Tensor] = []
        cells: List[Tensor] = []
        samples: List[Tensor] = []
        vectors: List[Tensor] = []
        system: List[Tensor] = []
        num_atoms = 0
        for index, one in enumerate(systems):
            pairs = one.get_neighbor_list(self.neighbor_list)
            # the first two columns count atoms, the others cell vectors
            sample = pairs.samples.values
            if num_atoms > 0:
                sample = torch.cat([sample[:, :2] + num_atoms, sample[:, 2:]], dim=1)
            samples.append(sample)
            vectors.append(pairs.values.reshape(-1, 3))
            types.append(one.types)
            positions.append(one.positions)
            cells.append(one.cell.unsqueeze(0))
            system.append(torch.full_like(one.types, index, dtype=torch.int64))
            num_atoms += len(one)
        all_samples = one_tensor(samples)
        order = torch.argsort(all_samples[:, 0], stable=True)
        all_samples = all_samples.index_select(0, order)
        first_second = all_samples[:, :2].t().to(torch.int64).contiguous()
        all_vectors = one_tensor(vectors).to(dtype)
        # where each pair goes: the derivative of a choice would be a sum, one pair at a time
        places = torch.empty_like(order).index_copy(
            0, order, torch.arange(len(order), device=order.device)
        )
        return Graph(
            types=one_tensor(types).to(torch.int64),
            vectors=torch.empty_like(all_vectors).index_copy_(0, places, all_vectors),
            centers=first_second[0],
            neighbors=first_second[1],
            system=one_tensor(system),
            positions=one_tensor(positions).to(dtype),
            cells=one_tensor(cells).to(dtype),
            shifts=all_samples[:, 2:5],
            charges=self.input_values(systems, "charge", 0),
            spin_multiplicities=self.input_values(systems, "spin_multiplicity", 1),
        )

    def input_values(self, systems: List[System], name: str, default: int) -> Tensor:
        """(S,) what an engine tells of the systems, or else the default.

        :param name: of the input
        :param default: for systems of which nothing is told, and if the model does not look at it
        """
        device = systems[0].positions.device
        if name not in self.known_inputs:
            return torch.full([len(systems)], default, dtype=torch.int64, device=device)
        values: List[Tensor] = []
        for one in systems:
            value = torch.full([], default, dtype=torch.float64, device=device)
            if name in one.known_data():
                value = one.get_data(name).block().values.reshape([]).to(torch.float64)
            values.append(value)
        numbers = torch.stack(values)
        first, last = self.known_inputs[name]
        is_known = (numbers == numbers.round()) & (numbers >= first) & (numbers <= last)
        if not bool(is_known.all()):
            found = float(numbers[torch.logical_not(is_known)][0])
            raise ValueError(
                f"{name} is {found}, but the model knows whole numbers from {first} to {last} only"
            )
        return numbers.to(torch.int64)

    @classmethod
    def of(
        cls, model: Any, dtype: torch.dtype = torch.float64, *, is_folded: bool = True
    ) -> AtomisticModel:
        """The metatomic model of a :class:`metatrain.model.GraphModel`.

        :param model: the model, in the precision its network shall run in
        :param dtype: what an engine gives and gets; float32 makes all of it float32
        :param is_folded: whether products of weights take the place of weights, see
            :class:`metatrain.nn.Foldable`
        """
        # Saving, casting or moving what is exported must not reach the model that is trained.
        model = copy.deepcopy(model).to("cpu").eval()
        if dtype == torch.float32:
            model = model.to(dtype)
        if is_folded:
            fold(model)
        module = cls(model, dtype).eval()
        outputs = {
            target.name: ModelOutput(
                unit=target.unit,
                # what is declared per atom, engines may also ask for per system
                sample_kind="atom" if target.is_per_atom or target.is_extensive else "system",
                description=target.description,
            )
            for target in model.dataset_info.targets.values()
        }
        capabilities = ModelCapabilities(
            outputs=outputs,
            atomic_types=list(model.dataset_info.atomic_types),
            interaction_range=(
                math.inf if model.uses_positions else model.cutoff * model.num_message_passing
            ),
            length_unit=model.dataset_info.length_unit,
            supported_devices=list(model.__supported_devices__),
            dtype=str(dtype).removeprefix("torch."),
        )
        return AtomisticModel(module, ModelMetadata(), capabilities)
