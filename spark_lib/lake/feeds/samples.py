"""Lands sample data, for the use cases that ship with a sample. It needs no Spark.

A sample is a pure function of its arguments and the day, so a day can be written without the days before it, and what a
crash has left is finished by the next call. Its truth lies in a directory of its own, with a file that says which sample
it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from spark_lib.errors import ConfigurationError
from spark_lib.lake.feeds import landing
from spark_lib.lake.stores import open_store
from spark_lib.lake.stores.store import Store

FLAG = "_SUCCESS"
#: The file in the truth's directory that says which sample this is.
IDENTITY = "sample.json"
#: Days are counted from here, so that what a day holds need not depend on the first day of the sample.
ORIGIN = date(2000, 1, 1)


class Directory:
    """A directory in a store. ``names`` are the objects that were in it when it was first listed. A new object is there
    whole or not at all."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.store: Store = open_store(url)

    @cached_property
    def names(self) -> set[str]:
        return {entry.key for entry in self.store.list("")}

    def write(self, name: str, write: Callable[[BinaryIO], None]) -> None:
        """Write a part by ``write``. What a crashed attempt left of it is removed first."""
        unfinished = f".{name}"  # the local store's name for an unfinished file, which it never writes over
        if unfinished in self.names:
            self.store.remove_objects([unfinished])
        with self.store.writing(name) as file:
            write(file)

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write a part as Parquet."""
        self.write(name, lambda file: pq.write_table(table, file))

    def create(self, name: str, body: bytes) -> bytes:
        """Create a small object, and return its content: that of another process where that one was first."""
        return landing.create(self.store, name, body)


def write(
    feeds: Mapping[str, Callable[[date, Directory], None]],
    raw_dir_for: Callable[[str, date], str | Path],
    truth_dir: str | Path,
    version: int,
    first: date,
    days: int,
    rows_per_day: int,
    seed: int,
    on_day: Callable[[date], None] | None = None,
) -> None:
    """Land ``days`` days of ``feeds`` from ``first`` on. Each feed's function writes the files of a day into
    ``raw_dir_for(feed, day)``, then the day gets its flag. A day that has its flag is skipped. ``on_day`` is called after
    each day.

    ``version`` is raised when the same arguments give other rows.

    Raises ConfigurationError for arguments out of range, where ``truth_dir`` belongs to a sample with other arguments,
    and where a day's directory has content that no sample of this ``truth_dir`` wrote. Raises LakeError where nothing
    can be written.
    """
    _check(first, days, rows_per_day)
    calendar = [first + timedelta(days=n) for n in range(days)]
    raw = {(day, feed): Directory(str(raw_dir_for(feed, day))) for day in calendar for feed in feeds}
    identity = {"version": version, "seed": seed, "first": first.isoformat(), "rows_per_day": rows_per_day}
    _claim(Directory(str(truth_dir)), identity, raw.values())
    for day in calendar:
        for feed, write_files in feeds.items():
            to = raw[day, feed]
            if FLAG not in to.names:
                write_files(day, to)
                to.create(FLAG, b"")
        if on_day:
            on_day(day)


def _check(first: date, days: int, rows_per_day: int) -> None:
    for good, wanted, found in (
        (days >= 1, "at least 1 day", days),
        (rows_per_day >= 0, "0 or more rows a day", rows_per_day),
        (first >= ORIGIN, f"a first day from {ORIGIN} on", first),
    ):
        if not good:
            raise ConfigurationError("sample data", wanted, str(found), "correct that argument")


def _claim(truth: Directory, identity: Mapping[str, object], raw: Iterable[Directory]) -> None:
    """Refuse directories with content of others, and write down in ``truth`` which sample this is."""
    there = truth.store.read(IDENTITY)
    if there is None:
        for directory in raw:
            if directory.names:
                raise ConfigurationError(
                    directory.url,
                    "an empty directory, or one of a sample",
                    f"files, and no {IDENTITY} in {truth.url}",
                    "use another lake root; sample data never mixes with landed data",
                )
    body = (json.dumps(identity) + "\n").encode()
    found = truth.create(IDENTITY, body) if there is None else there[0]
    if _read(found) != identity:
        raise ConfigurationError(
            truth.url,
            f"the sample {identity}",
            f"the sample {_read(found)}",
            "use that sample's arguments (more days extend it), or another lake root",
        )


def _read(document: bytes) -> object:
    try:
        return json.loads(document)
    except ValueError:  # not a file of ours
        return document[:100]
