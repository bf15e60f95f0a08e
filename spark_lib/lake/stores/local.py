"""The store on a local directory. A publish is a hard link, which fails where a name is taken; a swap is a rename
under a lock."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from spark_lib.caches import user_directory
from spark_lib.errors import LakeError
from spark_lib.lake.stores.cache import Cache
from spark_lib.lake.stores.store import Conflict, Entry, Staging, Upload

#: Stands for the etag of a link to a file that is not there.
_DANGLING = "link to nothing"


class LocalStore:
    def __init__(self, root: str) -> None:
        self.root = root

    def url(self, key: str) -> str:
        return os.path.join(self.root, key) if key else self.root

    def list(self, prefix: str, first: str = "", last: str = "") -> Iterator[Entry]:
        with _told(self.url(prefix), "a directory that can be listed"):
            yield from self._walk(prefix, first, last)

    def _walk(self, prefix: str, first: str = "", last: str = "") -> Iterator[Entry]:
        try:
            with os.scandir(self.url(prefix)) as scan:
                found = sorted(scan, key=lambda item: f"{item.name}/" if item.is_dir() else item.name)
        except FileNotFoundError:
            return
        for item in found:
            if item.name < first or (last and item.name > last):
                continue
            key = f"{prefix.rstrip('/')}/{item.name}" if prefix else item.name
            if item.is_dir():
                yield from self._walk(key)
            else:
                try:
                    stat = item.stat()
                    yield Entry(key, stat.st_size, _etag(stat), stat.st_mtime)
                except FileNotFoundError:
                    if item.is_symlink():  # a link to nothing: its reader reports it
                        yield Entry(key, 0, _DANGLING)
                    continue  # otherwise removed between the scan and the stat: as if listed a moment later

    def read(self, key: str) -> tuple[bytes, str] | None:
        with _told(self.url(key), "a file that can be read"):
            try:
                with open(self.url(key), "rb") as file:
                    return file.read(), _etag(os.fstat(file.fileno()))
            except FileNotFoundError:
                return None

    def recall(self, entry: Entry) -> bytes | None:
        return None

    def remember(self, key: str, etag: str, body: bytes) -> None:
        """Does nothing, because the store is on a disk itself."""

    def open(self, key: str) -> BinaryIO:
        with _told(self.url(key), "a file that can be read"):
            return open(self.url(key), "rb")

    @contextmanager
    def writing(self, key: str) -> Iterator[BinaryIO]:
        with _told(self.url(key), "a file that can be written"):
            os.makedirs(os.path.dirname(self.url(key)), exist_ok=True)
            # Two processes may write one key: each has a name of its own until the end.
            directory, name = os.path.split(self.url(key))
            hidden = os.path.join(directory, f".{name}-{secrets.token_hex(8)}")
            try:
                with open(hidden, "xb") as file:
                    yield file
                os.rename(hidden, self.url(key))
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(hidden)

    def checksum(self, entry: Entry) -> str:
        with _told(self.url(entry.key), "a file that can be read"), open(self.url(entry.key), "rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"

    def identity(self, entry: Entry) -> str:
        if entry.etag == _DANGLING:
            return entry.etag
        url, kept = self.url(entry.key), Cache(str(user_directory() / "checksums"))
        known = kept.recall(url, entry.etag)
        if known is not None:
            return known.decode()
        found = self.checksum(entry)
        kept.keep(url, entry.etag, found.encode())
        return found

    def content_checksum(self, key: str, like: str) -> str:
        try:
            with open(self.url(key), "rb") as file:
                return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        except OSError as error:  # a bad sector is what this looks for: the other files are still checked
            return error.strerror or str(error)

    def now(self) -> float:
        # The time that the file system gives to a new file, because a network file system has a clock of its own.
        with _told(self.root, "a directory that can be written"), tempfile.TemporaryFile(dir=self.root) as file:
            return os.fstat(file.fileno()).st_mtime

    def uploads(self, prefix: str) -> Iterator[Upload]:
        yield from ()

    def abort(self, upload: Upload) -> None:
        """Does nothing, because there are no uploads."""

    def create(self, key: str, body: bytes) -> None:
        with self._prepared(key, body) as prepared:
            try:
                os.link(prepared, self.url(key))
            except FileExistsError:
                raise Conflict(key) from None
            self._sync_directories([key])

    def replace(self, key: str, body: bytes, etag: str) -> None:
        with self._prepared(key, body) as prepared, self._locked(key):
            try:
                found = _etag(os.stat(self.url(key)))
            except FileNotFoundError:
                found = ""
            if found != etag:
                raise Conflict(key)
            os.replace(prepared, self.url(key))
            self._sync_directories([key])

    def persist(self, keys: Iterable[str]) -> None:
        synced = list(keys)
        for key in synced:
            with _told(self.url(key), "a file that can be synced"):
                _sync(self.url(key))
        self._sync_directories(synced)

    def stage(self, prefix: str, run: str) -> Staging:
        # Two jobs below one destination would remove each other's `_temporary`, so each gets a directory of its own.
        staging = f"{prefix}/.staging/{run}"
        return Staging(self.url(staging), ("date",), leftovers=staging)

    def adopt(self, staging: Staging, day_directory: str, run_prefix: str) -> None:
        with _told(self.url(run_prefix), "a place for the run"):
            os.makedirs(os.path.dirname(self.url(run_prefix)), exist_ok=True)
            # A day without rows has no directory: a `partitionBy` write makes none.
            with suppress(FileNotFoundError):
                os.rename(os.path.join(staging.url, day_directory), self.url(run_prefix))

    def remove(self, prefix: str) -> None:
        with _told(self.url(prefix), "a directory that can be removed"), suppress(FileNotFoundError):
            shutil.rmtree(self.url(prefix))

    def remove_objects(self, keys: Iterable[str]) -> None:
        for key in keys:
            with _told(self.url(key), "a file that can be removed"), suppress(FileNotFoundError):
                os.unlink(self.url(key))

    def probe(self) -> None:
        name = f".probe-{secrets.token_hex(8)}"
        with _told(self.root, "a directory that can be written"):
            _make_directory(self.root)
            with open(self.url(name), "wb"):
                pass
        try:
            os.link(self.url(name), self.url(name + "-link"))
            os.unlink(self.url(name + "-link"))
        except OSError as error:
            raise LakeError(
                self.root,
                "a file system with hard links, which make a publish all or nothing",
                error.strerror or str(error),
                "put the lake on a file system that has them",
            ) from error
        finally:
            os.unlink(self.url(name))

    @contextmanager
    def _prepared(self, key: str, body: bytes) -> Iterator[str]:
        """``body`` on disk and synced beside its key, under a hidden name of its own."""
        directory, name = os.path.split(self.url(key))
        prepared = os.path.join(directory, f".{name}-{secrets.token_hex(8)}")
        with _told(self.url(key), "a file that can be written"):
            os.makedirs(directory, exist_ok=True)
            try:
                with open(prepared, "wb") as file:
                    file.write(body)
                    file.flush()
                    os.fsync(file.fileno())
                yield prepared
            finally:
                if os.path.exists(prepared):
                    os.unlink(prepared)

    def _sync_directories(self, keys: Iterable[str]) -> None:
        """Sync the names of objects: their directories, and those above up to the root, which may also be new."""
        above = {parent for key in keys for parent in Path(self.url(key)).parents if parent.is_relative_to(self.root)}
        for directory in above:
            with _told(str(directory), "a directory that can be synced"):
                _sync(str(directory))

    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        directory, name = os.path.split(self.url(key))
        with open(os.path.join(directory, f".{name}.lock"), "wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _etag(stat: os.stat_result) -> str:
    return f"{stat.st_ino:x}-{stat.st_mtime_ns:x}-{stat.st_size:x}"


def _make_directory(path: str) -> None:
    """Like ``os.makedirs``, but the new names survive a power cut."""
    if not os.path.isdir(path):
        _make_directory(os.path.dirname(path))
        with suppress(FileExistsError):
            os.mkdir(path)
        _sync(os.path.dirname(path))


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _told(where: str, wanted: str) -> Iterator[None]:
    """Turn what the operating system refuses in the block into a LakeError that says what to do."""
    try:
        yield
    except OSError as error:
        raise LakeError(
            where,
            wanted,
            error.strerror or str(error),
            "check the path, its owner and rights, and the space on the disk",
        ) from error
