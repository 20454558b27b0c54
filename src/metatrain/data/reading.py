"""From the files of a data source to columns."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from metatrain.data import labels
from metatrain.data.cache import kept
from metatrain.data.columns import Columns, Origin
from metatrain.data.files import Keys, files_of, gradients_of, read_in_step
from metatrain.data.frames import Frames
from metatrain.data.inputs import inputs_in
from metatrain.data.labels import Chunk, Width
from metatrain.data.segments import offsets_of
from metatrain.data.source import DataSource, GradientSource, TargetSource
from metatrain.data.target import Target
from metatrain.errors import MetatrainError, did_you_mean
from metatrain.units import conversion_factor

MATRIX_RANK = 2
# Cell vectors whose volume is a smaller part of the product of their lengths lie in a plane.
LEAST_RELATIVE_VOLUME = 1e-6


@dataclass(frozen=True)
class Units:
    """The units that columns are wanted in.

    :param length_unit: of positions and cells
    :param targets: of each target's values, by name
    """

    length_unit: str
    targets: Mapping[str, str] = field(default_factory=dict)


def read_columns(source: DataSource, units: Units | None = None) -> Columns:
    """The systems and labels of a data source, in the order of its indices.

    Forces, stress and virial that were not asked for expressly and that no system has are
    left out; other labels must be there for one system at least.

    :param source: the files, and what is in them
    :param units: what to convert to; ``None`` leaves all as it is. Where the source or
        the wish says nothing (``""``), nothing is converted.
    """
    wish = units or Units("")
    return kept(source, wish, lambda: _read_columns(source, wish))


def _read_columns(source: DataSource, units: Units) -> Columns:
    columns = Columns.concatenate(columns for _, columns in stream_columns(source, units))
    if source.indices is None:
        return columns
    # the stream has each of them once, in the order of the file
    indices = torch.tensor(source.indices)
    return columns.select(torch.searchsorted(torch.unique(indices), indices))


def stream_columns(
    source: DataSource, units: Units | None = None
) -> Iterator[tuple[Frames, Columns]]:
    """The same in chunks and in the order of the file: what was read, and its columns.

    The columns of a chunk have only the labels that some system of the chunk has. That a
    label is nowhere, or an index out of range, is known and said only at the end.
    """
    factors = _Factors.of(source, units)
    files = files_of(source)
    keys = {file: Keys() for file in files.values()}
    wanted = _unique_indices(source)
    found: set[str] = set()
    num_read = 0
    for step in read_in_step(keys):
        for file, frames in step.items():
            keys[file].add(frames)
        chunk_size = len(step[files["systems"]])
        rows = _rows_wanted(wanted, num_read, chunk_size)
        numbers, num_read = rows + num_read, num_read + chunk_size
        if len(rows) == 0:
            continue
        chunks = {
            place: Chunk(
                file.path,
                numbers,
                step[file] if len(rows) == chunk_size else step[file].select(rows),
            )
            for place, file in files.items()
        }
        columns = _columns_of(source, chunks, factors)
        found |= _labels_in(columns)
        yield chunks["systems"].frames, columns
    _check_range(source, wanted, num_read)
    _check_all_found(source, found, {place: keys[file] for place, file in files.items()})


def _unique_indices(source: DataSource) -> NDArray[np.int64] | None:
    """The indices, ascending, each once; ``None`` for all."""
    if source.indices is None:
        return None
    indices = np.unique(np.array(source.indices, dtype=np.int64))
    if len(indices) == 0:
        raise MetatrainError(f"{source.key('indices')}: is empty; expected at least one index.")
    if indices[0] < 0:
        raise MetatrainError(
            f"{source.key('indices')}: {indices[0]} is out of range; systems count from 0."
        )
    return indices


def _rows_wanted(wanted: NDArray[np.int64] | None, first: int, size: int) -> NDArray[np.int64]:
    """Which of the ``size`` systems from ``first`` on are wanted, counted from ``first``."""
    if wanted is None:
        return np.arange(size)
    return wanted[(wanted >= first) & (wanted < first + size)] - first


def _check_range(source: DataSource, wanted: NDArray[np.int64] | None, num_read: int) -> None:
    path = source.systems.read_from
    if num_read == 0:
        raise MetatrainError(f"{source.key('systems')}: {path} holds no systems.")
    if wanted is not None and wanted[-1] >= num_read:
        raise MetatrainError(
            f"{source.key('indices')}: {wanted[-1]} is out of range; "
            f"{path} has {num_read} systems, 0 to {num_read - 1}."
        )


@dataclass(frozen=True)
class _Factors:
    """What lengths and the values of each target are multiplied by."""

    length: float
    targets: dict[str, float]

    @classmethod
    def of(cls, source: DataSource, units: Units | None) -> "_Factors":
        wanted = units or Units("")
        found = source.systems.length_unit
        return cls(
            _factor(found, wanted.length_unit, source.key("systems.length_unit")),
            {
                name: _factor(
                    target.unit,
                    wanted.targets.get(name, ""),
                    source.key(f"targets.{name}.unit"),
                )
                for name, target in source.targets.items()
            },
        )


def _factor(found: str, wanted: str, where: str) -> float:
    return conversion_factor(found, wanted, where) if found and wanted else 1.0


def _columns_of(source: DataSource, chunks: dict[str, Chunk], factors: _Factors) -> Columns:
    """Columns of the same systems of all files, which stand by their place in the options."""
    systems = chunks["systems"]
    _check_systems(systems)
    for chunk in chunks.values():
        _check_same_types(systems, chunk)
    frames = systems.frames
    pbc = torch.as_tensor(frames.pbc)
    columns = Columns(
        offsets=offsets_of(torch.as_tensor(frames.num_atoms)),
        types=torch.as_tensor(frames.types, dtype=torch.int64),
        # a factor of one leaves every bit as it is
        positions=torch.as_tensor(frames.positions, dtype=torch.float64) * factors.length,
        cells=torch.as_tensor(frames.cells) * factors.length * pbc.unsqueeze(2),
        pbc=pbc,
        values={},
        forces={},
        stress={},
        inputs=inputs_in(frames),
        origin=Origin(
            (systems.path,),
            torch.zeros(len(frames), dtype=torch.int64),
            torch.as_tensor(systems.numbers),
        ),
        targets_per_atom=frozenset(
            name for name, target in source.targets.items() if target.sample_kind == "atom"
        ),
    )
    for name, target in source.targets.items():
        _add_labels(columns, name, target, chunks, factors)
    return columns


def _check_systems(chunk: Chunk) -> None:
    """Refuse what no model can use, naming the first such system."""
    frames = chunk.frames
    system_of_atom = np.repeat(np.arange(len(frames)), frames.num_atoms)
    is_finite = np.isfinite(frames.cells).all(axis=(1, 2))
    mistakes = {
        "has no atoms; leave it out.": np.flatnonzero(frames.num_atoms == 0),
        "an atom has no element; expected the symbols of elements.": system_of_atom[
            frames.types <= 0
        ],
        "a position is infinite or NaN; expected numbers.": system_of_atom[
            ~np.isfinite(frames.positions).all(axis=1)
        ],
        "the cell is infinite or NaN; expected numbers.": np.flatnonzero(~is_finite),
        "is periodic in a direction whose cell vector is zero, or lies in line with the "
        "others; correct 'pbc' or the cell.": np.flatnonzero(is_finite & _is_flat(frames)),
    }
    for mistake, systems in mistakes.items():
        if len(systems):
            raise MetatrainError(f"{chunk.where(int(systems[0]))}: {mistake}")


def _check_same_types(systems: Chunk, chunk: Chunk) -> None:
    """Refuse labels of a file whose systems are others than those they are for."""
    frames, others = systems.frames, chunk.frames
    is_other = frames.num_atoms != others.num_atoms
    if not is_other.any():
        system_of_atom = np.repeat(np.arange(len(frames)), frames.num_atoms)
        is_other[system_of_atom[frames.types != others.types]] = True
    if is_other.any():
        system = int(np.flatnonzero(is_other)[0])
        raise MetatrainError(
            f"{chunk.where(system)}: has other atoms than {systems.where(system)}; files that "
            "belong together need the same systems in the same order."
        )


def _is_flat(frames: Frames) -> NDArray[np.bool_]:
    """(S,) whether the periodic cell vectors span no length, area or volume."""
    is_periodic = frames.pbc[:, :, None]
    cells = np.where(is_periodic & np.isfinite(frames.cells), frames.cells, 0.0)
    # Gram's determinant is the square of the volume; other directions count as one
    gram = cells @ cells.transpose(0, 2, 1) + np.eye(3) * ~is_periodic
    (a, b, c), (_, d, e), (_, _, f) = gram.transpose(1, 2, 0)
    determinants = a * (d * f - e * e) - b * (b * f - e * c) + c * (b * e - d * c)
    is_flat: NDArray[np.bool_] = determinants <= LEAST_RELATIVE_VOLUME**2 * (a * d * f)
    return is_flat


def _add_labels(
    columns: Columns,
    name: str,
    target: TargetSource,
    chunks: dict[str, Chunk],
    factors: _Factors,
) -> None:
    """Put into the columns those labels of a target that at least one system has."""
    factor = factors.targets[name]
    place = f"targets.{name}"
    read_values = labels.atom_label if target.sample_kind == "atom" else labels.system_label
    values = read_values(chunks[place], target.key, _width_of(name, target))
    _put(columns.values, name, values, factor)
    if target.forces is not None:
        forces = labels.atom_label(chunks[f"{place}.forces"], target.forces.key, Width(3))
        _put(columns.forces, name, forces, factor / factors.length)
    is_bulk = columns.pbc.all(dim=1).reshape(-1, 1, 1)
    if target.stress is not None:
        stress = labels.matrix_label(chunks[f"{place}.stress"], target.stress.key)
        if stress is not None:
            stress = torch.where(is_bulk, stress, torch.nan)
        _put(columns.stress, name, stress, factor / factors.length**3)
    if target.virial is not None:
        virial = labels.matrix_label(chunks[f"{place}.virial"], target.virial.key)
        if virial is not None:
            # the virial is −dE/dstrain of the whole system
            volumes = columns.volumes.reshape(-1, 1, 1)
            virial = torch.where(is_bulk, -virial / volumes, torch.nan)
        _put(columns.stress, name, virial, factor)


def _width_of(name: str, entry: TargetSource) -> Width:
    """How many numbers a file must have for each system or atom."""
    # of several matrices it would not be clear which of the numbers belong to which
    if entry.rank == MATRIX_RANK and entry.num_subtargets == 1:
        return labels.MATRIX
    target = _target_of(name, entry, ())
    first = [
        block.columns.start + number % target.num_properties
        for block in target.blocks
        for number in range(block.columns.stop - block.columns.start)
    ]
    return Width(target.num_values, first=tuple(first))


def _put(labels_by_name: dict[str, Tensor], name: str, label: Tensor | None, factor: float) -> None:
    if label is not None and _has_labels(label):
        labels_by_name[name] = label * factor


def _labels_in(columns: Columns) -> set[str]:
    """The places in the options of the labels that the columns have."""
    return {
        *(f"targets.{name}" for name in columns.values),
        *(f"targets.{name}.forces" for name in columns.forces),
        *(f"targets.{name}.{kind}" for name in columns.stress for kind in ("stress", "virial")),
    }


def _check_all_found(source: DataSource, found: set[str], keys: dict[str, Keys]) -> None:
    """Refuse a label that was asked for and that not one system has."""
    for name, target in source.targets.items():
        place = f"targets.{name}"
        if place not in found:
            raise _absent(source, place, target, keys[place])
        for gradient, entry in gradients_of(target).items():
            place = f"targets.{name}.{gradient}"
            if entry.is_required and place not in found:
                raise _absent(source, place, entry, keys[place])


def _absent(
    source: DataSource, place: str, entry: TargetSource | GradientSource, keys: Keys
) -> MetatrainError:
    where = source.key(place)
    if isinstance(entry, TargetSource):
        is_per_atom, note = entry.sample_kind == "atom", _note_on_sample_kind(entry, keys)
    else:
        is_per_atom, note = place.endswith(".forces"), ""
    here, elsewhere = (keys.atom, keys.system) if is_per_atom else (keys.system, keys.atom)
    if not note and entry.key in elsewhere:
        note = f", but per {'system' if is_per_atom else 'atom'}; name another key."
    if entry.key in here:
        is_stress = place.endswith((".stress", ".virial"))
        outside = "; only systems periodic in three directions have one" if is_stress else ""
        return MetatrainError(
            f"{where}: {entry.key!r} is missing or NaN in all systems of {entry.read_from}"
            f"{outside}; leave it out, or correct the file."
        )
    level = "per atom" if is_per_atom else "per system"
    nearest = did_you_mean(entry.key, here) or did_you_mean(entry.key, elsewhere)
    return MetatrainError(
        f"{where}: {entry.read_from} has no {entry.key!r} {level}{note or nearest or '.'} "
        f"The file has, {keys}."
    )


def _note_on_sample_kind(target: TargetSource, keys: Keys) -> str:
    """A clause for who says 'atom' of what is per system, or the other way round."""
    other, elsewhere = (
        ("system", keys.system) if target.sample_kind == "atom" else ("atom", keys.atom)
    )
    return f", but per {other}; say 'sample_kind: {other}'?" if target.key in elsewhere else ""


def targets_of(sources: Sequence[DataSource], columns: Sequence[Columns]) -> dict[str, Target]:
    """The targets of a data set that is made of several sources.

    Unit and description are those of the first source that has the target.

    :param sources: the parts
    :param columns: what was read from each part
    """
    targets: dict[str, Target] = {}
    first_place: dict[str, str] = {}
    for source in sources:
        for name, entry in source.targets.items():
            place = source.key(f"targets.{name}")
            target = _target_of(name, entry, columns)
            first = targets.setdefault(name, target)
            if replace(target, unit=first.unit, description=first.description) != first:
                raise MetatrainError(
                    f"{place}: is another kind of target than {first_place[name]}; quantity, "
                    "sample_kind, reduction, type and num_subtargets must agree."
                )
            first_place.setdefault(name, place)
    return targets


def _target_of(name: str, entry: TargetSource, columns: Sequence[Columns]) -> Target:
    return Target(
        name=name,
        quantity=entry.quantity,
        unit=entry.unit,
        sample_kind=entry.sample_kind,
        reduction=entry.reduction,
        num_properties=entry.num_subtargets,
        rank=entry.rank,
        irreps=entry.irreps,
        has_forces=any(_has_labels(part.forces.get(name)) for part in columns),
        has_stress=any(_has_labels(part.stress.get(name)) for part in columns),
        description=entry.description,
    )


def _has_labels(label: Tensor | None) -> bool:
    return label is not None and not bool(label.isnan().all())
