import dataclasses

import pytest
import torch

from metatrain.data.columns import Columns
from metatrain.data.reading import read_columns, targets_of
from metatrain.data.target import Target


@pytest.fixture
def crystals(files, energy_source):
    return read_columns(energy_source(files / "mptrj.xyz", forces="forces", stress="stress"))


@pytest.fixture
def atoms(files, energy_source):
    return read_columns(energy_source(files / "isolated_atoms.xyz"))


def assert_equal(first, second):
    for name in ("offsets", "types", "positions", "cells", "pbc"):
        assert torch.equal(getattr(first, name), getattr(second, name)), name
    for name in ("values", "forces", "stress"):
        labels, others = getattr(first, name), getattr(second, name)
        assert labels.keys() == others.keys()
        assert all(torch.equal(labels[key], others[key]) for key in labels)


def test_selected_systems_keep_what_is_theirs(crystals):
    selected = crystals.select([4, 1])
    for row, system in enumerate([4, 1]):
        atoms = crystals.system_of_atom == system
        mine = selected.system_of_atom == row
        assert torch.equal(selected.positions[mine], crystals.positions[atoms])
        assert torch.equal(selected.forces["energy"][mine], crystals.forces["energy"][atoms])
        assert torch.equal(selected.stress["energy"][row], crystals.stress["energy"][system])
        assert selected.origin.where(row) == crystals.origin.where(system)


def test_parts_put_together_again_are_the_whole(crystals):
    parts = [crystals.select([system]) for system in range(len(crystals))]
    assert_equal(Columns.concatenate(parts), crystals)


def test_parts_taken_apart_are_those_selected(crystals):
    nothing = torch.tensor([], dtype=torch.int64)
    rows = {"training": torch.tensor([4, 1]), "validation": torch.tensor([0]), "test": nothing}
    expected = {part: crystals.select(systems) for part, systems in rows.items()}
    parts = crystals.take_apart(rows)
    for part, systems in rows.items():
        assert_equal(parts[part], expected[part])
        assert len(parts[part].origin.number) == len(systems)


def test_a_label_that_begins_or_ends_between_parts_is_nan_elsewhere(crystals, atoms):
    three = Columns.concatenate(part for part in (atoms, crystals, atoms))
    known = ~three.forces["energy"].isnan().any(dim=1)
    assert known.tolist() == [False] * 4 + [True] * len(crystals.types) + [False] * 4


def test_parts_of_another_shape_are_refused(crystals, atoms):
    energies = {"energy": torch.zeros(4, 3, dtype=torch.float64)}
    with pytest.raises(ValueError, match="rows of shape"):
        Columns.concatenate([crystals, dataclasses.replace(atoms, values=energies)])


def test_places_that_two_sets_share_are_counted_once(crystals, atoms):
    both = Columns.concatenate([atoms, crystals])
    mine, others = both.select([0, 1, 4, 4, 9]), crystals.select([5, 0, 0, 3])
    assert mine.origin.count_shared(others.origin) == 2
    assert others.origin.count_shared(mine.origin) == 2
    assert atoms.origin.count_shared(crystals.origin) == 0
    assert mine.origin.count_shared(crystals.select([]).origin) == 0


def test_a_label_that_one_part_lacks_is_nan_there(crystals, atoms):
    both = Columns.concatenate([crystals, atoms])
    assert both.forces["energy"].isnan().any(dim=1).sum() == len(atoms)
    assert both.stress["energy"].isnan().any(dim=(1, 2)).tolist() == [False] * 6 + [True] * 4
    assert both.origin.where(6).endswith("isolated_atoms.xyz, system 0")


def test_targets_per_atom_of_single_atoms_are_not_taken_for_targets_per_system(crystals, atoms):
    charges = {"mtt::charge": torch.zeros(4, 1, dtype=torch.float64)}
    atoms = dataclasses.replace(atoms, values=charges, targets_per_atom=frozenset({"mtt::charge"}))
    both = Columns.concatenate([atoms, crystals])
    assert len(both.values["mtt::charge"]) == len(both.types)
    assert len(both.select([9, 0]).values["mtt::charge"]) == int(crystals.num_atoms[5]) + 1


def test_completed_columns_have_nan_for_what_the_targets_promise(atoms):
    targets = {
        "energy": Target("energy", has_forces=True, has_stress=True),
        "mtt::charge": Target("mtt::charge", sample_kind="atom"),
    }
    columns = atoms.completed(targets)
    assert torch.equal(columns.values["energy"], atoms.values["energy"])
    assert columns.values["mtt::charge"].shape == (4, 1)
    assert columns.forces["energy"].isnan().all()
    assert columns.stress["energy"].shape == (4, 3, 3)


def test_atomic_types_are_sorted_and_unique(atoms):
    assert atoms.atomic_types() == [1, 6, 7, 8]
    # in a table of this length it would not find room
    beads = dataclasses.replace(atoms, types=torch.where(atoms.types == 8, 2**60, atoms.types))
    assert beads.atomic_types() == [1, 6, 7, 2**60]


def test_targets_of_two_sources_have_what_either_has(files, energy_source):
    sources = [
        energy_source(files / "isolated_atoms.xyz", is_required=False, forces="forces"),
        energy_source(files / "3bpa.xyz", is_required=False, forces="forces"),
    ]
    (target,) = targets_of(sources, [read_columns(source) for source in sources]).values()
    assert target.has_forces
    assert not target.has_stress
    assert target.unit == "eV"
