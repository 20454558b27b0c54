import dataclasses

import torch

from metatrain.data.census import census
from metatrain.data.columns import Columns
from metatrain.data.reading import read_columns, targets_of
from pair_model import labelled
from tensor_model import DIPOLE


def read(files, energy_source):
    sources = [
        energy_source(files / "mptrj.xyz", forces="forces", stress="stress"),
        energy_source(files / "isolated_atoms.xyz"),
    ]
    parts = [read_columns(source) for source in sources]
    return Columns.concatenate(parts), targets_of(sources, parts)


def test_the_census_counts_systems_atoms_elements_and_labels(files, energy_source):
    columns, targets = read(files, energy_source)
    text = census("training set", columns, targets, length_unit="angstrom")
    lines = text.splitlines()
    assert lines[0] == "training set:"
    assert f"10 systems, {len(columns.types)} atoms" in lines[1]
    assert "Na 5" in lines[1]
    assert "10 of 10 systems" in lines[2]
    assert "eV/atom" in lines[2]
    assert "6 of 10 systems" in lines[3]
    assert "eV/angstrom" in lines[3]
    assert "6 of 10 systems" in lines[4]
    assert "eV/angstrom^3" in lines[4]


def test_labels_that_a_set_lacks_are_counted_as_none(files, energy_source):
    columns, targets = read(files, energy_source)
    text = census("test set", dataclasses.replace(columns, forces={}), targets, length_unit="A")
    assert "|forces|  0 of 10 systems" in text


def test_atoms_without_forces_are_counted(files, energy_source):
    columns, targets = read(files, energy_source)
    columns.forces["energy"][0] = torch.nan
    text = census("test set", columns, targets, length_unit="A")
    num_atoms = len(columns.types) - 4  # isolated atoms have none
    assert f"6 of 10 systems, {num_atoms - 1} of {num_atoms} atoms" in text


def test_tensors_are_counted_by_their_size():
    columns = labelled(4, DIPOLE)
    columns.values["mtt::dipole"][1:] = torch.nan
    text = census("training set", columns, {"mtt::dipole": DIPOLE}, length_unit="A")
    size = f"{columns.values['mtt::dipole'][0].norm() / 4:.6g}"
    line = text.splitlines()[-1].split()
    assert line == ["|mtt::dipole|", "1", "of", "4", "systems", size, "..", size, "e*A/atom"]


def test_residuals_are_summed_up(files, energy_source):
    columns, targets = read(files, energy_source)
    residuals = {"energy": torch.tensor([0.3, -0.4] * 5, dtype=torch.float64)}
    text = census("set", columns, targets, length_unit="angstrom", residuals=residuals)
    assert "rms 0.3536, max 0.4 eV/atom" in text
    assert "warning" not in text


def test_energies_far_from_the_baseline_are_flagged_with_their_elements(files, energy_source):
    columns, targets = read(files, energy_source)
    residual = torch.zeros(10, 1, dtype=torch.float64)
    has_hydrogen = columns.types[columns.offsets[6:10]] == 1
    system = 6 + int(torch.nonzero(has_hydrogen)[0])
    residual[system] = -1.5
    text = census("set", columns, targets, length_unit="A", residuals={"energy": residual})
    assert "energy of 1 of 10 systems is more than 1 eV/atom" in text
    assert "all have H;" in text
    assert columns.origin.where(system) in text


def test_the_limit_of_the_flag_is_in_ev(files, energy_source):
    columns, targets = read(files, energy_source)
    targets = {"energy": dataclasses.replace(targets["energy"], unit="kcal/mol")}
    for size, is_flagged in ((20.0, False), (25.0, True)):
        residuals = {"energy": torch.full((10,), size, dtype=torch.float64)}
        text = census("set", columns, targets, length_unit="A", residuals=residuals)
        assert ("warning" in text) == is_flagged
