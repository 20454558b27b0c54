"""The published models: their checkpoints in our architecture, structures and values."""

import dataclasses
import gzip
import io
import json
import zipfile
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
from vesin import NeighborList

from architectures.soap_bpnn import SoapBpnn, SoapBpnnHypers
from architectures.soap_bpnn.hypers import BpnnHypers, CutoffHypers, SoapHypers
from metatrain.data.target import DatasetInfo, Target
from metatrain.nn import Graph

REFERENCE = Path(__file__).parent / "reference"
CHECKPOINTS = {
    "test_v9": "soap_bpnn_test_v9.ckpt.gz",
    "default_seed0": "soap_bpnn_default_seed0.ckpt",
    "legacy_multitarget_seed1": "soap_bpnn_legacy_multitarget_seed1.ckpt",
    "modern_seed2": "soap_bpnn_modern_seed2.ckpt",
}
TARGETS = {
    "energy": Target("energy", quantity="energy", unit="eV"),
    "mtt::charges": Target("mtt::charges", sample_kind="atom", num_properties=3),
}


class PickledState:
    """Stands for a class of the published package: just keeps what was pickled."""

    def __setstate__(self, state):
        self.state = state


class PickledTarget(PickledState):
    pass


class PickledScript(PickledState):
    pass


def read_checkpoint(path):
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    stand_ins = [
        (PickledState, "metatrain.utils.data.dataset.DatasetInfo"),
        (PickledTarget, "metatrain.utils.data.target_info.TargetInfo"),
        (PickledScript, "torch.ScriptObject"),
    ]
    with torch.serialization.safe_globals(stand_ins):
        return torch.load(io.BytesIO(content), weights_only=True)


def hypers_of(options):
    soap = dict(options["soap"])
    cutoff = CutoffHypers(**soap.pop("cutoff"))
    return SoapBpnnHypers(
        soap=SoapHypers(**soap, cutoff=cutoff),
        legacy=options["legacy"],
        bpnn=BpnnHypers(**options["bpnn"]),
        add_lambda_basis=options["add_lambda_basis"],
        heads=options["heads"],
    )


def values_of_buffer(buffer):
    """The one block of a serialised TensorMap: a zip of .npy files."""
    with zipfile.ZipFile(io.BytesIO(buffer.numpy().tobytes())) as archive:
        return torch.from_numpy(np.load(io.BytesIO(archive.read("blocks/0/values.npy"))))


def published_order(model):
    """For each of our invariants its place in the published order.

    There, an index q of the density runs fastest through the channels, here through the
    radial functions.
    """
    channels = model.expansion.channels.num_channels
    places, offset = [], 0
    for count in model.expansion.radial_counts:
        q = torch.arange(channels * count).view(count, channels).T.flatten()
        places.append((offset + q[:, None] * len(q) + q[None, :]).flatten())
        offset += len(q) ** 2
    return torch.cat(places)


def published_weights(name, model):
    """Where one of our tensors stands in the published ``state_dict``."""
    part, *rest = name.split(".")
    if part == "expansion":
        expansion = {
            "radial.values": "radial.spliner.spline_values",
            "radial.derivatives": "radial.spliner.spline_derivatives",
            "radial.spacing": "radial.spliner.spline_spacing",
            "channels.embedding.weight": "species.embedding.weight",
        }
        return "soap_calculator.calculator." + expansion[".".join(rest)]
    if part == "center_encoding":
        return "center_encoding.weight"
    legacy = model.center_encoding is None
    if part == "networks":
        _, group, layer, kind = rest
        if layer == "0" and model.hypers.bpnn.layernorm:
            return (
                f"layernorm.module_list.{group}.{kind}"
                if legacy
                else f"layernorm_for_tensors.{kind}"
            )
        layer = int(layer) - model.hypers.bpnn.layernorm
        return (
            f"bpnn.module_list.{group}.{layer}.weight"
            if legacy
            else f"bpnn_for_tensors.{layer}.weight"
        )
    target, _, group, layer, _ = rest
    target = model.target_names[int(target)]
    if int(layer) < len(model.readouts[int(rest[0])].members[0]) - 1:
        return f"heads.{target}.module_list.{group}.0.weight"
    return f"last_layers.{target}.{target}___0.module_map.module_list.{group}.weight"


@dataclasses.dataclass
class Published:
    """A published model in float64, and what it gave."""

    model: SoapBpnn
    scales: dict
    baselines: dict
    predictions: dict
    intermediates: dict

    def values(self, graph):
        """Per-atom values of each target, with scale and baseline."""
        index = self.model.type_index(graph.types)
        raw = self.model(graph)
        return {
            name: raw[name] * _rows(self.scales[name], index) + self.baselines[name][index]
            for name in raw
        }


def _rows(scale, index):
    return scale if len(scale) == 1 else scale[index]


def load_published(name, dtype=torch.float64):
    checkpoint = read_checkpoint(REFERENCE / CHECKPOINTS[name])
    state = checkpoint["best_model_state_dict"]
    info = checkpoint["model_data"]["dataset_info"].state
    targets = {name: TARGETS[name] for name in info["targets"] if name in TARGETS}
    hypers = hypers_of(checkpoint["model_data"]["model_hypers"])
    model = SoapBpnn(hypers, DatasetInfo("angstrom", sorted(info["_atomic_types"]), targets))
    order = published_order(model)
    weights = {}
    for ours, value in model.state_dict().items():
        theirs = state[published_weights(ours, model)]
        is_over_invariants = (
            value.ndim > 0 and value.shape[-1] == len(order) and "radial" not in ours
        )
        weights[ours] = theirs[..., order] if is_over_invariants else theirs
    model.load_state_dict(weights)
    predictions = json.loads((REFERENCE / f"predictions_soap_bpnn_{name}.json").read_text())
    return Published(
        model.to(dtype).eval(),
        {t: values_of_buffer(state[f"scaler.{t}_scaler_buffer"]) for t in targets},
        {t: values_of_buffer(state[f"additive_models.0.{t}_composition_buffer"]) for t in targets},
        predictions["predictions"]["float64"],
        read_intermediates(name),
    )


def read_intermediates(name):
    path = REFERENCE / f"intermediate_soap_bpnn_{name}_water"
    if path.with_suffix(".npz").exists():
        with np.load(path.with_suffix(".npz")) as file:
            return {key.replace("__", "/", 2): torch.from_numpy(file[key]) for key in file}
    if path.with_suffix(".json").exists():
        return flattened(json.loads(path.with_suffix(".json").read_text()))
    return {}


def flattened(tree, prefix=""):
    flat = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= flattened(value, f"{prefix}{key}/")
        else:
            flat[prefix + key] = torch.tensor(value, dtype=torch.float64)
    return flat


def read_structures():
    structures = {}
    for atoms in ase.io.read(REFERENCE / "structures.extxyz", ":"):
        atoms.cell[~atoms.pbc] = 0.0
        structures[atoms.info["name"]] = atoms
    return structures


def graph_of(structures, cutoff):
    """One graph of several structures, in float64."""
    parts, offset = [], 0
    for k, atoms in enumerate(structures):
        finder = NeighborList(cutoff=cutoff, full_list=True, sorted=True)
        centers, neighbors, vectors = finder.compute(
            atoms.positions, np.array(atoms.cell), atoms.pbc, "ijD"
        )
        numbers = torch.from_numpy(atoms.numbers).long()
        parts.append(
            (
                numbers,
                torch.from_numpy(vectors),
                torch.from_numpy(centers.astype(np.int64)) + offset,
                torch.from_numpy(neighbors.astype(np.int64)) + offset,
                torch.full_like(numbers, k),
                torch.from_numpy(atoms.positions),
                torch.from_numpy(np.array(atoms.cell))[None],
            )
        )
        offset += len(atoms)
    return Graph(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


@pytest.fixture(scope="session")
def structures():
    return read_structures()


@pytest.fixture(scope="session", params=list(CHECKPOINTS))
def published(request):
    return load_published(request.param)


@pytest.fixture(scope="session")
def load():
    return load_published


@pytest.fixture(scope="session")
def build_graph():
    return graph_of
