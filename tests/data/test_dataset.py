import ase.build
import ase.io
import pytest
import torch
from metatensor.learn.data import group_and_join
from metatomic.torch import NeighborListOptions, systems_to_torch
from vesin.metatomic import NeighborList

from metatrain.data.dataset import Dataset
from metatrain.data.reading import read_columns, targets_of
from metatrain.data.source import DataSource, SystemsSource, TargetSource
from metatrain.data.target import Target
from pair_model import labelled
from tensor_model import TENSORS


def dataset_of(source, dtype=torch.float64, neighbor_lists=()):
    columns = read_columns(source)
    return Dataset(
        columns,
        targets_of([source], [columns]),
        dtype,
        length_unit="angstrom",
        neighbor_lists=lambda: neighbor_lists,
    )


@pytest.fixture
def crystals(files, energy_source):
    return dataset_of(energy_source(files / "mptrj.xyz", forces="forces", stress="stress"))


def test_a_sample_holds_the_system_and_its_labels(crystals, files):
    sample = crystals[2]
    atoms = ase.io.read(files / "mptrj.xyz", 2)
    assert sample._fields == ("system", "energy")
    assert sample.system.positions.tolist() == atoms.positions.tolist()
    assert sample.system.cell.tolist() == atoms.cell.tolist()
    assert sample.system.types.tolist() == atoms.numbers.tolist()
    block = sample.energy.block()
    assert block.values.tolist() == [[atoms.get_potential_energy()]]
    forces = -block.gradient("positions").values.squeeze(2)
    assert forces.tolist() == atoms.get_forces().tolist()
    strain = block.gradient("strain").values.reshape(3, 3)
    stress = torch.tensor(atoms.get_stress(voigt=False) * atoms.get_volume())
    torch.testing.assert_close(strain, stress, rtol=1e-12, atol=0.0)


@pytest.mark.parametrize("target", TENSORS)
def test_labels_of_tensors_have_their_components(target):
    columns = labelled(3, target)
    sample = Dataset(columns, {target.name: target}, torch.float64)[1]
    found = sample[target.name]
    assert [block.values.shape[1:] for block in found.blocks()] == [
        block.values.shape[1:] for block in target.layout.blocks()
    ]
    rows = slice(4, 8) if target.is_per_atom else slice(1, 2)
    assert torch.equal(target.flat_values(found), columns.values[target.name][rows])


def test_samples_have_the_dtype_asked_for(files, energy_source):
    sample = dataset_of(energy_source(files / "3bpa.xyz", forces="forces"), torch.float32)[0]
    assert sample.system.positions.dtype == torch.float32
    assert sample.energy.block().values.dtype == torch.float32
    assert sample.energy.block().gradient("positions").values.dtype == torch.float32


def test_samples_go_through_a_data_loader(crystals):
    loader = torch.utils.data.DataLoader(crystals, batch_size=4, collate_fn=group_and_join)
    first, second = loader
    assert len(first.system) == 4
    assert torch.equal(first.energy.block().values, crystals.columns.values["energy"][:4])
    assert second.energy.block().samples.column("system").tolist() == [4, 5]
    forces = -torch.cat([b.energy.block().gradient("positions").values for b in (first, second)])
    assert torch.equal(forces.squeeze(2), crystals.columns.forces["energy"])


def test_a_target_whose_name_is_no_identifier_is_reached_by_its_name(write_file):
    path = str(write_file("2\nProperties=species:S:1:pos:R:3:q:R:1\nH 0 0 0 1\nH 0 0 1 2\n"))
    target = TargetSource(path, None, "q", sample_kind="atom")
    sample = dataset_of(DataSource("set", SystemsSource(path), {"mtt::q": target}))[0]
    assert sample["mtt::q"].block().values.tolist() == [[1.0], [2.0]]
    assert sample["mtt::q"].block().samples.values.tolist() == [[0, 0], [0, 1]]


def test_a_target_without_labels_is_nan(files, energy_source):
    columns = read_columns(energy_source(files / "3bpa.xyz"))
    targets = {"mtt::gap": Target("mtt::gap"), "energy": Target("energy", has_forces=True)}
    sample = Dataset(columns, targets, torch.float64)[0]
    assert sample["mtt::gap"].block().values.isnan().all()
    assert sample.energy.block().gradient("positions").values.isnan().all()


@pytest.mark.parametrize("is_full", [True, False])
def test_neighbor_lists_are_those_of_vesin(tmp_path, is_full):
    slab = ase.build.fcc111("Cu", (1, 2, 2))
    slab.info.clear()
    systems = [slab, ase.build.bulk("NaCl", "rocksalt", a=3.0), ase.build.molecule("H2O")]
    ase.io.write(tmp_path / "systems.xyz", systems)
    options = NeighborListOptions(cutoff=0.45, full_list=is_full, strict=True)
    options.length_unit = "nm"
    source = DataSource("systems", SystemsSource(str(tmp_path / "systems.xyz")))
    dataset = dataset_of(source, neighbor_lists=[options])
    for index, atoms in enumerate(ase.io.read(tmp_path / "systems.xyz", ":")):
        system = systems_to_torch(atoms, dtype=torch.float64)
        expected = NeighborList(options, "angstrom").compute(system)
        found = dataset[index].system.get_neighbor_list(options)
        assert vectors_by_pair(found) == vectors_by_pair(expected)


def vectors_by_pair(block):
    """Rounded vectors by pair; a half list may hold either direction of each."""
    pairs = {}
    for sample, value in zip(
        block.samples.values.tolist(), block.values.squeeze(2).tolist(), strict=True
    ):
        i, j, *shift = sample
        other = (j, i, *(-s for s in shift))
        sign = 1 if tuple(sample) < other else -1
        key = min(tuple(sample), other)
        pairs.setdefault(key, []).append([round(sign * v, 10) + 0.0 for v in value])
    return pairs


def test_pairs_are_found_once_for_each_cutoff(crystals):
    assert crystals.pairs(3.0) is crystals.pairs(3.0)
    assert crystals.pairs(3.0) is not crystals.pairs(4.0)
