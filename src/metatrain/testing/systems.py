"""Small systems that together have everything that goes wrong: images, slabs, lone atoms."""

from collections.abc import Sequence

import ase
import numpy as np
import torch
from metatensor.torch import Labels, TensorBlock
from metatomic.torch import System

from metatrain.data.columns import Columns, Origin
from metatrain.data.inputs import SYSTEM_INPUTS
from metatrain.data.segments import offsets_of

ATOMIC_TYPES = [1, 6, 8]


def columns_of(systems: Sequence[ase.Atoms]) -> Columns:
    """Columns without labels."""
    counts = torch.tensor([len(atoms) for atoms in systems])
    pbc = torch.tensor(np.array([atoms.pbc for atoms in systems]))
    cells = torch.tensor(np.array([atoms.cell.array for atoms in systems]))
    return Columns(
        offsets=offsets_of(counts),
        types=torch.tensor(np.concatenate([atoms.numbers for atoms in systems])),
        positions=torch.tensor(np.concatenate([atoms.positions for atoms in systems])),
        cells=cells * pbc.unsqueeze(2),
        pbc=pbc,
        values={},
        forces={},
        stress={},
        inputs={
            name: torch.tensor(
                [float(atoms.info.get(name, one.default)) for atoms in systems]
            ).double()
            for name, one in SYSTEM_INPUTS.items()
        },
        origin=Origin(
            ("testing",), torch.zeros(len(systems), dtype=torch.int64), torch.arange(len(systems))
        ),
    )


def molecule() -> ase.Atoms:
    """A distorted formaldehyde: no symmetry that could hide a mistake."""
    positions = [[0.0, 0.1, 0.0], [1.2, 0.0, 0.1], [-0.6, 0.9, 0.2], [-0.5, -0.9, 0.3]]
    # an ion, and a radical, for models that look at that
    info = {"charge": 1, "spin_multiplicity": 2}
    return ase.Atoms("COHH", positions=positions, info=info)


def crystal() -> ase.Atoms:
    """Four atoms in a triclinic cell that is shorter than a usual cutoff."""
    positions = [[0.1, 0.0, 0.2], [1.3, 0.4, 0.1], [0.5, 1.6, 1.9], [2.2, 1.9, 1.1]]
    cell = [[3.1, 0.0, 0.0], [0.4, 3.3, 0.0], [-0.3, 0.5, 3.6]]
    return ase.Atoms("COHH", positions=positions, cell=cell, pbc=True)


def supercell() -> ase.Atoms:
    """Two cells of the crystal with displaced atoms: periodic too, of another size."""
    atoms = crystal().repeat((1, 1, 2))
    atoms.rattle(0.05, seed=0)
    return atoms


def slab() -> ase.Atoms:
    """The crystal, periodic in two directions only."""
    atoms = crystal()
    atoms.pbc = [True, True, False]
    return atoms


def chain() -> ase.Atoms:
    """The crystal, periodic in one direction only."""
    atoms = crystal()
    atoms.pbc = [False, False, True]
    return atoms


def lone_atom() -> ase.Atoms:
    """A single atom in nothing."""
    return ase.Atoms("O")


def far_apart() -> ase.Atoms:
    """Two atoms that do not see each other."""
    return ase.Atoms("HO", positions=[[0.0, 0.0, 0.0], [0.0, 0.0, 1000.0]])


def everything() -> list[ase.Atoms]:
    """One of each kind."""
    return [molecule(), crystal(), lone_atom(), slab(), far_apart(), chain(), supercell()]


def rotated(atoms: ase.Atoms, rotation: np.ndarray) -> ase.Atoms:
    """Positions and cell turned (or mirrored) by a matrix: r' = R r."""
    turned = atoms.copy()
    turned.positions = atoms.positions @ rotation.T
    turned.cell = atoms.cell.array @ rotation.T
    return turned


def strained(atoms: ase.Atoms, strain: np.ndarray) -> ase.Atoms:
    """Positions and cell strained: r' = r (1 + strain), with rows r."""
    moved = atoms.copy()
    moved.positions = atoms.positions @ (np.eye(3) + strain)
    moved.cell = atoms.cell.array @ (np.eye(3) + strain)
    return moved


def with_shuffled_pairs(system: System) -> System:
    """The same system from an engine that gives its pairs in no order."""
    shuffled = System(system.types, system.positions, system.cell, system.pbc)
    generator = torch.Generator().manual_seed(0)
    for options in system.known_neighbor_lists():
        pairs = system.get_neighbor_list(options)
        order = torch.randperm(len(pairs.values), generator=generator)
        samples = Labels(pairs.samples.names, pairs.samples.values[order])
        block = TensorBlock(pairs.values[order], samples, pairs.components, pairs.properties)
        shuffled.add_neighbor_list(options, block)
    for name in system.known_data():
        shuffled.add_data(name, system.get_data(name))
    return shuffled


def random_rotation() -> np.ndarray:
    """A proper rotation, the same every time."""
    matrix, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    return matrix * np.sign(np.linalg.det(matrix))
