"""Tensors in the exported model: the components that engines expect."""

import pytest
import torch
from metatensor.torch import Labels
from metatomic.torch import ModelEvaluationOptions, ModelOutput, load_atomistic_model
from torch.testing import assert_close

from metatrain.data.dataset import Dataset
from metatrain.export.proof import prove
from metatrain.standardize import Standardization
from metatrain.testing import systems
from pair_model import ENERGY, batch_of, new_model
from tensor_model import DIPOLE, SHIELDING, TENSORS, TensorModel

TARGETS = (ENERGY, *TENSORS)
FRAMES = [systems.molecule(), systems.crystal()]


@pytest.fixture(scope="module")
def model():
    """With scales and baselines that are not trivial; one scale differs by atomic type."""
    model = new_model(*TARGETS, model_class=TensorModel)
    baselines, scales = {}, {}
    for index, target in enumerate(TARGETS):
        rows = 3 if target == SHIELDING else 1
        numbers = torch.arange(1.0, 1.0 + 3 * target.num_values).double().reshape(3, -1)
        baselines[target.name] = numbers * target.is_invariant
        scales[target.name] = 1.0 + index + 0.1 * numbers[:rows]
    model.standardization = Standardization([1, 6, 8], baselines, scales)
    return model


@pytest.fixture(scope="module")
def loaded(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("tensors") / "model.pt"
    model.export().save(path)
    return load_atomistic_model(path)


def evaluate(exported, target, kind, selected=None):
    """What the model gives, with metatomic's checks on."""
    options = ModelEvaluationOptions(
        length_unit="angstrom",
        outputs={target.name: ModelOutput(unit=target.unit, sample_kind=kind)},
        selected_atoms=selected,
    )
    requests = exported.requested_neighbor_lists()
    columns = systems.columns_of(FRAMES)
    samples = Dataset(
        columns, {}, torch.float64, length_unit="angstrom", neighbor_lists=lambda: requests
    )
    batch = [samples[index].system for index in range(len(FRAMES))]
    return exported(batch, options, check_consistency=True)[target.name]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_blocks_keys_and_components_are_those_of_the_target(loaded, target):
    found = evaluate(loaded, target, target.sample_kind)
    layout = target.layout
    assert found.keys == layout.keys
    for block, expected in zip(found.blocks(), layout.blocks(), strict=True):
        assert block.components == expected.components
        assert block.properties == expected.properties
        assert block.samples.names == expected.samples.names


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_values_are_scale_times_network_and_baseline(loaded, model, target):
    graph = batch_of(systems.columns_of(FRAMES)).graph
    standardization = model.standardization
    per_atom = model(graph)[target.name].detach()
    per_atom = per_atom * standardization.scale_of_rows(target.name, graph.types)
    baseline = standardization.baselines[target.name]
    per_atom = per_atom + baseline[standardization.type_index(graph.types)]
    expected = per_atom
    if not target.is_per_atom:
        sums = torch.zeros(2, target.num_values, dtype=torch.float64)
        expected = sums.index_add(0, graph.system, per_atom)
    # TorchScript optimizes code in its second and third run
    for _ in range(3):
        found = target.flat_values(evaluate(loaded, target, target.sample_kind))
        assert_close(found.detach(), expected, rtol=1e-12, atol=1e-12)


def test_selected_atoms_give_their_part_of_a_tensor(loaded):
    whole = evaluate(loaded, DIPOLE, "atom").block()
    chosen = Labels(["system", "atom"], torch.tensor([[1, 0], [1, 3]]))
    part = evaluate(loaded, DIPOLE, "system", chosen).block()
    assert part.samples.values.tolist() == [[1]]
    assert_close(part.values[0], whole.values[[4, 7]].sum(dim=0), rtol=1e-13, atol=0)


def test_the_proof_holds_for_tensors(model, tmp_path, process):
    exported = model.export()
    exported.save(tmp_path / "model.pt")
    agreement = prove(process, tmp_path / "model.pt", exported, None)
    assert agreement.value < 1e-10
    assert agreement.difference < 1e-6
