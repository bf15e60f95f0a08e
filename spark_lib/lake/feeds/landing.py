"""Lands days of a raw feed for those who ask for it: one file a day, whole, and the day's flag last.

Daystone reads raw data and never writes there by itself; ``daystone land`` and ``daystone sample`` are asked to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import BinaryIO

from spark_lib.errors import ConfigurationError, LakeError
from spark_lib.lake.feeds import landed
from spark_lib.lake.feeds.raw import FORMATS, RawFeed, is_data
from spark_lib.lake.stores.store import Conflict, Entry, Store, Unanswered

#: The one file of a landed day, by the feed's format. No other tool's files have this name.
_NAMES = {kind: f"landed.{kind}" for kind in FORMATS}
#: What an interrupted landing may have left, also of a feed whose format was another one then. The store on a local
#: directory writes a file under a hidden name, which it never writes over.
_LEFTOVERS = {hidden + name for name in _NAMES.values() for hidden in ("", ".")}
#: The most times that a put is sent while it is not answered.
_TRIES = 3


@dataclass(frozen=True)
class Place:
    """The directory of a day as it was listed: whether the day's flag is there, and what an interrupted landing has
    left."""

    date: date
    has_landed: bool
    leftovers: tuple[str, ...] = ()


def places(feed: RawFeed, first: date, last: date) -> list[Place]:
    """The places of the days of ``[first, last]``, oldest first.

    Raises ConfigurationError for a day without a flag that has files of others: the flag would make these a part of the
    day.
    """
    return [_place(feed, day, entries) for day, entries in landed.listed(feed, first, last).items()]


def land(feed: RawFeed, place: Place, write: Callable[[BinaryIO], None]) -> bool:
    """Write the file of a day by ``write``, then its flag. False where the flag has come meanwhile, and nothing is
    written. Raises LakeError."""
    store, name = feed.store(feed.directory(place.date)), _NAMES[feed.format]
    if store.read(feed.flag) is not None:
        return False
    in_the_way = [leftover for leftover in place.leftovers if leftover != name]
    if in_the_way:
        store.remove_objects(in_the_way)
    with store.writing(name) as file:
        write(file)
    store.persist([name])
    create(store, feed.flag, b"")
    return True


def content(feed: RawFeed, day: date) -> bytes | None:
    """The content of the one file of a day that has landed here, and nothing for a day without files. None for a day
    that landed in other ways."""
    found = feed.day(day)
    if found is not None and not found.files:
        return b""
    url = feed.store(feed.directory(day)).url(_NAMES[feed.format])
    if found is None or found.files != (url,):
        return None
    with feed.open(url) as file:
        return file.read()


def create(store: Store, key: str, body: bytes) -> bytes:
    """Create a small object, and return its content: that of another process where that one was first. Raises
    LakeError."""
    for _ in range(_TRIES):
        try:
            store.create(key, body)
            return body
        except Conflict:
            found = store.read(key)
            if found is not None:
                return found[0]
        except Unanswered:
            continue
    raise LakeError(store.url(key), "an answer to a put", f"none in {_TRIES} tries", "run again")


def _place(feed: RawFeed, day: date, entries: list[Entry]) -> Place:
    if any(entry.key == feed.flag for entry in entries):
        return Place(day, has_landed=True)
    others = [entry.key for entry in entries if is_data(entry, feed.flag) and entry.key not in _LEFTOVERS]
    if others:
        raise ConfigurationError(
            f"raw feed {feed.name} of {day}: {feed.directory(day)}",
            "no files, or those of a landing that was interrupted",
            f"{others[0]!r}{f' and {len(others) - 1:,} more' if others[1:] else ''}, without the flag {feed.flag!r}",
            "remove these files, or wait for the flag of whoever lands there; nothing was landed",
        )
    return Place(day, has_landed=False, leftovers=tuple(e.key for e in entries if e.key in _LEFTOVERS))
