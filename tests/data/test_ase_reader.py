import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from metatrain.data import readers
from metatrain.data.readers.ase import AseReader
from metatrain.data.readers.extxyz import ExtxyzReader
from metatrain.errors import MetatrainError
from refusals import message_of


def read(path):
    return list(readers.find(path, None, "systems")(path))


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


@pytest.mark.parametrize("suffix", ["xyz", "db", "traj", "json", "cif"])
def test_garbage_is_refused_in_one_line(tmp_path, suffix):
    path = tmp_path / f"garbage.{suffix}"
    path.write_bytes(bytes(range(256)) * 10)
    assert "system 0" in message_of(read, path)


def test_the_suffix_decides_on_the_reader():
    assert readers.find("a/train.xyz", None, "training_set[0].systems") == ExtxyzReader()
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


@pytest.mark.parametrize("error", [AttributeError("ours"), MemoryError()])
@pytest.mark.parametrize("name", ["a.traj", "a.db"])
def test_a_mistake_of_ours_is_not_blamed_on_the_file(tmp_path, monkeypatch, name, error):
    def fail(*_):
        raise error

    ase.io.write(tmp_path / name, Atoms("H"))
    monkeypatch.setattr("metatrain.data.readers.ase._frames_of", fail)
    with pytest.raises(type(error)):
        read(tmp_path / name)


@pytest.mark.parametrize("place", ["parse_comment", "_frames_of"])
def test_a_mistake_of_ours_in_extended_xyz_is_not_either(tmp_path, monkeypatch, place):
    def fail(*_):
        raise AttributeError("ours")

    ase.io.write(tmp_path / "a.xyz", Atoms("H"))
    monkeypatch.setattr(f"metatrain.data.readers.ase.{place}", fail)
    with pytest.raises(AttributeError):
        list(AseReader()(tmp_path / "a.xyz"))
