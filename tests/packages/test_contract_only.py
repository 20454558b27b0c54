"""A package that knows the contract and imports nothing of metatrain, through all of `mtt`."""

import ast
import json
import shutil
import signal
import zipfile
from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
import torch
from ase.md.verlet import VelocityVerlet
from ase.units import fs
from metatomic.torch import load_atomistic_model
from metatomic_ase import MetatomicCalculator

from metatrain import checkpoint
from metatrain.errors import MetatrainError
from packages.conftest import HERE, linear_options
from runs import ethanol_file, merged, only_run, options, run_command, run_mtt, write_options

KILLED_AT_FIRST_CHECKPOINT = """
import os, signal
from ada_linear import LinearTrainer
from metatrain.cli import main

save = LinearTrainer.save_checkpoint

def save_and_die(trainer, path):
    save(trainer, path)
    os.kill(os.getpid(), signal.SIGKILL)

LinearTrainer.save_checkpoint = save_and_die
main(["train", "options.yaml"])
"""

CONFORMANCE = """
import torch
from metatrain.testing import ArchitectureTests

class TestLinear(ArchitectureTests):
    architecture = "linear"
    model_hypers = {"cutoff": 4.0}

    def new_model(self, dtype=torch.float64):
        # one that was not trained has no weights to be tested
        model = super().new_model(dtype)
        generator = torch.Generator().manual_seed(0)
        for weights in model.weights.values():
            weights.normal_(generator=generator)
        return model
"""


@pytest.fixture
def bare_folder(linear_run, tmp_path):
    """A folder with the checkpoint alone."""
    shutil.copy(linear_run / "model.ckpt", tmp_path)
    return tmp_path


def weights(path: Path) -> torch.Tensor:
    """The weights in an exported linear model."""
    return dict(load_atomistic_model(path).named_buffers())["module.weights"]


def energies(path: Path) -> list[float]:
    """What was predicted for each system of a file."""
    return [atoms.get_potential_energy() for atoms in ase.io.read(path, ":")]


def with_byte_flipped(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 0xFF
    path.write_bytes(content)


def with_record(path: Path, **changes: object) -> None:
    """Change what the hub has noted of a checkpoint."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    record = merged(json.loads(entries[checkpoint.RECORD]), changes)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (entries | {checkpoint.RECORD: json.dumps(record)}).items():
            archive.writestr(name, content)


def test_the_package_imports_nothing_of_metatrain():
    files = list((HERE / "contract_only").rglob("*.py"))
    assert files
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names]
                names += [node.module] if isinstance(node, ast.ImportFrom) else []
                assert not any(name.startswith(("metatrain", "architectures")) for name in names)


def test_a_stranger_is_trained_and_its_files_are_where_all_expect_them(linear_run):
    run = only_run(linear_run)
    for name in ("options.yaml", "split.json", "last.ckpt", "model.ckpt", "model.pt"):
        assert (run / name).is_file(), name
    for name in ("model.pt", "model.ckpt"):
        assert (linear_run / name).read_bytes() == (run / name).read_bytes()
    errors = json.loads((run / "report.json").read_text())["validation"]
    # ethanol's energies vary by 20 meV per atom: what counting elements alone would leave
    assert errors["energy"]["rmse"] < 14.0
    assert load_atomistic_model(run / "model.pt").metadata().authors == [
        "Ada Lovelace <ada@example.org>"
    ]


def test_the_conformance_suite_passes(strangers, tmp_path):
    (tmp_path / "test_linear.py").write_text(CONFORMANCE)
    done = run_command(strangers, "-m", "pytest", "-q", "test_linear.py", folder=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout


def test_stopped_and_restarted_is_the_same_as_never_stopped(linear_run, strangers_mtt, tmp_path):
    data = ethanol_file(tmp_path / "ethanol.xyz", 60)
    path = write_options(tmp_path / "options.yaml", linear_options(data, 1e-2))
    done = strangers_mtt("train", path, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not torch.equal(weights(tmp_path / "model.pt"), weights(linear_run / "model.pt"))
    longer = "architecture.training.penalties=[1e-2,1e-4,1e-6]"
    done = strangers_mtt("train", path, "--restart", "model.ckpt", "-r", longer, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "going on from" in done.stdout
    assert torch.equal(weights(tmp_path / "model.pt"), weights(linear_run / "model.pt"))


def test_a_checkpoint_from_the_middle_of_a_run_that_was_killed_is_restarted(
    linear_run, strangers, strangers_mtt, tmp_path
):
    data = ethanol_file(tmp_path / "ethanol.xyz", 60)
    path = write_options(tmp_path / "options.yaml", linear_options(data))
    done = run_command(strangers, "-c", KILLED_AT_FIRST_CHECKPOINT, folder=tmp_path)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [found.name for found in only_run(tmp_path).glob("*.ckpt")] == ["last.ckpt"]
    done = strangers_mtt("train", path, "--restart", "auto", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert torch.equal(weights(tmp_path / "model.pt"), weights(linear_run / "model.pt"))


def test_a_model_and_its_checkpoint_are_evaluated_alike(linear_run, strangers_mtt, bare_folder):
    ethanol_file(bare_folder / "data.xyz", 5)
    (bare_folder / "evaluate.yaml").write_text("systems: data.xyz\n")
    shutil.copy(linear_run / "model.pt", bare_folder)
    found = []
    for model in ("model.pt", "model.ckpt"):
        done = strangers_mtt("eval", model, "evaluate.yaml", folder=bare_folder)
        assert done.returncode == 0, done.stderr
        found.append(energies(bare_folder / "output.xyz"))
    assert found[0] == found[1]
    atoms = ase.io.read(bare_folder / "data.xyz", 0)
    atoms.calc = MetatomicCalculator(bare_folder / "model.pt")
    assert found[0][0] == pytest.approx(atoms.get_potential_energy(), abs=1e-9)


def test_a_checkpoint_is_exported_from_nothing_but_the_file(linear_run, strangers_mtt, bare_folder):
    done = strangers_mtt("export", "model.ckpt", folder=bare_folder)
    assert done.returncode == 0, done.stderr
    assert torch.equal(weights(bare_folder / "model.pt"), weights(linear_run / "model.pt"))


def test_the_exported_model_runs_in_ase(linear_run):
    """Here, where the package is not installed."""
    atoms = ase.io.read(linear_run / "ethanol.xyz")
    atoms.calc = MetatomicCalculator(linear_run / "model.pt")
    step, forces = 1e-4, atoms.get_forces()
    for atom, axis in ((0, 0), (3, 1), (8, 2)):
        around = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.calc = atoms.calc
            moved.positions[atom, axis] += sign * step
            around.append(moved.get_potential_energy())
        slope = (around[0] - around[1]) / (2 * step)
        assert forces[atom, axis] == pytest.approx(-slope, abs=1e-6)


def test_dynamics_with_the_exported_model_keep_the_energy(linear_run):
    atoms = ase.io.read(linear_run / "ethanol.xyz")
    atoms.calc = MetatomicCalculator(linear_run / "model.pt")
    before = atoms.get_total_energy()
    VelocityVerlet(atoms, timestep=0.1 * fs).run(50)
    assert atoms.get_kinetic_energy() > 0.01
    assert atoms.get_total_energy() == pytest.approx(before, abs=1e-4)


def test_without_the_package_its_name_and_version_are_told(bare_folder):
    done = run_mtt("export", "model.ckpt", folder=bare_folder)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "'linear' is not installed" in done.stderr
    assert "written by ada-linear==3.1" in done.stderr


def test_a_damaged_checkpoint_is_called_that(strangers_mtt, bare_folder):
    path = bare_folder / "model.ckpt"
    with_byte_flipped(path, path.stat().st_size // 2)
    done = strangers_mtt("export", "model.ckpt", folder=bare_folder)
    assert done.returncode == 2, done.stderr
    assert done.stderr == "error: model.ckpt: is damaged.\n"


def test_no_flipped_byte_of_a_checkpoint_is_overlooked(bare_folder):
    path = bare_folder / "model.ckpt"

    def content() -> object:
        try:
            with checkpoint.opened_content(path) as inside:
                return checkpoint.run_of(path), inside.read_bytes()
        except MetatrainError as error:
            return str(error)

    whole, known = path.read_bytes(), content()
    for position in range(0, len(whole), 11):
        with_byte_flipped(path, position)
        # bytes that say nothing, such as the time of an entry, may change
        assert content() in (known, f"{path}: is damaged.")
        path.write_bytes(whole)


def test_a_checkpoint_of_a_newer_metatrain_names_it(strangers_mtt, bare_folder):
    path = bare_folder / "model.ckpt"
    with_record(path, format=checkpoint.FORMAT + 1, metatrain="99.1")
    done = strangers_mtt("export", "model.ckpt", folder=bare_folder)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "written by metatrain 99.1" in done.stderr


def test_an_architecture_of_the_same_name_from_another_package_is_not_taken(bare_folder):
    written_by = {"name": "soap_bpnn", "package": "ada-linear", "version": "3.1"}
    with_record(bare_folder / "model.ckpt", run={"architecture": written_by})
    done = run_mtt("export", "model.ckpt", folder=bare_folder)
    assert done.returncode == 2
    assert done.stderr == (
        "error: model.ckpt: 'soap_bpnn' is here an architecture of 'metatrain'; the checkpoint "
        "was written by ada-linear==3.1: install that.\n"
    )


@pytest.fixture(scope="module")
def refusals(refusals_of):
    """What is said of options that are wrong."""
    dipole = {"targets": {"mtt::dipole": {"sample_kind": "atom", "unit": ""}}}
    plain = linear_options("garbage.xyz")
    changes = {
        "no cutoff": {"architecture": plain["architecture"] | {"model": {}}},
        "negative": {"architecture": {"model": {"cutoff": -1.0}}},
        "misspelt": {"architecture": {"model": {"cutof": 4.0}}},
        "no numbers": {"architecture": {"training": {"penalties": "none"}}},
        "no energy": {"training_set": plain["training_set"] | dipole},
    }
    return refusals_of(
        {
            name: plain | change if name in ("no cutoff", "no energy") else merged(plain, change)
            for name, change in changes.items()
        }
    )


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("no cutoff", "architecture.model: 'cutoff' is missing"),
        ("negative", "architecture.model.cutoff: found -1.0, expected a radius"),
        ("misspelt", "architecture.model.cutof: unknown option; did you mean 'cutoff'?"),
        ("no numbers", "architecture.training.penalties: found 'none', expected a list"),
        ("no energy", "a linear model learns energies of systems, 'mtt::dipole' is none"),
    ],
)
def test_what_a_stranger_refuses_is_refused_before_data_is_read(refusals, name, complaint):
    assert complaint in refusals[name]


@pytest.fixture(scope="module")
def composition_run(strangers_mtt, tmp_path_factory):
    """A folder in which ``composition`` was trained, and what it was told to do that."""
    folder = tmp_path_factory.mktemp("composition")
    content = options(ethanol_file(folder / "ethanol.xyz", 20))
    # a broken package gives an architecture of that name too
    content["architecture"] = {"name": "ada-linear:composition"}
    write_options(folder / "options.yaml", content)
    done = strangers_mtt("train", "options.yaml", folder=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_name_that_two_packages_give_by_now_means_that_of_the_checkpoint(
    composition_run, strangers_mtt, tmp_path
):
    shutil.copy(composition_run / "model.ckpt", tmp_path)
    # as if there had been one only
    with_record(tmp_path / "model.ckpt", run={"architecture": {"name": "composition"}})
    done = strangers_mtt("export", "model.ckpt", folder=tmp_path)
    assert done.returncode == 0, done.stderr


def test_options_without_a_dataclass_are_a_dictionary(composition_run, strangers_mtt, tmp_path):
    """It has no neighbor lists either, and its checkpoints are JSON."""
    path = write_options(
        tmp_path / "evaluate.yaml", {"systems": str(composition_run / "ethanol.xyz")}
    )
    done = strangers_mtt("eval", composition_run / "model.ckpt", path, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    found = energies(tmp_path / "output.xyz")
    # all are molecules of the same elements: the mean is all it can say
    assert np.ptp(found) == pytest.approx(0.0, abs=1e-9)
    assert found[0] == pytest.approx(np.mean(energies(composition_run / "ethanol.xyz")), abs=0.5)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--restart", "model.ckpt"], "going on from model.ckpt"),
        (
            ["-r", "architecture.training.finetune.read_from=model.ckpt"],
            "beginning with the weights of model.ckpt",
        ),
    ],
)
def test_a_dictionary_of_options_may_ask_for_another_beginning(
    composition_run, strangers_mtt, tmp_path, words, told
):
    for name in ("options.yaml", "model.ckpt"):
        shutil.copy(composition_run / name, tmp_path)
    done = strangers_mtt("train", "options.yaml", *words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert told in done.stdout
