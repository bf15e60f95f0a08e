"""Raw feeds: days that others land, each complete when its flag is there. This module never writes."""

from __future__ import annotations

import hashlib
import re
import string
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import BinaryIO, Self

from spark_lib.errors import BadData, ConfigurationError, HoleInHistory, LakeError, WaitingForData
from spark_lib.lake.feeds import landed
from spark_lib.lake.feeds.dialect import RFC_4180, Dialect
from spark_lib.lake.lake import days, some
from spark_lib.lake.manifest import Input
from spark_lib.lake.stores import open_store
from spark_lib.lake.stores.s3_client import Connection
from spark_lib.lake.stores.store import Entry, Store, absolute, is_gone, is_hidden

FORMATS = ("parquet", "csv")
FIELDS = ("root", "use_case", "feed", "date")
DEFAULT_PATH = "{root}/{use_case}/raw/{feed}/date={date:%Y-%m-%d}"


@dataclass(frozen=True)
class RawDay:
    """The files of one landed day, as they were listed once. ``fingerprint`` is that of the listing: on a disk it
    changes when a file is copied."""

    date: date
    files: tuple[str, ...]
    fingerprint: str
    size: int
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class RawDays:
    """Landed days of a feed without a hole, oldest first."""

    feed: RawFeed
    days: tuple[RawDay, ...]

    @property
    def files(self) -> list[str]:
        return [file for day in self.days for file in day.files]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(day.size for day in self.days)

    @property
    def last(self) -> RawDay:
        return self.days[-1]

    @property
    def newest(self) -> Self:
        """The last day alone."""
        return replace(self, days=self.days[-1:])

    def of(self, wanted: Collection[date]) -> Self:
        """Those of the days that are ``wanted``."""
        return replace(self, days=tuple(day for day in self.days if day.date in wanted))

    def after(self, day: date | None) -> Self:
        """Those of the days that are later than ``day``; all where there is none."""
        return replace(self, days=tuple(each for each in self.days if day is None or each.date > day))

    @property
    def input(self) -> Input:
        ids = tuple(self.feed.identity(day) for day in self.days)
        return Input(f"raw/{self.feed.name}", self.days[0].date, self.days[-1].date, ids)

    def verify(self) -> None:
        """Raise BadData where a day is no longer what was listed."""
        landed_now = self.feed.landed(self.days[0].date, self.days[-1].date)
        for day in self.days:
            now = landed_now.get(day.date)
            if now != day:
                raise BadData(
                    f"raw feed {self.feed.name} of {day.date}: {self.feed.directory(day.date)}",
                    "the files that were listed when the attempt began",
                    "others" if now else "no flag any more",
                    "run the stage again once the feed stays as it is; nothing was published",
                )


@dataclass(frozen=True)
class RawFeed:
    """Where a feed lands. ``path`` is a template with ``{root}``, ``{use_case}``, ``{feed}`` and
    ``{date:%Y-%m-%d}``."""

    name: str
    root: str
    use_case: str
    path: str = DEFAULT_PATH
    format: str = "parquet"
    flag: str = "_SUCCESS"
    min_rows: int = 0
    #: How the feed's CSV files are written.
    dialect: Dialect = RFC_4180
    #: How the feed is reached on S3, where it has a server or a profile of its own. None: as the lake is.
    connection: Connection | None = None

    def __post_init__(self) -> None:
        section = f"[{self.section}]"
        try:
            pieces = list(string.Formatter().parse(self.path))
        except ValueError as error:
            raise ConfigurationError(
                f"{section} path", "a template", f"{self.path!r}: {error}", "correct the path"
            ) from error
        for _, field, spec, conversion in pieces:
            odd_spec = "%" in re.sub("%[Ymd]", "", spec or "") if field == "date" else spec
            if field is not None and (field not in FIELDS or odd_spec or conversion):
                raise ConfigurationError(
                    f"{section} path",
                    "{root}, {use_case}, {feed} and {date:%Y-%m-%d}",
                    f"{{{field}}} in {self.path!r}",
                    "correct the path",
                )
        missing = [_PARTS[part].name for part in _PARTS if part not in self._pieces]
        if missing:
            raise ConfigurationError(
                f"{section} path",
                "a date, as in {date:%Y-%m-%d}",
                f"no {missing[0]} in {self.path!r}",
                "correct the path",
            )
        odd = re.search(r"[^\w=./-]", "".join(piece for piece in self._dated if piece not in _PARTS))
        if odd:
            raise ConfigurationError(
                f"{section} path",
                "%Y, %m and %d with letters, digits, - _ = . / between them",
                f"{odd[0]!r} in {self.path!r}",
                "correct the path",
            )
        if re.fullmatch("s3a?://[^/]*", self._before_date, re.IGNORECASE):
            raise ConfigurationError(
                f"{section} path",
                "one bucket for all days",
                f"a date in the bucket's name in {self.path!r}",
                "correct it",
            )
        if self.format not in FORMATS:
            raise ConfigurationError(
                f"{section} format", f"one of {', '.join(FORMATS)}", repr(self.format), "correct it"
            )
        if not self.flag:
            raise ConfigurationError(f"{section} flag", "the name of the file that lands last", "nothing", "set it")
        self.dialect.check(section)

    @property
    def section(self) -> str:
        """The name of its section of configuration."""
        return f"raw.{self.name}"

    def directory(self, day: date) -> str:
        """The directory of a day."""
        return self._absolute(_PARTS[piece].of(day) if piece in _PARTS else piece for piece in self._pieces)

    def store(self, directory: str) -> Store:
        """The store of one of its directories."""
        return open_store(directory, self.connection)

    def flag_url(self, day: date) -> str:
        return self.store(self.directory(day)).url(self.flag)

    def has_landed(self, day: date) -> bool:
        """Whether the day's flag is there, asked afresh."""
        return self.store(self.directory(day)).read(self.flag) is not None

    def day(self, day: date) -> RawDay | None:
        """A landed day, or None where its flag is not there (yet)."""
        return self.landed(day, day).get(day)

    def landed(self, first: date, last: date) -> dict[date, RawDay]:
        """The landed days of ``[first, last]``, oldest first."""
        found = {day: self._landed(day, entries) for day, entries in landed.listed(self, first, last).items()}
        return {day: there for day, there in found.items() if there}

    def _landed(self, day: date, listed: list[Entry]) -> RawDay | None:
        if not any(entry.key == self.flag for entry in listed):
            return None
        data = tuple(entry for entry in listed if is_data(entry, self.flag))
        store = self.store(self.directory(day))
        files = tuple(store.url(entry.key) for entry in data)
        fingerprint = _fingerprint(data, [entry.etag for entry in data])
        return RawDay(day, files, fingerprint, sum(entry.size for entry in data), data)

    def identity(self, day: RawDay) -> str:
        """What tells a landed day from the same day with other files: names, sizes and contents. A copy of the feed
        elsewhere has the same. Raises BadData where a file is no longer there.

        On S3 it follows from the listing. On a disk every file is read once.
        """
        store = self.store(self.directory(day.date))
        try:
            contents = [store.identity(entry) for entry in day.entries]
        except LakeError as error:
            if not is_gone(error):
                raise
            raise self._gone(error.where) from error
        if contents == [entry.etag for entry in day.entries]:
            return day.fingerprint
        return f"{_OF_CONTENT}{_fingerprint(day.entries, contents)}"

    def open(self, file: str) -> BinaryIO:
        """One of the files of a day. Raises BadData for a file that is no longer there, or is a link to nothing."""
        directory, _, name = file.rpartition("/")
        try:
            return self.store(directory or "/").open(name)
        except LakeError as error:
            if not is_gone(error):
                raise
            raise self._gone(file) from error

    def _gone(self, file: str) -> BadData:
        return BadData(
            f"raw feed {self.name}: {file}",
            "the file that was listed",
            "none any more, or a link to nothing",
            "land the day again, then run again",
            file,
        )

    def history(self, first: date, last: date) -> RawDays:
        """The days of ``[first, last]``, none where ``last`` is before ``first``. Raises WaitingForData where ``last``
        has not landed, HoleInHistory where an earlier day has not."""
        found = self.landed(first, last)
        missing = [day for day in days(first, last) if day not in found]
        if last in missing:
            raise self.waiting(last)
        if missing:
            raise HoleInHistory(
                f"raw feed {self.name}",
                f"every day from {first} to {last}",
                f"no flag {self.flag!r} on {some(missing)}, as in {self.directory(missing[0])}",
                "land the missing days (a flagged day may be empty), or set [pipeline] first_date to the first day that exists",
            )
        return RawDays(self, tuple(found.values()))

    def waiting(self, day: date) -> WaitingForData:
        return WaitingForData(
            f"raw feed {self.name} of {day}",
            f"the flag {self.flag_url(day)}",
            "none yet",
            "land the day's files, then its flag, and run again",
        )

    @property
    def date_pattern(self) -> tuple[str, str]:
        """A regular expression with one group around the date in a file's path or url, escaped or not, and the Java
        date pattern of that date. By these a reader of many days finds the day on which a row landed."""
        dated = self._dated
        regex = "".join(_PARTS[piece].regex if piece in _PARTS else re.escape(piece) for piece in dated)
        java = "".join(_PARTS[piece].java if piece in _PARTS else _in_java(piece) for piece in dated)
        # Directories are counted from the root, so that none above or below the day's is ever taken for it.
        above, slash, before = self._before_date.rpartition("/")
        depth = len(re.split("/+", self._absolute([above + slash or "."]).rstrip("/")))
        return f"^(?:[^/]*/+){{{depth}}}{''.join(map(_in_url, before))}({regex})[^/]*/.*", java

    @cached_property
    def _pieces(self) -> list[str]:
        """The path with everything except the date filled in: texts, and between them ``%Y``, ``%m`` and ``%d``."""
        values = {"root": self.root, "use_case": self.use_case, "feed": self.name}
        found = []
        for literal, field, spec, _ in string.Formatter().parse(self.path):
            found.append(literal)
            found += re.split("(%[Ymd])", spec or "") if field == "date" else [values[field]] if field else []
        return [piece for piece in found if piece]

    @property
    def below_date(self) -> bool:
        """Whether the path has a directory without a part of the date below a directory with one."""
        segments = "\0".join(self._pieces).split("/")
        first = next(i for i, segment in enumerate(segments) if _PARTS.keys() & set(segment.split("\0")))
        return not all(_PARTS.keys() & set(segment.split("\0")) for segment in segments[first:])

    @property
    def _dated(self) -> list[str]:
        """The pieces from the first part of the date to the last."""
        places = [index for index, piece in enumerate(self._pieces) if piece in _PARTS]
        return self._pieces[places[0] : places[-1] + 1]

    @property
    def _before_date(self) -> str:
        """The path before the first part of the date."""
        return "".join(self._pieces[: self._pieces.index(self._dated[0])])

    def _absolute(self, pieces: Iterable[str]) -> str:
        place = f"[{self.section}] path"
        return absolute("".join(pieces), place, place)


def are_comparable(one: str, other: str) -> bool:
    """Whether two identities of a raw day say by being different that its files differ. Older manifests of a lake on a
    disk have one of the listing, which a copy changes."""
    return EMPTY in (one, other) or one.startswith(_OF_CONTENT) == other.startswith(_OF_CONTENT)


def _fingerprint(entries: Iterable[Entry], contents: Iterable[str]) -> str:
    lines = [f"{entry.key}\0{entry.size}\0{content}\n" for entry, content in zip(entries, contents, strict=True)]
    return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()[:16]


#: The identity of a day without files, wherever it lies.
EMPTY = _fingerprint((), ())
#: What the identity of a day begins with where the listing does not tell contents apart, and files were read for it.
_OF_CONTENT = "content:"


def not_held(feed: RawFeed, column: str, kind: str) -> ConfigurationError:
    """The error for a column of a CSV feed whose type CSV cannot hold."""
    return ConfigurationError(
        f"column {column!r} of raw feed {feed.name}",
        "a type that CSV can hold: string, boolean, whole numbers, float, double, decimal, date or timestamp",
        kind,
        f"declare another type in the feed's schema, or land Parquet ([{feed.section}] format)",
    )


@dataclass(frozen=True)
class _Part:
    """A part of a date: its name, as a regular expression and as a Java date pattern."""

    name: str
    regex: str
    java: str

    def of(self, day: date) -> str:
        return f"{getattr(day, self.name):0{len(self.java)}}"


_PARTS = {
    "%Y": _Part("year", r"\d{4}", "yyyy"),
    "%m": _Part("month", r"\d\d", "MM"),
    "%d": _Part("day", r"\d\d", "dd"),
}


def _in_java(text: str) -> str:
    return f"'{text}'" if re.search("[A-Za-z]", text) else text


def _in_url(sign: str) -> str:
    """A regular expression for one character of a path, which Hadoop may have escaped in a url."""
    plain = re.escape(sign)
    return plain if re.match(r"[\w!.~'()*:@&=+$,;-]", sign) else f"(?:{plain}|%{ord(sign):02X})"


def is_data(entry: Entry, flag: str) -> bool:
    """Whether a file below a day's directory holds rows: it is neither the flag nor hidden."""
    return entry.key != flag and not is_hidden(entry.key)
