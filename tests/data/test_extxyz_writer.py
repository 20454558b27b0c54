import dataclasses

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms

from metatrain.data import writers
from metatrain.data.readers.ase import AseReader
from metatrain.data.writers.extxyz import ExtxyzWriter
from metatrain.errors import MetatrainError


def read(path):
    (frames,) = AseReader()(path)
    return frames


def write(path, chunks):
    with ExtxyzWriter().open(path) as file:
        for frames in chunks:
            file.write(frames)


def assert_same(first, second):
    """Everything is equal, to the last bit."""
    for name in ("offsets", "types", "positions", "cells", "pbc"):
        assert np.array_equal(getattr(first, name), getattr(second, name)), name
    for name in ("system_data", "atom_data", "system_results", "atom_results"):
        columns, others = getattr(first, name), getattr(second, name)
        assert columns.keys() == others.keys()
        for key, column in columns.items():
            assert np.array_equal(column.is_present, others[key].is_present), key
            assert column.values.dtype == others[key].values.dtype, key
            np.testing.assert_equal(column.values.tolist(), others[key].values.tolist())


def assert_unchanged(path, tmp_path):
    write(tmp_path / "copy.xyz", [read(path)])
    assert_same(read(path), read(tmp_path / "copy.xyz"))


@pytest.mark.parametrize("name", ["3bpa", "isolated_atoms", "mptrj", "carbon", "aluminium", "h2co"])
def test_published_files_come_back_unchanged(files, tmp_path, name):
    assert_unchanged(files / f"{name}.xyz", tmp_path)


def test_colons_in_names_of_values_per_atom_become_readable(write_file, tmp_path):
    frames = read(write_file("1\nProperties=species:S:1:pos:R:3:x:R:2\nH 0 0 0 1 2\n"))
    atom_data = {"mtt::x": frames.atom_data["x"]}
    write(tmp_path / "copy.xyz", [dataclasses.replace(frames, atom_data=atom_data)])
    assert ase.io.read(tmp_path / "copy.xyz").arrays["mtt__x"].tolist() == [[1.0, 2.0]]


def test_a_slab_keeps_its_zero_cell_vector(write_file, tmp_path):
    text = '1\nLattice="2.5 0 0 0.1 3 0 0 0 0" pbc="T T F" energy=-1\nCu 0.1 0.123456789012345 0\n'
    assert_unchanged(write_file(text), tmp_path)
    copy = ase.io.read(tmp_path / "copy.xyz")
    assert copy.pbc.tolist() == [True, True, False]
    assert copy.cell.array[2].tolist() == [0.0, 0.0, 0.0]


def test_a_molecule_keeps_its_dummy_cell(write_file, tmp_path):
    text = '1\nLattice="50 0 0 0 50 0 0 0 50" pbc="F F F"\nH 0 0 0\n'
    assert_unchanged(write_file(text), tmp_path)
    assert ase.io.read(tmp_path / "copy.xyz").cell.array[0, 0] == 50.0


def test_text_numbers_and_truth_values_stay_what_they_are(write_file, tmp_path):
    text = (
        "1\nProperties=species:S:1:pos:R:3:molecule:I:1:site:S:1:is_frozen:L:1:q:R:2 "
        r'smiles="C/C=C\\C[N+]" note="two words" empty_list="_JSON []" n=3 x=3.0 flag=T '
        'flags="T F" many="1 2 3" table="_JSON [[1, 2], [3, 4]]" equation="a=b" '
        'text_number="_JSON \\"12\\"" virial="1 2 3 4 5 6 7 8 9" nan=nan\n'
        "H 0 0 0 7 alpha T 0.5 1e-300\n"
    )
    assert_unchanged(write_file(text), tmp_path)
    info = ase.io.read(tmp_path / "copy.xyz").info
    assert info["smiles"] == r"C/C=C\C[N+]"
    assert info["text_number"] == "12"
    assert info["virial"][0].tolist() == [1, 4, 7]


def test_systems_with_differing_keys_come_back_unchanged(write_file, tmp_path):
    text = (
        "2\nProperties=species:S:1:pos:R:3:tags:I:1 charge=1\nH 0 0 0 1\nH 0 0 1 2\n"
        "1\ntotal_spin=2\nHe 0 0 0\n"
        "1\nProperties=species:S:1:pos:R:3:tags:R:3 charge=two\nHe 0 0 0 1.5 2 3\n"
    )
    assert_unchanged(write_file(text), tmp_path)


def test_constraints_and_results_of_other_formats_are_written(tmp_path):
    atoms = Atoms("OH", [[0, 0, 0], [0, 0, 1]], cell=[3, 4, 5], pbc=True)
    atoms.set_constraint(FixAtoms([1]))
    stress = np.arange(6.0)
    atoms.calc = SinglePointCalculator(atoms, energy=-1.5, stress=stress)
    ase.io.write(tmp_path / "a.traj", atoms)
    write(tmp_path / "a.xyz", [read(tmp_path / "a.traj")])
    copy = ase.io.read(tmp_path / "a.xyz")
    assert copy.constraints[0].index.tolist() == [1]
    assert copy.calc.results["energy"] == -1.5
    assert np.array_equal(copy.calc.results["stress"], stress)


def test_chunks_follow_each_other(files, tmp_path):
    frames = read(files / "mptrj.xyz")
    write(tmp_path / "a.xyz", [frames.select(np.arange(2)), frames.select(np.arange(2, 6))])
    assert_same(frames, read(tmp_path / "a.xyz"))


def interrupted_after(frames):
    yield frames
    raise KeyboardInterrupt


def test_a_file_appears_only_when_all_is_written(files, tmp_path):
    frames = read(files / "mptrj.xyz")
    (tmp_path / "a.xyz").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "a.xyz", interrupted_after(frames))
    assert [path.name for path in tmp_path.iterdir()] == ["a.xyz"]
    assert (tmp_path / "a.xyz").read_text() == "old"


def test_a_folder_that_does_not_exist_is_made(files, tmp_path):
    path = tmp_path / "absent" / "a.xyz"
    with ExtxyzWriter().open(path) as file:
        file.write(read(files / "isolated_atoms.xyz"))
    assert len(read(path)) == 4


def test_text_with_blanks_per_atom_is_refused(files, tmp_path):
    frames = read(files / "isolated_atoms.xyz")
    column = dataclasses.replace(
        next(iter(frames.system_data.values())),
        values=np.array(["a b"] * 4, dtype=object),
    )
    with pytest.raises(MetatrainError, match="'label' holds text with blanks"):
        write(tmp_path / "a.xyz", [dataclasses.replace(frames, atom_data={"label": column})])


def test_the_suffix_decides_on_the_writer():
    assert writers.find("out.xyz", None, "output") == ExtxyzWriter()
    with pytest.raises(MetatrainError, match=r"none of the writers.*'out\.foo'.*\.xyz"):
        writers.find("out.foo", None, "output")
