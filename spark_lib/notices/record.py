"""What people were told of a day, as documents in the lake. Each is written once and never changed:

    {root}/{use_case}/notices/date=2026-11-20/failed.predictions/0001.json

The documents of a cause are one record, in the order of their numbers. A process that wants to tell somebody puts the next
number, and only one process can: so two runs that find the same do not both say it. What became of the message is the
number after that. Nothing here imports Spark or numpy. A reader ignores fields that it does not know, and refuses a format
number above its own.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from spark_lib.errors import later_format
from spark_lib.lake.lake import entries_by_day
from spark_lib.lake.numbered import damage_said, put_once

if TYPE_CHECKING:
    from spark_lib.lake import Lake

#: The directory of all notices of a use case.
DIRECTORY = "notices"
FORMAT = 1
#: What a notice is about: a cause begins, or it is over.
BEGUN, OVER = "begun", "over"
#: What became of the message: a process is about to send it, it was sent, or it was not.
CLAIMED, SENT, NOT_SENT = "claimed", "sent", "not sent"
#: The kind of a cause of which one says that the day has it; it is the others.
FAILED = "failed"
#: A claim that is older was left by a process that has died.
LEASE = timedelta(minutes=15)
_NUMBER = re.compile(r"/(\d{4,})\.json$")
_CLOSED = "closed"


@dataclass(frozen=True, order=True)
class Cause:
    """What is wrong with a day: ``kind`` (failed, damaged, late, held, rejected, ...) of ``subject``, a dataset or ``raw/FEED``."""

    date: date
    subject: str
    kind: str

    def __str__(self) -> str:
        return f"{self.subject} of {self.date} {'has' if self.kind == FAILED else 'is'} {self.kind}"

    @property
    def directory(self) -> str:
        """The part of a key that is the cause's own."""
        return f"date={self.date}/{re.sub(r'[^A-Za-z0-9._-]', '.', f'{self.kind}.{self.subject}')}"


@dataclass(frozen=True)
class Notice:
    """The ``number``-th document of a cause's record. ``why`` is the reason in words, without a secret; ``since`` the time
    when the cause was found, and ``at`` that of this document (ISO 8601, UTC). ``run`` is the run of the partition that was
    published when the cause was found, empty where there was none."""

    cause: Cause
    about: str
    step: str
    why: str
    since: str
    at: str
    run: str = ""
    number: int = 0
    #: Drawn at random, so that two processes never take each other's document for their own.
    token: str = ""

    @property
    def is_open(self) -> bool:
        """Whether somebody was told of the cause, or is to be told, and not yet that it is over."""
        return (self.about, self.step) != (OVER, SENT)

    def is_due(self, about: str, now: datetime) -> bool:
        """Whether the message that the cause has begun, or is over, is still to be sent: nobody has sent it, and nobody is
        about to."""
        if self.about != about:
            return about == OVER
        is_left = self.step == CLAIMED and now - datetime.fromisoformat(self.at) > LEASE
        return self.step == NOT_SENT or is_left

    def to_json(self) -> bytes:
        document = asdict(self)
        del document["cause"]
        of = {"kind": self.cause.kind, "subject": self.cause.subject, "date": str(self.cause.date)}
        return json.dumps({"format": FORMAT} | of | document, indent=1, sort_keys=True).encode() + b"\n"

    @classmethod
    def parse(cls, body: bytes, where: str) -> Notice:
        """Raises LakeError, naming ``where``, for one of a later format, and DamagedPartition for what is none."""
        with damage_said(where, "a notice"):
            found = json.loads(body)
            if found["format"] > FORMAT:
                raise later_format(where, "a notice", FORMAT, found["format"])
            cause = Cause(date.fromisoformat(found["date"]), found["subject"], found["kind"])
            return cls(cause, *(found[name] for name in ("about", "step", "why", "since", "at", "run", "number")))


def last_of_open(lake: Lake) -> dict[Cause, Notice]:
    """The last notice of each cause that is not over, by one listing and a request each. Raises LakeError."""
    found = (_last(lake, directory, number) for directory, number in _numbers(lake))
    return {notice.cause: notice for notice in found if notice.is_open}


def record(lake: Lake, notice: Notice) -> Notice | None:
    """Put a notice behind the one whose ``number`` it has, and return it with its own. None where another process has put
    one there: then what this one wanted to say is being said. Raises LakeError."""
    at, token = datetime.now(UTC).isoformat(timespec="seconds"), secrets.token_hex(8)
    numbered = replace(notice, number=notice.number + 1, at=at, token=token)
    if not put_once(lake, _key(lake, notice.cause.directory, f"{numbered.number:04d}.json"), numbered.to_json()):
        return None
    if not numbered.is_open:  # the listing then says it, without a look into the document
        put_once(lake, _key(lake, notice.cause.directory, f"{numbered.number:04d}.{_CLOSED}"), b"")
    return numbered


def first(lake: Lake, cause: Cause, why: str, run: str) -> Notice:
    """What stands before the next notice that a cause has begun: its number is that of the last one, 0 where there is none.
    It is not in the lake."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    known = lake.store.list(f"{lake.use_case}/{DIRECTORY}/{cause.directory}")
    number = max((int(match[1]) for entry in known if (match := _NUMBER.search(entry.key))), default=0)
    return Notice(cause, BEGUN, NOT_SENT, why, now, now, run, number)


def _numbers(lake: Lake) -> Iterator[tuple[str, int]]:
    """The directory of each cause that is not known to be over, and the number of its last notice."""
    start = f"{lake.use_case}/{DIRECTORY}/"
    for _, entries in entries_by_day(lake.store.list(start.rstrip("/")), start):
        for directory, listed in groupby(sorted(entries), key=lambda key: key.removeprefix(start).rpartition("/")[0]):
            keys = list(listed)
            number = max((int(match[1]) for key in keys if (match := _NUMBER.search(key))), default=0)
            if number and f"{start}{directory}/{number:04d}.{_CLOSED}" not in keys:
                yield directory, number


def _last(lake: Lake, directory: str, number: int) -> Notice:
    key = _key(lake, directory, f"{number:04d}.json")
    content = lake.store.read(key)
    assert content is not None  # it was listed, and nobody removes one
    return Notice.parse(content[0], lake.store.url(key))


def _key(lake: Lake, directory: str, name: str) -> str:
    return f"{lake.use_case}/{DIRECTORY}/{directory}/{name}"
