"""The structures that everything is measured with."""

import itertools
import os
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.build import bulk

MOLECULES = Path("3bpa", "train_300K.xyz")
SMALL_MOLECULES = Path("ethanol_rmd17", "test_MD.xyz")
# a multiple of all batch sizes, so that it makes no difference whether the rest is dropped
MULTIPLE = 16
LATTICE_CONSTANT = 3.567
REPETITIONS = (2, 3, 5)


def write_parts(data: Path, folder: Path, num_training: int | None = None) -> int:
    """Write ``training.xyz`` and, with a tenth of all structures, ``validation.xyz``.

    :param num_training: ``None`` for as many as there are, up to whole batches
    :return: number of structures to train on
    """
    frames = ase.io.read(data / MOLECULES, ":")
    order = np.random.default_rng(0).permutation(len(frames))
    num_validation = len(frames) // 10
    if num_training is None:
        num_training = (len(frames) - num_validation) // MULTIPLE * MULTIPLE
    else:
        num_validation = num_training // 10
    training, validation = np.split(order[: num_training + num_validation], [num_training])
    ase.io.write(folder / "training.xyz", [frames[i] for i in training])
    ase.io.write(folder / "validation.xyz", [frames[i] for i in validation])
    return num_training


def write_many(data: Path, path: Path, num_frames: int) -> None:
    """Write a file of as many frames as asked, those of the molecules over and over."""
    lines = (data / MOLECULES).read_text().splitlines(keepends=True)
    size = int(lines[0]) + 2
    frames = ["".join(lines[first : first + size]) for first in range(0, len(lines), size)]
    with path.open("w") as file:
        file.writelines(itertools.islice(itertools.cycle(frames), num_frames))


def write_systems(data: Path, path: Path) -> None:
    """Write a molecule of ethanol, one of 3BPA, and three crystals of diamond."""
    molecules = [ase.io.read(data / name, 0) for name in (SMALL_MOLECULES, MOLECULES)]
    diamond = bulk("C", "diamond", a=LATTICE_CONSTANT, cubic=True)
    systems = [Atoms(atoms.symbols, atoms.positions) for atoms in molecules]
    ase.io.write(path, systems + [diamond * (n, n, n) for n in REPETITIONS])


def link(file: Path, folder: Path) -> Path:
    """The same file under the same name in another folder, as if it lay there alone."""
    os.link(file, folder / file.name)
    return folder / file.name
