"""A stranger's loss, optimizer, schedule, logger, reader and writer, all at work in one run."""

import json

import ase.io
import numpy as np
import pandas as pd
import pytest

from metatrain import checkpoint
from runs import ethanol_file, merged, only_run, options, write_options

TRAINING = {
    "loss": {"energy": {"type": "log_cosh", "sharpness": 200.0, "forces": {"weight": 0.0}}},
    "optimizer": {"type": "heavy_ball", "momentum": 0.8},
    "scheduler": {"type": "straight", "final_fraction": 0.5},
    "loggers": ["csv", {"type": "json_lines", "digits": 3}],
    "learning_rate": 0.01,
    "warmup_fraction": 0.0,
}


def as_json_lines(path, frames):
    """The file as a stranger's reader knows it."""
    lines = [
        {
            "types": atoms.numbers.tolist(),
            "positions": atoms.positions.tolist(),
            "cell": atoms.cell.array.tolist(),
            "pbc": atoms.pbc.tolist(),
            "per_system": {"U": atoms.get_potential_energy()},
            "per_atom": {"F": atoms.get_forces().tolist()},
        }
        for atoms in frames
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def stranger_options(data, **training):
    """Options that name all of the stranger's plug-ins."""
    target = {"key": "U", "forces": {"key": "F"}}
    changes = {
        "architecture": {"training": TRAINING | training},
        "training_set": {"targets": {"energy": target}},
    }
    return merged(options(data), changes)


@pytest.fixture(scope="module")
def trained(strangers_mtt, tmp_path_factory):
    """A folder in which a model was trained with all of them."""
    folder = tmp_path_factory.mktemp("trained")
    frames = ase.io.read(ethanol_file(folder / "ethanol.xyz", 20), ":")
    data = as_json_lines(folder / "data.jsonl", frames)
    write_options(folder / "options.yaml", stranger_options(data))
    done = strangers_mtt("train", "options.yaml", folder=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_reader_gave_all_systems_and_labels(trained):
    log = (only_run(trained) / "train.log").read_text()
    assert "14 systems, 126 atoms" in log
    assert "energy                14 of 14 systems" in log
    assert "energy |forces|       14 of 14 systems" in log


def test_the_logger_wrote_what_the_built_in_one_wrote(trained):
    run = only_run(trained)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    names, *rows = [row.split(",") for row in (run / "metrics.csv").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    for line, row in zip(lines, rows, strict=True):
        for name, value in zip(names, row, strict=True):
            assert line[name] == pytest.approx(float(value), rel=1e-2)


def test_optimizer_and_schedule_took_their_options(trained):
    saved = checkpoint.load(only_run(trained) / "last.ckpt")["trainer"]
    (group,) = saved["optimizer"]["param_groups"]
    assert group["momentum"] == 0.8
    assert "momentum_buffer" in saved["optimizer"]["state"][0]
    assert group["lr"] == pytest.approx(0.5 * 0.01)


def test_the_loss_is_that_of_the_stranger_with_its_option(trained):
    run = only_run(trained)
    model = checkpoint.load(run / "model.ckpt")["model"]
    scale = float(model["standardization"]["scales"]["energy"])
    row = pd.read_csv(run / "metrics.csv").iloc[-1]
    # log(cosh(x)) is |x| - log(2) where x is large: with this sharpness, everywhere
    error = row["validation energy MAE (meV/atom)"] / 1000 / scale
    expected = (200.0 * error - np.log(2.0)) / 200.0**2
    assert row["validation loss"] == pytest.approx(expected, rel=1e-4)


def test_the_writer_writes_predictions_that_the_reader_reads(trained, strangers_mtt, tmp_path):
    path = write_options(tmp_path / "evaluate.yaml", {"systems": str(trained / "data.jsonl")})
    words = ["eval", trained / "model.pt", path, "-o", "predictions.jsonl"]
    done = strangers_mtt(*words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    known = ase.io.read(trained / "ethanol.xyz", ":")
    assert len(found) == len(known)
    for line, atoms in zip(found, known, strict=True):
        np.testing.assert_array_equal(line["positions"], atoms.positions)
        assert line["per_system"]["U"] == atoms.get_potential_energy()
        assert line["per_system"]["energy"] == pytest.approx(atoms.get_potential_energy(), abs=5.0)
        assert np.shape(line["per_atom"]["forces"]) == (9, 3)


WRONG = {
    "architecture.training.loss.energy.sharpness: found 0.0, expected a number above 0": {
        "loss": {"energy": {"type": "log_cosh", "sharpness": 0}}
    },
    "architecture.training.loss.energy.delta: unknown option of loss 'log_cosh'": {
        "loss": {"energy": {"type": "log_cosh", "delta": 1}}
    },
    "architecture.training.optimizer.momentum: found -1.0, expected at least 0": {
        "optimizer": {"type": "heavy_ball", "momentum": -1}
    },
    "architecture.training.scheduler.final_fraction: found 2.0, expected at most 1": {
        "scheduler": {"type": "straight", "final_fraction": 2}
    },
    "architecture.training.scheduler.final_fractoin: unknown option; did you mean 'final_fraction'?": {
        "scheduler": {"type": "straight", "final_fractoin": 1}
    },
    "architecture.training.loggers.digits: found 'all', expected a whole number": {
        "loggers": [{"type": "json_lines", "digits": "all"}]
    },
}


@pytest.fixture(scope="module")
def refusals(refusals_of):
    """What is said of each of them."""
    return refusals_of(
        {
            complaint: stranger_options("garbage.jsonl", **training)
            for complaint, training in WRONG.items()
        }
    )


@pytest.mark.parametrize("complaint", WRONG)
def test_a_wrong_option_of_a_stranger_is_named_in_one_line(refusals, complaint):
    assert complaint in refusals[complaint]


def test_a_file_that_the_reader_refuses_is_named_with_the_system(trained, strangers_mtt, tmp_path):
    lines = (trained / "data.jsonl").read_text().splitlines(keepends=True)
    data = tmp_path / "data.jsonl"
    data.write_text(lines[0] + lines[1][:50] + "\n")
    path = write_options(tmp_path / "options.yaml", stranger_options(data))
    done = strangers_mtt("train", path, folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "data.jsonl, system 1: cannot be read: JSONDecodeError" in done.stderr
