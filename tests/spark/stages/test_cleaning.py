"""Clean days against a computation in plain Python: which rows pass, which are kept apart and why, and that nothing is
lost; in any order of building, alone and together; and the days and rules that are refused."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

import spark_lib
from spark_lib.errors import BadData, ConfigurationError, DaystoneError, UseCaseError
from spark_lib.lake import QUARANTINE, Attempt, Lake, Partition, days
from spark_lib.stages import cleaning
from spark_lib.use_case import Feed
from tests.spark.lakes import ANY_FILE_ROWS, BEFORE, CASE, DAY, Parcels, arrival, feed, land, land_rows, noon, parcel

SCHEMA = Parcels.feeds["parcels"].schema
COLUMNS = ["parcel", "sender", "sent", "weight", "fragile"]
RULES = {
    "weighs something": "weight > 0",
    "is from us": "sender LIKE 'S%'",
    "is soft or light": "fragile OR weight < 5",
}
FIRST = DAY - timedelta(days=3)
DAYS = days(FIRST, DAY)
Texts = tuple[str | None, ...]


def of_parcels(**more: Any) -> Parcels:
    """The use case with another declaration of its scored feed."""
    case = Parcels()
    case.feeds = dict(Parcels.feeds) | {"parcels": replace(Parcels.feeds["parcels"], **more)}  # type: ignore[misc]
    return case


def built(
    spark: SparkSession, root: Path, case: Parcels, day: date, lake: str = "lake", name: str = "parcels", **more: Any
) -> Partition:
    """A clean day, published by itself."""
    first = cleaning.first_needed(day, case.feeds[name], FIRST)
    raw = feed(root, name, **more).history(first, day)
    place = Lake(str(root / lake), CASE)
    with Attempt(place, f"clean/{name}", [day], stage="Test", settings={"key": ["parcel"]}) as attempt:
        attempt.commit(cleaning.build(spark, case, raw, attempt.destination, ANY_FILE_ROWS))
    return place.require(f"clean/{name}", day)[0]


def built_together(spark: SparkSession, root: Path, case: Parcels, wanted: Sequence[date]) -> dict[date, Partition]:
    raw = feed(root, format="csv").history(FIRST, wanted[-1])
    place = Lake(str(root / "together"), CASE)
    with Attempt(place, "clean/parcels", wanted, stage="Test") as attempt:
        attempt.commit(cleaning.build_days(spark, case, raw, attempt, ANY_FILE_ROWS))
    return {each.date: each for each in place.require("clean/parcels", wanted[0], wanted[-1])}


def rows_of(partition: Partition, section: str = "") -> list[tuple[Any, ...]]:
    """The rows of a section, in an order of their own."""
    tables = [pq.read_table(file, partitioning=None) for file in partition.files(section)]
    return sorted((tuple(row.values()) for table in tables for row in table.to_pylist()), key=repr)


# -- days as they are drawn, and what is to become of them

WEIGHTS = ["1", "1.0", "2.50", "4.999", "5", "7", "0", "-1", "-0", "1e3", "1,5", "heavy", " 1", "1e999", None]
SENDERS = ["S1", "S2", "S3", "T1", "", None]
FRAGILE = ["true", "false", "TRUE", "no", None]
TIMES = ["2026-03-01T12:00:00Z", "2026-03-01 14:00:00+02:00", "2026-03-02T00:00:00Z", "2026-03-02", None]


def drawn_days(seed: int, rows: int, keys: int) -> dict[date, list[Texts]]:
    """Rows of which many are good, few keys that come again within a day and from day to day, and equal rows."""
    draw = random.Random(seed)

    def one() -> Texts:
        is_good = draw.random() < 0.6
        key = None if draw.random() < 0.03 else f"p{draw.randrange(keys)}"
        if is_good:
            return key, "S1", draw.choice(TIMES[:3]), draw.choice(WEIGHTS[:4]), "true"
        return key, draw.choice(SENDERS), draw.choice(TIMES), draw.choice(WEIGHTS), draw.choice(FRAGILE)

    found = {}
    for day in DAYS:
        of_day = [one() for _ in range(rows)]
        found[day] = of_day + draw.sample(of_day, rows // 10)
    return found


def csv_of(rows: Sequence[Texts]) -> str:
    lines = [",".join("" if text is None else '""' if text == "" else f'"{text}"' for text in row) for row in rows]
    return "\n".join([",".join(COLUMNS), *lines, ""])


def land_days(root: Path, landed: Mapping[date, Sequence[Texts]]) -> None:
    """Each day in two files."""
    for day, rows in landed.items():
        land(feed(root, format="csv"), day, csv_of(rows[::2]), csv_of(rows[1::2]))


def value(column: str, text: str | None) -> tuple[Any, bool]:
    """The value of a text, and whether the text is one."""
    if text is None or column in ("parcel", "sender"):
        return text, True
    if column == "weight":
        number = float(text) if re.fullmatch(r"-?\d+(\.\d+)?(e[+-]?\d+)?", text) else float("inf")
        return (None, False) if number == float("inf") else (number, True)
    if column == "fragile":
        return (text.lower() == "true", True) if text.lower() in ("true", "false") else (None, False)
    has_zone = len(text) > 10
    return (datetime.fromisoformat(text).astimezone(UTC), True) if has_zone else (None, False)


def judged(row: Texts) -> tuple[tuple[Any, ...], list[str]]:
    """The values of a row, and the rules that it breaks."""
    found = [value(column, text) for column, text in zip(COLUMNS, row, strict=True)]
    values = tuple(one for one, _ in found)
    name, sender, sent, weight, fragile = values
    broken = [] if all(fits for _, fits in found) else ["types"]
    broken += ["never null"] if name is None or sender is None or sent is None else []
    broken += [] if weight is not None and weight > 0 else ["weighs something"]
    broken += [] if sender is not None and sender.startswith("S") else ["is from us"]
    is_soft = fragile is True or (weight is not None and weight < 5)
    return values, broken + ([] if is_soft else ["is soft or light"])


def expected(landed: Mapping[date, Sequence[Texts]], day: date, unique_days: int) -> tuple[list[Any], list[Any]]:
    """The values of the rows that pass, and the texts of all others with the rules that each breaks."""
    passed_before = {
        judged(row)[0][0]
        for earlier in days(day - timedelta(days=unique_days), day - timedelta(days=1))
        for row in landed.get(earlier, ())
        if not judged(row)[1]
    }
    apart = [(*row, "; ".join(judged(row)[1])) for row in landed[day] if judged(row)[1]]
    good = [(judged(row)[0], row) for row in landed[day] if not judged(row)[1]]
    by_key = {key: [each for each in good if each[0][0] == key] for key in {values[0] for values, _ in good}}
    clean = []
    for key, rows in by_key.items():
        # Newest first; then the greatest sender, weight and fragile; then the greatest texts. No value is less than any.
        compared = [((sent, sender, weight, fragile), row) for (_, sender, sent, weight, fragile), row in rows]
        places = [tuple((one is not None, one) for one in (*values, *row)) for values, row in compared]
        ordered = [rows[place] for place in sorted(range(len(rows)), key=lambda at: places[at], reverse=True)]
        for place, (values, row) in enumerate(ordered):
            broken = (["duplicates"] if place else []) + (["unique_days"] if key in passed_before else [])
            if broken:
                apart.append((*row, "; ".join(broken)))
            else:
                clean.append(values)
    return sorted(clean, key=repr), sorted(apart, key=repr)


def check(partition: Partition, landed: Mapping[date, Sequence[Texts]], unique_days: int) -> None:
    clean, apart = expected(landed, partition.date, unique_days)
    found = rows_of(partition, QUARANTINE)
    assert rows_of(partition) == clean
    assert sorted((row[:-1] for row in found), key=repr) == apart
    assert all(row[-1] for row in found)  # a reason
    assert partition.manifest.metrics["landed"] == len(landed[partition.date]) == len(clean) + len(apart)
    # A row that repeats another one of its day is not counted again for days before.
    rules = [name for row in apart for name in row[-1].removesuffix("; unique_days").split("; ")]
    counted = {name: rules.count(name) for name in partition.manifest.metrics["rules"]}
    assert partition.manifest.metrics["rules"] == counted


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "keys", "unique_days"), [(1, 40, 0), (2, 150, 2)])
def test_drawn_days_are_cleaned_as_plain_python_cleans_them_in_any_order_alone_and_together(
    spark: SparkSession, tmp_path: Path, seed: int, keys: int, unique_days: int
) -> None:
    landed = drawn_days(seed, 60, keys)
    land_days(tmp_path, landed)
    case = of_parcels(rules=RULES, duplicates="newest", unique_days=unique_days, max_quarantined=1)

    shuffled = random.Random(seed).sample(DAYS, len(DAYS))
    alone = {day: built(spark, tmp_path, case, day, format="csv") for day in shuffled}
    together = built_together(spark, tmp_path, case, DAYS)

    for day in DAYS:
        check(alone[day], landed, unique_days)
        check(together[day], landed, unique_days)
        assert rows_of(alone[day], QUARANTINE) == rows_of(together[day], QUARANTINE)
        one, other = alone[day].manifest, together[day].manifest
        assert (one.digest, one.schema, one.schemas, one.metrics) == (
            other.digest, other.schema, other.schemas, other.metrics,
        )  # fmt: skip
    assert sum(found.manifest.metrics["rules"]["duplicates"] for found in alone.values()) > 0
    assert (sum(found.manifest.metrics["rules"]["unique_days"] for found in alone.values()) > 0) is (unique_days > 0)
