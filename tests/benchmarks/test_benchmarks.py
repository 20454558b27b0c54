"""The harness measures what it says, for real."""

import json
import statistics
import sys
from pathlib import Path

import pytest

from runs import ROOT, ethanol_file, run_command, run_python

CHEAP = "machine,help,read,training"


def run_benchmarks(*words: object) -> str:
    done = run_command(sys.executable, "-m", "benchmarks", *words, "--threads", 1, folder=ROOT)
    assert done.returncode == 0, done.stderr
    assert "left out" not in done.stderr, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The table and the figures of what takes the least time."""
    folder = tmp_path_factory.mktemp("benchmarks")
    molecules = folder / "3bpa" / "train_300K.xyz"
    molecules.parent.mkdir()
    ethanol_file(molecules, 20)
    figures = folder / "figures.json"
    sizes = ["--repeats", 1, "--epochs", 1, "--frames", 50, "--architectures", "soap_bpnn"]
    table = run_benchmarks("--data", folder, "--json", figures, "--only", CHEAP, *sizes)
    return table, json.loads(figures.read_text())


def figure(measured, column, who):
    (found,) = [of for of in measured[1]["figures"] if (of["column"], of["who"]) == (column, who)]
    assert found["median"] == statistics.median(found["values"])
    return found["median"]


def test_the_limits_of_the_machine_are_measured(measured):
    assert figure(measured, "f32 GFLOP/s", "machine") > 1
    assert figure(measured, "copy GB/s", "machine") > 0.1


def test_help_is_timed(measured):
    assert figure(measured, "help, s", "metatrain") > 0


def test_training_is_timed_and_its_operations_are_a_part_of_the_limit(measured):
    speed = figure(measured, "structures/s", "soap_bpnn")
    size = figure(measured, "GFLOP/structure", "soap_bpnn")
    assert figure(measured, "GFLOP/s", "soap_bpnn") == pytest.approx(speed * size)
    assert 1e-4 < size < 1
    assert figure(measured, "peak MiB", "soap_bpnn") > 100
    (part,) = [of for of in measured[1]["parts_of_limits"] if of["block"] == "training"]
    assert 0 < part["median"] < 1


def test_reading_is_compared_with_ase_in_the_same_repeat(measured):
    ours, ase = (figure(measured, "frames/s", who) for who in ("metatrain", "ASE"))
    (ratio,) = [of for of in measured[1]["ratios"] if of["column"] == "frames/s"]
    assert ratio["median"] == pytest.approx(ours / ase)


def test_the_table_says_whether_a_target_is_met_and_fits_the_page(measured):
    table, figures = measured
    (target,) = [of for of in figures["targets"] if of["other"] == "ASE"]
    verdict = "met" if target["median"] >= target["limit"] else "MISSED"
    assert target["is_met"] == (verdict == "met")
    assert f">= 6 {verdict}" in table
    header = table.index("median")
    assert max(map(len, table[header:].splitlines())) <= 100


def test_who_measured_what_is_written_down(measured):
    circumstances = measured[1]["circumstances"]
    assert circumstances["threads"] == 1
    assert circumstances["commit"]
    assert set(circumstances["versions"]["metatrain"]) >= {"metatrain", "torch", "ase", "python"}


def test_a_model_that_does_next_to_nothing_runs_in_ase(tmp_path):
    inside = ROOT / "benchmarks" / "inside"
    made = run_python(inside / "trivial_model.py", "floor.pt", folder=tmp_path)
    assert made.returncode == 0, made.stderr
    systems = ethanol_file(tmp_path / "systems.xyz", 1)
    python = ("env", f"PYTHONPATH={inside / 'hook'}", sys.executable)
    words = (inside / "dynamics.py", "metatomic", "floor.pt", systems, "--seconds", 0.01)
    done = run_command(*python, *words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout.splitlines()[-1]).values()
    # there is nothing but the product of vectors and strain
    assert found["seconds"] > 0
    assert found["operations"] < 1e6


def test_a_peer_that_is_not_there_is_refused_before_anything_is_measured(tmp_path: Path):
    words = ("-m", "benchmarks", "--data", tmp_path, "--mace", tmp_path / "python")
    done = run_command(sys.executable, *words, folder=ROOT)
    assert done.returncode == 2
    assert "--mace" in done.stderr
