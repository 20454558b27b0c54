"""Failures that users of other codes met, and that `mtt` must not have."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import ase
import ase.build
import ase.io
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from ase.calculators.singlepoint import SinglePointCalculator
from metatomic.torch import load_atomistic_model

from metatrain import checkpoint
from metatrain.cli import main
from runs import MTT, ethanol_file, merged, mtt_environment, only_run, options, write_options

KCAL_PER_EV = 23.060547830619026

OWN_PLUG_INS = '''\
"""A reader that counts, one that is interrupted, and architectures that cannot be trained."""

from dataclasses import dataclass
from pathlib import Path

from architectures import soap_bpnn
from metatrain.data.readers.ase import AseReader


@dataclass(frozen=True)
class CountingReader(AseReader):
    def __call__(self, path):
        with Path("opened.txt").open("a") as file:
            file.write(f"{Path(path).name}\\n")
        yield from super().__call__(path)


@dataclass(frozen=True)
class InterruptedReader(AseReader):
    def __call__(self, path):
        raise KeyboardInterrupt


class Breaking(soap_bpnn.__model__):
    def forward(self, graph):
        raise ZeroDivisionError("first line\\nsecond line")


class NotAnnotated(soap_bpnn.__model__):
    def forward(self, graph):
        lengths = graph.vectors.square().sum(dim=1)
        return {"energy": graph.types.new_zeros((len(graph.types), 1)) * lengths.sum()}


class architecture:
    __model__ = Breaking
    __trainer__ = soap_bpnn.__trainer__
    __authors__ = soap_bpnn.__authors__
    __maintainers__ = soap_bpnn.__maintainers__


class not_annotated(architecture):
    __model__ = NotAnnotated
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder in which the command runs, with a data file and plug-ins of the user's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "own_plug_ins_of_a_user", raising=False)
    (tmp_path / "own_plug_ins_of_a_user.py").write_text(OWN_PLUG_INS)
    ethanol_file(tmp_path / "data.xyz", 12)
    return tmp_path


@pytest.fixture
def mtt_printed(folder, capsys):
    """Runs the command in this process, which has to succeed; gives what it prints."""

    def run(*words: object) -> str:
        code = main([str(word) for word in words])
        printed = capsys.readouterr()
        assert code == 0, printed
        assert printed.err == ""
        return printed.out

    return run


def short(data, **changes):
    """Options of a training of one epoch, without any final errors."""
    training = {"num_epochs": 1}
    content = options(Path(data), architecture={"training": training}, final_eval=False)
    return write_options(Path("options.yaml"), merged(content, changes))


def energy(**target):
    return {"training_set": {"targets": {"energy": target}}}


def labelled(atoms, **results):
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def cell_of(text, row, column):
    """A number of the census: ``row`` begins a line, ``column`` counts its words after it."""
    (line, *_) = [line for line in text.splitlines() if line.startswith(f"  {row}  ")]
    return line.removeprefix(f"  {row}").split()[column]


def test_forces_that_some_systems_lack_are_counted_and_masked(mtt_printed):
    frames = ase.io.read("data.xyz", ":")
    for atoms in frames[::3]:
        del atoms.calc.results["forces"]
    ase.io.write("some.xyz", frames)
    changes = merged(energy(forces=True), {"validation_set": 0.0, "test_set": 0.0})
    printed = mtt_printed("train", short("some.xyz", **changes))
    assert "energy |forces|       8 of 12 systems" in printed
    table = pd.read_csv(only_run(Path()) / "metrics.csv")
    assert np.isfinite(table["training forces RMSE (meV/A)"]).all()


def test_forces_that_no_system_has_are_off_unless_asked_for_and_that_is_told(mtt_printed):
    frames = ase.io.read("data.xyz", ":")
    for atoms in frames:
        del atoms.calc.results["forces"]
    ase.io.write("none.xyz", frames)
    printed = mtt_printed("train", short("none.xyz"))
    told, _, trained = printed.split("exported to")[0].partition("trained without forces")
    assert "forces" not in told
    assert trained
    assert "forces" not in trained


@pytest.mark.parametrize("place", ["in the calculator", "under other names"])
def test_labels_are_found_in_the_calculator_and_under_other_names(mtt_printed, place):
    frames = ase.io.read("data.xyz", ":")
    asked = {}
    if place == "under other names":
        for atoms in frames:
            atoms.info["REF_energy"] = atoms.calc.results["energy"]
            atoms.arrays["REF_forces"] = atoms.calc.results["forces"]
            atoms.calc = None
        asked = {"key": "REF_energy", "forces": {"key": "REF_forces"}}
    ase.io.write("labels.xyz", frames)
    printed = mtt_printed("train", short("labels.xyz", **energy(**asked)))
    training_set = printed.split("validation set:")[0]
    assert "energy                9 of 9 systems" in training_set
    assert "energy |forces|       9 of 9 systems" in training_set


def test_without_validation_the_last_model_is_kept_and_the_log_says_so(mtt_printed):
    printed = mtt_printed("train", short("data.xyz", validation_set=0.0))
    assert "keeping the weights of the last" in printed
    run = only_run(Path())
    assert not (run / "best.ckpt").exists()
    content = checkpoint.load(run / "model.ckpt")
    for name, weight in content["trainer"]["weights"].items():
        assert torch.equal(weight, content["model"]["weights"][name])


def test_an_intensive_property_is_the_mean_over_atoms_once_it_says_so(mtt_printed):
    content = yaml.safe_load(short("data.xyz").read_text())
    target = {"key": "energy", "unit": "eV", "reduction": "mean", "forces": False}
    content["training_set"]["targets"] = {"mtt::a gap/b": target}
    mtt_printed("train", write_options(Path("options.yaml"), content))
    # a molecule beside its copy has the energy of the molecule, where an extensive one has twice it
    molecule = ase.io.read("data.xyz")
    both = molecule.copy()
    both.positions += 100.0
    ase.io.write("pair.xyz", [molecule, molecule + both])
    Path("evaluate.yaml").write_text("systems: pair.xyz\n")
    mtt_printed("eval", "model.pt", "evaluate.yaml")
    one, two = (atoms.info["mtt::a gap/b"] for atoms in ase.io.read("output.xyz", ":"))
    assert two == pytest.approx(one, rel=1e-6)


def test_validation_in_other_units_is_converted_once_and_labelled_right(mtt_printed):
    frames = ase.io.read(ethanol_file(Path("ev.xyz"), 4), ":")
    for atoms in frames:
        results = atoms.calc.results
        atoms.positions /= 10
        # an energy in kcal/mol, and forces in kcal/mol/nm
        forces = 10 * KCAL_PER_EV * results["forces"]
        labelled(atoms, energy=KCAL_PER_EV * results["energy"], forces=forces)
    ase.io.write("kcal.xyz", frames)
    found = []
    for file, unit, length_unit in (
        ("ev.xyz", "eV", "angstrom"),
        ("kcal.xyz", "kcal/mol", "nm"),
    ):
        systems = {"read_from": file, "length_unit": length_unit}
        validation = {"systems": systems, "targets": {"energy": {"unit": unit}}}
        path = short("data.xyz", validation_set=validation, test_set=0.0)
        printed = mtt_printed("train", path)
        assert "validation: " in printed
        found.append(pd.read_csv(sorted(Path().glob("outputs/*/*/metrics.csv"))[-1]).iloc[0])
    for column in ("validation energy RMSE (meV/atom)", "validation forces RMSE (meV/A)"):
        # extended XYZ rounds what ASE writes to eight decimals
        assert found[1][column] == pytest.approx(found[0][column], rel=1e-4)


def test_a_batch_larger_than_the_set_is_the_set(mtt_printed):
    path = short("data.xyz", architecture={"training": {"batch_size": 1000}})
    printed = mtt_printed("train", path)
    assert (
        "batch_size 1000 is more than the 9 training systems: one batch holds them all" in printed
    )


def test_rows_held_out_are_not_trained_on(mtt_printed):
    path = short("data.xyz", validation_set={"indices": [2, 5]}, test_set={"indices": [7]})
    mtt_printed("train", path)
    split = json.loads((only_run(Path()) / "split.json").read_text())
    assert split["validation"] == [2, 5]
    assert split["test"] == [7]
    assert split["training"] == [0, 1, 3, 4, 6, 8, 9, 10, 11]


def test_a_validation_set_of_training_systems_is_warned_of(mtt_printed):
    held_out = {"systems": "data.xyz", "targets": {"energy": {"unit": "eV"}}}
    printed = mtt_printed("train", short("data.xyz", validation_set=held_out, test_set=0.0))
    assert "warning: validation_set: 12 of its 12 systems are in the training set too" in printed


def lonely():
    """Systems without a single pair, and ones with; no label is NaN."""
    slab = ase.Atoms("O", cell=[20, 20, 20], pbc=[True, True, False])
    systems = [
        ase.Atoms("H"),
        ase.Atoms("O", cell=[20, 20, 20], pbc=True),
        ase.Atoms("OH", positions=[[0, 0, 0], [0, 0, 15.0]]),
        slab,
        ase.build.molecule("H2O"),
        ase.build.molecule("OH"),
    ]
    return [
        labelled(atoms, energy=-float(index), forces=np.full((len(atoms), 3), 0.1))
        for index, atoms in enumerate(systems)
    ]


def test_atoms_without_neighbors_are_trained_on_validated_and_evaluated(mtt_printed):
    ase.io.write("training.xyz", lonely())
    ase.io.write("lonely.xyz", lonely()[:4])
    held_out = {"systems": "lonely.xyz", "targets": {"energy": {"unit": "eV"}}}
    content = short("training.xyz", validation_set=held_out, test_set=held_out, final_eval=True)
    mtt_printed("train", content)
    run = only_run(Path())
    assert np.isfinite(pd.read_csv(run / "metrics.csv").to_numpy(dtype=float)).all()
    report = json.loads((run / "report.json").read_text())
    assert np.isfinite([of["rmse"] for part in report.values() for of in part.values()]).all()
    Path("evaluate.yaml").write_text("systems: lonely.xyz\n")
    for batch_size in (1, 3):
        mtt_printed("eval", "model.pt", "evaluate.yaml", "-b", batch_size)
        for atoms in ase.io.read("output.xyz", ":"):
            assert np.isfinite(atoms.get_potential_energy())
            np.testing.assert_array_equal(atoms.get_forces(), 0.0)


def test_a_set_of_systems_without_any_pair_can_be_trained_on(mtt_printed):
    ase.io.write("lonely.xyz", lonely()[:4])
    mtt_printed("train", short("lonely.xyz", validation_set=0.0, test_set=0.0))
    metrics = pd.read_csv(only_run(Path()) / "metrics.csv")
    assert np.isfinite(metrics.to_numpy(dtype=float)).all()


def test_each_file_is_read_once(mtt_printed):
    ethanol_file(Path("labels.xyz"), 12)
    ethanol_file(Path("test.xyz"), 3)
    reader = {"reader": "own_plug_ins_of_a_user:CountingReader"}
    target = {"unit": "eV", "read_from": "labels.xyz", "forces": {"read_from": "data.xyz"} | reader}
    test = {"systems": {"read_from": "test.xyz"} | reader, "targets": {"energy": {"unit": "eV"}}}
    changes = {
        "training_set": {
            "systems": reader,
            "targets": {
                "energy": target | reader,
                "mtt::again": {"key": "energy", "reduction": "sum"},
            },
        },
        "validation_set": {"indices": [1, 2]},
        "test_set": test,
        "final_eval": True,
    }
    mtt_printed("train", short("data.xyz", **changes))
    assert sorted(Path("opened.txt").read_text().split()) == ["data.xyz", "labels.xyz", "test.xyz"]


def test_an_evaluation_reads_once_and_computes_each_system_once(mtt_printed, finished, monkeypatch):
    """No warm-up before the first system, and nothing kept of those that are done."""
    sizes = []
    forward = torch.nn.Module.__call__

    def counted(module, systems, *rest, **named):
        if type(module).__name__ == "AtomisticModel":
            sizes.append(len(systems))
        return forward(module, systems, *rest, **named)

    monkeypatch.setattr(torch.nn.Module, "__call__", counted)
    systems = {"read_from": "data.xyz", "reader": "own_plug_ins_of_a_user:CountingReader"}
    target = {"energy": {"unit": "eV"}}
    Path("evaluate.yaml").write_text(yaml.safe_dump({"systems": systems, "targets": target}))
    mtt_printed("eval", finished / "model.ckpt", "evaluate.yaml", "-b", 5)
    assert sizes == [5, 5, 2]
    assert Path("opened.txt").read_text() == "data.xyz\n"


def test_a_unit_that_is_assumed_in_an_evaluation_is_told(mtt_printed, finished):
    Path("evaluate.yaml").write_text("systems: data.xyz\ntargets: {energy: {}}\n")
    printed = mtt_printed("eval", finished / "model.pt", "evaluate.yaml")
    assert "warning: targets.energy.unit: not given, that of the model is assumed" in printed


def test_a_variant_of_the_energy_is_an_energy(mtt_printed):
    content = yaml.safe_load(short("data.xyz").read_text())
    content["training_set"]["targets"] = {"energy/pbe": {"key": "energy", "unit": "eV"}}
    printed = mtt_printed("train", write_options(Path("options.yaml"), content))
    assert "energy/pbe |forces|" in printed
    outputs = load_atomistic_model("model.pt").capabilities().outputs
    assert outputs["energy/pbe"].unit == "eV"


def test_a_bug_exits_with_1_and_its_traceback_is_in_the_log(folder, capsys):
    name = {"name": "own_plug_ins_of_a_user:architecture"}
    assert main(["train", str(short("data.xyz", architecture=name))]) == 1
    told = capsys.readouterr().err
    log = only_run(folder) / "train.log"
    code = OWN_PLUG_INS.splitlines()
    (line,) = [n for n, text in enumerate(code, 1) if "ZeroDivisionError(" in text]
    assert told == (
        "this is a bug, of metatrain or of a plug-in: ZeroDivisionError: first line "
        f"({folder / 'own_plug_ins_of_a_user.py'}, line {line}); "
        f"the traceback is in {log.relative_to(folder)}\n"
    )
    text = log.read_text()
    assert "Traceback (most recent call last)" in text
    assert "second line" in text


def test_a_model_that_cannot_be_exported_is_not_trained(folder, capsys):
    name = {"name": "own_plug_ins_of_a_user:not_annotated"}
    assert main(["train", str(short("data.xyz", architecture=name))]) == 2
    told = capsys.readouterr().err
    code = folder / "own_plug_ins_of_a_user.py"
    (line,) = [n for n, text in enumerate(OWN_PLUG_INS.splitlines(), 1) if "lengths =" in text]
    assert told.count("\n") == 1
    assert "NotAnnotated: cannot be compiled by TorchScript" in told
    assert f"{code}:{line}: " in told
    assert "has no attribute or method 'vectors'" in told.replace("object ", "")
    assert "graph: Graph" in told
    assert not (only_run(folder) / "last.ckpt").exists()


def test_ctrl_c_before_training_ends_in_one_line(folder, capsys):
    reader = {"reader": "own_plug_ins_of_a_user:InterruptedReader"}
    path = short("data.xyz", training_set={"systems": reader})
    assert main(["train", str(path)]) == 130
    told = capsys.readouterr().err
    assert told == "stopped before there was anything to save\n"


def test_ctrl_c_while_the_model_is_exported_tells_where_the_trained_model_is(folder):
    process = subprocess.Popen(
        [MTT, "train", short("data.xyz")],
        cwd=folder,
        env=mtt_environment() | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("keeping the weights"):
            break
    run = only_run(folder)
    while not (run / "model.ckpt").exists():
        assert process.poll() is None
    os.kill(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    checkpoint = (run / "model.ckpt").relative_to(folder)
    assert told.endswith(f"to go on: mtt train options.yaml --restart {checkpoint}\n")
    assert told.count("\n") == 1
