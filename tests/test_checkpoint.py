"""Checkpoints: what a crash leaves, and what is refused."""

import json
import os
import pickle
import resource
import stat
import zipfile
from pathlib import Path

import pytest
import torch

from metatrain import checkpoint
from metatrain.checkpoint import (
    RunRecord,
    is_checkpoint,
    load,
    opened_content,
    recording,
    run_of,
    save,
    seal,
)
from metatrain.errors import MetatrainError
from metatrain.files import replacing

RUN = RunRecord(
    {"name": "pair", "package": "p", "version": "1"},
    "seed: 1\n",
    {"test": [3, 1]},
    5,
    {"test": "f"},
)


class Malicious:
    """Touches a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def message_of(path):
    with pytest.raises(MetatrainError) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def saved(tmp_path) -> Path:
    path = tmp_path / "last.ckpt"
    with recording(RUN, tmp_path):
        save(path, {"model": {"weights": {"w": torch.arange(1000.0)}}, "trainer": {"epoch": 3}})
    return path


def test_what_is_saved_is_loaded(saved):
    content = load(saved)
    assert torch.equal(content["model"]["weights"]["w"], torch.arange(1000.0))
    assert content["trainer"] == {"epoch": 3}
    assert run_of(saved) == RUN


def test_a_checkpoint_saved_outside_a_run_is_of_none(tmp_path):
    save(tmp_path / "a.ckpt", {"model": {}})
    assert run_of(tmp_path / "a.ckpt") is None


def test_a_checkpoint_of_any_format_gets_an_envelope_when_the_run_ends(tmp_path):
    path = tmp_path / "own.ckpt"
    with recording(RUN, tmp_path):
        path.write_bytes(b"a format of its own")
    moved = path.rename(tmp_path.parent / "moved.ckpt")
    assert run_of(moved) == RUN
    with opened_content(moved) as content:
        assert content.read_bytes() == b"a format of its own"
    assert not content.exists()


def test_a_run_that_was_killed_has_left_its_record_beside_its_checkpoints(tmp_path):
    path = tmp_path / "own.ckpt"
    with recording(RUN, tmp_path):
        path.write_bytes(b"a format of its own")
        assert run_of(path) == RUN
        with opened_content(path) as content:
            assert content == path


def test_what_cannot_be_sealed_keeps_nothing_else_from_it(tmp_path):
    with recording(RUN, tmp_path):
        (tmp_path / "a.ckpt").mkdir()
        (tmp_path / "b.ckpt").write_bytes(b"a format of its own")
    assert checkpoint.is_sealed(tmp_path / "b.ckpt")


def test_the_content_keeps_the_name_of_the_file(tmp_path):
    (tmp_path / "own.ckpt").write_bytes(b"a format of its own")
    seal(tmp_path / "own.ckpt")
    with opened_content(tmp_path / "own.ckpt") as content:
        assert content.name == "own.ckpt"


def test_a_copy_that_finds_no_room_does_not_blame_the_file(tmp_path):
    (tmp_path / "own.ckpt").write_bytes(bytes(10_000))
    seal(tmp_path / "own.ckpt")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            opened_content(tmp_path / "own.ckpt").__enter__()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_truncated_envelope_is_not_put_into_another(saved):
    saved.write_bytes(saved.read_bytes()[:500])
    seal(saved)
    assert len(saved.read_bytes()) == 500


def test_a_record_beside_that_is_damaged_is_named(tmp_path):
    (tmp_path / "own.ckpt").write_bytes(b"a format of its own")
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(MetatrainError, match=r"run.json: is damaged"):
        run_of(tmp_path / "own.ckpt")


def test_an_envelope_is_put_on_once(saved):
    before = saved.read_bytes()
    seal(saved)
    assert saved.read_bytes() == before
    with opened_content(saved) as content:
        assert content == saved


@pytest.mark.parametrize("name", ["last.ckpt", "own.ckpt"])
def test_one_flipped_bit_is_noticed(saved, name):
    path = saved.with_name(name)
    if name == "own.ckpt":
        path.write_bytes(bytes(4000))
        seal(path)
    content = bytearray(path.read_bytes())
    content[2000] ^= 1
    path.write_bytes(content)
    reading = load if name == "last.ckpt" else lambda path: opened_content(path).__enter__()
    with pytest.raises(MetatrainError, match="is damaged"):
        reading(path)


@pytest.mark.parametrize("error", [OSError("no space left on device"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(saved, error):
    before = saved.read_bytes()

    def write_half():
        with replacing(saved) as temporary:
            temporary.write_bytes(b"half of")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert saved.read_bytes() == before
    assert {path.name for path in saved.parent.iterdir()} == {"last.ckpt", "run.json"}


def test_what_cannot_be_saved_leaves_the_old_checkpoint(saved):
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        save(saved, {"model": lambda: None})
    assert load(saved)["trainer"] == {"epoch": 3}
    assert {path.name for path in saved.parent.iterdir()} == {"last.ckpt", "run.json"}


def test_folders_are_made_and_the_file_is_as_readable_as_others(tmp_path):
    path, other = tmp_path / "a" / "b.ckpt", tmp_path / "other"
    save(path, {})
    other.touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)


@pytest.mark.parametrize("kept", [2, 100, 2000, -1])
def test_a_truncated_checkpoint_is_named_and_its_neighbor_offered(saved, kept):
    older = saved.with_name("best.ckpt")
    older.write_bytes(saved.read_bytes())
    saved.write_bytes(saved.read_bytes()[:kept])
    assert message_of(saved) == f"{saved}: is damaged; beside it there is {older}."


@pytest.mark.parametrize("content", [b"", b"seed: 1\n", bytes(range(256))])
def test_another_file_is_no_checkpoint(tmp_path, content):
    (tmp_path / "options.yaml").write_bytes(content)
    assert "options.yaml: is not a checkpoint" in message_of(tmp_path / "options.yaml")


def test_a_missing_checkpoint_is_named_and_its_neighbor_offered(saved):
    missing = saved.with_name("lsat.ckpt")
    assert message_of(missing) == f"{missing}: no such checkpoint; beside it there is {saved}."
    assert message_of(Path("nowhere/last.ckpt")) == "nowhere/last.ckpt: no such checkpoint."


@pytest.mark.parametrize("content", [3, {"model": 1}, {"header": 3}, {"header": {"format": 1}}])
def test_tensors_of_somebody_else_are_no_checkpoint(tmp_path, content):
    torch.save(content, tmp_path / "theirs.ckpt")
    assert "is not a checkpoint of metatrain" in message_of(tmp_path / "theirs.ckpt")


def test_a_newer_format_names_the_release_to_install(tmp_path):
    record = {"format": checkpoint.FORMAT + 1, "metatrain": "9.1"}
    with zipfile.ZipFile(tmp_path / "new.ckpt", "w") as archive:
        archive.writestr("record.json", json.dumps(record))
    assert "pip install 'metatrain>=9.1'" in message_of(tmp_path / "new.ckpt")


@pytest.mark.parametrize("is_zip", [True, False])
def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path, is_zip):
    touched, path = tmp_path / "touched", tmp_path / "evil.ckpt"
    inside = tmp_path / "inside.pt"
    torch.save({"model": Malicious(touched)}, inside, _use_new_zipfile_serialization=is_zip)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("record.json", json.dumps({"format": 1, "metatrain": "0.1"}))
        archive.write(inside, "content.pt")
    message = message_of(path)
    assert not touched.exists()
    assert "nothing of it was run" in message


def test_a_plain_pickle_is_refused_and_not_run(tmp_path):
    (tmp_path / "evil.ckpt").write_bytes(pickle.dumps(Malicious(tmp_path / "touched")))
    message_of(tmp_path / "evil.ckpt")
    assert not (tmp_path / "touched").exists()


def test_checkpoints_and_exported_models_are_told_apart_by_their_content(saved, tmp_path):
    exported = tmp_path / "model.ckpt"
    torch.jit.script(torch.nn.Linear(1, 1)).save(exported)
    renamed = saved.rename(tmp_path / "last.pt")
    assert is_checkpoint(renamed)
    assert not is_checkpoint(exported)
    assert zipfile.is_zipfile(exported)


def test_what_is_no_archive_is_told_apart_by_its_name(tmp_path):
    for name in ("damaged.ckpt", "damaged.pt"):
        (tmp_path / name).write_bytes(b"PK")
    assert is_checkpoint(tmp_path / "damaged.ckpt")
    assert not is_checkpoint(tmp_path / "damaged.pt")
