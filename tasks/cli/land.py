"""Raw days of a feed, made from tables that have no days or carry them in a column."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from spark_lib.lake import RawFeed
from tasks.cli.place import configured

if TYPE_CHECKING:
    from spark_lib.frames.landing import ByColumn, Landed, Spread


@dataclass(frozen=True)
class Landing:
    """What a landing found and did: every day from the first to the last, oldest first."""

    feed: RawFeed
    days: Sequence[Landed]

    @property
    def new(self) -> list[Landed]:
        """The days that were written."""
        return [day for day in self.days if day.state == "new"]

    @property
    def empty(self) -> list[date]:
        """The days that were written and have no rows."""
        return [day.date for day in self.new if not day.rows]

    @property
    def left_alone(self) -> list[date]:
        """The days whose flag was there already."""
        return [day.date for day in self.days if day.state != "new"]

    @property
    def others(self) -> list[Landed]:
        """Of the days left alone, those that have other rows than the files."""
        return [day for day in self.days if day.state == "other"]

    @property
    def directory(self) -> str:
        """The directory of the first day that was written."""
        return self.feed.directory(self.new[0].date)


def by_column(files: Sequence[str], feed: str, column: str) -> Landing:
    """Land each row on the day of its date in ``column``. Raises what ``spark_lib.frames.landing.land`` raises."""
    from spark_lib.frames.landing import ByColumn

    return _land(files, feed, ByColumn(column))


def spread(files: Sequence[str], feed: str, first: date, last: date, seed: int) -> Landing:
    """Land each row on a day of ``[first, last]`` that its key and ``seed`` decide. Raises what
    ``spark_lib.frames.landing.land`` raises."""
    from spark_lib.frames.landing import Spread

    return _land(files, feed, Spread(first, last, seed))


def _land(files: Sequence[str], feed: str, days: ByColumn | Spread) -> Landing:
    place = configured()
    raw = place.settings.feed(place.partitions.root, feed)
    from spark_lib.frames import landing

    return Landing(raw, landing.land(raw, place.case.feeds[feed], [*map(os.path.abspath, files)], days))
