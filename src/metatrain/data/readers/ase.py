"""The reader for everything that ASE reads."""

import itertools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar

import ase
import numpy as np
from ase.outputs import all_outputs
from numpy.typing import NDArray

from metatrain.data.frames import Column, Frames
from metatrain.data.readers import Reader
from metatrain.data.readers.frame_texts import FrameMistake, FrameText, frame_texts
from metatrain.data.readers.mistakes import parse_comment, reason, told_of
from metatrain.errors import MetatrainError

SYSTEMS_PER_CHUNK = 1000


@dataclass(frozen=True)
class AseReader(Reader):
    """Reads with ASE; a file whose suffix is not listed is left to ASE's own guess."""

    suffixes: ClassVar[tuple[str, ...]] = (
        ".traj",
        ".db",
        ".json",
        ".cif",
        ".out",
        ".vasp",
        "vasprun.xml",
        "OUTCAR",
        "POSCAR",
        "CONTCAR",
        "XDATCAR",
    )

    def __call__(self, path: Path) -> Iterator[Frames]:
        """The systems of the file, a thousand at a time."""
        path = Path(path)
        check_readable(path)
        systems = _systems(path)
        for number in itertools.count():
            chunk = _read_chunk(systems, path)
            if chunk:
                yield Frames.concatenate(chunk)
            elif number == 0:
                raise MetatrainError(f"{path}: holds no systems; expected at least one.")
            if len(chunk) < SYSTEMS_PER_CHUNK:
                return


def check_readable(path: Path) -> None:
    """Refuse a file that is missing, empty or closed to us."""
    if not path.exists():
        raise MetatrainError(f"{path}: there is no such file; check the path.")
    if path.is_dir():
        raise MetatrainError(f"{path}: is a directory; expected a file with systems.")
    try:
        with path.open("rb") as file:
            is_empty = not file.read(1)
    except OSError as error:
        raise MetatrainError(f"{path}: cannot be read ({error.strerror}).") from error
    if is_empty:
        raise MetatrainError(f"{path}: is empty; expected at least one system.")


def _read_chunk(systems: Iterator[ase.Atoms], path: Path) -> list[Frames]:
    try:
        # ASE and numpy warn about what is in the file, which the user can't change here
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return list(map(_frames_of, itertools.islice(systems, SYSTEMS_PER_CHUNK)))
    except FrameMistake as mistake:
        raise MetatrainError(f"{path}, {mistake}") from mistake


def _systems(path: Path) -> Iterator[ase.Atoms]:
    if path.suffix in (".xyz", ".extxyz"):
        return map(_atoms_of, frame_texts(path))
    return _read_by_ase(path)


def _read_by_ase(path: Path) -> Iterator[ase.Atoms]:
    """The systems of a file in another format; its mistakes are said of the system."""
    from ase.io import iread  # noqa: PLC0415 (with scipy, a third of a second)

    if path.suffix in (".db", ".json"):
        systems = _read_database(path)
    else:
        systems = iread(path, ":", do_not_split_by_at_sign=True)
    for number in itertools.count():
        try:
            atoms = next(systems, None)
        except MemoryError:
            raise
        except Exception as error:  # ASE's formats raise whatever they like
            raise MetatrainError(
                f"{path}, system {number}: cannot be read: {reason(error)}; "
                "correct the file, or rename it if it has another format than its name says."
            ) from error
        if atoms is None:
            return
        yield atoms


def _atoms_of(text: FrameText) -> ase.Atoms:
    """A system of an extended XYZ file.

    ASE gets them one by one: it would index the whole file first, and would stop at the first
    empty line without a word about the systems behind it.
    """
    from ase.io.extxyz import read_xyz  # noqa: PLC0415 (with scipy, a third of a second)

    with told_of(text):
        lines = StringIO(str(text))
    info = parse_comment(text)
    with told_of(text):
        return next(read_xyz(lines, 0, lambda _: info))


def read_extxyz(text: FrameText) -> Frames:
    """A system of an extended XYZ file, as ASE reads it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _frames_of(_atoms_of(text))


def _read_database(path: Path) -> Iterator[ase.Atoms]:
    """The rows of an ASE database, with their key-value pairs and data as ``info``."""
    from ase.db import connect  # noqa: PLC0415 (with scipy, a third of a second)

    with connect(path, serial=True) as database:
        for row in database.select():
            atoms = row.toatoms()
            atoms.info |= row.key_value_pairs | row.data
            yield atoms


def _frames_of(atoms: ase.Atoms) -> Frames:
    arrays = dict(atoms.arrays)
    types, positions = arrays.pop("numbers"), arrays.pop("positions")
    if atoms.constraints:
        arrays["move_mask"] = _move_mask(atoms)
    results = {} if atoms.calc is None else atoms.calc.results
    atom_results = {key: value for key, value in results.items() if is_per_atom(key)}
    return Frames(
        offsets=np.array([0, len(types)]),
        types=types,
        positions=positions,
        cells=atoms.cell.array[None],
        pbc=atoms.pbc[None],
        system_data=_system_columns(atoms.info),
        atom_data={key: Column.of_atoms(values) for key, values in arrays.items()},
        system_results=_system_columns(
            {key: value for key, value in results.items() if key not in atom_results}
        ),
        atom_results={key: Column.of_atoms(np.asarray(v)) for key, v in atom_results.items()},
    )


def _system_columns(values: dict[str, Any]) -> dict[str, Column]:
    return {key: Column.of_system(value) for key, value in values.items()}


def is_per_atom(result: str) -> bool:
    """Whether something in ASE's calculator slot has a row per atom."""
    output = all_outputs.get(result)
    return output is not None and output.shapespec[:1] == ("natoms",)


def _move_mask(atoms: ase.Atoms) -> NDArray[np.bool_]:
    """Which atoms (N,), or which of their coordinates (N, 3), may move.

    Extended XYZ stores constraints as this column, and ASE turns it into constraints.
    """
    from ase.constraints import FixAtoms, FixCartesian  # noqa: PLC0415 (as above)

    mask = np.ones((len(atoms), 3), dtype=bool)
    for constraint in atoms.constraints:
        if isinstance(constraint, FixAtoms):
            mask[constraint.index] = False
        elif isinstance(constraint, FixCartesian):
            mask[constraint.index] &= ~np.asarray(constraint.mask)
    is_per_coordinate = any(isinstance(c, FixCartesian) for c in atoms.constraints)
    return mask if is_per_coordinate else mask[:, 0]
