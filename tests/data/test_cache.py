import dataclasses
import os
import shutil
from pathlib import Path

import pytest
import torch

from metatrain.data import cache
from metatrain.data.cache import FOLDER
from metatrain.data.columns_file import open_columns, write_columns
from metatrain.data.readers import extxyz
from metatrain.data.readers.extxyz import ExtxyzReader
from metatrain.data.reading import Units, read_columns
from metatrain.errors import MetatrainError

FRAME = "1\nProperties=species:S:1:pos:R:3:forces:R:3 energy={}\nH 0 0 0 1 2 3\n"


@pytest.fixture(autouse=True)
def everything_is_large(monkeypatch, tmp_path):
    monkeypatch.setattr(cache, "LEAST_BYTES", 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))


@pytest.fixture
def reads(monkeypatch):
    """The paths that have been read from."""
    paths = []

    class Reader(ExtxyzReader):
        version = ExtxyzReader.version

        def __call__(self, path):
            paths.append(path)
            return super().__call__(path)

    monkeypatch.setattr("metatrain.data.readers.extxyz.ExtxyzReader", Reader)
    return paths


@pytest.fixture
def source(write_file, energy_source):
    path = write_file("".join(FRAME.format(number) for number in range(3)))
    return energy_source(path, forces="forces")


def folder_of(source):
    return Path(source.systems.read_from).parent / FOLDER


def kept(source):
    return sorted(folder_of(source).glob("*.columns"))


def assert_equal(first, second):
    arrays, others = first.arrays(), second.arrays()
    assert arrays.keys() == others.keys()
    for name, array in arrays.items():
        assert array.dtype == others[name].dtype
        assert torch.equal(array, others[name]), name
    assert first.origin.files == second.origin.files


def test_a_second_start_reads_nothing_and_has_the_same(source, reads):
    first, second = read_columns(source), read_columns(source)
    assert len(reads) == 1
    assert_equal(first, second)
    assert second.fingerprint() == first.fingerprint()
    assert second.values["energy"].tolist() == [[0.0], [1.0], [2.0]]


def test_a_file_with_other_content_is_read_though_size_and_time_are_the_same(source, reads):
    read_columns(source)
    path = Path(source.systems.read_from)
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_text(path.read_text().replace("energy=2", "energy=7"))
    os.utime(path, ns=times)
    assert read_columns(source).values["energy"].tolist() == [[0.0], [1.0], [7.0]]
    assert len(reads) == 2


@pytest.mark.parametrize("change", ["units", "indices", "key", "sample_kind"])
def test_what_is_asked_for_in_another_way_is_read_anew(source, reads, change):
    read_columns(source)
    units, energy = None, source.targets["energy"]
    if change == "units":
        units = Units("nm", {"energy": "meV"})
    elif change == "indices":
        source = dataclasses.replace(source, indices=(2, 0))
    else:
        other = {"key": {"key": "forces", "sample_kind": "atom", "num_subtargets": 3}}
        energy = dataclasses.replace(energy, **other.get(change, {"rank": 0, "unit": "meV"}))
        source = dataclasses.replace(source, targets={"energy": energy})
    columns = read_columns(source, units)
    assert len(reads) == 2
    assert_equal(read_columns(source, units), columns)
    assert len(reads) == 2


def test_a_file_that_was_moved_is_known_and_named_as_it_is_now(
    source, energy_source, reads, monkeypatch, tmp_path
):
    monkeypatch.setenv("METATRAIN_CACHE", str(tmp_path / "cache"))
    read_columns(source)
    moved = shutil.move(source.systems.read_from, tmp_path / "moved.xyz")
    columns = read_columns(energy_source(moved, forces="forces"))
    assert len(reads) == 1
    assert columns.origin.where(1) == f"{moved}, system 1"


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "end"])
def test_what_is_damaged_is_read_anew(source, reads, damage):
    columns = read_columns(source)
    (path,) = kept(source)
    content = bytearray(path.read_bytes())
    content[-1 if damage == "end" else 200] ^= 1
    path.unlink()  # a file that is in use must not be cut
    path.write_bytes({"cut": content[:-20], "empty": b""}.get(damage, content))
    assert_equal(read_columns(source), columns)
    assert len(reads) == 2
    assert_equal(read_columns(source), columns)
    assert len(reads) == 2


def test_where_the_data_cannot_be_written_to_columns_are_kept_for_the_user(source, reads, tmp_path):
    folder_of(source).write_text("in the way")
    assert_equal(read_columns(source), read_columns(source))
    assert len(reads) == 1
    assert len(list((tmp_path / "home" / "metatrain").glob("*.columns"))) == 1


def test_where_nothing_can_be_written_the_run_goes_on_with_a_warning(source, tmp_path, caplog):
    folder_of(source).write_text("in the way")
    (tmp_path / "home").write_text("in the way")
    assert len(read_columns(source)) == 3
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "not kept for the next start" in record.message


@pytest.mark.parametrize("word", ["off", "OFF", "0", "no"])
def test_nothing_is_kept_if_it_is_switched_off(source, monkeypatch, tmp_path, word):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("METATRAIN_CACHE", word)
    read_columns(source)
    assert not folder_of(source).exists()
    assert not (tmp_path / word).exists()


def test_a_word_that_is_no_path_is_no_folder(source, monkeypatch):
    monkeypatch.setenv("METATRAIN_CACHE", "nonsense")
    with pytest.raises(MetatrainError, match="METATRAIN_CACHE: found 'nonsense', expected 'off'"):
        read_columns(source)


def test_small_files_are_not_kept(source, monkeypatch):
    monkeypatch.undo()
    read_columns(source)
    assert not folder_of(source).exists()


@pytest.mark.parametrize("version", ["", None])
def test_what_a_reader_without_a_version_of_its_own_reads_is_not_kept(
    source, reads, monkeypatch, version
):
    reader = extxyz.ExtxyzReader
    if version is None:
        monkeypatch.delattr(reader, "version")  # there is still that of the class it derives from
    else:
        monkeypatch.setattr(reader, "version", version)
    read_columns(source)
    read_columns(source)
    assert len(reads) == 2
    assert not folder_of(source).exists()


def test_another_version_of_the_reader_reads_anew(source, reads, monkeypatch):
    read_columns(source)
    monkeypatch.setattr(extxyz.ExtxyzReader, "version", "another")
    read_columns(source)
    assert len(reads) == 2


def test_a_file_that_changes_while_it_is_read_is_not_kept(source, monkeypatch):
    class Hasty(ExtxyzReader):
        def __call__(self, path):
            yield from super().__call__(path)
            path.write_text(path.read_text() + FRAME.format(3))

    monkeypatch.setattr("metatrain.data.readers.extxyz.ExtxyzReader", Hasty)
    assert len(read_columns(source)) == 3
    assert kept(source) == []


def test_what_is_done_to_columns_does_not_reach_what_is_kept(source):
    read_columns(source)
    read_columns(source).forces["energy"].zero_()
    assert read_columns(source).forces["energy"].tolist() == [[1.0, 2.0, 3.0]] * 3


def test_what_nobody_used_for_a_month_is_removed(source):
    read_columns(source)
    (old,) = kept(source)
    os.utime(old, (0, 0))
    read_columns(source, Units("nm"))
    assert old not in kept(source)
    assert len(kept(source)) == 1


def test_old_files_of_the_user_stay_where_columns_are_kept(source, monkeypatch, tmp_path):
    monkeypatch.setenv(cache.SWITCH, str(tmp_path))
    names = ["thesis.columns.csv", "table.columns", "0123456789abcdef.columns"]
    for name in names:
        (tmp_path / name).write_text("years of work")
        os.utime(tmp_path / name, (0, 0))
    read_columns(source)
    assert [name for name in names if (tmp_path / name).exists()] == names


def test_a_folder_that_another_start_makes_meanwhile_is_taken(source, monkeypatch, tmp_path):
    exists = Path.exists
    made = []

    def other_start(path, **options):
        was_there = exists(path, **options)
        if path.name == FOLDER and not was_there:
            path.mkdir()
            made.append(path)
        return was_there

    monkeypatch.setattr(Path, "exists", other_start)
    read_columns(source)
    assert made == [folder_of(source)]
    assert len(kept(source)) == 1
    assert not (tmp_path / "home").is_dir()


def test_a_user_without_a_home_can_read(source, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert len(read_columns(source)) == 3
    assert len(kept(source)) == 1


def test_a_folder_that_was_there_gets_nothing_but_columns(source, monkeypatch, tmp_path):
    monkeypatch.setenv("METATRAIN_CACHE", str(tmp_path))
    before = set(tmp_path.iterdir())
    read_columns(source)
    (new,) = set(tmp_path.iterdir()) - before
    assert new.suffix == ".columns"


def test_a_file_that_is_missing_beside_a_large_one_is_named(source, energy_source, tmp_path):
    source = energy_source(tmp_path / "absent.xyz", systems=source.systems.read_from)
    with pytest.raises(MetatrainError, match=r"absent\.xyz: there is no such file"):
        read_columns(source)


def test_use_is_noted(source):
    read_columns(source)
    (path,) = kept(source)
    os.utime(path, (0, 0))
    read_columns(source)
    assert path.stat().st_mtime > 0


def test_columns_of_any_shape_come_back_from_a_file(files, energy_source, tmp_path):
    source = energy_source(files / "mptrj.xyz", forces="forces", stress="stress")
    columns = read_columns(source)
    charges = {"mtt::charge": torch.zeros(len(columns.types), 1, dtype=torch.float64)}
    columns = dataclasses.replace(columns, values=columns.values | charges)
    for part in (columns, columns.select([]), columns.select([0])):
        write_columns(part, tmp_path / "a.columns")
        assert_equal(open_columns(tmp_path / "a.columns"), part)
        assert open_columns(tmp_path / "a.columns").is_per_atom("mtt::charge")
