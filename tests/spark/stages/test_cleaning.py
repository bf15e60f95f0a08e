"""Clean days against a computation in plain Python: which rows pass, which are kept apart and why, and that nothing is
lost; in any order of building, alone and together; and the days and rules that are refused."""

from __future__ import annotations

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
from spark_lib.errors import BadData, ConfigurationError, DaystoneError, LakeError, UseCaseError
from spark_lib.frames import raw as raw_feeds
from spark_lib.lake import QUARANTINE, Attempt, Lake, Partition, RawDays, days
from spark_lib.lake.feeds.cleaned import clean_days
from spark_lib.stages import cleaning, features, serving
from tests.spark.lakes import ANY_FILE_ROWS, CASE, DAY, REFERENCE, Parcels, feed, land, land_rows, noon, parcel, publish

SCHEMA = Parcels.feeds["parcels"].schema
COLUMNS = ["parcel", "sender", "sent", "weight", "fragile"]
RULES = {
    "weighs something": "weight > 0",
    "is from us": "sender LIKE 'S%'",
    "is soft or light": "fragile OR weight < 5",
}
FIRST = DAY - timedelta(days=3)
DAYS = days(FIRST, DAY)
SETTINGS = {"key": ["parcel"], "never_null": ["parcel", "sender", "sent"]}
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
    first = case.feeds[name].first_needed(day, FIRST)
    raw = feed(root, name, **more).history(first, day)
    place = Lake(str(root / lake), CASE)
    with Attempt(place, f"clean/{name}", [day], stage="Test", settings=SETTINGS) as attempt:
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


# -- days and rules that are refused, each in its words

GOOD = [("p1", "S1", TIMES[0], "1", "true"), ("p2", "S2", TIMES[0], "2.5", "true")]


def refused(spark: SparkSession, root: Path, case: Parcels, **more: Any) -> DaystoneError:
    with pytest.raises(DaystoneError) as caught:
        built(spark, root, case, FIRST, format="csv", **more)
    assert Lake(str(root / "lake"), CASE).find("clean/parcels", FIRST, FIRST) == {}
    return caught.value


def land_first(root: Path, *rows: Texts) -> str:
    """A first day of some rows, in one file, and the words by which a message names it."""
    land(feed(root, format="csv"), FIRST, csv_of(rows))
    return f"raw feed parcels of {FIRST}: {feed(root).directory(FIRST)}"


def test_a_day_of_which_more_breaks_rules_than_is_allowed_is_refused_with_figures_and_an_example(
    spark: SparkSession, tmp_path: Path
) -> None:
    where = land_first(tmp_path, *GOOD, ("p3", "S1", TIMES[0], "heavy", "true"), ("p4", "T1", TIMES[0], "0", "true"))

    error = refused(spark, tmp_path, of_parcels(rules=RULES, max_quarantined=0.25))

    assert isinstance(error, BadData)
    assert str(error) == (
        f"{where}: wanted at most 0.25 of the rows to break rules (max_quarantined of the feed); found 0.5, 2 of 4 rows: "
        "weighs something 2, is from us 1, types 1, as 'weight' is 'heavy', not a double number like -12.5 or 1.5e-3, "
        "within its range; weight > 0 is null. Next: land the day again, then run again; or correct the rules, or raise "
        "max_quarantined; nothing was published"
    )


def test_a_day_with_just_as_many_as_allowed_is_published(spark: SparkSession, tmp_path: Path) -> None:
    land_first(tmp_path, *GOOD, (*GOOD[0][:3], "0", "true"), ("p4", "S1", TIMES[0], "1", "true"))

    found = built(spark, tmp_path, of_parcels(rules=RULES, max_quarantined=0.25), FIRST, format="csv")

    assert found.manifest.rows("") == 3
    assert [row[-2:] for row in rows_of(found, QUARANTINE)] == [("weighs something", "weight > 0 is false")]


def test_a_key_that_repeats_is_refused_unless_the_feed_says_what_becomes_of_it(
    spark: SparkSession, tmp_path: Path
) -> None:
    other = ("p1", "S1", TIMES[0], "9", "true")
    where = land_first(tmp_path, *GOOD, other, GOOD[1])

    assert str(refused(spark, tmp_path, of_parcels(rules=RULES))) == (
        f"{where}: wanted each 'parcel' once; found 2 rows too many, as 'p1' 2 times. Next: land the day again, then run "
        "again, or declare `duplicates`"
    )
    assert str(refused(spark, tmp_path, of_parcels(duplicates="identical"))) == (
        f"{where}: wanted rows of one 'parcel' to be equal in every column (duplicates = 'identical'); found 1 with rows "
        "that differ, as 'p1'. Next: land the day again, then run again, or declare duplicates = 'newest'"
    )
    newest = built(spark, tmp_path, of_parcels(duplicates="newest"), FIRST, format="csv")
    assert [row[3] for row in rows_of(newest)] == [9.0, 2.5]


def test_rows_that_are_equal_as_values_are_identical_however_they_are_written(
    spark: SparkSession, tmp_path: Path
) -> None:
    land_first(tmp_path, *GOOD, ("p1", "S1", TIMES[1], "1.0", "TRUE"))

    found = built(spark, tmp_path, of_parcels(duplicates="identical"), FIRST, format="csv")

    assert [row[0] for row in rows_of(found)] == ["p1", "p2"]
    assert rows_of(found, QUARANTINE) == [
        ("p1", "S1", TIMES[1], "1.0", "TRUE", "duplicates", "an equal row is there"),
    ]


def test_too_few_rows_are_refused_before_any_rule_is_asked(spark: SparkSession, tmp_path: Path) -> None:
    where = land_first(tmp_path)

    assert str(refused(spark, tmp_path, of_parcels(rules=RULES), min_rows=1)) == (
        f"{where}: wanted at least 1 rows ([raw.parcels] min_rows); found 0. Next: land the whole day, or lower min_rows"
    )


def test_a_day_without_rows_is_clean(spark: SparkSession, tmp_path: Path) -> None:
    land(feed(tmp_path, format="csv"), FIRST)

    found = built(spark, tmp_path, of_parcels(rules=RULES, unique_days=3), FIRST, format="csv")

    assert (found.manifest.rows(), found.manifest.sections) == (0, ("", QUARANTINE))


def test_a_record_of_another_width_is_still_refused_with_its_file(spark: SparkSession, tmp_path: Path) -> None:
    (file,) = land(feed(tmp_path, format="csv"), FIRST, f"{csv_of(GOOD)}p3,S1\n")

    error = refused(spark, tmp_path, of_parcels(rules=RULES))

    assert isinstance(error, BadData) and error.file == file
    assert "row 3 (line 4): wanted 5 values, as the header has; found 2" in str(error)


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("wieght > 0", "'wieght' (did you mean 'weight'?), which is none of them"),
        ("landed > sent", "'landed', which is none of them"),
        ("weight", "[DATATYPE_MISMATCH.FILTER_NOT_BOOLEAN] Cannot resolve \"weight\" due to data type mismatch: Filter expression \"weight\" of type \"DOUBLE\" is not a boolean"),
        ("sum(weight) > 0", "[INVALID_WHERE_CONDITION] The WHERE condition \"(sum(weight) > 0)\" contains invalid expressions: sum(weight)"),
        ("weight >", "[PARSE_SYNTAX_ERROR] Syntax error at or near end of input"),
        ("EXISTS (SELECT 1)", "a query in 'EXISTS (SELECT 1)'"),
    ],
)  # fmt: skip
def test_a_rule_that_is_no_condition_over_the_declared_columns_is_refused(
    spark: SparkSession, condition: str, found: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        cleaning.check_rules(spark, of_parcels(rules={"good": condition}), "parcels")

    assert str(caught.value) == (
        "rule 'good' of feed 'parcels' of Parcels: wanted a condition in Spark SQL over the declared columns, true or false "
        f"for each row alone; found {found}. Next: correct the rule"
    )


@pytest.mark.parametrize("condition", ["sent < now()", "weight > rand()", "sent > current_date()"])
def test_a_rule_that_depends_on_the_moment_or_on_chance_is_refused(spark: SparkSession, condition: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        cleaning.check_rules(spark, of_parcels(rules={"good": condition}), "parcels")

    assert str(caught.value) == (
        "rule 'good' of feed 'parcels' of Parcels: wanted a condition that depends on the row alone; found "
        f"{condition!r}, which is another one at another time. Next: correct the rule"
    )


def test_a_rule_that_fails_at_a_row_says_how_to_let_it_be_null(spark: SparkSession, tmp_path: Path) -> None:
    land_first(tmp_path, *GOOD, ("p3", "S1", TIMES[0], "0", "true"))

    error = refused(spark, tmp_path, of_parcels(rules={"light": "1 / weight > 0"}))

    assert isinstance(error, UseCaseError)
    assert str(error) == (
        "a rule of feed 'parcels' of Parcels: wanted a condition that can be computed for every row; found "
        "[DIVIDE_BY_ZERO] Division by zero. Use `try_divide` to tolerate divisor being 0 and return NULL instead. If "
        'necessary set "spark.sql.ansi.enabled" to "false" to bypass this error. Next: let what cannot be computed be '
        "null, which breaks the rule (try_cast, try_divide, try_add); nothing was published"
    )


def test_parquet_rows_lie_in_quarantine_with_their_own_types(spark: SparkSession, tmp_path: Path) -> None:
    case = of_parcels(rules=RULES, max_quarantined=1)
    land_rows(tmp_path, "parcels", FIRST, [parcel("p1", fragile=True), parcel("p2", weight=None, fragile=True)])

    found = built(spark, tmp_path, case, FIRST)

    apart = ("p2", "S1", noon(), None, True, "weighs something", "weight > 0 is null")
    assert rows_of(found, QUARANTINE) == [apart]
    assert dict(found.manifest.schema_of(QUARANTINE))["sent"] == "timestamp"
    read = spark_lib.read(spark, str(tmp_path / "lake"), REFERENCE, "clean/parcels", FIRST, section=QUARANTINE)
    assert [row["rule"] for row in read.collect()] == ["weighs something"]


# -- what reads clean days


def of_clean(root: Path, case: Parcels, first: date, last: date) -> dict[str, RawDays]:
    """The clean days of the scored feed, as stages read them."""
    found = Lake(str(root / "lake"), CASE).require("clean/parcels", first, last)
    return {"parcels": clean_days(feed(root, format="csv"), found)}


@pytest.mark.slow
def test_features_of_clean_days_are_those_of_days_on_which_no_other_row_had_landed(
    spark: SparkSession, tmp_path: Path
) -> None:
    landed = drawn_days(4, 40, 60)
    land_days(tmp_path, landed)
    case = of_parcels(rules=RULES, duplicates="newest", unique_days=1, max_quarantined=1)
    for day in DAYS:
        built(spark, tmp_path, case, day, format="csv")
        rows = [dict(zip(COLUMNS, values, strict=True)) for values in expected(landed, day, 1)[0]]
        land_rows(tmp_path / "good", "parcels", day, rows)

    lake = Lake(str(tmp_path / "lake"), CASE)
    good = {"parcels": feed(tmp_path / "good").history(FIRST, DAY)}
    clean = of_clean(tmp_path, case, FIRST, DAY)

    for stage in (features, serving):
        wanted = publish(lake, "wanted", DAY, lambda url: stage.build(spark, Parcels(), good, url, ANY_FILE_ROWS))  # noqa: B023
        found = publish(lake, "found", DAY, lambda url: stage.build(spark, case, clean, url, ANY_FILE_ROWS))  # noqa: B023
        assert rows_of(found) == rows_of(wanted)
        assert found.manifest.digest == wanted.manifest.digest
        lake.store.remove(lake.prefix("wanted", DAY))
        lake.store.remove(lake.prefix("found", DAY))


def test_a_clean_day_of_other_columns_than_are_declared_now_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    land_first(tmp_path, *GOOD)
    built(spark, tmp_path, of_parcels(rules=RULES), FIRST, format="csv")
    now = of_parcels(rules=RULES, schema=f"{SCHEMA}, colour STRING")

    with pytest.raises(LakeError) as caught:
        raw_feeds.read(spark, of_clean(tmp_path, now, FIRST, FIRST)["parcels"], now.feeds["parcels"])

    columns = "parcel string, sender string, sent timestamp, weight double, fragile boolean"
    assert str(caught.value) == (
        f"clean/parcels of {FIRST}: wanted the columns that the feed declares, {columns}, colour string; found {columns}. "
        f"Next: build it again (daystone rebuild clean/parcels --date {FIRST})"
    )


def test_a_clean_day_that_was_not_checked_for_what_is_needed_now_is_checked_again(
    spark: SparkSession, tmp_path: Path
) -> None:
    land_first(tmp_path, *GOOD, ("p3", "S1", TIMES[0], None, "true"))
    case = of_parcels(rules={"is from us": "sender LIKE 'S%'"})
    built(spark, tmp_path, case, FIRST, format="csv")
    days_read, declared = of_clean(tmp_path, case, FIRST, FIRST)["parcels"], case.feeds["parcels"]
    rows = raw_feeds.read(spark, days_read, declared)

    assert raw_feeds.check(days_read, declared, rows, ["sender"]) == {FIRST: 3}
    with pytest.raises(BadData, match="no null in 'weight'; found 1 of 3 rows"):
        raw_feeds.check(days_read, declared, rows, ["weight"])
