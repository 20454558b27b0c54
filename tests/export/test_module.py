"""What engines get from an exported model."""

import subprocess
import sys

import ase
import pytest
import torch
from metatensor.torch import Labels
from metatomic.torch import ModelEvaluationOptions, ModelOutput, load_atomistic_model
from torch.testing import assert_close

from metatrain.data.dataset import Dataset
from metatrain.data.target import DatasetInfo, Target
from metatrain.export.module import AtomisticExport
from metatrain.plugins import load_architecture
from metatrain.standardize import Standardization
from metatrain.testing import systems
from pair_model import ENERGY, PairModel, new_model

GAP = Target("mtt::gap", unit="eV", reduction="mean")
CHARGE = Target("mtt::charge", "charge", "e", "atom", num_properties=2)
HARTREE_IN_EV = 27.211386245988
BOHR_IN_ANGSTROM = 0.529177210903
KCAL_MOL_IN_EV = 4184 / 96485.33212


class Segmented(PairModel):
    """Sums the pairs of each center as a stretch of the list, which has to be sorted."""

    def forward(self, graph):
        weights = (1.0 - graph.vectors.square().sum(dim=1) / self.cutoff**2) ** 3
        counts = torch.bincount(graph.centers, minlength=len(graph.types))
        return {"energy": torch.segment_reduce(weights, "sum", lengths=counts).unsqueeze(1)}


class FarSighted(PairModel):
    """Hears from the neighbors of its neighbors."""

    num_message_passing = 2


def standardized(model, baseline, scale=1.0):
    """The model with reference values of this size."""
    targets = model.dataset_info.targets.values()
    rows = torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64)
    model.standardization = Standardization(
        [1, 6, 8],
        {t.name: baseline * rows.repeat(1, t.num_values) for t in targets},
        {t.name: torch.full((1, t.num_values), scale, dtype=torch.float64) for t in targets},
    )
    return model


def systems_of(model, *frames, length_unit="angstrom", scale=1.0):
    """metatomic systems with the lists of neighbors that the model asks for."""
    columns = systems.columns_of(frames)
    columns.positions.mul_(scale)
    columns.cells.mul_(scale)
    dtype = getattr(torch, model.capabilities().dtype)
    requests = model.requested_neighbor_lists()
    samples = Dataset(columns, {}, dtype, length_unit=length_unit, neighbor_lists=lambda: requests)
    return [samples[index].system for index in range(len(frames))]


def evaluate(model, frames, name="energy", unit="eV", kind="system", selected=None, **geometry):
    options = ModelEvaluationOptions(
        length_unit=geometry.get("length_unit", "angstrom"),
        outputs={name: ModelOutput(unit=unit, sample_kind=kind)},
        selected_atoms=selected,
    )
    batch = systems_of(model, *frames, **geometry)
    return model(batch, options, check_consistency=True)[name].block()


def test_pairs_may_come_in_any_order():
    model = new_model(model_class=Segmented).export()
    given = systems_of(model, systems.molecule(), systems.crystal())
    shuffled = [systems.with_shuffled_pairs(system) for system in given]
    options = ModelEvaluationOptions(
        length_unit="angstrom", outputs={"energy": ModelOutput(unit="eV", sample_kind="atom")}
    )
    expected, found = (
        model(batch, options, check_consistency=True)["energy"].block().values
        for batch in (given, shuffled)
    )
    assert_close(found, expected, rtol=1e-13, atol=0)


def large():
    return systems.crystal().repeat((5, 5, 4))  # 400 atoms


def test_total_energies_of_a_float32_network_are_good_to_1e_9_ev():
    with_baseline = standardized(new_model(dtype=torch.float32), 1e4, scale=1e-3)
    without = standardized(new_model(dtype=torch.float32), 0.0, scale=1e-3)
    baseline = sum({1: 1e4, 6: 2e4, 8: 3e4}[number] for number in systems.molecule().numbers)
    found = evaluate(with_baseline.export(), [systems.molecule()]).values.item()
    learned = evaluate(without.export(), [systems.molecule()]).values.item()
    assert found == pytest.approx(baseline + learned, abs=1e-9)
    in_float32 = with_baseline.export(torch.float32)
    assert in_float32.capabilities().dtype == "float32"
    lossy = evaluate(in_float32, [systems.molecule()]).values.item()
    assert abs(lossy - found) > 1e-5


def test_sums_over_many_atoms_lose_nothing_either():
    model = standardized(new_model(dtype=torch.float32), 1e4)
    frames = [systems.crystal(), large()]
    small, big = evaluate(model.export(), frames).values.squeeze(1)
    # the network itself is good to 1e-6 or so, and its part is 1 eV per atom
    assert abs(big - 100 * small) < 1e-6 * 400
    assert big.dtype == torch.float64


def test_float32_exports_all_in_float32_and_leaves_the_model_as_it_is():
    model = new_model(dtype=torch.float64)
    exported = model.export(torch.float32)
    assert {p.dtype for p in exported.parameters()} == {torch.float32}
    assert model.dtype == torch.float64
    assert evaluate(exported, [systems.crystal()]).values.dtype == torch.float32


def test_a_mean_target_does_not_grow_with_the_system_nor_without_selected_atoms():
    model = standardized(new_model(GAP), 5.0).export()
    frames = [systems.crystal(), systems.crystal().repeat((2, 1, 1))]
    once, twice = evaluate(model, frames, "mtt::gap").values
    assert_close(once, twice, rtol=1e-12, atol=0)
    selected = Labels(["system", "atom"], torch.tensor([[1, 0], [1, 4]]))
    image = evaluate(model, frames, "mtt::gap", selected=selected)
    alone = Labels(["system", "atom"], torch.tensor([[0, 0]]))
    assert image.samples.values.tolist() == [[1]]
    assert_close(image.values, evaluate(model, frames, "mtt::gap", selected=alone).values)


def test_a_target_per_atom_gives_all_its_properties_in_order():
    model = standardized(new_model(CHARGE), 2.0)
    model.standardization.baselines["mtt::charge"][:, 1] *= -1
    block = evaluate(model.export(), [systems.molecule()], "mtt::charge", "e", "atom")
    assert block.properties.names == ["mtt__charge"]
    assert block.properties.values.tolist() == [[0], [1]]
    assert block.samples.values.tolist() == [[0, 0], [0, 1], [0, 2], [0, 3]]
    expected = torch.tensor([[4.0, -4.0], [6.0, -6.0], [2.0, -2.0], [2.0, -2.0]]).double()
    assert (block.values - expected).abs().max() < 2


def test_several_targets_come_from_one_file():
    targets = (ENERGY, GAP, CHARGE)
    together = standardized(new_model(*targets), 3.0).export()
    assert set(together.capabilities().outputs) == {"energy", "mtt::gap", "mtt::charge"}
    for name, unit, kind in (("energy", "eV", "system"), ("mtt::charge", "e", "atom")):
        assert evaluate(together, [systems.crystal()], name, unit, kind).values.isfinite().all()


@pytest.mark.parametrize("name", ["soap_bpnn", "pet"])
def test_no_time_is_spent_on_targets_that_are_not_asked_for(name):
    plugin = load_architecture(name, "")
    info = DatasetInfo("angstrom", [1, 6, 8], {"energy": ENERGY, "mtt::charge": CHARGE})
    model = plugin.model_class(plugin.model_class.Hypers(), info).eval()
    export = AtomisticExport(model, torch.float64)
    script, computed = torch.jit.script(export), []
    for target, readout in zip(info.targets, model.readouts, strict=True):
        readout.register_forward_hook(lambda *_, target=target: computed.append(target))
    given = systems_of(model.export(), systems.molecule())
    wanted = {target.name: ModelOutput(sample_kind="atom") for target in (ENERGY, CHARGE)}
    both = export(given, wanted)
    assert computed == ["energy", "mtt::charge"]
    for target, output in wanted.items():
        computed.clear()
        for module in (export, script):
            alone = module(given, {target: output})
            assert list(alone) == [target]
            assert_close(alone[target].block().values, both[target].block().values)
        assert computed == [target]
        assert list(script.network_values(export.graph(given), {target: output})) == [target]


@pytest.mark.parametrize(
    ("unit", "size"), [("eV", 1.0), ("kcal/mol", KCAL_MOL_IN_EV), ("Hartree", HARTREE_IN_EV)]
)
def test_engines_get_energies_in_the_unit_they_ask_for(unit, size):
    model = standardized(new_model(), 10.0).export()
    expected = evaluate(model, [systems.crystal()]).values
    found = evaluate(model, [systems.crystal()], unit=unit).values
    assert_close(found * size, expected, rtol=1e-7, atol=0)


def test_engines_may_give_lengths_in_their_own_unit():
    model = standardized(new_model(), 10.0).export()
    expected = evaluate(model, [systems.crystal()]).values
    geometry = {"length_unit": "bohr", "scale": 1.0 / BOHR_IN_ANGSTROM}
    assert_close(
        evaluate(model, [systems.crystal()], **geometry).values, expected, rtol=1e-8, atol=0
    )


def test_selected_atoms_give_their_part_of_the_energy():
    model = standardized(new_model(), 10.0).export()
    frames = [systems.molecule(), systems.crystal()]
    whole = evaluate(model, frames, kind="atom").values
    some = Labels(["system", "atom"], torch.tensor([[0, 2], [1, 1], [1, 3]]))
    part = evaluate(model, frames, selected=some).values
    assert_close(part, torch.stack([whole[2], whole[5] + whole[7]]), rtol=1e-13, atol=0)


def test_lone_atoms_have_their_reference_energy_and_no_pairs():
    model = standardized(new_model(), 1000.0).export()
    found = evaluate(model, [systems.lone_atom(), ase.Atoms("H")]).values.squeeze(1)
    assert_close(found, torch.tensor([3000.0, 1000.0]).double(), rtol=0, atol=5)


def test_an_element_that_the_model_does_not_know_is_refused():
    model = new_model().export()
    for symbol in ("N", "U"):
        with pytest.raises((RuntimeError, ValueError), match="atomic type"):
            evaluate(model, [ase.Atoms(symbol)])


def test_the_file_needs_nothing_but_metatomic(tmp_path):
    model = standardized(new_model(dtype=torch.float32), 1e4).export()
    model.save(tmp_path / "model.pt")
    torch.save([evaluate(model, [systems.lone_atom()]).values], tmp_path / "expected.pt")
    script = """
import sys, torch
from metatomic.torch import *
from metatensor.torch import Labels, TensorBlock
model = load_atomistic_model("model.pt")
system = System(torch.tensor([8]), torch.zeros(1, 3).double(), torch.zeros(3, 3).double(),
                torch.tensor([False] * 3))
(request,) = model.requested_neighbor_lists()
names = ["first_atom", "second_atom", "cell_shift_a", "cell_shift_b", "cell_shift_c"]
system.add_neighbor_list(request, TensorBlock(
    torch.zeros(0, 3, 1).double(), Labels(names, torch.zeros(0, 5, dtype=torch.int32)),
    [Labels.range("xyz", 3)], Labels.range("distance", 1)))
options = ModelEvaluationOptions(outputs={"energy": ModelOutput(unit="eV")}, length_unit="angstrom")
found = model([system], options, check_consistency=True)["energy"].block().values
assert torch.equal(found, torch.load("expected.pt")[0])
assert not {"metatrain", "architectures", "pair_model"} & {n.split(".")[0] for n in sys.modules}
"""
    command = [sys.executable, "-W", "ignore", "-c", script]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=100)


def test_the_loaded_file_passes_the_checks_of_metatomic(tmp_path):
    model = standardized(new_model(ENERGY, GAP, CHARGE), 5.0).export()
    model.save(tmp_path / "model.pt")
    loaded = load_atomistic_model(tmp_path / "model.pt")
    for _ in range(3):  # TorchScript optimizes code in its second and third run
        found = evaluate(loaded, systems.everything()).values
        assert_close(found, evaluate(model, systems.everything()).values, rtol=1e-13, atol=0)


def test_the_model_says_what_it_needs_and_gives():
    capabilities = new_model(ENERGY, GAP, CHARGE).export().capabilities()
    assert capabilities.interaction_range == 3.5
    assert capabilities.length_unit == "angstrom"
    assert capabilities.atomic_types == [1, 6, 8]
    assert capabilities.dtype == "float64"
    assert set(capabilities.supported_devices) == {"cuda", "cpu"}
    kinds = {name: output.sample_kind for name, output in capabilities.outputs.items()}
    assert kinds == {"energy": "atom", "mtt::gap": "system", "mtt::charge": "atom"}


def test_the_interaction_range_grows_with_message_passing():
    capabilities = new_model(model_class=FarSighted).export().capabilities()
    assert capabilities.interaction_range == 2 * 3.5


def test_a_model_that_was_exported_goes_on_being_trained(tmp_path):
    model = new_model()
    model.train()
    exported = model.export()
    exported.save(tmp_path / "model.pt")
    before = evaluate(exported, [systems.crystal()]).values
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    with torch.no_grad():
        model.neighbor_factors.weight += 1.0
    assert torch.equal(evaluate(exported, [systems.crystal()]).values, before)
