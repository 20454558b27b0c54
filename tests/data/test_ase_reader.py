import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from metatrain.data import readers
from metatrain.data.readers.ase import AseReader
from metatrain.errors import MetatrainError


def read(path):
    return list(AseReader()(path))


def message_of(path):
    with pytest.raises(MetatrainError) as raised:
        read(path)
    message = str(raised.value)
    assert "\n" not in message
    assert path.name in message
    return message


def test_extxyz_gives_what_ase_gives(files):
    (frames,) = read(files / "mptrj.xyz")
    for system, atoms in enumerate(ase.io.read(files / "mptrj.xyz", ":")):
        begin, end = frames.offsets[system : system + 2]
        assert np.array_equal(frames.positions[begin:end], atoms.positions)
        assert np.array_equal(frames.types[begin:end], atoms.numbers)
        assert np.array_equal(frames.cells[system], atoms.cell.array)
        assert np.array_equal(frames.pbc[system], atoms.pbc)
        assert frames.system_results["energy"].values[system] == atoms.get_potential_energy()
        assert np.array_equal(frames.atom_results["forces"].values[begin:end], atoms.get_forces())
        assert frames.system_data["mptrj_traj_id"].values[system] == atoms.info["mptrj_traj_id"]


def test_a_file_with_a_lattice_and_no_pbc_is_periodic(write_file):
    lattice = 'Lattice="2 0 0 0 2 0 0 0 2"'
    (frames,) = read(write_file(f"1\n{lattice}\nH 0 0 0\n1\n\nH 0 0 0\n"))
    assert frames.pbc.tolist() == [[True] * 3, [False] * 3]


def test_systems_with_differing_keys_keep_them_apart(write_file):
    (frames,) = read(
        write_file("1\ncharge=1 tag=a\nH 0 0 0\n1\ntag=b spin=0.5\nH 0 0 0\n1\nspin=2\nH 0 0 0\n")
    )
    assert frames.system_data["charge"].is_present.tolist() == [True, False, False]
    assert frames.system_data["tag"].is_present.tolist() == [True, True, False]
    assert frames.system_data["spin"].values[1:].tolist() == [0.5, 2.0]


def test_a_value_whose_shape_varies_is_kept_as_objects(write_file):
    (frames,) = read(write_file('1\ndos="1 2"\nH 0 0 0\n1\ndos="1 2 3"\nH 0 0 0\n'))
    assert [len(values) for values in frames.system_data["dos"].values] == [2, 3]


def test_long_files_come_in_chunks(write_file):
    chunks = read(write_file("1\n\nH 0 0 0\n" * 2500))
    assert [len(chunk) for chunk in chunks] == [1000, 1000, 500]


def test_systems_behind_an_empty_line_are_read(write_file):
    (frames,) = read(write_file("1\n\nH 0 0 0\n\n1\n\nHe 0 0 0\n\n"))
    assert frames.types.tolist() == [1, 2]


@pytest.mark.parametrize("suffix", ["traj", "db", "json"])
def test_labels_in_the_calculator_slot_of_other_formats_are_read(tmp_path, suffix):
    atoms = Atoms("OH", [[0, 0, 0], [0, 0, 1]])
    atoms.calc = SinglePointCalculator(atoms, energy=-1.5, forces=np.eye(3)[:2], magmom=1.0)
    ase.io.write(tmp_path / f"a.{suffix}", [atoms, atoms])
    (frames,) = read(tmp_path / f"a.{suffix}")
    assert len(frames) == 2
    assert frames.system_results["energy"].values.tolist() == [-1.5, -1.5]
    assert frames.system_results["magmom"].values.tolist() == [1.0, 1.0]
    assert np.array_equal(frames.atom_results["forces"].values[:2], np.eye(3)[:2])


def test_key_value_pairs_of_a_database_are_values_per_system(tmp_path):
    with ase.db.connect(tmp_path / "a.db") as database:
        database.write(Atoms("H"), gap=1.5, data={"dos": np.arange(3.0)})
    (frames,) = read(tmp_path / "a.db")
    assert frames.system_data["gap"].values.tolist() == [1.5]
    assert frames.system_data["dos"].values.tolist() == [[0.0, 1.0, 2.0]]


def test_a_missing_file_is_named(tmp_path):
    assert "no such file" in message_of(tmp_path / "absent.xyz")


def test_a_directory_is_no_file(tmp_path):
    assert "directory" in message_of(tmp_path)


def test_an_empty_file_is_refused(write_file):
    assert "is empty" in message_of(write_file(""))


def test_a_file_of_blanks_has_no_systems(write_file):
    assert "no systems" in message_of(write_file("\n\n"))


def test_a_truncated_file_is_refused_with_the_system(write_file):
    message = message_of(write_file("1\n\nH 0 0 0\n3\n\nH 0 0 0\nH 0 0 1\n"))
    assert "system 1:" in message
    assert "after 2 of its 3 atoms" in message


def test_a_wrong_number_of_atoms_is_refused_with_the_system(write_file):
    message = message_of(write_file("1\n\nH 0 0 0\nH 0 0 1\n1\n\nH 0 0 0\n"))
    assert "system 1:" in message
    assert "'H 0 0 1'" in message


def test_an_unknown_element_is_refused_with_the_system(write_file):
    message = message_of(write_file("1\n\nH 0 0 0\n1\n\nQq 0 0 0\n"))
    assert "system 1:" in message
    assert "Qq" in message


@pytest.mark.parametrize("suffix", ["xyz", "db", "traj", "json", "cif"])
def test_garbage_is_refused_in_one_line(tmp_path, suffix):
    path = tmp_path / f"garbage.{suffix}"
    path.write_bytes(bytes(range(256)) * 10)
    assert "system 0" in message_of(path)


def test_the_suffix_decides_on_the_reader():
    assert readers.find("a/train.xyz", None, "training_set[0].systems") == AseReader()
    assert readers.find("a/OUTCAR", None, "training_set[0].systems") == AseReader()


def test_an_unknown_suffix_is_refused_with_the_known_ones():
    with pytest.raises(MetatrainError) as raised:
        readers.find("a/train.foo", None, "training_set[0].systems")
    for part in ("training_set[0].systems", "train.foo", ".xyz", "reader: ase"):
        assert part in str(raised.value)


def test_ase_guesses_the_format_of_a_suffix_it_does_not_claim(tmp_path):
    ase.io.write(tmp_path / "a.xsf", Atoms("H2", [[0, 0, 0], [0, 0, 1]]))
    (frames,) = readers.find("a.xsf", "ase", "systems")(tmp_path / "a.xsf")
    assert frames.types.tolist() == [1, 1]
