"""`mtt train` as a user runs it."""

import csv
import json
from pathlib import Path
from typing import ClassVar

import ase.build
import ase.calculators.emt
import ase.calculators.singlepoint
import ase.io
import pandas as pd
import pytest
import torch
import yaml
from metatomic.torch import load_atomistic_model

from metatrain import checkpoint
from metatrain.cli import main
from metatrain.errors import MetatrainError
from metatrain.workflows.machine import negotiate_device
from pair_model import PairModel, architecture_of
from runs import ethanol_file, only_run, options, run_mtt, write_options


def test_a_run_leaves_all_that_the_docs_promise(finished):
    names = {path.name for path in only_run(finished).iterdir()}
    assert names == {
        "best.ckpt",
        "last.ckpt",
        "metrics.csv",
        "model.ckpt",
        "model.pt",
        "options.yaml",
        "report.json",
        "run.json",
        "split.json",
        "train.log",
    }
    assert (finished / "model.pt").read_bytes() == (only_run(finished) / "model.pt").read_bytes()
    assert (finished / "model.ckpt").exists()


def test_nothing_but_the_run_is_printed_and_no_warning_of_a_library(finished):
    assert (finished / "stderr.txt").read_text() == ""
    printed = (finished / "stdout.txt").read_text()
    assert "Warning" not in printed
    assert "warning" not in printed


def test_the_last_lines_are_the_test_errors_and_the_model(finished):
    lines = (finished / "stdout.txt").read_text().splitlines()
    assert lines[-3].startswith("test energy: RMSE ")
    assert lines[-2].startswith("test forces: RMSE ")
    assert lines[-2].endswith(" meV/A")
    assert lines[-1] == "exported model: model.pt"


def test_the_census_counts_labels_before_training(finished):
    printed = (finished / "stdout.txt").read_text()
    assert printed.index("14 of 14 systems") < printed.index("epoch 1/3")


def test_what_is_printed_is_also_in_the_log(finished):
    log = (only_run(finished) / "train.log").read_text()
    for line in (finished / "stdout.txt").read_text().splitlines():
        assert line.strip() in log


def test_pandas_reads_the_metrics_without_arguments(finished):
    table = pd.read_csv(only_run(finished) / "metrics.csv")
    assert list(table["epoch"]) == [1, 2, 3]
    assert table["validation forces RMSE (meV/A)"].notna().all()


def test_metrics_are_those_of_whole_sets_in_the_same_units_as_the_report(finished):
    table = pd.read_csv(only_run(finished) / "metrics.csv")
    best = table.loc[
        (
            table["validation energy RMSE (meV/atom)"] * table["validation forces RMSE (meV/A)"]
        ).idxmin()
    ]
    report = json.loads((only_run(finished) / "report.json").read_text())["validation"]
    # the exported model runs in a float64 frame: float32 rounding is what may differ
    assert report["energy"]["rmse"] == pytest.approx(
        best["validation energy RMSE (meV/atom)"], rel=1e-3
    )
    assert report["forces"]["mae"] == pytest.approx(best["validation forces MAE (meV/A)"], rel=1e-3)
    assert report["energy"]["num_labels"] == 4


def test_the_complete_options_can_be_run_as_they_are(finished, tmp_path):
    complete = only_run(finished) / "options.yaml"
    done = run_mtt("train", complete, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    again = only_run(tmp_path)
    assert (again / "metrics.csv").read_text() == (only_run(finished) / "metrics.csv").read_text()
    assert yaml.safe_load((again / "options.yaml").read_text()) == yaml.safe_load(
        complete.read_text()
    )


def test_the_split_is_stored_and_disjoint(finished):
    split = json.loads((only_run(finished) / "split.json").read_text())
    assert {part: len(rows) for part, rows in split.items()} == {
        "training": 14,
        "validation": 4,
        "test": 2,
    }
    assert sorted(row for rows in split.values() for row in rows) == list(range(20))


def test_checkpoints_hold_nothing_but_tensors_and_plain_containers(finished):
    for name in ("last.ckpt", "best.ckpt", "model.ckpt"):
        # loads with weights_only=True
        checkpoint.load(only_run(finished) / name)
        run = checkpoint.run_of(only_run(finished) / name)
        assert run.architecture["name"] == "soap_bpnn"
        assert run.splits["test"]


def test_the_exported_model_says_what_it_is(finished):
    model = load_atomistic_model(finished / "model.pt")
    capabilities = model.capabilities()
    assert capabilities.length_unit == "angstrom"
    assert capabilities.dtype == "float64"
    assert capabilities.interaction_range == 5.0
    assert capabilities.outputs["energy"].unit == "eV"
    assert capabilities.atomic_types == [1, 6, 8]
    metadata = model.metadata()
    assert metadata.references["architecture"]
    assert metadata.authors
    assert "ethanol.xyz" in metadata.extra["trained_on"]
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_output_folders_are_made_before_training(tmp_path):
    data = ethanol_file(tmp_path / "ethanol.xyz", 10)
    write_options(tmp_path / "options.yaml", options(data, test_set=0.0))
    done = run_mtt("train", "options.yaml", "-o", "deep/er/model.pt", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "deep/er/model.pt").exists()
    assert (tmp_path / "deep/er/model.ckpt").exists()


def test_without_a_validation_set_the_last_model_is_exported_and_the_log_says_so(tmp_path):
    data = ethanol_file(tmp_path / "ethanol.xyz", 10)
    write_options(tmp_path / "options.yaml", options(data, validation_set=0.0))
    done = run_mtt("train", "options.yaml", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "there is no validation set: keeping the weights of the last epoch" in done.stdout
    content = checkpoint.load(tmp_path / "model.ckpt")
    for name, last in content["trainer"]["weights"].items():
        assert torch.equal(last, content["model"]["weights"][name])


def test_a_run_without_seed_says_which_it_drew_and_keeps_the_split_on_restart(tmp_path):
    data = ethanol_file(tmp_path / "ethanol.xyz", 20)
    content = options(data, architecture={"training": {"num_epochs": 1}})
    del content["seed"]
    write_options(tmp_path / "options.yaml", content)
    assert run_mtt("train", "options.yaml", folder=tmp_path).returncode == 0
    first = only_run(tmp_path)
    done = run_mtt(
        "train",
        "options.yaml",
        "--restart",
        "auto",
        "-r",
        "architecture.training.num_epochs=2",
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    (second,) = set(tmp_path.glob("outputs/*/*")) - {first}
    assert (second / "split.json").read_text() == (first / "split.json").read_text()
    seeds = {yaml.safe_load((run / "options.yaml").read_text())["seed"] for run in (first, second)}
    assert len(seeds) == 1
    with (second / "metrics.csv").open() as table:
        assert [row["epoch"] for row in csv.DictReader(table)] == ["1", "2"]


def test_the_seed_decides_the_initial_weights_and_nothing_else_does(tmp_path, monkeypatch):
    # so small a rate leaves the weights as they are, and the run stops after its first step
    stopping = {"type": "own_plug_ins:Watched", "signal_at": 1, "signal_number": 15}
    training = {"learning_rate": 1e-300, "optimizer": stopping}
    data = ethanol_file(tmp_path / "ethanol.xyz", 10)
    content = options(data, architecture={"training": training})
    write_options(tmp_path / "options.yaml", content)
    weights = []
    for overrides in ((), ("test_set=0.3",), ("seed=2",)):
        folder = tmp_path / f"run{len(weights)}"
        folder.mkdir()
        monkeypatch.chdir(folder)
        words = [word for override in overrides for word in ("-r", override)]
        assert main(["train", "../options.yaml", *words]) == 143
        content = checkpoint.load(only_run(folder) / "last.ckpt")
        stored = content["trainer"]["weights"]
        weights.append(torch.cat([weight.flatten() for weight in stored.values()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_device_that_the_architecture_does_not_run_on_is_refused():
    class OnlyCuda(PairModel):
        __supported_devices__: ClassVar[list[str]] = ["cuda"]

    with pytest.raises(MetatrainError) as caught:
        negotiate_device("cpu", architecture_of(OnlyCuda))
    assert str(caught.value) == "device: pair does not run on 'cpu'; it runs on cuda."


def test_stress_is_trained_where_the_file_has_it(tmp_path):
    generator = torch.Generator().manual_seed(0)
    frames = []
    for _ in range(12):
        atoms = ase.build.bulk("Cu", cubic=True)
        atoms.positions += 0.1 * torch.randn(4, 3, generator=generator).double().numpy()
        strain = 0.02 * torch.randn(3, 3, generator=generator).double().numpy()
        atoms.set_cell(atoms.cell.array @ (torch.eye(3).numpy() + strain), scale_atoms=True)
        atoms.calc = ase.calculators.emt.EMT()
        results = {
            "energy": atoms.get_potential_energy(),
            "forces": atoms.get_forces(),
            "stress": atoms.get_stress(),
        }
        atoms.calc = ase.calculators.singlepoint.SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    ase.io.write(tmp_path / "copper.xyz", frames)
    training = {"num_epochs": 40, "learning_rate": 0.02}
    content = options(tmp_path / "copper.xyz", architecture={"training": training})
    write_options(tmp_path / "options.yaml", content)
    done = run_mtt("train", "options.yaml", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(Path(only_run(tmp_path)) / "metrics.csv")
    stress = table["training stress RMSE (meV/A^3)"]
    assert stress.iloc[-1] < 0.7 * stress.iloc[0]
