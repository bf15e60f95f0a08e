"""What a use case may declare, from raw days to predictions: names that are no identifiers, outcomes that are numbers, an
entity that is the key, features as they land, and an estimator of scikit-learn."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from spark_lib import use_case
from spark_lib.lake import Attempt, Lake, Partition, RawDays, RawFeed, Rows, tables
from spark_lib.scoring import partitions as scoring
from spark_lib.stages import balancing, features, inference, selection, serving, training
from spark_lib.use_case import Feature, Feed, Label, UseCase
from tests.spark.lakes import AFTER, ANY_FILE_ROWS, BEFORE, DAY, SETTINGS, SPLIT, land, publish, silent

DAYS = [DAY - timedelta(days=2), BEFORE, DAY]
VISITS = 150  # a day
SMOTE = {"balancing": "smote"}


class Plain(UseCase):
    """Features as they land, an entity that is the key, outcomes that are numbers: nothing is left to engineer.

    The feeds also have columns with the names that Daystone gives to columns of its own elsewhere.
    """

    feeds = {
        "visits": Feed(
            "`visit-id` STRING, `seen at` TIMESTAMP NOT NULL, `spent-eur` DOUBLE, `pages seen` INT COMMENT 'all, with a ?', "
            "`is new` BOOLEAN, `Größe [m], (±)` DECIMAL(10, 2), count INT, days INT, rows INT, `keys` INT, `tick``s` INT, "
            "`a.b` INT, `date` DATE, label STRING, features STRING, copy INT, side STRING, prediction INT, score DOUBLE, _id STRING",
            key="visit-id",
        ),
        "sales": Feed("`visit-id` STRING, `sold-it` INT, date DATE, side STRING, copy INT, days INT", key="visit-id"),
    }
    rows = "visits"
    entity = "visit-id"
    event_time = "seen at"
    label = Label(feed="sales", key="visit-id", column="sold-it", positive="1", allowed=("0", "1"))
    features = {
        "spent-eur": Feature("DOUBLE", fill=0.0),
        "pages seen": Feature("INT"),
        "is new": Feature("BOOLEAN", fill=0.0),
        "Größe [m], (±)": Feature("DECIMAL(10,2)", fill=0.0),
        "count": Feature("INT"),
        "days": Feature("INT"),
        "rows": Feature("INT"),
        "keys": Feature("INT"),
    }


class Numbered(Plain):
    """The same outcomes, declared as the numbers that they are."""

    label = Label(feed="sales", key="visit-id", column="sold-it", positive=1, allowed=(0, 1))


class ByScikitLearn(Plain):
    """An estimator that is not Spark's."""

    def estimator(self, settings: Mapping[str, Any]) -> Any:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        return make_pipeline(StandardScaler(), LogisticRegression())


NAME = use_case.directory(f"{Plain.__module__}:{Plain.__name__}")


def visits(day: date) -> pa.Table:
    draw = random.Random(str(day))
    whole = ("count", "days", "rows", "keys", "tick`s", "a.b", "copy", "prediction")
    texts = ("label", "features", "side", "_id")
    columns: dict[str, Any] = {
        "visit-id": pa.array([f"{day}/{number}" for number in range(VISITS)]),
        "seen at": pa.array([datetime.combine(day, time(1), UTC) + timedelta(seconds=n) for n in range(VISITS)]),
        "spent-eur": pa.array([draw.uniform(0, 10) for _ in range(VISITS)]),
        "pages seen": pa.array([draw.randrange(9) for _ in range(VISITS)], pa.int32()),
        "is new": pa.array([draw.choice([True, False, None]) for _ in range(VISITS)]),
        "Größe [m], (±)": pa.array([Decimal(draw.randrange(300)) for _ in range(VISITS)], pa.decimal128(10, 2)),
        "date": pa.array([day] * VISITS),
        "score": pa.array([0.5] * VISITS),
    }
    columns |= {name: pa.array([draw.randrange(7) for _ in range(VISITS)], pa.int32()) for name in whole}
    return pa.table(columns | {name: pa.array(["text"] * VISITS) for name in texts})


def sales(visited: pa.Table) -> pa.Table:
    """Who spends more, buys more often; a hash of the key decides, so that no order matters."""
    keys = visited["visit-id"].to_pylist()
    chances = [int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) / 2**32 for key in keys]
    sold = [chance < 0.08 * spent for chance, spent in zip(chances, visited["spent-eur"].to_pylist(), strict=True)]
    own = {"side": pa.array(["s"] * len(keys)), "copy": pa.array([3] * len(keys), pa.int32())}
    outcome = pa.array(map(int, sold), pa.int32())
    dates = pa.array([DAY] * len(keys))
    return pa.table({"visit-id": pa.array(keys), "sold-it": outcome, "date": dates, **own, "days": own["copy"]})


@dataclass(frozen=True)
class Built:
    lake: Lake
    window: list[Partition]
    outcomes: RawDays
    balanced: Partition


@pytest.fixture(scope="module")
def built(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Three days of visits and their features; the outcomes land on the last, on which the training set is made."""
    root, case = tmp_path_factory.mktemp("declared"), use_case.load(f"{Plain.__module__}:{Plain.__name__}")
    lake = Lake(str(root), NAME)

    def feed(name: str) -> RawFeed:
        return RawFeed(name, str(root), NAME)

    for day in DAYS:
        land(feed("visits"), day, visits(day))
        land(feed("sales"), day, *([sales(pa.concat_tables(map(visits, DAYS)))] if day == DAY else []))

    def engineered(day: date) -> Partition:
        raw = {"visits": feed("visits").history(DAYS[0], day)}
        return publish(lake, "features", day, lambda url: features.build(spark, case, raw, url, ANY_FILE_ROWS))

    window, outcomes = [engineered(day) for day in DAYS], feed("sales").history(DAYS[0], DAY)

    def balance(url: str) -> Rows:
        return balancing.build(spark, case, NAME, window, outcomes, dict(SPLIT) | SMOTE, url, ANY_FILE_ROWS)

    return Built(lake, window, outcomes, publish(lake, "balanced", DAY, balance))


def test_features_without_an_engineer_are_the_columns_of_the_scored_feed(built: Built) -> None:
    (features,) = built.lake.require("features", DAY)

    found = tables.read_arrow(built.lake, "features", DAY, None, "").sort_by("visit-id")

    assert [name for name, _ in features.manifest.schema] == ["visit-id", "seen at", *Plain.features]
    landed = visits(DAY).sort_by("visit-id")
    assert all(found[name].to_pylist() == landed[name].to_pylist() for name in ["visit-id", "seen at", *Plain.features])


@pytest.mark.parametrize("kind", [Plain, ByScikitLearn])
def test_columns_of_any_name_are_trained_on_and_scored(spark: SparkSession, built: Built, kind: type[UseCase]) -> None:
    lake, case = Lake(built.lake.root, f"{NAME}.{kind.__name__}"), kind()
    settings = dict(SETTINGS) | SMOTE

    model = publish(lake, "model", DAY, lambda url: training.build(spark, case, built.balanced, settings, url, silent))
    chosen = publish(lake, "selection", AFTER, lambda url: selection.build(model, [model]))
    with Attempt(lake, "predictions", [DAY], stage="Test") as attempt:
        pinned = selection.pinned(lake, chosen)
        attempt.commit(
            inference.build(partial(scoring.run, spark), case, built.window[-1], pinned, attempt, ANY_FILE_ROWS)
        )

    assert model.manifest.metrics["verdict"]["approved"]
    (predictions,) = lake.require("predictions", DAY)
    scored = pa.concat_tables([pq.read_table(file, partitioning=None) for file in predictions.files()])
    assert sorted(scored["visit-id"].to_pylist()) == sorted(visits(DAY)["visit-id"].to_pylist())


def test_outcomes_that_are_numbers_may_be_declared_as_numbers_or_as_text(
    spark: SparkSession, built: Built, tmp_path: Path
) -> None:
    balanced = balancing.build(
        spark, Numbered(), NAME, built.window, built.outcomes, dict(SPLIT) | SMOTE, str(tmp_path / "run"), ANY_FILE_ROWS
    )

    sold = sum(sales(pa.concat_tables(map(visits, DAYS)))["sold-it"].to_pylist())
    figures = balanced.metrics
    assert sum(figures[side]["positive"] for side in ("train", "calibration", "validation")) == sold
    assert figures["labelled"] == VISITS * len(DAYS)
    assert built.balanced.manifest.metrics == figures


def test_serving_features_take_the_columns_of_the_latest_row(spark: SparkSession, built: Built, tmp_path: Path) -> None:
    raw = {"visits": RawFeed("visits", built.lake.root, NAME).history(DAYS[0], DAY)}

    rows = serving.build(spark, Plain(), raw, str(tmp_path / "run"), ANY_FILE_ROWS)

    assert rows.observed == {"": VISITS * len(DAYS)}
