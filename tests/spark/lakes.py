"""What the tests of the stages share: a small use case, raw days that land, and partitions published by the product.

``Parcels`` is what an adopter would write first: will a parcel arrive late?
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

from spark_lib.lake import Attempt, Documents, Lake, Partition, RawDays, RawFeed, Rows, tables
from spark_lib.lake.tables import arrow_schema
from spark_lib.stages import balancing, selection, training
from spark_lib.stages.selection import Pinned
from spark_lib.use_case import Feature, Feed, Label, UseCase, directory

DAY = date(2026, 3, 10)
BEFORE, AFTER = DAY - timedelta(days=1), DAY + timedelta(days=1)

#: ``Parcels`` as configuration names it, and its directory in a lake.
REFERENCE = "tests.spark.lakes:Parcels"
CASE = directory(REFERENCE)

#: Settings that make a model in a second, and let it through.
SPLIT: Mapping[str, Any] = {
    "split": "entity",
    "train_validation_split_proportion": 0.7,
    "calibration_proportion": 0.1,
    "balancing": "undersample",
    "target_ratio": 1.0,
    "smote_neighbours": 5,
    "seed": 0,
}
SETTINGS: Mapping[str, Any] = {
    **SPLIT,
    "trees": 3,
    "depth": 3,
    "min_positives": 10,
    "max_unlabelled": 0.05,
    "min_area_under_roc": 0.5,
    "min_area_under_pr": 0.0,
    "max_calibration_error": 0.3,
    "calibration": "auto",
    "constant_columns": "auto",
    "bootstrap_replicates": 100,
    "confidence": 0.95,
}
ANY_FILE_ROWS = 1_000_000


class Parcels(UseCase):
    """The probability that a parcel is ``late``."""

    feeds = {
        "parcels": Feed("parcel STRING, sender STRING, sent TIMESTAMP, weight DOUBLE, fragile BOOLEAN", key="parcel"),
        "arrivals": Feed("parcel STRING, state STRING", key="parcel"),
    }
    rows = "parcels"
    entity = "sender"
    event_time = "sent"
    label = Label(feed="arrivals", key="parcel", column="state", positive="late", allowed=("late", "in time"))
    features = {
        "earlier": Feature("BIGINT"),
        "weight": Feature("DOUBLE", fill=0.0),
        "fragile": Feature("BOOLEAN", fill=0.0),
    }

    def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        """``earlier``: parcels of the sender that were sent before."""
        from pyspark.sql import functions as F

        sent_before = history["parcels"].select(F.col("sender").alias("by"), F.col("sent").alias("at"))
        same_sender_earlier = (F.col("by") == F.col("sender")) & (F.col("at") < F.col("sent"))
        joined = day.join(sent_before, on=same_sender_earlier, how="left")
        return joined.groupBy("parcel", "weight", "fragile").agg(F.count("at").alias("earlier"))


class Delivered(Parcels):
    """Parcels that land once they have arrived: how they did is a column of theirs."""

    feeds = {"parcels": Feed(f"{Parcels.feeds['parcels'].schema}, state STRING", key="parcel")}
    label = replace(Parcels.label, feed="parcels")


class Corrected(Delivered):
    """What becomes known of them later lands in a feed of its own."""

    feeds = dict(Delivered.feeds) | {"corrections": Feed("number STRING, parcel STRING, state STRING", key="number")}
    label = replace(Delivered.label, later="corrections")


class Reputed(Parcels):
    """Parcels whose senders are known by how their parcels arrived, as far as that had landed before the day."""

    feeds = dict(Parcels.feeds) | {"arrivals": replace(Parcels.feeds["arrivals"], history=True)}
    features = {"known": Feature("BIGINT"), "late": Feature("BIGINT")}

    def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        """``known``: parcels of the sender that are known to have arrived; ``late``: those of them that were late."""
        from pyspark.sql import functions as F

        past = history["arrivals"] if "arrivals" in history else history[self.rows_outcomes]
        sent = history["parcels"].select("parcel", F.col("sender").alias("by"))
        told = past.join(sent, "parcel", "inner").select("by", "state")
        joined = day.join(told, F.col("by") == F.col("sender"), "left").groupBy("parcel")
        return joined.agg(F.count("state").alias("known"), F.count_if(F.col("state") == "late").alias("late"))


class ReputedDelivered(Reputed):
    """The same of parcels that land once they have arrived."""

    feeds = {"parcels": replace(Delivered.feeds["parcels"], history=True)}
    label = Delivered.label


class Engineered(Parcels):
    """Parcels whose features go through ``change`` at the end."""

    def __init__(self, change: Callable[[DataFrame], DataFrame]) -> None:
        self.change = change

    def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        return self.change(super().engineer(day, history))


class Estimated(Parcels):
    """Parcels with an estimator of a test's."""

    def __init__(self, made: Any) -> None:
        self.made = made

    def estimator(self, settings: Mapping[str, Any]) -> Any:
        return self.made


def other_estimators() -> dict[str, Any]:
    """What may be trained beside Spark's forest; they are made where Spark runs."""
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import GBTClassifier, LogisticRegression
    from pyspark.ml.feature import StandardScaler
    from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler as SklearnScaler

    scaled = [
        StandardScaler(inputCol="features", outputCol="scaled"),
        LogisticRegression(featuresCol="scaled", maxIter=5),
    ]
    return {
        "boosted trees": GBTClassifier(maxIter=2, maxDepth=2, seed=0),
        "logistic regression": LogisticRegression(maxIter=5),
        "scaled logistic regression": Pipeline(stages=scaled),
        "scikit-learn": make_pipeline(SklearnScaler(), SklearnLogisticRegression()),
    }


def noon(day: date = DAY, **later: float) -> datetime:
    return datetime.combine(day, time(12), UTC) + timedelta(**later)


def parcel(name: str, sender: str = "S1", sent: datetime | None = None, **more: Any) -> dict[str, Any]:
    return {"parcel": name, "sender": sender, "sent": sent or noon(), "weight": 1.0, "fragile": False} | more


def arrival(name: str, state: str = "late") -> dict[str, Any]:
    return {"parcel": name, "state": state}


def feed(root: Path | str, name: str = "parcels", **more: Any) -> RawFeed:
    return RawFeed(name, str(root), CASE, **more)


def table(case: UseCase, name: str, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows as the feed declares them."""
    columns = [column.strip().split(" ") for column in case.feeds[name].schema.split(",")]
    return pa.Table.from_pylist(list(rows), arrow_schema(tuple((column, kind.lower()) for column, kind in columns)))


def land(raw: RawFeed, day: date, *files: pa.Table | str | bytes) -> list[str]:
    """Land a day: a Parquet file for each table, a file with that content for each text, then the flag."""
    directory = Path(raw.directory(day))
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, content in enumerate(files):
        paths.append(str(directory / f"part-{number}.{raw.format}"))
        if isinstance(content, pa.Table):
            pq.write_table(content, paths[-1])
        else:
            Path(paths[-1]).write_bytes(content.encode() if isinstance(content, str) else content)
    (directory / raw.flag).touch()
    return paths


def land_rows(
    root: Path | str, name: str, day: date, rows: Sequence[Mapping[str, Any]], case: UseCase | None = None
) -> None:
    """Land rows of a feed in one file, or a day without any file where there are none."""
    land(feed(root, name), day, *([table(case or Parcels(), name, rows)] if rows else []))


def history(root: Path | str, first: date, last: date, name: str = "parcels") -> RawDays:
    return feed(root, name).history(first, last)


def publish(lake: Lake, dataset: str, day: date, build: Callable[[str], Rows | Documents]) -> Partition:
    """Let ``build`` write below an attempt's destination, and publish that."""
    with Attempt(lake, dataset, [day], stage="Test") as attempt:
        attempt.commit(build(attempt.destination))
    return lake.require(dataset, day)[0]


def publish_features(
    lake: Lake, day: date, rows: Sequence[Mapping[str, Any]], files: int = 1, **types: str
) -> Partition:
    """A day of ``features`` as Parcels would have engineered it, without Spark, in so many files."""
    kinds = {"parcel": "string", "sender": "string", "sent": "timestamp", "earlier": "bigint", "weight": "double"}
    schema = tuple((kinds | {"fragile": "boolean"} | types).items())

    def build(url: str) -> Rows:
        Path(url).mkdir(parents=True)
        for number in range(files):
            part = pa.Table.from_pylist(list(rows[number::files]), arrow_schema(schema))
            pq.write_table(part, f"{url}/part-{number}.parquet")
        return Rows({"": len(rows)}, schema)

    return publish(lake, "features", day, build)


def balanced_rows(root: Path | str, section: str) -> list[dict[str, Any]]:
    """The rows of a section of the balanced set of ``DAY``, by parcel."""
    found = tables.read_arrow(Lake(str(root), CASE), "balanced", DAY, section=section).to_pylist()
    return sorted(found, key=lambda row: row["parcel"])


def rows_of(partition: Partition) -> list[dict[str, Any]]:
    """The rows of all files of a partition, by their first column, which is the key."""
    found = [row for file in partition.files() for row in pq.read_table(file, partitioning=None).to_pylist()]
    return sorted(found, key=lambda row: next(iter(row.values())))


def card_of(documents: Documents) -> dict[str, Any]:
    """The card among the documents of a training."""
    return dict(json.loads(documents.files["card.json"]))


def featured(name: str, sender: str = "S1", **more: Any) -> dict[str, Any]:
    return parcel(name, sender) | {"earlier": 0} | more


def many_featured(day: date, count: int = 400, seed: int = 0) -> list[dict[str, Any]]:
    """Rows of many senders, with a few nulls."""
    draw = random.Random(f"{seed} {day}")
    rows = []
    for number in range(count):
        weight = None if number % 50 == 0 else round(draw.uniform(0, 10), 2)
        more = {"weight": weight, "fragile": draw.choice([True, False, None]), "earlier": draw.randrange(5)}
        rows.append(featured(f"{day}-{number}", f"S{draw.randrange(150)}", sent=noon(day, seconds=number), **more))
    return rows


def outcomes_of(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Heavy and fragile parcels are late more often; a hash of the name decides, so that no order matters."""
    arrivals = []
    for row in rows:
        chance = int(hashlib.sha256(row["parcel"].encode()).hexdigest()[:8], 16) / 2**32
        late = chance < 0.05 + 0.06 * (row["weight"] or 0) + (0.2 if row["fragile"] else 0)
        arrivals.append(arrival(row["parcel"], "late" if late else "in time"))
    return arrivals


@dataclass(frozen=True)
class Chain:
    """A lake that holds each dataset of one model's chain."""

    lake: Lake
    case: UseCase
    window: list[Partition]
    outcomes: RawDays
    balanced: Partition
    model: Partition
    selection: Partition
    to_score: Partition

    @property
    def pinned(self) -> Pinned:
        return selection.pinned(self.lake, self.selection)


def build_chain(spark: SparkSession, root: str) -> Chain:
    """Features of three days, their outcomes on ``DAY``, the balanced set, model and selection of ``DAY``, and the
    features of ``AFTER`` to be scored."""
    lake, case = Lake(root, CASE), Parcels()
    window_days = [DAY - timedelta(days=3), DAY - timedelta(days=2), BEFORE]
    rows = {day: many_featured(day) for day in window_days}
    window = [publish_features(lake, day, rows[day], files=2) for day in window_days]
    for day in [*window_days, DAY]:
        landed = outcomes_of([row for of_day in rows.values() for row in of_day][20:]) if day == DAY else []
        land_rows(root, "arrivals", day, landed)
    outcomes = history(root, window_days[0], DAY, "arrivals")
    balanced = publish(
        lake,
        "balanced",
        DAY,
        lambda url: balancing.build(spark, case, CASE, window, outcomes, SPLIT, url, ANY_FILE_ROWS),
    )
    model = publish(lake, "model", DAY, lambda url: training.build(spark, case, balanced, SETTINGS, url, silent))
    pins = publish(lake, "selection", AFTER, lambda url: selection.build(model, [model]))
    to_score = publish_features(lake, AFTER, many_featured(AFTER, 500), files=3)
    return Chain(lake, case, window, outcomes, balanced, model, pins, to_score)


def silent(percent: int, message: str) -> None:
    """Progress that nobody watches."""


def break_page(path: Path | str) -> None:
    """Spoil the data of every column and leave the footer and the size as they are."""
    content = Path(path).read_bytes()
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    Path(path).write_bytes(content[:4] + b"\xff" * (footer - 4) + content[footer:])
