"""Seconds of a step of molecular dynamics in ASE, for each system of a file.

Run by the interpreter of the environment that the calculator is installed in, which has no other:
therefore calculators are imported where they are made. The folder ``hook`` has to be on PYTHONPATH.
"""

import argparse
import json
import math
import statistics
import time
import warnings
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet
from counted_operations import CountedOperations

# TorchScript optimises in the first calls
WARM_UP_STEPS = 5
BLOCKS = 3


def main() -> None:
    """Print the seconds, and the operations where they can be counted, by number of atoms."""
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("calculator", choices=CALCULATORS)
    parser.add_argument("model", type=Path)
    parser.add_argument("systems", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, default=0.5, help="least length of a block")
    given = parser.parse_args()
    found = {}
    for atoms in ase.io.read(given.systems, ":"):
        atoms.calc = CALCULATORS[given.calculator](given.model, given.device)
        found[len(atoms)] = {
            "seconds": seconds_per_step(atoms, given.seconds),
            "operations": operations_of_step(atoms),
        }
    print(json.dumps(found))


def seconds_per_step(atoms: Atoms, least: float) -> float:
    """Median of some blocks of steps that are each as long as asked."""
    MaxwellBoltzmannDistribution(atoms, temperature_K=300, rng=np.random.default_rng(0))
    # so short that the weights, which were hardly trained, cannot blow it up
    dynamics = VelocityVerlet(atoms, 0.1 * units.fs)
    dynamics.run(WARM_UP_STEPS)
    num_steps = math.ceil(least / seconds(dynamics, 1))
    return statistics.median(seconds(dynamics, num_steps) for _ in range(BLOCKS)) / num_steps


def seconds(dynamics: VelocityVerlet, num_steps: int) -> float:
    """How long these steps take."""
    start = time.perf_counter()
    dynamics.run(num_steps)
    return time.perf_counter() - start


def operations_of_step(atoms: Atoms) -> int:
    """Operations of the matrix products; 0 where a compiled model does not show them."""
    atoms.positions[0, 0] += 1e-4
    with CountedOperations() as counter:
        atoms.get_forces()
    return counter.total


def metatomic(model: Path, device: str) -> Calculator:
    """Ours, and the published metatrain's; extensions lie beside the model."""
    try:
        from metatomic_ase import MetatomicCalculator  # noqa: PLC0415
    except ImportError:
        from metatomic.torch.ase_calculator import MetatomicCalculator  # noqa: PLC0415
    extensions = model.parent / "extensions"
    return MetatomicCalculator(
        model, device=device, extensions_directory=extensions if extensions.exists() else None
    )


def mace(model: Path, device: str) -> Calculator:
    """MACE's own."""
    from mace.calculators import MACECalculator  # noqa: PLC0415

    return MACECalculator(model_paths=model, device=device, default_dtype="float32")


def nequip(model: Path, device: str) -> Calculator:
    """NequIP's own, of a compiled model."""
    from nequip.integrations.ase import NequIPCalculator  # noqa: PLC0415

    return NequIPCalculator.from_compiled_model(
        model, device=device, chemical_species_to_atom_type_map=True
    )


CALCULATORS = {"metatomic": metatomic, "mace": mace, "nequip": nequip}

if __name__ == "__main__":
    main()
