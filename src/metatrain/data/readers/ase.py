"""The reader for everything that ASE reads."""

import itertools
import re
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
from metatrain.data.readers.mistakes import parse_comment
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
        for first in itertools.count(step=SYSTEMS_PER_CHUNK):
            chunk = _read_chunk(systems, path, first)
            if chunk:
                yield Frames.concatenate(chunk)
            elif first == 0:
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


def _read_chunk(systems: Iterator[ase.Atoms], path: Path, first: int) -> list[Frames]:
    chunk: list[Frames] = []
    try:
        # ASE and numpy warn about what is in the file, which the user can't change here
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            chunk.extend(map(_frames_of, itertools.islice(systems, SYSTEMS_PER_CHUNK)))
    except FrameMistake as mistake:
        raise MetatrainError(f"{path}, {mistake}") from mistake
    except Exception as error:  # ASE's formats raise whatever they like
        raise MetatrainError(
            f"{path}, system {first + len(chunk)}: cannot be read: {_reason(error)}; "
            "correct the file, or rename it if it has another format than its name says."
        ) from error
    return chunk


def _reason(error: Exception) -> str:
    """What is wrong, in our words where ASE's or Python's speak of their own insides."""
    message = " ".join(str(error).split()).removeprefix("ase.io.extxyz: ").rstrip(".")
    if isinstance(error, UnicodeDecodeError):
        return "it is no text"
    if isinstance(error, KeyError) and message.strip("'").isalnum():
        return f"{message} is no element"
    number = re.fullmatch(r"could not convert string to (?:float|int): (.*)", message)
    if number:
        return f"found {number[1]}, expected a number"
    return message[:200] or "ASE does not say why"


def _systems(path: Path) -> Iterator[ase.Atoms]:
    if path.suffix in (".xyz", ".extxyz"):
        return map(_atoms_of, frame_texts(path))
    if path.suffix in (".db", ".json"):
        return _read_database(path)
    from ase.io import iread  # noqa: PLC0415 (with scipy, a third of a second)

    systems: Iterator[ase.Atoms] = iread(path, ":", do_not_split_by_at_sign=True)
    return systems


def _atoms_of(text: FrameText) -> ase.Atoms:
    """A system of an extended XYZ file.

    ASE gets them one by one: it would index the whole file first, and would stop at the first
    empty line without a word about the systems behind it.
    """
    from ase.io.extxyz import read_xyz  # noqa: PLC0415 (with scipy, a third of a second)

    try:
        lines, info = StringIO(str(text)), parse_comment(text)
        return next(read_xyz(lines, 0, lambda _: info))
    except FrameMistake:
        raise
    except Exception as error:  # ASE raises whatever it likes
        raise text.mistake(f"cannot be read: {_reason(error)}; correct the file.") from error


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
