"""Tables as people have them, from raw days to predictions: keys that are numbers, or of several columns, no
entity, no event time, and names, decimals and times of any kind."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pytest
from pyspark.sql import DataFrame, SparkSession

from spark_lib.errors import BadData, UseCaseError
from spark_lib.lake import Attempt, Dialect, Lake, Partition, Rows
from spark_lib.lake.tables import read_arrow
from spark_lib.models.card import parse
from spark_lib.models.training_set import NATURAL
from spark_lib.scoring import partitions as scoring
from spark_lib.stages import balancing, features, inference, selection, serving, training
from spark_lib.use_case import Feature, Feed, Label, UseCase
from spark_lib.use_case.keys import names
from tests.spark.lakes import AFTER, ANY_FILE_ROWS, BEFORE, CASE, DAY, SETTINGS, feed, land, publish, silent

DAYS = [BEFORE - timedelta(days=1), BEFORE, DAY]
RECEIPTS = 150  # a day
SPLIT_AND_MODEL: Mapping[str, Any] = {**SETTINGS, "balancing": "oversample", "calibration": "none"}


class Receipts(UseCase):
    """Whether a receipt is returned: numbered from 1, with neither an entity nor an event time."""

    feeds: Mapping[str, Feed] = {
        "receipts": Feed("receipt INT, customer BIGINT, total DOUBLE", key="receipt"),
        "returns": Feed("receipt INT, returned BOOLEAN", key="receipt"),
    }
    rows = "receipts"
    label = Label(feed="returns", key="receipt", column="returned", positive="true", allowed=("true", "false"))
    features: Mapping[str, Feature] = {"total": Feature("DOUBLE"), "earlier": Feature("BIGINT")}

    def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        """``earlier``: receipts of the customer that landed before."""
        from pyspark.sql import functions as F

        past = history["receipts"].select(F.col("customer").alias("by"), F.col("landed").alias("then"))
        before = (F.col("by") == F.col("customer")) & (F.col("then") < F.col("landed"))
        joined = day.join(past, before, "left").groupBy(*names(self.key), "total")
        return joined.agg(F.count("then").alias("earlier"))


class Tills(Receipts):
    """The same receipts where each shop has numbers of its own."""

    feeds: Mapping[str, Feed] = {
        "receipts": Feed("shop STRING, receipt INT, customer BIGINT, total DOUBLE", key=("shop", "receipt")),
        "returns": Feed("receipt INT, `at shop` STRING, returned BOOLEAN", key=("at shop", "receipt")),
    }
    label = replace(Receipts.label, key=("at shop", "receipt"))


def receipts(day: date) -> pa.Table:
    """The receipts of a day. Those of three days are numbered one after the other."""
    draw, first = random.Random(str(day)), (day - DAYS[0]).days * RECEIPTS + 1
    columns = {
        "receipt": pa.array(range(first, first + RECEIPTS), pa.int32()),
        "customer": pa.array([2**40 + draw.randrange(60) for _ in range(RECEIPTS)]),
        "total": pa.array([round(draw.uniform(0, 10), 2) for _ in range(RECEIPTS)]),
    }
    return pa.table(columns)


def tills(day: date) -> pa.Table:
    """The same of two shops: 1 is N 1, 2 is S 1, 3 is N 2, and so on."""
    table = receipts(day)
    numbers = table["receipt"].to_pylist()
    shops = pa.array(["SN"[number % 2] for number in numbers])
    own = pa.array([(number + 1) // 2 for number in numbers], pa.int32())
    return table.set_column(0, "receipt", own).add_column(0, "shop", shops)


def returns(landed: pa.Table) -> pa.Table:
    """Who pays more, brings it back more often; a hash of the number decides, so that no order matters."""
    chances = [
        int(hashlib.sha256(str(row).encode()).hexdigest()[:8], 16) / 2**32 for row in landed["receipt"].to_pylist()
    ]
    returned = [chance < 0.08 * total for chance, total in zip(chances, landed["total"].to_pylist(), strict=True)]
    return landed.select(["receipt"]).append_column("returned", pa.array(returned))


def returns_to_shops(landed: pa.Table) -> pa.Table:
    found = returns(landed)
    return found.append_column("at shop", landed["shop"]).select(["receipt", "at shop", "returned"])


def as_csv(table: pa.Table) -> str:
    sink = pa.BufferOutputStream()
    pa.csv.write_csv(table, sink)
    return str(sink.getvalue().to_pybytes().decode())


@dataclass(frozen=True)
class Built:
    """What a use case has built of three days in a lake."""

    lake: Lake
    window: list[Partition]
    balanced: Partition
    model: Partition


def built(
    spark: SparkSession, root: Path, case: UseCase, rows: Any, outcomes: Any, balancing_by: str, **format: Any
) -> Built:
    """Land three days and the outcomes of all on the last, and build what there is to build of them."""
    lake, settings = Lake(str(root), CASE), dict(SPLIT_AND_MODEL) | {"balancing": balancing_by}
    as_file = as_csv if format else pa.Table.combine_chunks
    for day in DAYS:
        land(feed(root, "receipts", **format), day, as_file(rows(day)))
        known = [as_file(outcomes(pa.concat_tables(map(rows, DAYS))))] if day == DAY else []
        land(feed(root, "returns", **format), day, *known)

    def engineered(day: date) -> Partition:
        raw = {"receipts": feed(root, "receipts", **format).history(DAYS[0], day)}
        return publish(lake, "features", day, lambda url: features.build(spark, case, raw, url, ANY_FILE_ROWS))

    window, landed = [engineered(day) for day in DAYS], feed(root, "returns", **format).history(DAYS[0], DAY)

    def balance(url: str) -> Rows:
        return balancing.build(spark, case, CASE, window, landed, settings, url, ANY_FILE_ROWS)

    balanced = publish(lake, "balanced", DAY, balance)
    model = publish(lake, "model", DAY, lambda url: training.build(spark, case, balanced, settings, url, silent))
    chosen = selection.pinned(lake, publish(lake, "selection", AFTER, lambda url: selection.build(model, [model])))
    with Attempt(lake, "predictions", [DAY], stage="Test") as attempt:
        attempt.commit(inference.build(partial(scoring.run, spark), case, window[-1], chosen, attempt, ANY_FILE_ROWS))
    return Built(lake, window, balanced, model)


@pytest.fixture(scope="module")
def of_numbers(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return built(spark, tmp_path_factory.mktemp("numbers"), Receipts(), receipts, returns, "oversample", format="csv")


@pytest.fixture(scope="module")
def of_pairs(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return built(spark, tmp_path_factory.mktemp("pairs"), Tills(), tills, returns_to_shops, "smote")


def test_without_an_event_time_features_see_what_landed_on_earlier_days(of_numbers: Built) -> None:
    found = read_arrow(of_numbers.lake, "features", DAY)

    assert [(name, str(kind)) for name, kind in zip(found.column_names, found.schema.types, strict=True)][:3] == [
        ("receipt", "int32"),
        ("total", "double"),
        ("earlier", "int64"),
    ]
    before = [of for day in DAYS[:2] for of in receipts(day)["customer"].to_pylist()]
    today = receipts(DAY)
    expected = dict(zip(today["receipt"].to_pylist(), map(before.count, today["customer"].to_pylist()), strict=True))
    assert dict(zip(found["receipt"].to_pylist(), found["earlier"].to_pylist(), strict=True)) == expected


def test_keys_that_are_numbers_are_joined_split_and_scored_as_the_entity(of_numbers: Built) -> None:
    sections = {
        name: read_arrow(of_numbers.lake, "balanced", DAY, section=name)
        for name in ("train", "calibration", "validation/unbalanced")
    }
    returned = returns(pa.concat_tables(map(receipts, DAYS)))
    outcomes = dict(zip(returned["receipt"].to_pylist(), returned["returned"].to_pylist(), strict=True))

    assert of_numbers.balanced.manifest.metrics["labelled"] == len(DAYS) * RECEIPTS
    keys = {name: set(table["receipt"].to_pylist()) for name, table in sections.items()}
    assert sum(map(len, keys.values())) == len(set.union(*keys.values())) == len(DAYS) * RECEIPTS
    for table in sections.values():
        labels = zip(table["receipt"].to_pylist(), table["label"].to_pylist(), strict=True)
        assert all(outcomes[key] == bool(label) for key, label in labels)
    assert of_numbers.model.manifest.metrics["verdict"]["approved"]
    predictions = read_arrow(of_numbers.lake, "predictions", DAY)
    assert [str(kind) for kind in predictions.schema.types][:2] == ["int32", "double"]
    assert predictions.column_names[:2] == ["receipt", "score"]
    assert sorted(predictions["receipt"].to_pylist()) == receipts(DAY)["receipt"].to_pylist()


def test_a_key_of_two_columns_is_joined_split_drawn_and_scored_as_the_entity(of_pairs: Built) -> None:
    def pairs(table: pa.Table) -> list[tuple[str, int]]:
        return list(zip(table["shop"].to_pylist(), table["receipt"].to_pylist(), strict=True))

    landed = pa.concat_tables(map(tills, DAYS))
    outcomes = dict(zip(pairs(landed), returns(landed)["returned"].to_pylist(), strict=True))
    natural = [read_arrow(of_pairs.lake, "balanced", DAY, section=name) for name in ("calibration", NATURAL)]
    train = read_arrow(of_pairs.lake, "balanced", DAY, section="train")
    original = [copy == 0 for copy in train["copy"].to_pylist()]
    natural.append(train.filter(pa.array(original)))

    keys = [key for table in natural for key in pairs(table)]
    assert sorted(keys) == sorted(outcomes)
    for table in natural:
        labels = zip(pairs(table), table["label"].to_pylist(), strict=True)
        assert all(outcomes[key] == bool(label) for key, label in labels)
    assert len(original) > sum(original)
    drawn = pairs(read_arrow(of_pairs.lake, "balanced", DAY, section="validation/balanced"))
    labels = natural[1]["label"].to_pylist()
    assert len(drawn) == len(set(drawn)) == 2 * min(labels.count(0), labels.count(1))
    card = parse(of_pairs.model.document("card.json"))
    assert (card.entity, card.format, card.verdict.approved) == (("shop", "receipt"), 2, True)
    predictions = read_arrow(of_pairs.lake, "predictions", DAY)
    assert predictions.column_names[:3] == ["shop", "receipt", "score"]
    assert sorted(pairs(predictions)) == sorted(pairs(tills(DAY)))


def test_a_pair_that_landed_twice_is_named(spark: SparkSession, tmp_path: Path) -> None:
    raw = feed(tmp_path, "receipts")
    twice = tills(DAY)
    land(raw, DAY, twice, twice.slice(1, 1))

    with pytest.raises(BadData) as caught:
        features.build(spark, Tills(), {"receipts": raw.history(DAY, DAY)}, str(tmp_path / "out"), ANY_FILE_ROWS)

    (number,) = twice.slice(1, 1)["receipt"].to_pylist()
    assert str(caught.value) == (
        f"raw feed receipts of {DAY}: {raw.directory(DAY)}: wanted each ('shop', 'receipt') once; found 1 rows too many, "
        f"as ('S', {number}) 2 times. Next: land the day again, then run again"
    )


def test_a_pair_that_landed_on_two_days_of_the_window_is_named(
    spark: SparkSession, of_pairs: Built, tmp_path: Path
) -> None:
    outcomes = feed(of_pairs.lake.root, "returns").history(DAYS[0], DAY)
    window = [of_pairs.window[0]] * 2

    with pytest.raises(BadData) as caught:
        balancing.build(spark, Tills(), CASE, window, outcomes, SPLIT_AND_MODEL, str(tmp_path / "out"), ANY_FILE_ROWS)

    assert str(caught.value) == (
        f"raw feed receipts: wanted each ('shop', 'receipt') on one day of the window; found ('N', 1) on {DAYS[0]}, "
        f"{DAYS[0]}. Next: land the day again without the rows that landed before"
    )


def test_an_engineer_that_takes_one_column_of_a_pair_for_the_key_is_refused(
    spark: SparkSession, tmp_path: Path
) -> None:
    class Confused(Tills):
        def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
            from pyspark.sql import functions as F

            return super().engineer(day.withColumn("shop", F.lit("N")), history)

    raw = feed(tmp_path, "receipts")
    land(raw, DAY, tills(DAY))

    with pytest.raises(UseCaseError) as caught:
        features.build(spark, Confused(), {"receipts": raw.history(DAY, DAY)}, str(tmp_path / "out"), ANY_FILE_ROWS)

    assert str(caught.value).startswith(
        "engineer of Confused: wanted exactly one row for each of the day's 150 keys; found 75 lost, 75 too many, "
    )


def test_serving_without_an_event_time_takes_the_row_that_landed_last_as_of_the_next_day(
    spark: SparkSession, tmp_path: Path
) -> None:
    class ByCustomer(Receipts):
        entity = "customer"

    for day, rows in {BEFORE: [(1, 7, 1.0), (9, 7, 2.0)], DAY: [(3, 7, 3.0)]}.items():
        columns = zip(*rows, strict=True)
        table = pa.table(dict(zip(("receipt", "customer", "total"), map(list, columns), strict=True)))
        land(feed(tmp_path, "receipts"), day, table.cast(receipts(DAY).schema))
    raw = {"receipts": feed(tmp_path, "receipts").history(BEFORE, DAY)}
    lake = Lake(str(tmp_path), CASE)

    publish(lake, "serving", DAY, lambda url: serving.build(spark, ByCustomer(), raw, url, ANY_FILE_ROWS))

    assert read_arrow(lake, "serving", DAY).drop_columns("date").to_pylist() == [
        {"receipt": 3, "customer": 7, "total": 3.0, "earlier": 3}
    ]


def test_a_date_may_be_the_event_time(spark: SparkSession, tmp_path: Path) -> None:
    class Dated(Receipts):
        feeds = {
            "receipts": Feed("receipt INT, on DATE, total DOUBLE", key="receipt"),
            "returns": Receipts.feeds["returns"],
        }
        event_time = "on"
        features = {"total": Feature("DOUBLE"), "earlier": Feature("BIGINT")}

        def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
            from pyspark.sql import functions as F

            past = history["receipts"].select(F.col("on").alias("then"))
            joined = day.join(past, F.col("then") < F.col("on"), "left")
            return joined.groupBy("receipt", "total").agg(F.count("then").alias("earlier"))

    raw = feed(tmp_path, "receipts", format="csv")
    land(raw, DAY, f"receipt,on,total\n1,{BEFORE},1.5\n2,{DAY},2.5\n")
    lake, days = Lake(str(tmp_path), CASE), {"receipts": raw.history(DAY, DAY)}

    publish(lake, "features", DAY, lambda url: features.build(spark, Dated(), days, url, ANY_FILE_ROWS))
    publish(lake, "serving", DAY, lambda url: serving.build(spark, Dated(), days, url, ANY_FILE_ROWS))

    assert read_arrow(lake, "features", DAY).drop_columns("date").sort_by("receipt").to_pylist() == [
        {"receipt": 1, "on": BEFORE, "total": 1.5, "earlier": 0},
        {"receipt": 2, "on": DAY, "total": 2.5, "earlier": 1},
    ]
    served = read_arrow(lake, "serving", DAY).sort_by("receipt")
    assert (served["on"].to_pylist(), served["earlier"].to_pylist()) == ([AFTER] * 2, [2, 2])


def test_without_an_event_time_an_engineer_that_asks_the_clock_is_told_to_count_from_the_landing_day(
    spark: SparkSession, tmp_path: Path
) -> None:
    class Late(Receipts):
        def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
            from pyspark.sql import functions as F

            age = F.date_diff(F.current_date(), "landed").cast("bigint")
            return day.select("receipt", "total", age.alias("earlier"))

    land(feed(tmp_path, "receipts"), DAY, receipts(DAY))
    raw = {"receipts": feed(tmp_path, "receipts").history(DAY, DAY)}

    with pytest.raises(UseCaseError) as caught:
        features.build(spark, Late(), raw, str(tmp_path / "out"), ANY_FILE_ROWS)

    assert str(caught.value) == (
        "engineer of Late: wanted features that depend on what has landed alone; found a function of the moment of the run, "
        "as current_date() or now() is. Next: count from 'landed'; nothing was published"
    )


class Sundry(UseCase):
    """Names, types and times as exports have them: blanks, capitals, a dot where a column has no role, and decimals."""

    feeds = {
        "receipts": Feed(
            "`Receipt No` BIGINT, `Paid At` TIMESTAMP, `Local Time` TIMESTAMP_NTZ, `Total EUR` DECIMAL(9,2), "
            "`till.version` STRING, Items INT",
            key="Receipt No",
        ),
        "returns": Feed("`Receipt No` BIGINT, Returned BOOLEAN", key="Receipt No"),
    }
    rows = "receipts"
    event_time = "Paid At"
    label = Label("returns", "Receipt No", "Returned", positive="true", allowed=("true", "false"))
    features = {"Total EUR": Feature("DECIMAL(9,2)"), "Items": Feature("INT"), "Hour": Feature("INT")}

    def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        """``Hour``: that of the local time, where the version of the till is known."""
        from pyspark.sql import functions as F

        known = F.col("`till.version`").isNotNull()
        return day.select("Receipt No", "Total EUR", "Items", F.when(known, F.hour("Local Time")).alias("Hour"))


#: Two rows at 12:30 and 23:59:59.5 in Berlin, of which one is on a day of summer time.
_SUNDRY = {
    "Receipt No": pa.array([2**40, 7]),
    "Paid At": pa.array(
        [datetime(2026, 3, 9, 11, 30, tzinfo=UTC), datetime(2026, 7, 1, 21, 59, 59, 500_000, tzinfo=UTC)]
    ),
    "Local Time": pa.array([datetime(2026, 3, 9, 12, 30), datetime(2026, 7, 1, 23, 59, 59, 500_000)]),  # noqa: DTZ001
    "Total EUR": pa.array([Decimal("1234567.89"), Decimal("-0.10")], pa.decimal128(9, 2)),
    "till.version": pa.array([None, "3.1"]),
    "Items": pa.array([None, 2], pa.int32()),
}
_WITHOUT_ZONE = (
    "Receipt No;Paid At;Local Time;Total EUR;till.version;Items;Remark\n"
    "1099511627776;2026-03-09T12:30:00;2026-03-09 12:30:00;1234567,89;;;x\n"
    "7;2026-07-01T23:59:59.5;2026-07-01 23:59:59.5;-0,1;3.1;2;y\n"
)
_WITH_ZONE = _WITHOUT_ZONE.replace("T12:30:00;", "T11:30:00Z;").replace("T23:59:59.5;", "T23:59:59.5+02:00;")


@pytest.mark.parametrize(
    ("content", "format"),
    [
        (pa.table(_SUNDRY), {}),
        (_WITHOUT_ZONE, {"format": "csv", "dialect": Dialect(";", ",", timezone="Europe/Berlin")}),
        (_WITH_ZONE, {"format": "csv", "dialect": Dialect(";", ",")}),
    ],
    ids=["Parquet", "CSV without zone", "CSV with zone"],
)
def test_any_names_decimals_and_times_come_out_of_raw_files_as_they_were(
    spark: SparkSession, tmp_path: Path, content: pa.Table | str, format: dict[str, Any]
) -> None:
    raw = feed(tmp_path, "receipts", **format)
    land(raw, DAY, content)
    lake, days = Lake(str(tmp_path), CASE), {"receipts": raw.history(DAY, DAY)}

    publish(lake, "features", DAY, lambda url: features.build(spark, Sundry(), days, url, ANY_FILE_ROWS))

    later, earlier = (
        {name: _SUNDRY[name][place].as_py() for name in ("Receipt No", "Paid At", "Total EUR", "Items")}
        for place in (1, 0)
    )
    found = read_arrow(lake, "features", DAY).drop_columns("date").sort_by("Receipt No")
    assert found.to_pylist() == [later | {"Hour": 23}, earlier | {"Hour": None}]
    assert found.schema.field("Total EUR").type == pa.decimal128(9, 2)
