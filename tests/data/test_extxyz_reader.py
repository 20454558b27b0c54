"""Both readers of extended XYZ: ours, and ASE, which it has to agree with."""

import itertools
import random
import warnings
from pathlib import Path

import ase.io
import numpy as np
import pytest

from metatrain.data.readers import decimals, extxyz
from metatrain.data.readers.ase import AseReader
from metatrain.data.readers.extxyz import ExtxyzReader
from metatrain.errors import MetatrainError
from refusals import message_of

ROOT = Path(__file__).parents[2]
FILES = sorted([*(ROOT / "tests/data/files").glob("*.xyz"), *(ROOT / "examples").rglob("*.xyz")])
PLAIN = """2
Lattice="9 0 0 0 9.5 0 0 1 9" Properties=species:S:1:pos:R:3:forces:R:3 energy=-1.5 x="1 2" name=a
H   0.00000000   -1.25000000   12.50000000   0.1   .2  -0
cl  1e-3         +4.           -0.00000001   3     4.5  123456789.123456789
"""
UNUSUAL_ENTRIES = [
    *("word", "a=b=c", "a==b", "key =1", "key= 1", "a=1 a=2", "uid=5", "UID=1.5", "1=2", "a-b=3"),
    *(
        "x=[1 2]",
        "x={1 2}",
        "x='1 2'",
        'x=""',
        'x=" "',
        r'x="a\\"b"',
        'x="a=b"',
        "x=a'b'",
        "é=1",
        "x=é",
    ),
    *("x=T", 'x="T F"', "x=nan", "x=-inf", "x=1_000", "x=--1", "x=1,2", 'x="1 2.5 -0"', "x=1e400"),
    *("x=9223372036854775807", "x=9223372036854775808", 'x="_JSON [[1, 2.5]]"', "x=_JSON"),
    *("pbc=T", 'pbc="T T F"', 'pbc="1 0 1"', 'virial="1 2 3 4 5 6 7 8 9"', 'dipole="1 2 3"'),
    *('stress="1 2 3 4 5 6 7 8 9"', "stress=1", "dipole=T", "energy=T", "magmom=2", "charges=1"),
]
UNUSUAL_PROPERTIES = [
    *("species:S:1:pos:R:3:Z:I:1", "pos:R:3:species:S:1", "species:S:1:pos:R:3:charge:R:1"),
    *("species:S:1:pos:R:3:tag:S:1:n:I:2:is:L:1", "species:S:1:pos:R:3:move_mask:L:1"),
    *("species:S:1:pos:R:3:dipole:R:3", "species:S:1:pos:R:3:magmoms:R:1:charges:I:1"),
    *("species:S:1:pos:R:3:initial_charges:R:1", "Z:I:1:pos:R:3", "species:S:1:pos:I:3"),
    *("species:S:1:pos:R:3:x:R:2:x0:R:1", "species:S:1:pos:R:3:x:R:0", "species:S:1:pos:R"),
    "species:S:1:pos:R:3:",
]
# what ASE passes over, and is told all the same; behind an empty line, ASE leaves out the rest
INTENDED_REFUSALS = (
    "columns where",
    "has no other that closes it",
    "Properties is",
    "expected the number of atoms of system",
)


@pytest.fixture(params=[ExtxyzReader, AseReader])
def read(request):
    return lambda path: list(request.param()(path))


def outcome(reader, path):
    """What is read, down to types and the order of keys, or the message."""
    try:
        return [described(vars(frames)) for frames in reader(path)]
    except MetatrainError as error:
        return str(error)


def described(value):
    if isinstance(value, dict):
        return [(key, described(inner)) for key, inner in value.items()]
    if isinstance(value, np.ndarray) and value.dtype == object:
        return value.shape, [described(inner) for inner in value.ravel()]
    if isinstance(value, np.ndarray | np.generic):
        return str(value.dtype), value.shape, value.tobytes()
    return described(vars(value)) if hasattr(value, "is_present") else (type(value), value)


def assert_read_as_by_ase(path):
    found = outcome(ExtxyzReader(), path)
    assert found == outcome(AseReader(), path)
    if isinstance(found, str) and is_accepted_by_ase(path):
        assert any(reason in found for reason in INTENDED_REFUSALS)


def is_accepted_by_ase(path):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return len(ase.io.read(path, ":", format="extxyz")) > 0
    except Exception:  # noqa: BLE001 (ASE raises whatever it likes)
        return False


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_real_files_are_read_bit_for_bit_as_by_ase(path):
    assert_read_as_by_ase(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_real_files_are_plain(path, monkeypatch):
    def refuse(text):
        raise AssertionError(text)

    monkeypatch.setattr(extxyz, "read_extxyz", refuse)
    assert sum(map(len, ExtxyzReader()(path))) > 0


@pytest.mark.parametrize("entry", UNUSUAL_ENTRIES)
def test_an_unusual_entry_is_read_as_by_ase(entry, write_file):
    lines = f"1\n{entry}\nH 0 0 0\n1\nz=1 {entry} energy=2\nH 0 0 0\n"
    assert_read_as_by_ase(write_file(PLAIN + lines + 2 * PLAIN))


@pytest.mark.parametrize("properties", UNUSUAL_PROPERTIES)
def test_unusual_columns_are_read_as_by_ase(properties, write_file):
    words = {"S": "C", "R": "1.5", "I": "8", "L": "T"}
    fields = properties.split(":")
    kinds = zip(fields[1::3], map(int, fields[2::3]), strict=False)
    line = " ".join(words[kind] for kind, width in kinds for _ in range(width))
    assert_read_as_by_ase(write_file(f"{PLAIN}1\nProperties={properties}\n{line}\n" * 3))


@pytest.mark.parametrize(
    "line",
    [
        *(
            "H 1 2",
            "H 1 2 3 4",
            "H 1-2 3 4",
            "H 1 2 3.4.5",
            "H 1 2 .",
            "H 1 2 -",
            "H 1 2 1d5",
            "6 1 2 3",
        ),
        *(
            "H 1 2 nan",
            "H 1 2 -inf",
            "H 1 2 1_0",
            "H 1 2 ٣",
            "Qq 1 2 3",
            "X 1 2 3",
            "H1 1 2 3",
            "H\t1\x0b2 3",
        ),
        *(
            "  h 1 2 3  ",
            "H 1 2 3 # comment",
            "H 1 2 0x10",
            "H 1 2 1e400",
            "",
            "H 1 2 12345678901234567890.5",
        ),
    ],
)
def test_an_unusual_atom_is_read_as_by_ase(line, write_file):
    assert_read_as_by_ase(write_file("1\n\nH 1 2 3\n" * 40 + f"1\n\n{line}\n" + "1\n\nH 1 2 3\n"))


@pytest.mark.parametrize("seed", range(30))
def test_a_damaged_file_is_read_or_refused_as_by_ase(seed, tmp_path):
    chance = random.Random(seed)
    text = bytearray((PLAIN * 6).encode())
    for _ in range(2):
        place = chance.randrange(len(text))
        text[place : place + chance.randrange(3)] = chance.choice(
            [b"", b" ", b"\n", b"0", b'"', b"\xff"]
        )
    (tmp_path / "damaged.xyz").write_bytes(text)
    assert_read_as_by_ase(tmp_path / "damaged.xyz")


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_lines_may_end_as_on_other_systems(read, tmp_path, end):
    path = tmp_path / "a.xyz"
    path.write_bytes((PLAIN * 3).replace("\n", end).encode())
    (frames,) = read(path)
    assert frames.types.tolist() == [1, 17] * 3


def test_cell_vectors_may_stand_behind_the_atoms(read, write_file):
    vectors = "VEC1 2 0 0\nVEC2 0 3 0\n"
    (frames,) = read(write_file("1\n\nH 0 0 0\n" + vectors + "1\n\nH 0 0 0\n"))
    assert frames.pbc.tolist() == [[True, True, False], [False] * 3]


def test_text_and_numbers_under_one_key_keep_their_types(read, write_file):
    entries = ["x=1", "x=2.5", "x=high", "x=1 y=0"]
    (frames,) = read(write_file("".join(f"1\n{entry}\nH 0 0 0\n" for entry in entries)))
    assert list(map(type, frames.system_data["x"].values)) == [np.int64, np.float64, str, np.int64]


@pytest.mark.parametrize("size", [1, 7, 100])
def test_systems_come_whole_out_of_pieces_of_a_file(files, monkeypatch, size):
    expected = outcome(ExtxyzReader(), files / "mptrj.xyz")
    monkeypatch.setattr("metatrain.data.readers.frame_texts.BYTES_PER_READ", size)
    monkeypatch.setattr(extxyz, "BYTES_AT_ONCE", size)
    assert outcome(ExtxyzReader(), files / "mptrj.xyz") == expected


@pytest.mark.parametrize("form", ["%.8f", "%16.3f", "%r", "%.3e", "%g", "%.15f", "%+.2f", "%d"])
def test_numbers_are_as_exact_as_those_of_python(form):
    chance = random.Random(0)
    scales = itertools.cycle([1e-9, 1e-3, 1.0, 1e4, 1e8, 1e17])
    words = [form % (chance.uniform(-1, 1) * next(scales)) for _ in range(1200)]
    text = " ".join(words).encode()
    begins, ends = (places.reshape(-1, 2) for places in decimals.find_words(text))
    expected = np.array([float(word) for word in words]).reshape(-1, 2)
    assert decimals.numbers(text, begins, ends, [0, 1]).tobytes() == expected.tobytes()


def test_a_file_with_a_lattice_and_no_pbc_is_periodic(read, write_file):
    lattice = 'Lattice="2 0 0 0 2 0 0 0 2"'
    (frames,) = read(write_file(f"1\n{lattice}\nH 0 0 0\n1\n\nH 0 0 0\n"))
    assert frames.pbc.tolist() == [[True] * 3, [False] * 3]


def test_systems_with_differing_keys_keep_them_apart(read, write_file):
    (frames,) = read(
        write_file("1\ncharge=1 tag=a\nH 0 0 0\n1\ntag=b spin=0.5\nH 0 0 0\n1\nspin=2\nH 0 0 0\n")
    )
    assert frames.system_data["charge"].is_present.tolist() == [True, False, False]
    assert frames.system_data["tag"].is_present.tolist() == [True, True, False]
    assert frames.system_data["spin"].values[1:].tolist() == [0.5, 2.0]


def test_a_value_whose_shape_varies_is_kept_as_objects(read, write_file):
    (frames,) = read(write_file('1\ndos="1 2"\nH 0 0 0\n1\ndos="1 2 3"\nH 0 0 0\n'))
    assert [len(values) for values in frames.system_data["dos"].values] == [2, 3]


def test_long_files_come_in_chunks(read, write_file):
    chunks = read(write_file("1\n\nH 0 0 0\n" * 2500))
    assert [len(chunk) for chunk in chunks] == [1000, 1000, 500]


def test_systems_behind_an_empty_line_are_read(read, write_file):
    (frames,) = read(write_file("1\n\nH 0 0 0\n\n1\n\nHe 0 0 0\n\n"))
    assert frames.types.tolist() == [1, 2]


def test_a_missing_file_is_named(read, tmp_path):
    assert "no such file" in message_of(read, tmp_path / "absent.xyz")


def test_a_directory_is_no_file(read, tmp_path):
    assert "directory" in message_of(read, tmp_path)


def test_an_empty_file_is_refused(read, write_file):
    assert "is empty" in message_of(read, write_file(""))


def test_a_file_of_blanks_has_no_systems(read, write_file):
    assert "no systems" in message_of(read, write_file("\n\n"))


MISTAKES = {
    "1\n\nH 0 0 0\n3\n\nH 0 0 0\nH 0 0 1\n": "system 1, from line 4 on: the file ends after 2 of its "
    "3 atoms",
    "1\n\nH 0 0 0\nH 0 0 1\n1\n\nH 0 0 0\n": "system 0, line 4: found 'H 0 0 1' behind the 1 atoms that "
    "line 1 declares, expected the number of atoms of system 1",
    "\n2\n\nH 0 0 0\n1\n\nH 0 0 0\n": "system 0, line 5: has 1 columns where species and position "
    "need 4; correct it, or the number of atoms, 2 by line 2.",
    PLAIN
    + "1\nProperties=species:S:1:pos:R:3 x=1\nH 0 0 0 1\n": "system 1, line 7: has 5 columns where "
    "Properties declares 4",
    PLAIN
    + '1\nLattice="9 0 0 0 9 0 0 0 9 x=1\nH 0 0 0\n': "system 1, line 6: the \" behind 'Lattice='",
    PLAIN
    + '1\nLattice="9 0 0 0 9 0 0 0 9 pbc="T T F"\nH 0 0 0\n': "system 1, line 6: the \" behind '9 0 0 0 9 pbc=\"T T F'",
    PLAIN + '1\nLattice="9 0 0"\nH 0 0 0\n': "system 1, line 6: Lattice is '9 0 0', expected nine "
    "numbers, one cell vector after the other",
    "1\nProperties=species:S:1:pos:R\nH 0 0 0\n": "system 0, line 2: Properties is "
    "'species:S:1:pos:R', expected name,",
    "1\n\nH 0 0 0\n1\n\nQq 0 0 0\n": "system 1, from line 4 on: cannot be read: 'Qq' is no element",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_told_with_its_system_and_line(read, write_file, text):
    message = message_of(read, write_file(text))
    assert f"systems.xyz, {MISTAKES[text]}" in message
    assert "rename" not in message


def test_a_file_that_looks_like_no_extended_xyz_may_have_another_format(read, write_file):
    message = message_of(read, write_file("<html>\n<body>\n"))
    assert "system 0, line 1: found '<html>', expected the number of atoms" in message
    assert "rename it" in message


def test_columns_of_which_a_file_does_not_speak_are_left_out(read, write_file):
    (frames,) = read(write_file("1\nthe state's structure\nH 0 0 1 -0.5\n"))
    assert frames.positions.tolist() == [[0.0, 0.0, 1.0]]
