"""Which day of a raw feed landed last: a question for people, which no result depends on."""

from __future__ import annotations

import re
from datetime import date
from itertools import takewhile

from spark_lib.lake import RawFeed
from spark_lib.lake.stores import open_store

#: Days that differ in every part of a date, so that directories in this order are in the order of time.
IN_ORDER = (date(1999, 11, 30), date(1999, 12, 31), date(2000, 1, 2), date(2000, 2, 1))


def newest_landed(feed: RawFeed, after: date | None = None) -> date | None:
    """The last landed day of a feed; where nobody asks for one before ``after``, earlier days are not listed."""
    base = _common(feed.directory(IN_ORDER[0]), feed.directory(IN_ORDER[-1]))
    names = [_below(feed, day, base) for day in IN_ORDER]
    store = open_store(base)
    entries = store.list("", first=_below(feed, after, base) if after and names == sorted(names) else "")
    regex, pattern = feed.date_pattern
    landed = []
    for entry in entries:
        url = store.url(entry.key)
        dated = re.match(regex, url) if entry.key.endswith(feed.flag) else None
        day = _date(dated[1], pattern) if dated else None
        if day and url == feed.flag_url(day):
            landed.append(day)
    return max(landed, default=None)


def _common(one: str, other: str) -> str:
    """The deepest directory that both are below."""
    shared = takewhile(lambda parts: parts[0] == parts[1], zip(one.split("/"), other.split("/"), strict=False))
    return "/".join(part for part, _ in shared) or "/"


def _below(feed: RawFeed, day: date, base: str) -> str:
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
