"""Zip archives of uncompressed files, such as ``torch.save`` and metatensor write."""

import zipfile
from typing import IO, Self


class UnreadableError(Exception):
    """Why a file cannot be read, as the end of a sentence that begins with its name."""


class Archive:
    """A zip archive from anywhere.

    Nothing in it is compressed and no two of its files overlap, so that what is read is never
    more than what is there.

    :param file: open for reading
    """

    def __init__(self, file: IO[bytes]) -> None:
        size = file.seek(0, 2)
        self._zip = zipfile.ZipFile(file)
        entries = self._zip.infolist()
        for entry in entries:
            if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
                raise UnreadableError("holds compressed or encrypted parts, and should not")
            if entry.file_size != entry.compress_size:
                raise UnreadableError("is damaged")
        if sum(entry.file_size for entry in entries) > size:
            raise UnreadableError("is damaged")
        self.names = frozenset(entry.filename for entry in entries)

    def read(self, name: str) -> bytes:
        """The content of one file, whose checksum is right."""
        return self._zip.read(name)

    def size_of(self, name: str) -> int:
        """The number of bytes of one file."""
        return self._zip.getinfo(name).file_size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()
