"""Finds the days of a raw feed that have landed, by as few and as narrow listings as the feed's path allows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from itertools import takewhile
from typing import Protocol

from spark_lib.lake.lake import days
from spark_lib.lake.stores.store import Entry, Store


class Feed(Protocol):
    """Where the days of a raw feed lie, as far as listings need to know it."""

    @property
    def flag(self) -> str: ...

    @property
    def below_date(self) -> bool:
        """Whether the path has a directory without a part of the date below a directory with one."""

    @property
    def date_pattern(self) -> tuple[str, str]:
        """A regular expression of a url with one group around its date, and the Java date pattern of that date."""

    def directory(self, day: date) -> str: ...

    def flag_url(self, day: date) -> str: ...

    def store(self, directory: str) -> Store:
        """The store of a directory, asked as the feed is."""


#: Days of which each differs from the next in other parts of a date, across years and inside one.
_IN_ORDER = (
    date(1999, 11, 30), date(1999, 12, 31), date(2000, 1, 2), date(2000, 1, 31), date(2000, 2, 1), date(2000, 12, 1),
)  # fmt: skip


def listed(feed: Feed, first: date, last: date) -> dict[date, list[Entry]]:
    """What lies in the directory of each day, with keys relative to it. Where the path ends with the date, in the order
    of time, this takes one listing bounded to ``[first, last]``. Elsewhere it takes one listing for each day."""
    asked = days(first, last)
    at_once = first < last and not feed.below_date and _in_order(feed)
    found: dict[str, list[Entry]] = {feed.directory(day): [] for day in asked}
    depth = feed.directory(first).count("/") + 1
    for url, entry in _span(feed, first, last) if at_once else _each(feed, asked):
        directory = "/".join(url.split("/", depth)[:depth])
        if directory in found and url != directory:
            found[directory].append(replace(entry, key=url.removeprefix(f"{directory}/")))
    return dict(zip(asked, found.values(), strict=True))


def newest(feed: Feed, after: date | None = None) -> date | None:
    """The last landed day of a feed. Days before ``after`` need not be listed. The answer is for people only: no result
    depends on it."""
    base = _common(feed.directory(_IN_ORDER[0]), feed.directory(_IN_ORDER[-1]))
    store = feed.store(base)
    regex, pattern = feed.date_pattern
    landed = []
    for entry in store.list("", first=_below(feed, after, base) if after and _in_order(feed) else ""):
        url = store.url(entry.key)
        dated = re.match(regex, url) if entry.key.endswith(feed.flag) else None
        day = _date(dated[1], pattern) if dated else None
        if day and url == feed.flag_url(day):
            landed.append(day)
    return max(landed, default=None)


def _span(feed: Feed, first: date, last: date) -> Iterator[tuple[str, Entry]]:
    base = _common(feed.directory(first), feed.directory(last))
    store = feed.store(base)
    for entry in store.list("", _below(feed, first, base), _below(feed, last, base)):
        yield store.url(entry.key), entry


def _each(feed: Feed, asked: list[date]) -> Iterator[tuple[str, Entry]]:
    for day in asked:
        store = feed.store(feed.directory(day))
        for entry in store.list(""):
            yield store.url(entry.key), entry


def _in_order(feed: Feed) -> bool:
    """Whether directories in the order of their names are in the order of time."""
    directories = [feed.directory(day) for day in _IN_ORDER]
    return directories == sorted(directories)


def _common(one: str, other: str) -> str:
    """The deepest directory that both are below."""
    shared = takewhile(lambda parts: parts[0] == parts[1], zip(one.split("/"), other.split("/"), strict=False))
    return "/".join(part for part, _ in shared) or "/"


def _below(feed: Feed, day: date, base: str) -> str:
    """The name in ``base`` under which a day lies."""
    return feed.directory(day).removeprefix(base).lstrip("/").partition("/")[0]


def _date(text: str, pattern: str) -> date | None:
    """The date in ``text``, of which ``pattern`` is the Java date pattern."""
    parts = {}
    for token in re.finditer(r"'[^']*'|yyyy|MM|dd|.", pattern):
        width = len(token[0].strip("'"))
        if token[0] in ("yyyy", "MM", "dd"):
            parts[token[0]] = text[:width]
        text = text[width:]
    try:
        return date(int(parts["yyyy"]), int(parts["MM"]), int(parts["dd"]))
    except ValueError:
        return None
