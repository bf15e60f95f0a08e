"""Tables as people have them, from raw days to predictions: keys that are numbers, no entity, no event time."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pytest
from pyspark.sql import DataFrame, SparkSession

from spark_lib.errors import UseCaseError
from spark_lib.lake import Attempt, Lake, Partition, Rows
from spark_lib.lake.tables import read_arrow
from spark_lib.stages import balancing, features, inference, selection, serving, training
from spark_lib.use_case import Feature, Feed, Label, UseCase
from tests.spark.lakes import AFTER, ANY_FILE_ROWS, BEFORE, CASE, DAY, SETTINGS, feed, land, publish, silent

DAYS = [BEFORE - timedelta(days=1), BEFORE, DAY]
RECEIPTS = 150  # a day
SPLIT_AND_MODEL: Mapping[str, Any] = {**SETTINGS, "balancing": "oversample", "calibration": "none"}


class Receipts(UseCase):
    """Whether a receipt is returned: numbered from 1, with neither an entity nor an event time."""

    feeds = {
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
        return day.join(past, before, "left").groupBy(self.key, "total").agg(F.count("then").alias("earlier"))


def receipts(day: date) -> pa.Table:
    """The receipts of a day. Those of three days are numbered one after the other."""
    draw, first = random.Random(str(day)), (day - DAYS[0]).days * RECEIPTS + 1
    columns = {
        "receipt": pa.array(range(first, first + RECEIPTS), pa.int32()),
        "customer": pa.array([2**40 + draw.randrange(60) for _ in range(RECEIPTS)]),
        "total": pa.array([round(draw.uniform(0, 10), 2) for _ in range(RECEIPTS)]),
    }
    return pa.table(columns)


def returns(landed: pa.Table) -> pa.Table:
    """Who pays more, brings it back more often; a hash of the number decides, so that no order matters."""
    chances = [
        int(hashlib.sha256(str(row).encode()).hexdigest()[:8], 16) / 2**32 for row in landed["receipt"].to_pylist()
    ]
    returned = [chance < 0.08 * total for chance, total in zip(chances, landed["total"].to_pylist(), strict=True)]
    return landed.select(["receipt"]).append_column("returned", pa.array(returned))


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


def built(spark: SparkSession, root: Path, case: UseCase, as_file: Any, **format: Any) -> Built:
    """Land three days and the outcomes of all on the last, and build what there is to build of them."""
    lake = Lake(str(root), CASE)
    for day in DAYS:
        land(feed(root, "receipts", **format), day, as_file(receipts(day)))
        outcomes = [as_file(returns(pa.concat_tables(map(receipts, DAYS))))] if day == DAY else []
        land(feed(root, "returns", **format), day, *outcomes)

    def engineered(day: date) -> Partition:
        raw = {"receipts": feed(root, "receipts", **format).history(DAYS[0], day)}
        return publish(lake, "features", day, lambda url: features.build(spark, case, raw, url, ANY_FILE_ROWS))

    window, landed = [engineered(day) for day in DAYS], feed(root, "returns", **format).history(DAYS[0], DAY)

    def balance(url: str) -> Rows:
        return balancing.build(spark, case, CASE, window, landed, dict(SPLIT_AND_MODEL), url, ANY_FILE_ROWS)

    balanced = publish(lake, "balanced", DAY, balance)
    settings = SPLIT_AND_MODEL
    model = publish(lake, "model", DAY, lambda url: training.build(spark, case, balanced, settings, url, silent))
    chosen = selection.pinned(lake, publish(lake, "selection", AFTER, lambda url: selection.build(model, [model])))
    with Attempt(lake, "predictions", [DAY], stage="Test") as attempt:
        attempt.commit(inference.build(spark, case, window[-1], chosen, attempt, ANY_FILE_ROWS))
    return Built(lake, window, balanced, model)


@pytest.fixture(scope="module")
def of_numbers(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return built(spark, tmp_path_factory.mktemp("numbers"), Receipts(), as_csv, format="csv")


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
