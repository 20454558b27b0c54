"""Stopped and restarted is the same as never stopped, bit for bit."""

import re
import signal
import subprocess
import time
from pathlib import Path

import ase.io
import pytest
import torch
import yaml

from metatrain import checkpoint
from metatrain.cli import main
from runs import (
    MTT,
    ethanol_file,
    merged,
    mtt_environment,
    only_run,
    options,
    run_mtt,
    write_options,
)

TRAINING = {"num_epochs": 12, "ema_decay": 0.9, "grad_clip_norm": 1.0}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> Path:
    """A run that is never stopped."""
    folder = tmp_path_factory.mktemp("unbroken")
    done = run_mtt("train", prepared(folder), folder=folder)
    assert done.returncode == 0, done.stderr
    return only_run(folder)


def prepared(folder: Path, **training: object) -> Path:
    """Options in a folder of their own; every run has the same."""
    data = ethanol_file(folder / "ethanol.xyz", 40)
    content = merged(options(data), {"architecture": {"training": TRAINING | training}})
    return write_options(folder / "options.yaml", content)


def interrupt(
    folder: Path, path: Path, number: signal.Signals, after: str = "epoch  4/"
) -> subprocess.Popen[str]:
    """Start a run and send it a signal after a line, by default in the middle of training."""
    process = subprocess.Popen(
        [MTT, "train", path],
        cwd=folder,
        env=mtt_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(after):
            process.send_signal(number)
            break
    return process


def same_end(one: Path, other: Path) -> None:
    """The same metrics of every epoch, the same weights, optimizer and averages."""
    assert (one / "metrics.csv").read_text() == (other / "metrics.csv").read_text()
    contents = [checkpoint.load(run / "model.ckpt") for run in (one, other)]
    for content in contents:
        # the limits differ where the number of epochs was raised by the restart
        del content["trainer"]["hypers"]
    assert_identical(*contents)


def assert_identical(one: object, other: object, where: str = "") -> None:
    """Nested containers of tensors and numbers, compared bit by bit."""
    assert type(one) is type(other), where
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_identical(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list):
        assert len(one) == len(other), where
        for index, pair in enumerate(zip(one, other, strict=True)):
            assert_identical(*pair, f"{where}[{index}]")
    else:
        assert one == other, where


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_with_a_checkpoint_and_the_line_that_goes_on(
    tmp_path, unbroken, number, code
):
    process = interrupt(tmp_path, prepared(tmp_path), number)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == code
    assert "Traceback" not in stderr
    found = re.search(r"to go on: mtt (train .*)$", stderr)
    assert found is not None
    done = run_mtt(*found[1].split(), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    (run,) = [path.parent for path in tmp_path.glob("outputs/*/*/model.pt")]
    same_end(run, unbroken)


def test_a_signal_while_exporting_tells_of_the_trained_model_and_leaves_no_debris(tmp_path):
    path = prepared(tmp_path, num_epochs=1)
    process = interrupt(tmp_path, path, signal.SIGTERM, after="keeping the weights")
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 143
    run = only_run(tmp_path)
    assert "to go on: mtt train" in stderr
    assert stderr.strip().endswith(".ckpt")
    assert not [name for name in run.iterdir() if name.name.startswith(".")]


def test_a_run_that_was_killed_goes_on_from_its_last_epoch(tmp_path, unbroken):
    process = interrupt(tmp_path, prepared(tmp_path), signal.SIGKILL)
    process.communicate(timeout=120)
    time.sleep(1.1)  # run folders are named by the second
    done = run_mtt("train", "options.yaml", "--restart", "auto", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    (run,) = [path.parent for path in tmp_path.glob("outputs/*/*/model.pt")]
    same_end(run, unbroken)


def test_restarting_a_finished_run_exports_it_again(unbroken, tmp_path):
    done = run_mtt(
        "train", unbroken / "options.yaml", "--restart", unbroken / "last.ckpt", folder=tmp_path
    )
    assert done.returncode == 0, done.stderr
    same_end(only_run(tmp_path), unbroken)


def test_a_restart_with_another_seed_keeps_the_split(unbroken, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["train", unbroken / "options.yaml", "--restart", unbroken / "last.ckpt"]
    assert main([*map(str, words), "-r", "seed=5", "-r", "final_eval=false"]) == 0
    assert (only_run(tmp_path) / "split.json").read_text() == (unbroken / "split.json").read_text()


def test_a_restart_refuses_another_model_and_other_data(unbroken, tmp_path):
    words = ["train", unbroken / "options.yaml", "--restart", unbroken / "last.ckpt"]
    done = run_mtt(*words, "-r", "architecture.model.soap.cutoff.radius=4.0", folder=tmp_path)
    assert done.returncode == 2
    assert "architecture.model.soap.cutoff.radius: is 4.0, but 5.0 in the run" in done.stderr
    fewer = ethanol_file(tmp_path / "fewer.xyz", 39)
    content = yaml.safe_load((unbroken / "options.yaml").read_text())
    shuffled = tmp_path / "shuffled.xyz"
    ase.io.write(shuffled, ase.io.read(content["training_set"]["systems"]["read_from"], ":")[::-1])
    for data, message in (
        (fewer, "holds 39 systems, but the run of the checkpoint had 40"),
        (shuffled, "or in another order"),
    ):
        content["training_set"]["systems"]["read_from"] = str(data)
        content["training_set"]["targets"]["energy"]["read_from"] = str(data)
        content["training_set"]["targets"]["energy"].pop("forces", None)
        other = write_options(tmp_path / "other.yaml", content)
        done = run_mtt("train", other, *words[2:], folder=tmp_path)
        assert done.returncode == 2
        assert message in done.stderr


def test_a_damaged_checkpoint_is_named_and_the_one_beside_it_offered(unbroken, tmp_path):
    whole = (unbroken / "last.ckpt").read_bytes()
    (tmp_path / "best.ckpt").write_bytes(whole)
    (tmp_path / "last.ckpt").write_bytes(whole[: len(whole) // 2])
    done = run_mtt(
        "train", unbroken / "options.yaml", "--restart", tmp_path / "last.ckpt", folder=tmp_path
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "last.ckpt: is damaged; beside it there is" in done.stderr
    assert "best.ckpt" in done.stderr
