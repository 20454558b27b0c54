import itertools

import ase.build
import ase.io
import pytest
import torch
from ase import Atoms
from ase.neighborlist import neighbor_list

from metatrain.data import neighbor_lists
from metatrain.data.neighbor_lists import find_pairs
from metatrain.data.reading import read_columns
from metatrain.data.source import DataSource, SystemsSource

TRICLINIC = [[3.1, 0.2, 0.1], [0.9, 2.9, -0.4], [-0.5, 0.7, 3.3]]
SCALED = [[0.1, 0.2, 0.3], [0.6, 1.4, -0.8], [0.9, 0.1, 0.7]]


def columns_of(tmp_path, *systems):
    ase.io.write(tmp_path / "systems.xyz", systems)
    return read_columns(DataSource("systems", SystemsSource(str(tmp_path / "systems.xyz"))))


def as_set(pairs):
    rows = torch.cat([pairs.centers[:, None], pairs.neighbors[:, None], pairs.shifts], dim=1)
    return {tuple(row) for row in rows.tolist()}


@pytest.mark.parametrize("pbc", list(itertools.product([True, False], repeat=3)))
def test_pairs_are_those_of_ase_for_every_periodicity(tmp_path, pbc):
    atoms = Atoms("HCO", scaled_positions=SCALED, cell=TRICLINIC, pbc=pbc)
    columns = columns_of(tmp_path, atoms)
    pairs = find_pairs(columns, 4.0)
    # what ase makes of the cell vectors of directions that are not periodic doesn't matter
    i, j, shifts = neighbor_list("ijS", ase.io.read(tmp_path / "systems.xyz"), 4.0)
    assert len(pairs.centers) == len(i)
    assert as_set(pairs) == {
        (int(a), int(b), *map(int, s)) for a, b, s in zip(i, j, shifts, strict=True)
    }


def test_vectors_lead_from_center_to_the_image_of_the_neighbor(tmp_path):
    columns = columns_of(tmp_path, Atoms("HCO", scaled_positions=SCALED, cell=TRICLINIC, pbc=True))
    pairs = find_pairs(columns, 4.0)
    image = columns.positions[pairs.neighbors] + pairs.shifts.double() @ columns.cells[0]
    torch.testing.assert_close(pairs.vectors, image - columns.positions[pairs.centers])
    assert (pairs.vectors.norm(dim=1) < 4.0).all()


def test_pairs_are_sorted_by_center_and_come_in_both_directions(tmp_path):
    systems = [ase.build.molecule("CH3CH2OH"), ase.build.bulk("Cu", cubic=True)]
    columns = columns_of(tmp_path, *systems)
    pairs = find_pairs(columns, 3.0)
    for system in range(2):
        mine = pairs.select(torch.tensor([system]))
        assert (mine.centers.diff() >= 0).all()
        found = as_set(mine)
        assert found == {(j, i, -a, -b, -c) for i, j, a, b, c in found}


def test_an_atom_sees_its_own_images_in_a_tiny_cell(tmp_path):
    columns = columns_of(tmp_path, Atoms("H", cell=[1, 1, 1], pbc=True))
    pairs = find_pairs(columns, 1.1)
    assert len(pairs.centers) == 6
    assert (0, 0, 0, 0, 0) not in as_set(pairs)


def test_a_pair_at_the_cutoff_is_left_out(tmp_path):
    columns = columns_of(tmp_path, Atoms("H2", [[0, 0, 0], [0, 0, 2.0]]))
    assert len(find_pairs(columns, 2.0).centers) == 0
    assert len(find_pairs(columns, 2.0 + 1e-9).centers) == 2


def test_systems_without_pairs_have_empty_segments(tmp_path):
    pair = Atoms("H2", [[0, 0, 0], [0, 0, 1]])
    columns = columns_of(tmp_path, Atoms("H"), pair, Atoms("He"))
    assert find_pairs(columns, 2.0).offsets.tolist() == [0, 0, 2, 2]
    assert find_pairs(columns, 0.5).offsets.tolist() == [0, 0, 0, 0]


def test_the_zero_vector_of_a_slab_does_not_matter(tmp_path):
    slab = ase.build.fcc111("Cu", (1, 1, 2))
    slab.info.clear()
    assert slab.cell.array[2].tolist() == [0, 0, 0]
    pairs = find_pairs(columns_of(tmp_path, slab), 3.0)
    # each atom of a close-packed bilayer has six neighbors in its layer and three in the other
    assert torch.bincount(pairs.centers).tolist() == [9, 9]


def test_molecules_and_other_systems_keep_their_order(tmp_path, monkeypatch):
    large = Atoms("H70", [[0, 0, place] for place in range(70)])
    systems = [
        large,
        ase.build.molecule("CH3CH2OH"),
        ase.build.bulk("Cu"),
        ase.build.molecule("H2O"),
    ]
    columns = columns_of(tmp_path, *systems)
    together = find_pairs(columns, 3.0)
    monkeypatch.setattr(neighbor_lists, "MOST_ATOMS_OF_MOLECULE", 0)
    one_by_one = find_pairs(columns, 3.0)
    assert torch.equal(together.offsets, one_by_one.offsets)
    for system in range(4):
        mine, others = (p.select(torch.tensor([system])) for p in (together, one_by_one))
        assert as_set(mine) == as_set(others)
        order, other = (torch.argsort(p.centers * 100 + p.neighbors) for p in (mine, others))
        if system != 2:  # several images there are of periodic systems alone
            assert torch.equal(mine.vectors[order], others.vectors[other])


@pytest.mark.parametrize("at_once", [1, 12, 1000])
def test_pairs_do_not_depend_on_how_many_systems_are_looked_at_together(
    tmp_path, monkeypatch, at_once
):
    molecules = [ase.build.molecule(name) for name in ("H2O", "CH4", "H2", "CO2", "H2O")]
    columns = columns_of(tmp_path, *molecules)
    expected = find_pairs(columns, 2.0)
    monkeypatch.setattr(neighbor_lists, "ATOMS_AT_ONCE", at_once)
    found = find_pairs(columns, 2.0)
    for name in ("offsets", "centers", "neighbors", "shifts", "vectors"):
        assert torch.equal(getattr(found, name), getattr(expected, name))


def test_a_data_set_without_systems_has_no_pairs(tmp_path):
    pairs = find_pairs(columns_of(tmp_path, Atoms("H")).select([]), 2.0)
    assert (len(pairs), pairs.offsets.tolist(), pairs.vectors.shape) == (0, [0], (0, 3))
