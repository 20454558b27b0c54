"""What is exported: that it computes the same, and keeps the memory of its steps."""

import copy
import dataclasses
import platform
import subprocess
import sys

import pytest
import torch
from ase import Atoms
from torch.testing import assert_close

from architectures.soap_bpnn.hypers import BpnnHypers, CutoffHypers, SoapBpnnHypers, SoapHypers
from architectures.soap_bpnn.model import SoapBpnn
from metatrain.data.target import DatasetInfo, Target
from metatrain.export.proof import prove
from metatrain.nn import fold
from metatrain.testing.graph_model import with_moved_weights

INFO = DatasetInfo(
    "angstrom", [1, 6, 8], {"energy": Target("energy", "energy", "eV", has_forces=True)}
)


@pytest.mark.parametrize(
    ("radius", "width"), [(6.0, 0.5), (6.0, 1.2), (5.0, 1.0), (5.0, 0.1), (4.0, 0.5)]
)
def test_a_right_export_is_accepted_with_any_cutoff(tmp_path, radius, width, process):
    torch.manual_seed(0)
    soap = SoapHypers(max_angular=2, max_radial=2, cutoff=CutoffHypers(radius, width))
    hypers = SoapBpnnHypers(soap=soap, bpnn=BpnnHypers(num_neurons_per_layer=8))
    model = SoapBpnn(hypers, INFO)
    # reference energies as large as those of all-electron calculations
    baselines = {"energy": torch.tensor([[-13.0], [-1030.0], [-2040.0]], dtype=torch.float64)}
    model.standardization = dataclasses.replace(model.standardization, baselines=baselines)
    exported = model.export()
    exported.save(tmp_path / "model.pt")
    assert prove(process, tmp_path / "model.pt", exported, None).difference < 1e-4


@pytest.mark.parametrize("symbols", ["H2O", "HOH", "O3", "H"])
def test_the_folded_script_computes_the_same_whatever_elements_are_there(symbols, build_graph):
    torch.manual_seed(0)
    info = dataclasses.replace(INFO, atomic_types=[1, 6, 7, 8])
    model = SoapBpnn(SoapBpnnHypers(soap=SoapHypers(max_angular=2, max_radial=2)), info).double()
    model = with_moved_weights(model)
    folded = copy.deepcopy(model)
    fold(folded)
    folded = torch.jit.script(folded)
    place = [[0.0, 0.0, 0.0], [0.0, 0.8, 0.6], [0.2, -0.7, 0.9]][: len(Atoms(symbols))]
    graph = build_graph([Atoms(symbols, place)], model.cutoff)
    for _ in range(3):  # TorchScript optimises after the first calls
        assert_close(folded(graph)["energy"], model(graph)["energy"], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("max_angular", [0, 1, 6, 13])
def test_the_script_joins_products_of_one_element_without_a_change(max_angular, build_graph):
    torch.manual_seed(0)
    soap = SoapHypers(max_angular=max_angular, max_radial=3)
    model = SoapBpnn(SoapBpnnHypers(soap=soap), INFO).double()
    folded = copy.deepcopy(model)
    fold(folded)
    scripted = torch.jit.script(folded)
    graph = build_graph([Atoms("O3", [[0, 0, 0], [0, 0.8, 0.6], [0.2, -0.7, 0.9]])], model.cutoff)
    vectors = graph.vectors.requires_grad_()
    graph = graph._replace(vectors=vectors)
    (expected,) = torch.autograd.grad(model(graph)["energy"].sum(), vectors)
    for _ in range(3):  # TorchScript optimises after the first calls
        (found,) = torch.autograd.grad(scripted(graph)["energy"].sum(), vectors)
        assert_close(found, expected, rtol=1e-11, atol=1e-11)


STEPS = """
import resource, sys
from ase.build import bulk
from metatomic_ase import MetatomicCalculator

atoms = bulk("C", "diamond", 3.567, cubic=True) * (2, 2, 2)
atoms.calc = MetatomicCalculator(sys.argv[1], device="cpu")
faults = []
for seed in range(20):
    atoms.rattle(1e-3, seed=seed)
    atoms.get_forces()
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
print(faults[-1] - faults[9])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries decide themselves")
def test_steps_of_an_engine_ask_the_system_for_no_memory(tmp_path):
    torch.manual_seed(0)
    SoapBpnn(SoapBpnnHypers(), INFO).export().save(tmp_path / "model.pt")
    command = [sys.executable, "-W", "ignore", "-c", STEPS, tmp_path / "model.pt"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    # pages in ten steps; about 10,000 if all of it were given back after each
    assert int(done.stdout) < 2000
