import dataclasses
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from metatrain.data.frames import Frames
from metatrain.data.readers.ase import AseReader
from metatrain.data.reading import Units, read_columns, stream_columns, targets_of
from metatrain.data.source import DataSource, SystemsSource, TargetSource
from metatrain.errors import MetatrainError

HYDROGEN = '1\nLattice="2 0 0 0 2 0 0 0 2" {}\nH 0 0 0\n'
VOIGT = [[1.0, 6.0, 5.0], [6.0, 2.0, 4.0], [5.0, 4.0, 3.0]]


def message_of(source, units=None):
    with pytest.raises(MetatrainError) as raised:
        read_columns(source, units)
    message = str(raised.value)
    assert "\n" not in message
    return message


def scalar_source(path, **fields):
    target = TargetSource(str(path), None, **{"key": "x", **fields})
    return DataSource("test_set[0]", SystemsSource(str(path)), {"mtt::x": target})


def test_labels_that_ase_moves_into_a_calculator_are_found(files, energy_source):
    source = energy_source(files / "mptrj.xyz", forces="forces", stress="stress")
    columns = read_columns(source)
    assert columns.values["energy"].shape == (6, 1)
    assert columns.values["energy"][0, 0] == -28.75765745
    assert columns.forces["energy"].shape == columns.positions.shape
    assert columns.stress["energy"][0, 0, 0] == 0.0008926831358242223
    assert not columns.stress["energy"].isnan().any()
    (target,) = targets_of([source], [columns]).values()
    assert target.gradients == ("positions", "strain")


def test_a_key_of_any_name_is_found_in_info_and_arrays(write_file, energy_source):
    text = "1\nProperties=species:S:1:pos:R:3:REF_f:R:3 REF_energy=-2\nH 0 0 0 1 2 3\n"
    columns = read_columns(energy_source(write_file(text), key="REF_energy", forces="REF_f"))
    assert columns.values["energy"].tolist() == [[-2.0]]
    assert columns.forces["energy"].tolist() == [[1.0, 2.0, 3.0]]


def test_a_misspelt_key_is_refused_with_the_keys_of_the_file(files, energy_source):
    message = message_of(energy_source(files / "3bpa.xyz", forces="force"))
    for part in (
        "training_set[0].targets.energy.forces",
        "3bpa.xyz has no 'force' per atom",
        "did you mean 'forces'?",
        "per system: dihedrals, energy; per atom: forces",
    ):
        assert part in message
    assert "did you mean 'energy'?" in message_of(energy_source(files / "3bpa.xyz", key="enrgy"))


def test_a_gradient_that_was_not_asked_for_may_be_absent(files, energy_source):
    source = energy_source(files / "3bpa.xyz", is_required=False, forces="forces", stress="stress")
    columns = read_columns(source)
    assert "energy" in columns.forces
    assert columns.stress == {}
    assert targets_of([source], [columns])["energy"].gradients == ("positions",)


def test_a_label_that_some_systems_lack_is_nan_there(write_file, energy_source):
    with_forces = (
        "2\nProperties=species:S:1:pos:R:3:forces:R:3 energy=1\nH 0 0 0 1 1 1\nH 0 0 1 2 2 2\n"
    )
    text = with_forces + "1\nenergy=nan\nH 0 0 0\n" + "1\nenergy=3\nHe 0 0 0\n"
    columns = read_columns(energy_source(write_file(text), forces="forces"))
    assert columns.values["energy"].isnan().squeeze(1).tolist() == [False, True, False]
    assert columns.forces["energy"].isnan().all(dim=1).tolist() == [False, False, True, True]


def test_a_label_that_is_nan_everywhere_counts_as_absent(write_file, energy_source):
    message = message_of(energy_source(write_file("1\nenergy=nan\nH 0 0 0\n")))
    assert "missing or NaN in all systems" in message


@pytest.mark.parametrize("forces", ["1 nan 1", "nan nan 1"])
def test_forces_with_nan_in_a_component_are_refused_with_the_atom(
    write_file, energy_source, forces
):
    header = "2\nProperties=species:S:1:pos:R:3:forces:R:3 energy=1\nH 0 0 0 1 1 1\n"
    path = write_file(f"{header}H 0 0 1 2 2 2\n{header}H 0 0 1 {forces}\n")
    message = message_of(energy_source(path, forces="forces"))
    assert "systems.xyz, system 1: 'forces' of atom 1 is NaN in part; expected 3 numbers" in message
    assert "or NaN for all of them where there is no label" in message


def test_atoms_whose_forces_are_all_nan_have_none(write_file, energy_source):
    header = "2\nProperties=species:S:1:pos:R:3:forces:R:3 energy=1\nH 0 0 0 1 1 1\n"
    columns = read_columns(
        energy_source(write_file(f"{header}H 0 0 1 nan nan nan\n"), forces="forces")
    )
    assert columns.forces["energy"].isnan().all(dim=1).tolist() == [False, True]


def test_a_stress_with_nan_in_it_is_refused(write_file, energy_source):
    path = write_file(HYDROGEN.format('energy=1 stress="1 0 0 0 1 0 0 0 nan"'))
    assert "system 0: 'stress' is NaN in part" in message_of(energy_source(path, stress="stress"))


def test_of_several_scalars_or_tensors_some_may_be_missing(write_file):
    path = write_file('1\nx="1 nan 3 nan 5 nan"\nH 0 0 0\n')
    found = read_columns(scalar_source(path, rank=1, num_subtargets=2)).values["mtt::x"]
    assert found.isnan().tolist() == [[False, True] * 3]
    read_columns(scalar_source(path, num_subtargets=6))
    assert "is NaN in part" in message_of(scalar_source(path, irreps=((0, 1), (2, 1))))


def test_stress_asked_for_of_molecules_is_refused(write_file, energy_source):
    text = '1\nenergy=1 stress="1 0 0 0 1 0 0 0 1"\nH 0 0 0\n'
    message = message_of(energy_source(write_file(text), stress="stress"))
    assert "periodic in three directions" in message


def test_each_file_is_read_once_however_many_labels_it_gives(files, energy_source):
    CountingReader.num_reads.clear()
    path = files / "mptrj.xyz"
    source = energy_source(path, forces="forces", stress="stress")
    name = f"{__name__}:CountingReader"
    energy = source.targets["energy"]
    energy = dataclasses.replace(
        energy,
        reader=name,
        forces=dataclasses.replace(energy.forces, reader=name),
        stress=dataclasses.replace(energy.stress, reader=name),
    )
    targets = {"energy": energy, "mtt::again": dataclasses.replace(energy, forces=None)}
    systems = dataclasses.replace(source.systems, reader=name)
    columns = read_columns(dataclasses.replace(source, systems=systems, targets=targets))
    assert len(columns) == 6
    assert CountingReader.num_reads == {path: 1}


@dataclass(frozen=True)
class CountingReader(AseReader):
    suffixes: ClassVar[tuple[str, ...]] = ()
    num_reads: ClassVar[Counter[Path]] = Counter()

    def __call__(self, path: Path) -> Iterator[Frames]:
        self.num_reads[path] += 1
        # in pieces, so that columns have to be put together
        for frames in super().__call__(path):
            yield frames.select(np.arange(1))
            yield frames.select(np.arange(1, len(frames)))


def test_systems_and_labels_may_stand_in_different_files(write_file, energy_source):
    systems = write_file("1\n\nH 0 0 0\n1\n\nHe 0 0 0\n", "systems.xyz")
    labels = write_file("1\nenergy=1\nH 0 0 0\n1\nenergy=2\nHe 0 0 0\n", "labels.xyz")
    columns = read_columns(energy_source(labels, systems=systems))
    assert columns.values["energy"].tolist() == [[1.0], [2.0]]
    assert columns.types.tolist() == [1, 2]


def test_files_of_different_length_are_refused_with_their_lengths(write_file, energy_source):
    systems = write_file("1\n\nH 0 0 0\n" * 1500, "systems.xyz")
    labels = write_file("1\nenergy=1\nH 0 0 0\n" * 3, "labels.xyz")
    message = message_of(energy_source(labels, systems=systems))
    assert "systems.xyz has 1500 systems" in message
    assert "labels.xyz has 3 systems" in message


@pytest.mark.parametrize("other", ["1\nenergy=2\nHe 0 0 0\n", "2\nenergy=2\nH 0 0 0\nH 0 0 1\n"])
def test_labels_of_other_systems_are_refused(write_file, energy_source, other):
    systems = write_file("1\n\nH 0 0 0\n" * 2, "systems.xyz")
    labels = write_file("1\nenergy=1\nH 0 0 0\n" + other, "labels.xyz")
    message = message_of(energy_source(labels, systems=systems))
    assert "labels.xyz, system 1: has other atoms" in message


def test_lengths_energies_forces_and_stress_are_converted_together(files, energy_source):
    source = energy_source(files / "mptrj.xyz", forces="forces", stress="stress")
    before = read_columns(source)
    after = read_columns(source, Units("nm", {"energy": "meV"}))
    close = {"rtol": 1e-12, "atol": 0.0}
    torch.testing.assert_close(after.positions, before.positions * 0.1, **close)
    torch.testing.assert_close(after.volumes, before.volumes * 1e-3, **close)
    for name, factor in {"values": 1e3, "forces": 1e4, "stress": 1e6}.items():
        converted, read = getattr(after, name)["energy"], getattr(before, name)["energy"]
        torch.testing.assert_close(converted, read * factor, **close)


def test_units_that_agree_leave_every_bit(files, energy_source):
    source = energy_source(files / "mptrj.xyz", forces="forces", stress="stress")
    before = read_columns(source)
    after = read_columns(source, Units("angstrom", {"energy": "eV"}))
    assert torch.equal(before.positions, after.positions)
    for name in ("values", "forces", "stress"):
        assert torch.equal(getattr(before, name)["energy"], getattr(after, name)["energy"])


def test_a_unit_of_another_quantity_is_refused_at_its_place(files, energy_source):
    message = message_of(energy_source(files / "mptrj.xyz"), Units("eV"))
    assert "training_set[0].systems.length_unit" in message


def test_virials_become_stress_of_the_other_sign_per_volume(files, energy_source):
    columns = read_columns(energy_source(files / "carbon.xyz", virial="virial", forces="force"))
    virial = torch.tensor(17.67401361, dtype=torch.float64)
    assert columns.stress["energy"][0, 0, 0] == -virial / columns.volumes[0]


def test_virials_are_converted_like_energies(files, energy_source):
    source = energy_source(files / "carbon.xyz", virial="virial")
    before = read_columns(source).stress["energy"]
    after = read_columns(source, Units("nm", {"energy": "meV"})).stress["energy"]
    torch.testing.assert_close(after, before * 1e6, rtol=1e-12, atol=0.0)


@pytest.mark.parametrize(
    "entry",
    [
        'stress="1 6 5 6 2 4 5 4 3"',
        's="1 6 5 6 2 4 5 4 3"',
        's="1 2 3 4 5 6"',
        's="_JSON [[1, 6, 5], [6, 2, 4], [5, 4, 3]]"',
    ],
)
def test_stress_may_be_a_matrix_nine_numbers_or_six(write_file, energy_source, entry):
    key = entry.partition("=")[0]
    path = write_file(HYDROGEN.format("energy=0 " + entry))
    columns = read_columns(energy_source(path, stress=key))
    assert columns.stress["energy"].tolist() == [VOIGT]


def test_a_stress_that_is_not_symmetric_stays_as_it_is(write_file, energy_source):
    path = write_file(HYDROGEN.format('energy=0 s="1 2 3 4 5 6 7 8 9"'))
    columns = read_columns(energy_source(path, stress="s"))
    assert columns.stress["energy"].flatten().tolist() == list(range(1, 10))


def test_only_systems_periodic_in_three_directions_have_stress(write_file, energy_source):
    entry = 'energy=0 stress="1 0 0 0 1 0 0 0 1"'
    text = HYDROGEN.format(entry) + HYDROGEN.format(entry + ' pbc="T T F"')
    columns = read_columns(energy_source(write_file(text), stress="stress"))
    assert columns.stress["energy"].isnan().all(dim=(1, 2)).tolist() == [False, True]
    assert columns.volumes.tolist() == [8.0, 0.0]
    assert columns.cells[1].tolist() == [[2, 0, 0], [0, 2, 0], [0, 0, 0]]


def test_targets_per_atom_and_with_several_properties(write_file):
    text = '2\nProperties=species:S:1:pos:R:3:x:R:2 d="1 2 3"\nH 0 0 0 1 2\nH 0 0 1 3 4\n'
    path = write_file(text)
    per_atom = read_columns(scalar_source(path, sample_kind="atom", num_subtargets=2))
    assert per_atom.values["mtt::x"].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    per_system = read_columns(scalar_source(path, key="d", num_subtargets=3))
    assert per_system.values["mtt::x"].tolist() == [[1.0, 2.0, 3.0]]


def test_vectors_are_read_per_system_and_per_atom(write_file):
    text = '2\nProperties=species:S:1:pos:R:3:x:R:3 d="1 2 3 4 5 6"\nH 0 0 0 1 2 3\nH 0 0 1 4 5 6\n'
    path = write_file(text)
    per_atom = read_columns(scalar_source(path, sample_kind="atom", rank=1))
    assert per_atom.values["mtt::x"].tolist() == [[1, 2, 3], [4, 5, 6]]
    two = read_columns(scalar_source(path, key="d", rank=1, num_subtargets=2))
    assert two.values["mtt::x"].tolist() == [[1, 2, 3, 4, 5, 6]]


@pytest.mark.parametrize(
    "entry", ['"1 2 3 4 5 6"', '"1 6 5 6 2 4 5 4 3"', '"_JSON [[1, 6, 5], [6, 2, 4], [5, 4, 3]]"']
)
def test_a_tensor_of_rank_two_may_be_a_matrix_nine_numbers_or_six(write_file, entry):
    path = write_file(HYDROGEN.format(f"x={entry}"))
    found = read_columns(scalar_source(path, rank=2)).values["mtt::x"]
    assert found.reshape(3, 3).tolist() == VOIGT


def test_matrices_per_atom_are_read_row_by_row(write_file):
    numbers = " ".join(map(str, range(9)))
    path = write_file(f"1\nProperties=species:S:1:pos:R:3:x:R:9\nH 0 0 0 {numbers}\n")
    found = read_columns(scalar_source(path, sample_kind="atom", rank=2)).values["mtt::x"]
    assert found.tolist() == [list(range(9))]
    path = write_file("1\nProperties=species:S:1:pos:R:3:x:R:6\nH 0 0 0 1 2 3 4 5 6\n")
    found = read_columns(scalar_source(path, sample_kind="atom", rank=2)).values["mtt::x"]
    assert found.reshape(3, 3).tolist() == VOIGT


def test_spherical_tensors_are_read_as_numbers_in_the_order_of_their_blocks(write_file):
    path = write_file('1\nx="1 2 3 4"\nH 0 0 0\n1\n\nH 0 0 0\n')
    found = read_columns(scalar_source(path, irreps=((0, 1), (1, 1)))).values["mtt::x"]
    assert found[0].tolist() == [1, 2, 3, 4]
    assert found[1].isnan().all()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ({"rank": 1}, "expected 3 numbers per system"),
        ({"rank": 2}, "expected a 3x3 matrix, nine numbers, or six (xx yy zz yz xz xy) per"),
        ({"rank": 2, "num_subtargets": 2}, "expected 18 numbers per system"),
        ({"irreps": ((2, 1), (1, -1))}, "expected 8 numbers per system"),
    ],
)
def test_a_tensor_with_the_wrong_number_of_components_is_refused(write_file, kind, expected):
    message = message_of(scalar_source(write_file('1\nx="1 2 3 4"\nH 0 0 0\n'), **kind))
    assert "system 0: 'x' is of shape 4; " in message
    assert expected in message


def test_the_wrong_sample_kind_is_pointed_out(write_file):
    path = write_file("1\nProperties=species:S:1:pos:R:3:x:R:1\nH 0 0 0 1\n")
    assert "say 'sample_kind: atom'" in message_of(scalar_source(path))


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        (["x=1", 'x="1 2"'], "system 1: 'x' is of shape 2; expected 1 number per system"),
        (["x=1", "x=inf"], "system 1: 'x' is infinite"),
        (["x=1", "x=high"], "system 1: 'x' is 'high'"),
        (["x=T"], "system 0: 'x' is a truth value"),
    ],
)
def test_a_label_that_is_no_number_is_refused_with_the_system(write_file, entries, found):
    path = write_file("".join(f"1\n{entry}\nH 0 0 0\n" for entry in entries))
    assert found in message_of(scalar_source(path))


@pytest.mark.parametrize(
    ("second", "found"),
    [
        ("1\nx=0\nH 0 inf 0\n", "a position is infinite"),
        ('1\nx=0 Lattice="2 0 0 0 2 0 0 0 0"\nH 0 0 0\n', "cell vector is zero"),
        ('1\nx=0 Lattice="2 0 0 0 2 0 2 2 0"\nH 0 0 0\n', "in line with the others"),
        ('1\nx=0 pbc="T F F"\nH 0 0 0\n', "cell vector is zero"),
        ("1\nx=0\nX 0 0 0\n", "no element"),
        ("0\nx=0\n", "no atoms"),
    ],
)
def test_a_system_that_no_model_can_use_is_refused(write_file, second, found):
    path = write_file("1\nx=0\nH 0 0 0\n" + second)
    message = message_of(scalar_source(path))
    assert "systems.xyz, system 1" in message
    assert found in message


def test_indices_choose_systems_and_their_order(write_file, energy_source):
    path = write_file("".join(f"1\nenergy={i}\nH 0 0 0\n" for i in range(2100)))
    columns = read_columns(energy_source(path, indices=(2050, 3, 1999, 3)))
    assert columns.values["energy"].squeeze(1).tolist() == [2050, 3, 1999, 3]
    assert columns.origin.where(0) == f"{path}, system 2050"


@pytest.mark.parametrize(
    ("indices", "found"),
    [((0, 6), "6 is out of range"), ((-1,), "-1 is out of range"), ((), "is empty")],
)
def test_indices_out_of_range_are_refused_with_the_numbers(files, energy_source, indices, found):
    assert found in message_of(energy_source(files / "3bpa.xyz", indices=indices))


def test_a_system_that_is_left_out_may_be_bad(write_file, energy_source):
    path = write_file("1\nenergy=1\nH 0 0 0\n1\nenergy=inf\nH 0 0 0\n")
    assert len(read_columns(energy_source(path, indices=(0,)))) == 1


def test_a_long_file_streams_in_chunks_with_what_was_read(write_file, energy_source):
    path = write_file("".join(f"1\nenergy={i}\nH 0 0 0\n" for i in range(1500)))
    frames, columns = zip(*stream_columns(energy_source(path)), strict=True)
    assert [len(chunk) for chunk in frames] == [len(chunk) for chunk in columns] == [1000, 500]
    assert columns[1].values["energy"][0, 0] == 1000


def test_sources_that_disagree_on_a_target_are_refused():
    sources = [scalar_source("a.xyz"), scalar_source("a.xyz", sample_kind="atom")]
    with pytest.raises(MetatrainError, match=r"mtt::x: is another kind of target"):
        targets_of(sources, [])
