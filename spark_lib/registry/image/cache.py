"""The cache of layers of a user: what is large, is the same in each image, and can be made again. It may be deleted at any
time."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO

from spark_lib.caches import user_directory
from spark_lib.registry.image.documents import Blob, Layer

_READ_AT_ONCE = 2**20


class Cache:
    """Blobs by their digest, and layers by a key that says what they were made from."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory or user_directory() / "images"

    def find(self, digest: str) -> Path | None:
        """The file of a blob; None where it is not there. One that does not have its digest is removed."""
        path = self._path(digest)
        if not path.is_file():
            return None
        if sha256_of(path) != digest:
            path.unlink(missing_ok=True)
            return None
        return path

    def layer(self, key: str, make: Callable[[IO[bytes]], Layer]) -> Layer:
        """The layer that was made from what ``key`` says; it is made where it is not there."""
        note = self._directory / "layers" / f"{key}.json"
        found = _noted(note)
        if found is not None and self.find(found.blob.digest) is not None:
            return found
        with self._new_file() as file:
            made = make(file)
            file.flush()
            os.replace(file.name, self._path(made.blob.digest))
        with self._new_file() as file:
            file.write(json.dumps(asdict(made)).encode())
            file.flush()
            note.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file.name, note)
        return made

    def keep(self, blob: Blob, write: Callable[[IO[bytes]], None]) -> Path:
        """The file of a blob, which ``write`` writes where it is not there. Raises ValueError where what it writes does not
        have the digest."""
        found = self.find(blob.digest)
        if found is not None:
            return found
        with self._new_file() as file:
            write(file)
            file.flush()
            there = sha256_of(Path(file.name))
            if there != blob.digest:
                raise ValueError(f"{there} in the place of {blob.digest}")
            os.replace(file.name, self._path(blob.digest))
        return self._path(blob.digest)

    @contextmanager
    def _new_file(self) -> Iterator[IO[bytes]]:
        """A new file in the cache, which is removed unless it was given another name."""
        (self._directory / "sha256").mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._directory, prefix="new-", delete=False) as file:
            try:
                yield file
            finally:
                Path(file.name).unlink(missing_ok=True)

    def _path(self, digest: str) -> Path:
        return self._directory / "sha256" / digest.removeprefix("sha256:")


def sha256_of(path: Path) -> str:
    """The digest of a file."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_AT_ONCE):
            found.update(block)
    return f"sha256:{found.hexdigest()}"


def _noted(note: Path) -> Layer | None:
    try:
        found = json.loads(note.read_bytes())
        return Layer(Blob(**found["blob"]), found["diff_id"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None  # it was never made, or a part of a file is left: the layer is made again
