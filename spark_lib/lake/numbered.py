"""Documents that people add to a lake day by day: numbered, written once, and never changed.

    {root}/{use_case}/{kind}/date=2026-11-20/0001.json

A document is there whole, because it is written by one conditional put. What is none of its kind was written or changed by
something else, and is damage.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

from spark_lib.errors import DamagedPartition, LakeError
from spark_lib.lake.lake import entries_by_day
from spark_lib.lake.stores.store import Conflict, Entry, Unanswered

if TYPE_CHECKING:
    from spark_lib.lake.lake import Lake

#: How often a number is tried that somebody else has taken meanwhile.
_TRIES = 100
_NUMBER = re.compile(r"/(\d{4,})\.json$")


def numbers(lake: Lake, kind: str, first: date, last: date) -> dict[date, tuple[int, ...]]:
    """The numbers of the documents of the days of ``[first, last]``, by one listing. Days without one are left out."""
    return {day: tuple(there) for day, there in _listed(lake, kind, first, last).items()}


def read(lake: Lake, kind: str, first: date, last: date) -> Iterator[tuple[str, bytes]]:
    """The documents of the days of ``[first, last]`` with their urls, in their order: by one listing, and on S3 each that
    was read before from the cache."""
    for entries in _listed(lake, kind, first, last).values():
        for entry in entries.values():
            body = lake.store.recall(entry)
            if body is None:
                content = lake.store.read(entry.key)
                if content is None:
                    continue  # removed since it was listed
                body, etag = content
                lake.store.remember(entry.key, etag, body)
            yield lake.store.url(entry.key), body


@contextmanager
def damage_said(where: str, what: str) -> Iterator[None]:
    """A block that reads the document at ``where``. Raises DamagedPartition, which names it, where it is not ``what`` it
    should be."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedPartition(
            where,
            what,
            f"{type(error).__name__}: {error}",
            "find out what wrote it, then restore the file, or remove it",
        ) from error


def named(url: str, day: date, number: int) -> None:
    """Raise ValueError where a document says that it is of another day or number than the name of its file does."""
    says = f"date={day}/{number:04d}.json"
    if not url.endswith(f"/{says}"):
        raise ValueError(f"it says {says}")


def record(lake: Lake, kind: str, day: date, body: Callable[[int], bytes]) -> int:
    """Write a document behind those of the day, and return its number. ``body`` makes the document of a number. It is
    written by a conditional put, so that two people who write at once both have theirs.

    Raises LakeError where no number is free.
    """
    number = max(numbers(lake, kind, day, day).get(day, ()), default=0)
    for _ in range(_TRIES):
        number += 1
        if put_once(lake, _key(lake, kind, day, number), body(number)):
            return number
    where = lake.store.url(_key(lake, kind, day, number))
    raise LakeError(
        where, "a number that is free", f"{_TRIES} taken ones in a row", "run it again; nothing was written"
    )


def _listed(lake: Lake, kind: str, first: date, last: date) -> dict[date, dict[int, Entry]]:
    """The documents by day and number, each in its order."""
    start = f"{lake.use_case}/{kind}"
    entries = lake.store.list(start, f"date={first}", f"date={last}")
    found = {
        day: {int(match[1]): entry for key, entry in listed.items() if (match := _NUMBER.search(key))}
        for day, listed in entries_by_day(entries, f"{start}/")
    }
    return {day: dict(sorted(there.items())) for day, there in sorted(found.items()) if there}


def _key(lake: Lake, kind: str, day: date, number: int) -> str:
    return f"{lake.use_case}/{kind}/date={day}/{number:04d}.json"


def put_once(lake: Lake, where: str, body: bytes) -> bool:
    """Put an object where none is, and say whether the one that is there is ours. Any answer but a plain success is read
    back."""
    try:
        lake.store.create(where, body)
    except (Conflict, Unanswered):
        content = lake.store.read(where)
        return content is not None and content[0] == body
    return True
