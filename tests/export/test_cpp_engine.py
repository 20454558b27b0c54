"""An exported model in a C++ program, as LAMMPS and other engines load it."""

import shutil
import subprocess
from pathlib import Path

import ase
import metatensor
import metatensor.torch
import metatomic.torch
import numpy as np
import pytest
import torch
from metatomic_ase import MetatomicCalculator

COMPILER = shutil.which("g++")


@pytest.fixture(scope="module")
def engine(tmp_path_factory) -> Path:
    """The compiled program."""
    prefixes = [
        metatensor.utils.cmake_prefix_path,
        metatensor.torch.utils.cmake_prefix_path,
        metatomic.torch.utils.cmake_prefix_path,
        torch.utils.cmake_prefix_path,
    ]
    # each is <root>/lib/cmake, that of torch <root>/share/cmake
    roots = [Path(prefix).parents[1] for prefix in prefixes]
    flags = [
        "-std=c++20",
        "-w",
        "-O0",
        f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}",
    ]
    for root in roots:
        flags += [f"-I{root}/include", f"-L{root}/lib", f"-Wl,-rpath,{root}/lib"]
    flags += [f"-I{roots[-1]}/include/torch/csrc/api/include"]
    libraries = ["metatomic_torch", "metatensor_torch", "metatensor", "torch", "torch_cpu", "c10"]
    program = tmp_path_factory.mktemp("engine") / "engine"
    source = Path(__file__).with_name("engine.cpp")
    command = [COMPILER, *flags, source, "-o", program, *(f"-l{name}" for name in libraries)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return program


@pytest.mark.skipif(COMPILER is None, reason="there is no C++ compiler on this machine")
def test_a_cpp_engine_computes_what_ase_computes(engine, finished):
    done = subprocess.run(
        [engine, finished / "model.pt"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    energy, *forces = map(float, done.stdout.split())
    atoms = ase.Atoms("COH", positions=[[0.0, 0.0, 0.0], [1.2, 0.0, 0.1], [-0.6, 0.9, 0.0]])
    atoms.calc = MetatomicCalculator(finished / "model.pt", check_consistency=True)
    assert energy == pytest.approx(atoms.get_potential_energy(), rel=1e-12)
    # float32 inside the network: sums may be taken in another order
    np.testing.assert_allclose(forces, atoms.get_forces().ravel(), atol=1e-4)
