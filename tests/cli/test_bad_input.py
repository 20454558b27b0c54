"""Mistakes of a user: each is told in one line, before any training, with the way out."""

import json
import os
import pickle
import shutil
import sys
import zipfile
from pathlib import Path

import ase.build
import ase.io
import pytest
import torch
import yaml

from metatrain.cli import main
from runs import ethanol_file, merged, options, run_mtt, write_options

# What no message may show: insides of Python, ASE, OmegaConf, metatomic, PyTorch and C++.
INSIDES = (
    "Traceback",
    "omegaconf",
    "KeyError",
    "RuntimeError",
    "TypeError",
    ".cpp",
    "aten::",
    "codec",
    "NoneType",
    "<class",
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder in which the command runs, with a data file."""
    monkeypatch.chdir(tmp_path)
    # the command adds its folder to the places of plug-ins
    monkeypatch.setattr(sys, "path", [*sys.path])
    ethanol_file(tmp_path / "data.xyz", 10)
    return tmp_path


@pytest.fixture
def refused(folder, capsys):
    """Runs the command, which has to refuse in one line; gives that line."""

    def run(*words: object) -> str:
        code = main([str(word) for word in words])
        printed = capsys.readouterr()
        assert code == 2, printed
        assert printed.err.count("\n") == 1
        assert printed.err.startswith("error: ")
        assert not [word for word in INSIDES if word in printed.err]
        assert "epoch" not in printed.out
        assert not list(folder.glob("outputs/*/*/*.ckpt"))
        return printed.err.removeprefix("error: ").rstrip("\n")

    return run


@pytest.fixture
def refused_options(folder, refused):
    """Runs a training with changed options, which has to refuse in one line."""

    def run(*words: object, **changes: object) -> str:
        write_options(Path("options.yaml"), options(Path("data.xyz"), **changes))
        return refused("train", "options.yaml", *words)

    return run


def model(**hypers):
    return {"architecture": {"model": hypers}}


def training(**hypers):
    return {"architecture": {"training": hypers}}


def energy(**target):
    return {"training_set": {"targets": {"energy": target}}}


def structure(energy="-1.0", species="H", position="0 0 0", more="", columns=""):
    properties = f"Properties=species:S:1:pos:R:3{columns}"
    return f"1\nenergy={energy} {properties}\n{species} {position} {more}\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.xyz", "", "empty.xyz: is empty; expected at least one system"),
        ("blank.xyz", "\n\n", "blank.xyz: holds no systems"),
        ("cut.xyz", structure() + "9\n", "cut.xyz, system 1, from line 4 on: the file ends after 0 of its 9 atoms"),
        ("page.xyz", "<html>\n<body>\n", "system 0, line 1: found '<html>', expected the number of atoms; correct the file"),
        ("minus.xyz", "-1\n\n", "found '-1', expected the number of atoms"),
        ("none.xyz", "0\n\n", "none.xyz, system 0: has no atoms"),
        ("qq.xyz", structure() + structure(species="Qq"), "qq.xyz, system 1, from line 4 on: cannot be read: 'Qq' is no element"),
        ("x.xyz", structure(species="X"), "system 0: an atom has no element"),
        ("short.xyz", structure(position="0 0"), "short.xyz, system 0, line 3: has 3 columns where Properties declares 4"),
        ("text.xyz", structure(position="0 0 here"), "found 'here', expected a number"),
        ("nan.xyz", structure(position="0 nan 0"), "a position is infinite or NaN"),
        ("word.xyz", structure(energy="abc"), "word.xyz, system 0: 'energy' is 'abc'; expected 1 number"),
        ("inf.xyz", structure() + structure(energy="inf"), "inf.xyz, system 1: 'energy' is infinite"),
        ("far.xyz", structure(columns=":forces:R:3", more="0 inf 0"), "far.xyz, system 0: 'forces' of atom 0 is infinite"),
        ("part.xyz", structure(columns=":forces:R:3", more="0 nan 0"), "part.xyz, system 0: 'forces' of atom 0 is NaN in part; expected 3 numbers per atom, or NaN for all of them where there is no label."),
        ("bytes.xyz", b"\xff\xfe\x00\xa5", "bytes.xyz, system 0, line 1: found no text"),
        ("bytes.traj", b"\xff\xfe\x00\xa5", "bytes.traj, system 0: cannot be read"),
        ("hello.cif", "hello", "hello.cif, system 0: cannot be read"),
        ("data.weird", structure(), "line 15: training_set.systems.read_from: none of the readers claims the suffix of 'data.weird'; known are .cif, .db"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isprintable() else "content",
)  # fmt: skip
def test_a_bad_data_file_is_named_with_the_place_in_it(refused_options, name, content, message):
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    found = refused_options(training_set={"systems": {"read_from": name}})
    assert message in found
    assert name in found


def test_a_data_file_that_is_called_like_a_section_is_told_as_a_file(refused_options):
    Path("training_set.xyz").write_text(structure(position="0 0"))
    found = refused_options(training_set={"systems": {"read_from": "training_set.xyz"}})
    assert "training_set.xyz, system 0, line 3: has 3 columns" in found
    assert "options.yaml" not in found


def test_a_data_file_that_is_not_there_or_no_file_is_named(refused_options):
    found = refused_options(training_set={"systems": {"read_from": "dta.xyz"}})
    assert "found no file 'dta.xyz'; did you mean 'data.xyz'?" in found
    Path("folder.xyz").mkdir()
    found = refused_options(training_set={"systems": {"read_from": "folder.xyz"}})
    assert "'folder.xyz' is a folder, expected a file" in found


def test_two_atoms_at_the_same_place_are_refused_with_their_system(refused_options):
    water = structure() + structure().replace("1\n", "2\n", 1) + "H 0 0 0\n"
    Path("same.xyz").write_text(water)
    changes = {"validation_set": 0.0, "test_set": 0.0}
    found = refused_options(training_set={"systems": {"read_from": "same.xyz"}}, **changes)
    assert "same.xyz, system 1: two atoms are at the same place" in found


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_named(refused_options):
    Path("secret.xyz").write_text(structure())
    Path("secret.xyz").chmod(0)
    found = refused_options(training_set={"systems": {"read_from": "secret.xyz"}})
    assert "'secret.xyz' cannot be read; check its permissions" in found


def test_files_that_belong_together_hold_equally_many_of_the_same_systems(refused_options):
    ethanol_file(Path("three.xyz"), 3)
    found = refused_options(**energy(forces={"read_from": "three.xyz"}))
    assert "data.xyz has 10 systems" in found
    assert "three.xyz has 3 systems; files that belong together need equally many" in found
    Path("other.xyz").write_text(structure() * 10)
    found = refused_options(**energy(forces={"read_from": "other.xyz"}))
    assert "other.xyz, system 0: has other atoms than" in found


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "options.yaml: there is no such options file"),
        ("", "options.yaml: the file is empty"),
        ("- a\n", "options.yaml: found ['a'], expected a mapping"),
        ("hello\n", "options.yaml: found text, expected a mapping"),
        ("a: [1\n", "options.yaml, line 2, column 1: this is not YAML: found a bracket that is not closed"),
        ("seed: 1\nseed: 2\n", "options.yaml, line 2: seed: this key stands in lines 1 and 2"),
        (b"\xff\x00", "options.yaml: this is no text"),
    ],
)  # fmt: skip
def test_a_bad_options_file_is_explained(refused, content, message):
    if content is not None:
        Path("options.yaml").write_bytes(content.encode() if isinstance(content, str) else content)
    assert refused("train", "options.yaml").startswith(message)


def test_a_folder_is_no_options_file(refused):
    assert refused("train", ".") == ".: this is a folder, expected an options file (YAML)"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        # names, at any depth
        ({"sed": 1}, "line 22: sed: unknown option; did you mean 'seed'? allowed: architecture,"),
        (model(sop={}), "line 10: architecture.model.sop: unknown option; did you mean 'soap'?"),
        (model(soap={"cutoff": {"radus": 3}}), "architecture.model.soap.cutoff.radus: unknown option; did you mean 'radius'? allowed: radius, width"),
        (training(num_epoch=3), "line 13: architecture.training.num_epoch: unknown option; did you mean 'num_epochs'?"),
        (training(loss={"energy": {"weigt": 1}}), "architecture.training.loss.energy.weigt: unknown option of loss 'mse'; did you mean 'weight'?"),
        (training(loss={"energy": {"gradients": {"position": "mse"}}}), "loss.energy.gradients.position: target 'energy' has no such gradient"),
        (training(optimizer={"type": "adam", "beta": 1}), "architecture.training.optimizer.beta: unknown option; did you mean 'beta2'?"),
        ({"training_set": {"systems": {"read_form": "x"}}}, "training_set.systems.read_form: unknown option; did you mean 'read_from'?"),
        (energy(forcs=True), "training_set.targets.energy.forcs: unknown option; did you mean 'forces'?"),
        # types and ranges
        (training(num_epochs="ten"), "line 11: architecture.training.num_epochs: found 'ten', expected a whole number"),
        (training(num_epochs=0), "num_epochs: found 0, expected at least 1"),
        (training(batch_size=0), "batch_size: found 0, expected at least 1"),
        (training(max_atoms_per_batch=512), "max_atoms_per_batch: unknown option; write 'batch_size: {atoms: N}'"),
        (training(precision="tf32") | {"device": "cpu"}, "options.yaml, line 13: architecture.training.precision: 'tf32' is for Nvidia GPUs, the device is cpu; use 'full'"),
        (training(learning_rate=0), "learning_rate: found 0.0, expected a number above 0"),
        (training(loss={"energy": {"weight": -1}}), "loss.energy.weight: -1 is no weight; use a number >= 0"),
        (training(loss=["mse"]), "architecture.training.loss: ['mse'] is no loss"),
        (training(loss={"energy": {"gradients": 3}}), "loss.energy.gradients: 3 is no mapping"),
        (training(loss={"energy": {"forces": None}}), "loss.energy.gradients.positions: None is no loss"),
        (training(loss={"energy": {"type": "huber", "delta": "a"}}), "loss.energy.delta: found 'a', expected a number"),
        (training(optimizer=3), "architecture.training.optimizer: found 3, expected a name"),
        (training(scheduler={"type": "plateau", "factor": 3}), "scheduler.factor: found 3"),
        (training(ema_decay=1.5), "ema_decay: found 1.5, expected at most 1"),
        (training(atomic_baseline={"enrgy": 1.0}), "atomic_baseline.enrgy: no such target; did you mean 'energy'?"),
        (training(atomic_baseline={"energy": "isolated"}), "atomic_baseline.energy: found 'isolated', expected 'least_squares', 'isolated_atoms'"),
        (training(atomic_baseline={"energy": "isolated_atoms"}), "'isolated_atoms' needs a system of one atom with a label 'energy'"),
        (training(fixed_scaling_weights={"energy": 0}), "fixed_scaling_weights.energy: 0.0 is no scale"),
        (model(soap={"cutoff": {"radius": -1}}), "line 9: architecture.model.soap.cutoff.radius: found -1.0, expected a number above 0"),
        (model(soap={"cutoff": {"radius": 2, "width": 3}}), "line 10: architecture.model.soap.cutoff.width: 3.0 exceeds the radius, 2.0"),
        (model(heads={"enrgy": "mlp"}), "architecture.model.heads.enrgy: no such target; did you mean 'energy'? the targets are: energy"),
        (model(heads={"energy": "mpl"}), "architecture.model.heads.energy: 'mpl' is no kind of head; use 'linear' or 'mlp'"),
        (model(long_range={"smearing": 0}), "architecture.model.long_range.smearing: found 0.0, expected a number above 0"),
        ({"seed": -1}, "line 1: seed: found -1, expected at least 0"),
        # plug-ins
        ({"architecture": {"name": "soap_bpn"}}, "line 3: architecture.name: 'soap_bpn' is not installed; did you mean 'soap_bpnn'? installed: "),
        ({"architecture": {"name": "nowhere:thing"}}, "architecture.name: 'nowhere:thing' cannot be imported"),
        ({"architecture": {"name": "os:path"}}, "architecture.name: 'os:path' of package 'os' is not a complete architecture: __model__ is missing"),
        (training(loss="msee"), "line 13: architecture.training.loss.type: 'msee' is not installed; did you mean 'mse'? installed: huber, mae, mse"),
        (training(optimizer="adm"), "line 13: architecture.training.optimizer: 'adm' is not installed; did you mean 'adam'? installed: adam, adamw"),
        (training(scheduler="cosin"), "architecture.training.scheduler: 'cosin' is not installed; did you mean 'cosine'? installed: "),
        (training(loggers=["cvs"]), "architecture.training.loggers: 'cvs' is not installed; did you mean 'csv'?"),
        ({"training_set": {"systems": {"reader": "asee"}}}, "line 17: training_set.systems.reader: 'asee' is not installed; did you mean 'ase'?"),
        ({"training_set": {"systems": {"reader": "os:path"}}}, "training_set.systems: 'os:path' is none of the readers; expected a class"),
        # units
        (energy(unit="evv"), "line 19: training_set.targets.energy.unit: 'evv' is no known unit; did you mean 'eV'?"),
        (energy(unit="bohr"), "training_set.targets.energy.unit: 'bohr' is no unit of energy; use one such as 'eV'"),
        ({"training_set": {"systems": {"length_unit": "eV"}}}, "training_set.systems.length_unit: 'eV' is no unit of length"),
        # machine
        ({"device": "cdua"}, "device: 'cdua' is unknown; did you mean 'cuda'? use one of cpu,"),
        ({"device": "mps:99"}, "device: 'mps:99' is not on this machine; it has "),
        ({"device": "cuda:99"}, "device: 'cuda:99' is not on this machine; it has "),
        ({"device": "cpu:x"}, "device: 'cpu:x' is unknown; did you mean 'cpu'? use one of cpu,"),
        ({"base_precision": 16}, "base_precision: soap_bpnn does not compute in 16 bits; it does in 32 and 64"),
        ({"base_precision": 24}, "line 22: base_precision: found 24, expected one of 16, 32, 64"),
        # sets
        ({"validation_set": 0.5, "test_set": 0.5}, "line 21: test_set: validation_set 0.5 and test_set 0.5 leave nothing to train on"),
        ({"validation_set": 0.9, "test_set": 0.05}, "training_set: of 10 systems, 9 go to validation (fraction 0.9) and 1 to test (fraction 0.05), which leaves nothing to train on"),
        ({"validation_set": 1}, "line 20: validation_set: found 1, expected a fraction from 0 to below 1"),
        ({"validation_set": {"indices": [3, 40]}}, "validation_set.indices: 40 is out of range; the training file has 10 systems, 0 to 9"),
        ({"validation_set": {"indices": list(range(10))}}, "training_set: the indices of validation_set take all 10 systems, which leaves nothing to train on"),
        ({"validation_set": {"indices": [3]}, "test_set": {"indices": [3]}}, "validation_set.indices: row 3 is in test_set too"),
        ({"validation_set": {"indices": [3, 3]}}, "validation_set.indices: row 3 stands there 2 times; write it once"),
        ({"training_set": {"indices": [40]}}, "training_set.indices: 40 is out of range"),
        ({**training(early_stopping_patience=2), "validation_set": 0.0}, "early stopping needs a validation set"),
        ({**training(scheduler="plateau"), "validation_set": 0.0}, "'plateau' follows the errors of a validation set"),
        # elements
        ({"architecture": {"atomic_types": [1, 6]}}, "data.xyz, system 0: holds O, but the model knows H, C only; leave that system out, or add them to architecture.atomic_types"),
        ({"architecture": {"atomic_types": [1, 6, 119]}}, "line 16: architecture.atomic_types[2]: found 119, expected at most 118"),
        # targets
        (energy(key="enery"), "data.xyz has no 'enery' per system; did you mean 'energy'? The file has, per system: OH_dist, config_type, energy; per atom: forces."),
        (energy(stress=True, virial=True), "training_set.targets.energy.virial: stress and virial are the same label twice"),
        (energy(stress=True), "data.xyz has no 'stress' per system. The file has, per system: "),
        (energy(forces={"key": "energy"}), "data.xyz has no 'energy' per atom, but per system; name another key. The file has, per system: "),
        (energy(forces={"key": "force"}), "data.xyz has no 'force' per atom; did you mean 'forces'?"),
        (energy(sample_kind="atom"), "has no 'energy' per atom, but per system; say 'sample_kind: system'?"),
        (energy(num_subtargets=2), "data.xyz, system 0: 'energy' is one number; expected 2 numbers per system"),
        (energy(type="vector"), "training_set.targets.energy.type: found 'vector', expected 'scalar'"),
    ],
    ids=str,
)  # fmt: skip
def test_a_mistake_in_an_option_is_explained_before_training(refused_options, changes, message):
    assert message in refused_options(**changes)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("U0", "this version trains no target called 'U0'; write 'mtt::U0', and 'key: U0'"),
        ("charge", "this version trains no target called 'charge'"),
        ("energy pbe", "write 'mtt::energy pbe'"),
        ("energy/", "write 'mtt::energy/'"),
        ("mtt::", "this version trains no target called 'mtt::'"),
        ("mtt::gap", "say how the values of atoms make the value of a system"),
    ],
)  # fmt: skip
def test_a_target_that_no_exported_model_could_offer_is_refused(refused, name, message):
    content = options(Path("data.xyz"))
    content["training_set"]["targets"] = {name: {"key": "energy", "unit": "eV"}}
    write_options(Path("options.yaml"), content)
    found = refused("train", "options.yaml")
    assert found.startswith(f"options.yaml, line 18: training_set.targets.{name}: ")
    assert message in found


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed", "-r seed: expected KEY=VALUE"),
        ("=3", "-r =3: expected KEY=VALUE"),
        ("seed=[1", "-r seed=[1: the value is not YAML"),
        ("architecture.training.num_epoch=3", "-r architecture.training.num_epoch=3: architecture.training.num_epoch: unknown option; did you mean 'num_epochs'?"),
        ("batch_size=3", "-r batch_size=3: batch_size: unknown option"),
        ("architecture.training.num_epochs=0", "num_epochs: found 0, expected at least 1"),
        ("seed=${x}", "-r seed=${x}: seed: refers to 'x', which is not in this file"),
    ],
)  # fmt: skip
def test_a_mistake_in_an_override_is_explained(refused_options, override, message):
    assert message in refused_options("-r", override)


def test_an_architecture_whose_package_is_incomplete_says_what_to_install(
    refused_options, folder, monkeypatch
):
    info = folder / "lab_models-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lab-models\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[metatrain.architectures]\nlab = lab_models\n")
    (folder / "lab_models.py").write_text("import quantum_thing\n")
    monkeypatch.syspath_prepend(str(folder))
    found = refused_options(architecture={"name": "lab"})
    assert "architecture.name: 'lab' of package 'lab-models' cannot be imported" in found
    assert "No module named 'quantum_thing'" in found
    assert "pip install lab-models" in found


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("folder", "-o folder: is a folder; name a file in it"),
        ("taken.pt", "-o taken.pt: is a folder; name a file in it"),
        ("beside.pt", "-o beside.ckpt: is a folder; name a file in it"),
        ("data.xyz/model.pt", "-o data.xyz/model.pt: its folder cannot be made"),
        ("data.xyz/in/model.pt", "-o data.xyz/in/model.pt: its folder cannot be made"),
        ("options.yaml", "-o options.yaml: the name of an exported model ends in .pt; write 'options.pt'"),
    ],
)  # fmt: skip
def test_an_output_that_cannot_be_written_is_refused_before_training(
    refused_options, output, message
):
    for name in ("folder", "taken.pt", "beside.ckpt"):
        Path(name).mkdir()
    assert message in refused_options("-o", output)
    assert not Path("outputs").exists()


def test_a_run_folder_that_cannot_be_made_is_named(refused_options):
    Path("outputs").write_text("a file")
    assert refused_options().endswith("run where you may write.")


def test_a_folder_of_other_things_is_not_emptied_for_extensions(refused_options):
    Path("mine").mkdir()
    Path("mine/thesis.tex").write_text("important")
    assert "-e mine: holds 'thesis.tex', which would be lost" in refused_options("-e", "mine")
    assert Path("mine/thesis.tex").read_text() == "important"
    assert "-e data.xyz: is a file; name a folder" in refused_options("-e", "data.xyz")


class Malicious:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return Path("hacked").write_text, ("yes",)


def changed_checkpoint(finished, path, change):
    """A checkpoint whose record of the run was changed."""
    with zipfile.ZipFile(finished / "model.ckpt") as whole, zipfile.ZipFile(path, "w") as other:
        record = json.loads(whole.read("record.json"))
        change(record)
        other.writestr("record.json", json.dumps(record))
        other.writestr("content.pt", whole.read("content.pt"))


@pytest.mark.parametrize("words", [("train", "options.yaml", "--restart"), ("export",), ("eval",)])
def test_a_bad_checkpoint_is_named(refused, finished, words):
    write_options(Path("options.yaml"), options(Path("data.xyz")))
    Path("evaluate.yaml").write_text("systems: data.xyz\n")
    after = ("evaluate.yaml",) if words == ("eval",) else ()

    def message(name):
        return refused(*words, name, *after)

    assert message("nothing.ckpt").startswith("nothing.ckpt: ")
    assert message(".").startswith(".: is a folder")
    whole = (finished / "model.ckpt").read_bytes()
    Path("cut.ckpt").write_bytes(whole[: len(whole) // 2])
    assert message("cut.ckpt").startswith("cut.ckpt: is damaged")
    Path("text.ckpt").write_text("hello")
    assert message("text.ckpt").startswith("text.ckpt: is not a checkpoint")
    torch.save({"state_dict": {}}, "foreign.ckpt")
    assert message("foreign.ckpt").startswith("foreign.ckpt: is not a checkpoint of metatrain")
    torch.save({"header": Malicious()}, "evil.ckpt")
    assert message("evil.ckpt").startswith("evil.ckpt: is not a checkpoint of metatrain")
    Path("evil.ckpt").write_bytes(pickle.dumps(Malicious()))
    assert message("evil.ckpt").startswith("evil.ckpt: is not a checkpoint")
    assert not Path("hacked").exists()
    newer = {"format": 99, "metatrain": "9.9"}
    changed_checkpoint(finished, "newer.ckpt", lambda record: record.update(newer))
    assert "newer.ckpt: written by metatrain 9.9" in message("newer.ckpt")
    assert "pip install 'metatrain>=9.9'" in message("newer.ckpt")


def test_a_checkpoint_of_another_architecture_says_which(refused_options, refused, finished):
    def change(record):
        written_by = {"name": "other", "package": "other-lab", "version": "2.0"}
        record["run"]["architecture"] = written_by

    changed_checkpoint(finished, "other.ckpt", change)
    found = refused_options("--restart", "other.ckpt")
    assert "is a checkpoint of 'other', but the options ask for 'soap_bpnn'" in found
    found = refused("export", "other.ckpt")
    assert found.startswith("other.ckpt: 'other' is not installed")
    assert "written by other-lab==2.0: install that" in found


def test_a_checkpoint_does_not_choose_what_is_imported(refused, finished):
    Path("evil.py").write_text("from pathlib import Path; Path('hacked').touch()\n")

    def change(record):
        record["run"]["architecture"]["name"] = "evil:thing"

    changed_checkpoint(finished, "evil.ckpt", change)
    found = refused("export", "evil.ckpt")
    assert found.startswith("evil.ckpt: was written by 'evil:thing', which is not installed")
    assert not Path("hacked").exists()


def test_options_of_a_run_that_are_not_whole_are_damage(refused, finished):
    changed_checkpoint(finished, "bare.ckpt", lambda record: record["run"].update(options="a: 1"))
    assert refused("export", "bare.ckpt").startswith("bare.ckpt: is damaged; its record of the run")


def test_an_exported_model_is_no_checkpoint(refused_options, refused, finished):
    for words in (["--restart", finished / "model.pt"], []):
        exported = finished / "model.pt"
        found = refused_options(*words) if words else refused("export", exported)
        assert found.startswith(f"{exported}: is an exported model, expected a checkpoint; take ")
        assert found.endswith("model.ckpt.")


def test_a_restart_names_what_is_another_than_in_the_run(folder, refused, finished):
    content = options(finished / "ethanol.xyz")
    for changes, message in (
        (model(legacy=False), "architecture.model.legacy: is False, but True in the run of"),
        ({"validation_set": 0.3}, "validation_set: is 0.3, but 0.2 in the run of"),
        (energy(unit="kcal/mol"), "targets.energy.unit: is 'kcal/mol', but 'eV' in the run of"),
        ({"training_set": {"systems": {"read_from": "data.xyz"}}}, "holds 10 systems, but the run"),
    ):
        write_options(Path("options.yaml"), merged(content, changes))
        assert message in refused("train", "options.yaml", "--restart", finished / "model.ckpt")


def test_a_restart_without_any_run_says_so(refused_options):
    assert "no run of 'soap_bpnn' under outputs/ has a last.ckpt" in refused_options(
        "--restart", "auto"
    )


def evaluation(systems="data.xyz", **more):
    Path("evaluate.yaml").write_text(yaml.safe_dump({"systems": str(systems), **more}))
    return "evaluate.yaml"


@pytest.mark.parametrize(
    ("content", "words", "message"),
    [
        ({"systems": "nothing.xyz"}, [], "evaluate.yaml, line 1: systems: found no file 'nothing.xyz'"),
        ({"system": "data.xyz"}, [], "evaluate.yaml, line 1: system: unknown option; did you mean 'systems'?"),
        ({"seed": 1, "architecture": {}}, [], "evaluate.yaml, line 1: architecture: these are the options of a training"),
        ({"targets": {"mtt::x": {}}}, [], "targets.mtt::x: the model has no such output; it has energy"),
        ({"targets": {"energy": {"key": "enery"}}}, [], "data.xyz has no 'enery' per system; did you mean 'energy'?"),
        ({"targets": {"energy": {"unit": "bohr"}}}, [], "targets.energy.unit: 'bohr' is no unit of energy"),
        ({"indices": [50]}, [], "indices: 50 is out of range; "),
        ({}, ["-b", "0"], "-b 0: a batch has at least 1 system"),
        ({}, ["-d", "cdua"], "-d: 'cdua' is unknown; did you mean 'cuda'?"),
        ({}, ["-d", "cuda:99"], "-d: 'cuda:99' is not on this machine"),
        ({}, ["-o", "out.weird"], "-o: none of the writers claims the suffix of 'out.weird'; known are .extxyz, .xyz; rename the file."),
        ({}, ["-o", "."], "-o .: is a folder; name a file in it"),
        ({}, ["-o", "data.xyz"], "-o data.xyz: is the file that is read; name another"),
        ({}, ["-o", "data.xyz/out.xyz"], "-o data.xyz/out.xyz: its folder cannot be made"),
        ({}, ["-e", "nowhere"], "-e nowhere: there is no such folder"),
    ],
    ids=str,
)  # fmt: skip
def test_a_mistake_in_an_evaluation_is_explained(refused, finished, content, words, message):
    Path("evaluate.yaml").write_text(
        yaml.safe_dump({"systems": "data.xyz"} | content, sort_keys=True)
    )
    before = Path("data.xyz").read_bytes()
    assert message in refused("eval", finished / "model.pt", "evaluate.yaml", *words)
    assert Path("data.xyz").read_bytes() == before
    assert not Path("output.xyz").exists()


@pytest.mark.parametrize("name", ["nothing.pt", "text.pt", "cut.pt", "linear.pt", ".", "data.xyz"])
def test_what_is_no_model_cannot_be_evaluated(refused, finished, name):
    whole = (finished / "model.pt").read_bytes()
    Path("text.pt").write_text("hello")
    Path("cut.pt").write_bytes(whole[: len(whole) // 2])
    with zipfile.ZipFile("linear.pt", "w") as archive:
        archive.writestr("linear/code/__torch__.py", "class Linear: pass")
    assert refused("eval", name, evaluation()).startswith(f"{name}: ")


@pytest.mark.parametrize("name", ["model.pt", "model.ckpt"])
def test_an_element_that_the_model_does_not_know_is_named_with_its_system(refused, finished, name):
    frames = [*ase.io.read("data.xyz", ":2"), ase.build.molecule("NH3")]
    ase.io.write("ammonia.xyz", frames)
    found = refused("eval", finished / name, evaluation("ammonia.xyz"))
    assert "ammonia.xyz, system 2: holds N, but the model knows H, C, O only" in found
    assert not Path("output.xyz").exists()


def test_an_element_of_a_held_out_set_that_is_not_trained_on_is_named(refused_options):
    ase.io.write("ammonia.xyz", ase.build.molecule("NH3"))
    with Path("ammonia.xyz").open() as file:
        lines = file.readlines()
    lines[1] = "energy=-1.0 " + lines[1]
    Path("ammonia.xyz").write_text("".join(lines))
    found = refused_options(test_set="ammonia.xyz")
    assert "test_set: " in found
    assert "ammonia.xyz, system 0: holds N, but the model knows H, C, O only" in found
    assert "or train on such atoms too" in found
    found = refused_options(architecture={"atomic_types": [1, 6, 8]}, validation_set="ammonia.xyz")
    assert "validation_set: " in found
    assert "add them to architecture.atomic_types" in found


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name: [", "is not a YAML file of metadata"),
        ("- a", "expected 'name: ...'"),
        ("nam: x", "nam: unknown field; did you mean 'name'? allowed: name, description"),
        ("name: 3", "name: found 3, expected text"),
        ("authors: Ada", "authors: found 'Ada', expected a list of texts"),
        ("references: [x]", "references: found ['x'], expected a mapping of lists of texts"),
        ("references: {modl: [x]}", "references.modl: unknown field; did you mean 'model'?"),
        ("extra: {options: x}", "extra.options: is written by metatrain; rename it"),
        (None, "no such metadata file"),
    ],
)
def test_a_mistake_in_a_metadata_file_is_explained(refused, finished, content, message):
    if content is not None:
        Path("about.yaml").write_text(content)
    found = refused("export", finished / "model.ckpt", "-m", "about.yaml")
    assert found.startswith(f"about.yaml: {message}")


def test_the_installed_command_refuses_in_one_line_too(folder):
    shutil.copy("data.xyz", "data.weird")
    write_options(Path("options.yaml"), options(Path("data.weird")))
    done = run_mtt("train", "options.yaml", folder=folder)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "none of the readers claims the suffix" in done.stderr
