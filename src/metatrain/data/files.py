"""The files of a data source, each read once, all in step."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from metatrain.data import readers
from metatrain.data.frames import Frames
from metatrain.data.source import DataSource, GradientSource, TargetSource
from metatrain.errors import MetatrainError


@dataclass(frozen=True)
class DataFile:
    """A file and its reader; the same file named twice is one."""

    path: str
    reader: readers.Reader


@dataclass
class Keys:
    """What a file calls its values per system and per atom, as far as it has been read."""

    system: set[str] = field(default_factory=set)
    atom: set[str] = field(default_factory=set)

    def add(self, frames: Frames) -> None:
        """Add what the next chunk of the file has."""
        self.system |= frames.system_keys
        self.atom |= frames.atom_keys

    def __str__(self) -> str:
        system, atom = (", ".join(sorted(keys)) or "none" for keys in (self.system, self.atom))
        return f"per system: {system}; per atom: {atom}"


def files_of(source: DataSource) -> dict[str, DataFile]:
    """The file of each place in the options that names one.

    :return: by place: ``systems``, ``targets.energy``, ``targets.energy.forces``, ...
    """
    systems = source.systems
    named = {"systems": (systems.read_from, systems.reader)}
    for name, target in source.targets.items():
        named[f"targets.{name}"] = (target.read_from, target.reader)
        for gradient, entry in gradients_of(target).items():
            named[f"targets.{name}.{gradient}"] = (entry.read_from, entry.reader)
    files: dict[tuple[str, str | None], DataFile] = {}
    for place, (path, reader) in named.items():
        if (path, reader) not in files:
            found = readers.find(path, reader, source.key(place))
            files[path, reader] = DataFile(path, found)
    return {place: files[file] for place, file in named.items()}


def gradients_of(target: TargetSource) -> dict[str, GradientSource]:
    """Those of ``forces``, ``stress`` and ``virial`` that the target has."""
    named = {"forces": target.forces, "stress": target.stress, "virial": target.virial}
    return {name: entry for name, entry in named.items() if entry is not None}


def read_in_step(files: Iterable[DataFile]) -> Iterator[dict[DataFile, Frames]]:
    """Chunks of the same systems from all files, whatever the sizes their readers give."""
    streams = {file: file.reader(Path(file.path)) for file in files}
    pending: dict[DataFile, Frames] = {}
    num_read = 0
    while True:
        for file, stream in streams.items():
            if file not in pending and (frames := next(stream, None)) is not None:
                pending[file] = frames
        if not pending:
            return
        if len(pending) < len(streams):
            raise _differing_counts(streams, pending, num_read)
        size = min(map(len, pending.values()))
        num_read += size
        yield {file: _slice(frames, 0, size) for file, frames in pending.items()}
        pending = {
            file: _slice(frames, size, len(frames))
            for file, frames in pending.items()
            if len(frames) > size
        }


def _slice(frames: Frames, begin: int, end: int) -> Frames:
    return frames if end - begin == len(frames) else frames.select(np.arange(begin, end))


def _differing_counts(
    streams: dict[DataFile, Iterator[Frames]], pending: dict[DataFile, Frames], num_read: int
) -> MetatrainError:
    counts = {
        file.path: num_read + len(pending.get(file, ())) + sum(map(len, stream))
        for file, stream in streams.items()
    }
    found = ", ".join(f"{path} has {count} systems" for path, count in counts.items())
    return MetatrainError(f"{found}; files that belong together need equally many.")
