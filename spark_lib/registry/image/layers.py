"""Layers that are the same, byte for byte, wherever and whenever they are made from the same files: entries in the order of
their paths, without times and owners."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from spark_lib.registry.image.documents import LAYER, Blob, Layer

#: Raise this number where the same files give another layer than before.
FORMAT = 1
_LEVEL = 6
_DIRECTORY, _FILE, _PROGRAM = 0o755, 0o644, 0o755


@dataclass(frozen=True)
class Entry:
    """A file of a layer: its bytes, or the file that has them. Without either it is a directory."""

    content: bytes | Path | None
    mode: int = _FILE


#: Files of a layer by their paths from the root, as in ``usr/local/bin/python3``.
Entries = Mapping[str, Entry]


def program(path: Path) -> Entry:
    """A file that can be run."""
    return Entry(path, _PROGRAM)


def key_of(entries: Entries) -> str:
    """What a layer of these entries is known by in a cache: changes of a file are seen by its size and its time."""
    known = hashlib.sha256(f"format {FORMAT}\n".encode())
    for path, entry in sorted(entries.items()):
        known.update(f"{path} {entry.mode} {_identity(entry)}\n".encode())
    return known.hexdigest()


def _identity(entry: Entry) -> str:
    if isinstance(entry.content, Path):
        found = entry.content.stat()
        return f"{entry.content} {found.st_size} {found.st_mtime_ns}"
    return "directory" if entry.content is None else hashlib.sha256(entry.content).hexdigest()


def write(entries: Entries, file: IO[bytes]) -> Layer:
    """Write a layer, and say what it is. Directories above its entries are added."""
    packed = _Hashed(file)
    with gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=packed, mtime=0) as zipped:
        plain = _Hashed(zipped)
        with tarfile.open(fileobj=plain, mode="w|", format=tarfile.PAX_FORMAT) as tar:  # type: ignore[call-overload]  # a stream that is only written
            for path, entry in sorted((_directories(entries) | dict(entries)).items()):
                _add(tar, path, entry)
    return Layer(Blob(LAYER, packed.digest, packed.size), plain.digest)


def writer(entries: Entries) -> Callable[[IO[bytes]], Layer]:
    """What writes a layer into a file that it is given."""
    return lambda file: write(entries, file)


def packed(entries: Entries) -> tuple[bytes, Layer]:
    """A small layer in memory."""
    file = io.BytesIO()
    layer = write(entries, file)
    return file.getvalue(), layer


def _directories(paths: Iterable[str]) -> dict[str, Entry]:
    above = {str(parent) for path in paths for parent in PurePosixPath(path).parents if str(parent) != "."}
    return {path: Entry(None, _DIRECTORY) for path in above}


def _add(tar: tarfile.TarFile, path: str, entry: Entry) -> None:
    described = tarfile.TarInfo(path)
    described.mode = entry.mode
    if entry.content is None:
        described.type = tarfile.DIRTYPE
        tar.addfile(described)
        return
    if isinstance(entry.content, bytes):
        described.size = len(entry.content)
        tar.addfile(described, io.BytesIO(entry.content))
        return
    with entry.content.open("rb") as file:
        described.size = entry.content.stat().st_size
        tar.addfile(described, file)


class _Hashed:
    """Passes on what is written, and knows its digest and its size."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, block: bytes) -> int:
        self._hash.update(block)
        self.size += len(block)
        self._file.write(block)
        return len(block)

    def flush(self) -> None:
        self._file.flush()

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"
