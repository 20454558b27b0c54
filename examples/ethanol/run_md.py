"""Molecular dynamics with an exported model: two picoseconds of ethanol at constant energy.

Run it from the folder with ``model.pt``; nothing of metatrain is imported.
"""

import argparse
from pathlib import Path

import ase.io
import numpy as np
from ase import units
from ase.md.langevin import Langevin
from ase.md.verlet import VelocityVerlet
from metatomic_ase import MetatomicCalculator

HERE = Path(__file__).parent
TIMESTEP = 0.5 * units.fs

arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("--model", default="model.pt", help="exported model")
arguments.add_argument("--picoseconds", type=float, default=2.0, help="length of the run")
given = arguments.parse_args()

atoms = ase.io.read(HERE / "ethanol.xyz", index=0)
atoms.calc = MetatomicCalculator(given.model)

# half a picosecond in a heat bath of 300 K, then the run proper
bath = Langevin(
    atoms,
    timestep=TIMESTEP,
    temperature_K=300,
    friction=0.02 / units.fs,
    fixcm=False,
    rng=np.random.default_rng(0),
)
bath.run(1000)
# the temperature of nine atoms fluctuates by a quarter: begin at 300 K exactly
atoms.set_momenta(atoms.get_momenta() * np.sqrt(300 / atoms.get_temperature()))

energies, temperatures = [], []


def record() -> None:
    """Total energy per atom, in meV, and temperature, after a step."""
    energies.append(1000 * atoms.get_total_energy() / len(atoms))
    temperatures.append(atoms.get_temperature())


dynamics = VelocityVerlet(atoms, timestep=TIMESTEP)
dynamics.attach(record, interval=10)
dynamics.run(round(given.picoseconds * 1000 * units.fs / TIMESTEP))

times = np.linspace(0.0, given.picoseconds, len(energies))
drift = np.polyfit(times, energies, 1)[0] * given.picoseconds
print(f"temperature: {np.mean(temperatures):.0f} K on average")
print(f"drift of the total energy: {drift:.3f} meV/atom over {given.picoseconds:g} ps")
print(f"its fluctuation: {np.std(energies):.3f} meV/atom")
