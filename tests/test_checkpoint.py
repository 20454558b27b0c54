"""Checkpoints: what a crash leaves, and what is refused."""

import os
import pickle
import stat
import zipfile
from pathlib import Path

import pytest
import torch

from metatrain import checkpoint
from metatrain.checkpoint import RunRecord, is_checkpoint, load, recording, save
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
    with recording(RUN):
        save(path, {"model": {"weights": {"w": torch.arange(1000.0)}}, "trainer": {"epoch": 3}})
    return path


def test_what_is_saved_is_loaded(saved):
    content = load(saved)
    assert torch.equal(content["model"]["weights"]["w"], torch.arange(1000.0))
    assert content["trainer"] == {"epoch": 3}
    assert checkpoint.run_record(saved, content) == RUN


def test_a_checkpoint_saved_outside_a_run_says_that_it_is(tmp_path):
    save(tmp_path / "a.ckpt", {"model": {}})
    content = load(tmp_path / "a.ckpt")
    with pytest.raises(MetatrainError, match="does not say which architecture"):
        checkpoint.run_record(tmp_path / "a.ckpt", content)


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
    assert list(saved.parent.iterdir()) == [saved]


def test_what_cannot_be_saved_leaves_the_old_checkpoint(saved):
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        save(saved, {"model": lambda: None})
    assert load(saved)["trainer"] == {"epoch": 3}
    assert list(saved.parent.iterdir()) == [saved]


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
    header = {"format": checkpoint.FORMAT + 1, "metatrain": "9.1"}
    torch.save({"header": header}, tmp_path / "new.ckpt")
    assert "pip install 'metatrain>=9.1'" in message_of(tmp_path / "new.ckpt")


@pytest.mark.parametrize("is_zip", [True, False])
def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path, is_zip):
    touched, path = tmp_path / "touched", tmp_path / "evil.ckpt"
    content = {"header": {"format": 1, "metatrain": "0.1"}, "model": Malicious(touched)}
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
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
