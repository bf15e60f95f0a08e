"""Days of the sample that land again from their own files: as Parquet, and by way of CSV."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_lib.frames.landing import ByColumn, Spread, land
from spark_lib.lake import RawFeed
from spark_lib.use_cases.credit_risk import CreditRisk, sample

DAY, NEXT = date(2026, 1, 1), date(2026, 1, 2)
APPLICATIONS = CreditRisk.feeds["applications"]


@pytest.fixture
def landed(tmp_path: Path) -> RawFeed:
    """The applications of a sample of two days."""
    feed = RawFeed("applications", str(tmp_path / "sample"), "credit_risk")
    sample.write(
        lambda name, day: replace(feed, name=name).directory(day), str(tmp_path / "truth"), DAY, 2, 300, seed=1
    )
    return feed


def rows_of(feed: RawFeed, *of: date) -> pa.Table:
    files = [file for day in feed.landed(DAY, NEXT).values() if day.date in of for file in day.files]
    return pa.concat_tables(map(pq.read_table, files)).sort_by("loan_id")


def test_days_of_the_sample_land_again_as_they_were(landed: RawFeed, tmp_path: Path) -> None:
    again = replace(landed, root=str(tmp_path / "again"))
    files = [file for day in landed.landed(DAY, NEXT).values() for file in day.files]

    land(again, APPLICATIONS, files, ByColumn("loan_time"))

    for day in (DAY, NEXT):
        assert rows_of(again, day) == rows_of(landed, day)


def test_a_day_of_the_sample_that_went_through_csv_reads_back_equal(landed: RawFeed, tmp_path: Path) -> None:
    as_csv = replace(landed, root=str(tmp_path / "csv"), format="csv")
    again = replace(landed, root=str(tmp_path / "again"))

    land(as_csv, APPLICATIONS, landed.landed(DAY, DAY)[DAY].files, Spread(DAY, DAY, 0))
    land(again, APPLICATIONS, as_csv.landed(DAY, DAY)[DAY].files, Spread(DAY, DAY, 0))

    assert rows_of(again, DAY) == rows_of(landed, DAY)
