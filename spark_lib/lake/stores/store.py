"""The store interface: what the lake needs from a place that holds objects, and nothing more.

Keys are relative to the root of the lake, with ``/`` between their parts. A local directory is the embedded default
(``local.py``).
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol
from urllib.parse import unquote

from spark_lib.errors import ConfigurationError


@dataclass(frozen=True)
class Entry:
    """One object of a listing. ``size`` is in bytes. ``etag`` changes whenever the object is written again, and
    ``modified`` is when that was, in POSIX seconds of the store's clock."""

    key: str
    size: int
    etag: str
    modified: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class Upload:
    """A file that somebody began to upload in parts and has not finished. ``began`` is in POSIX seconds of the store's
    clock."""

    key: str
    id: str
    began: float


class Conflict(Exception):
    """A conditional put found another object than the one that its condition named."""


class Unanswered(Exception):
    """A put may or may not have been executed."""


class Store(Protocol):
    """Objects under one root. Whatever is not an answer (no permission, no route) raises LakeError. It never counts as
    "there is nothing"."""

    root: str

    def url(self, key: str) -> str:
        """Where an object or a directory of objects is, for Spark and for people."""

    def list(self, prefix: str, first: str = "", last: str = "") -> Iterator[Entry]:
        """Objects below the directory ``prefix`` in the order of their keys (by code point, as S3 lists them). A
        missing directory is empty.

        ``first`` and ``last`` (inclusive) bound the path segment that follows ``prefix``: only these segments are read.
        """

    def read(self, key: str) -> tuple[bytes, str] | None:
        """An object's content and etag, or None where there is no such object."""

    def recall(self, entry: Entry) -> bytes | None:
        """The content of this version of an object where it is at hand without asking the store; else None."""

    def remember(self, key: str, etag: str, body: bytes) -> None:
        """Store this version of an object at hand from now on, where asking the store costs more."""

    def open(self, key: str) -> BinaryIO:
        """An object as a seekable file."""

    def writing(self, key: str) -> AbstractContextManager[BinaryIO]:
        """A new object of any size, to be written from beginning to end. The whole object is there once the block ends
        without an error."""

    def checksum(self, entry: Entry) -> str:
        """The checksum by which a manifest recognises the content later: ``kind:value``. A local store reads the whole
        file for it."""

    def identity(self, entry: Entry) -> str:
        """What tells the content of an object from other content, and is the same for a copy of the object. On S3 it
        is the etag. A local store reads a file once, and remembers its checksum by its place, inode, time and size."""

    def content_checksum(self, key: str, like: str) -> str:
        """The checksum, of the same kind as ``like``, over an object's whole content as it is read now. It is some
        words where the object is not there or cannot be read. It is empty where the store has no checksum that the
        content can be compared with."""

    def now(self) -> float:
        """The store's own clock, in POSIX seconds."""

    def uploads(self, prefix: str) -> Iterator[Upload]:
        """Unfinished uploads below the directory ``prefix``."""

    def abort(self, upload: Upload) -> None:
        """Give up an upload, whether it is there or not."""

    def create(self, key: str, body: bytes) -> None:
        """Put a small object that must not exist. Raises Conflict where it does."""

    def replace(self, key: str, body: bytes, etag: str) -> None:
        """Put a small object in place of the one with this etag. Raises Conflict where there is another object, or
        none."""

    def persist(self, keys: Iterable[str]) -> None:
        """Return once these objects would survive a power cut."""

    def stage(self, prefix: str, run: str) -> Staging:
        """Where one job writes many days of the dataset ``prefix`` at once."""

    def adopt(self, staging: Staging, day_directory: str, run_prefix: str) -> None:
        """Turn what was staged for one day into the run ``run_prefix``."""

    def remove(self, prefix: str) -> None:
        """Remove the directory ``prefix`` and what is below it, whether it is there or not."""

    def remove_objects(self, keys: Iterable[str]) -> None:
        """Remove objects, whether they are there or not."""

    def probe(self) -> None:
        """Prove that conditional puts work here. Raises LakeError where they do not, or where nothing can be
        written."""


@dataclass(frozen=True)
class Staging:
    """The destination of a job of many days: its url, and the columns to partition by (``date``, or ``date`` and
    ``run``).

    ``leftovers`` is a directory of that job alone, to be removed after it. It is empty where files are written to where
    they stay.
    """

    url: str
    partition_by: tuple[str, ...]
    leftovers: str


def is_gone(error: Exception) -> bool:
    """Whether a store refused because there is no such object."""
    cause = error.__cause__
    answer = getattr(cause, "response", {})
    return isinstance(cause, FileNotFoundError) or answer.get("Error", {}).get("Code") in ("404", "NoSuchKey")


def is_hidden(path: str) -> bool:
    """Whether any part of a path begins with ``.`` or ``_``, as names of files do that hold no rows."""
    return any(part.startswith((".", "_")) for part in path.split("/"))


def normalise_root(root: str) -> str:
    """The one spelling of a lake's root: an absolute path or ``s3://bucket/prefix``. Raises ConfigurationError for a
    place that cannot hold a lake."""
    path = absolute(root, "lake root", "[lake] root (--lake-root)")
    if not is_s3(path) and os.path.exists(path) and not os.path.isdir(path):
        raise ConfigurationError(
            f"lake root {path}", "a directory", "a file", "set [lake] root (--lake-root) to another place"
        )
    return path


def absolute(place: str, what: str, setting: str) -> str:
    """The one spelling of a directory or an S3 prefix, whether it is there or not. Raises ConfigurationError that names
    ``what`` the place is for and the ``setting`` to correct."""
    if not place.strip():
        raise ConfigurationError(what, "a directory", "an empty value", f"set {setting}")
    try:
        place.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(
            f"{what} {place!r}",
            "a name in UTF-8",
            "signs that Python could not read",
            "set PYTHONUTF8=1, or LC_ALL to a locale of UTF-8 (C.UTF-8)",
        ) from None
    if re.match("s3a?://", place, re.IGNORECASE):
        return _s3_url(place, what, setting)
    url = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/]*)|file:(?=/)", place)
    if url and (url[1] not in (None, "file") or url[2] not in (None, "", "localhost")):
        found = f"the scheme {url[1]}://" if url[1] != "file" else f"the host {url[2]!r}"
        raise ConfigurationError(
            f"{what} {place!r}", "a local directory or s3://bucket/prefix", found, f"set {setting}"
        )
    path = unquote(place[url.end() :]) or "/" if url else place
    # POSIX tells two leading slashes apart from one; Linux and macOS do not.
    return re.sub("^//+", "/", os.path.abspath(os.path.expanduser(path)))


def is_s3(url: str) -> bool:
    """Whether a place that ``absolute`` has returned is on S3."""
    return url.startswith("s3://")


def bucket_of(url: str) -> str:
    """The bucket of a place on S3 that ``absolute`` has returned."""
    return url.removeprefix("s3://").partition("/")[0]


def _s3_url(url: str, what: str, setting: str) -> str:
    bucket, _, prefix = url.partition("://")[2].partition("/")
    if not bucket:
        raise ConfigurationError(f"{what} {url!r}", "s3://bucket/prefix", "no bucket", f"set {setting}")
    # As in a path, `..` goes one up. So no key is made that a tool would take for another one.
    return f"s3://{bucket}{posixpath.normpath('/' + prefix.lstrip('/')).rstrip('/')}"
