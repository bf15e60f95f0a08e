"""Measures the five balancing strategies on two public data sets, before and after calibration, against no balancing at
all.

    python -m benchmarks.strategies --data ../shared/data

For each strategy the product's own stages build the features, the balanced set and the model. The natural validation
rows are the same for all five. Differences are paired: both models are measured on the same bootstrap samples. The
table is Markdown.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.credit_cards import CreditCards
from examples.superlender import SuperLender, land
from spark_lib.lake import Attempt, Documents, Lake, Partition, RawFeed, Rows, tables
from spark_lib.lake.tables import arrow_schema
from spark_lib.models import calibration, matrix, model
from spark_lib.models.training_set import NATURAL
from spark_lib.problems import metrics
from spark_lib.problems.options import BALANCING, DRAWN_AT_RANDOM
from spark_lib.stages import balancing, features, training
from spark_lib.use_case import UseCase

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAY = date(2026, 1, 1)  # on which everything lands
SETTINGS: Mapping[str, Any] = {
    "split": "entity",
    "train_validation_split_proportion": 0.8,
    "calibration_proportion": 0.1,
    "target_ratio": 1.0,
    "smote_neighbours": 5,
    "trees": 50,
    "depth": 6,
    "seed": 0,
    "max_unlabelled": 0.0,
    "min_positives": 1,
    "min_area_under_roc": 0.0,
    "min_area_under_pr": 0.0,
    "max_calibration_error": 1.0,
    "bootstrap_replicates": 100,
    "confidence": 0.95,
}
REPLICATES, CONFIDENCE = 1_000, 0.95
#: The most that a strategy's calibrated scores may lose in Brier score to ``none``, beyond the interval.
ALLOWED = 0.002


@dataclass(frozen=True)
class Outcome:
    """The scores that a strategy's model gives the natural validation rows, in the order of their keys."""

    rows: int
    kind: str
    before: np.ndarray
    after: np.ndarray
    labels: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the directory of the two data sets")
    data = parser.parse_args().data
    from spark_lib.session.session import session

    with tempfile.TemporaryDirectory(prefix="daystone-strategies-") as directory:
        spark = session(
            master="local[*]",
            driver_memory="2g",
            shuffle_partitions=8,
            conf={"spark.ui.enabled": "false"},
            log_file=f"{directory}/spark.log",
        )
        try:
            for name, case, rows, outcomes in (credit_cards(data), superlender(data)):
                lake = Lake(f"{directory}/{name}", name)
                engineered = build_features(spark, case, lake, rows, outcomes)
                found = {strategy: outcome(spark, case, lake, engineered, strategy) for strategy in BALANCING}
                print("\n".join(table(name, found)), flush=True)
        finally:
            spark.stop()


def credit_cards(data: Path) -> tuple[str, UseCase, pd.DataFrame, pd.DataFrame]:
    """UCI's default of credit card clients: 30,000 clients, 22 % positive."""
    found = pd.read_csv(next((data / "uci_credit_default").glob("*.csv*")), dtype={"ID": str})
    found = found.rename(columns={"ID": "client", "default.payment.next.month": "defaulted"})
    outcomes = found[["client"]].assign(status=np.where(found["defaulted"] == 1, "default", "paid"))
    rows = found.drop(columns="defaulted").assign(at=pd.Timestamp("2005-10-01", tz="UTC"))
    return "uci_credit_default", CreditCards(), rows, outcomes


def superlender(data: Path) -> tuple[str, UseCase, pd.DataFrame, pd.DataFrame]:
    """SuperLender's 18,183 loans that have an outcome. Their features are point-in-time, by the time of approval."""
    loans = land.read_loans(data / "superlender", "trainprevloans")
    rows = land.applications(loans, land.birth_dates(data / "superlender")).drop(columns="landed")
    return "superlender", SuperLender(), rows, land.outcomes(loans).drop(columns="landed")


def build_features(
    spark: SparkSession, case: UseCase, lake: Lake, rows: pd.DataFrame, outcomes: pd.DataFrame
) -> Partition:
    for feed, landed in ((case.rows, rows), (case.label.feed, outcomes)):
        directory = Path(RawFeed(feed, lake.root, lake.use_case).directory(DAY))
        directory.mkdir(parents=True)
        columns = [column.strip().split(" ") for column in case.feeds[feed].schema.split(",")]
        schema = arrow_schema(tuple((name, kind.lower()) for name, kind in columns))
        pq.write_table(pa.Table.from_pandas(landed, schema, preserve_index=False), directory / "part-0.parquet")
        (directory / "_SUCCESS").touch()
    raw = {case.rows: RawFeed(case.rows, lake.root, lake.use_case).history(DAY, DAY)}
    return publish(lake, "features", lambda url: features.build(spark, case, raw, url, 1_000_000))


def outcome(spark: SparkSession, case: UseCase, lake: Lake, engineered: Partition, strategy: str) -> Outcome:
    """Balance and train by a strategy, and score the natural validation rows with what was exported."""
    calibrated_by = "prior" if strategy in DRAWN_AT_RANDOM else "platt"
    settings = {**SETTINGS, "balancing": strategy, "calibration": calibrated_by}
    landed = RawFeed(case.label.feed, lake.root, lake.use_case).history(DAY, DAY)
    own = Lake(f"{lake.root}/{strategy}", lake.use_case)
    balanced = publish(
        own,
        "balanced",
        lambda url: balancing.build(spark, case, lake.use_case, [engineered], landed, settings, url, 1_000_000),
    )
    documents = training.build(spark, case, balanced, settings, f"{own.root}/scratch", lambda percent, words: None)
    card = json.loads(documents.files["card.json"])
    rows = tables.read_arrow(own, "balanced", DAY, section=NATURAL).sort_by(case.key)
    scores = model.score(model.load(documents.files["model.onnx"]), matrix.from_arrow(rows, case.features))
    return Outcome(
        balanced.manifest.rows("train"),
        card["calibration"]["kind"],
        scores.astype(np.float64),
        calibration.apply(card["calibration"], scores),
        rows["label"].to_numpy(),
    )


def publish(lake: Lake, dataset: str, build: Any) -> Partition:
    with Attempt(lake, dataset, [DAY], stage="Benchmark") as attempt:
        written: Rows | Documents = build(attempt.destination)
        attempt.commit(written)
    return lake.require(dataset, DAY)[0]


def table(name: str, found: Mapping[str, Outcome]) -> Iterator[str]:
    none = found["none"]
    yield f"\n{name}: {len(none.labels):,} validation rows, {none.labels.mean():.1%} positive\n"
    yield "| strategy | trained on | calibration | area under ROC | less `none` | Brier before | after | less `none` | error before | after | less `none` |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for strategy, of in found.items():
        before, after = (metrics.measured(metrics.counted(scores, of.labels)) for scores in (of.before, of.after))
        cells = [strategy, f"{of.rows:,}", of.kind, f"{after['area_under_roc']:.4f}", less(of, none, "area_under_roc")]
        for metric in ("brier", "calibration_error"):
            cells += [f"{before[metric]:.4f}", f"{after[metric]:.4f}", less(of, none, metric)]
        yield f"| {' | '.join(cells)} |"
    worse = {strategy: difference(of, none, "brier")[1][0] for strategy, of in found.items() if strategy != "none"}
    holds = all(low <= ALLOWED for low in worse.values())
    yield f"\nBrier score after calibration worse than `none` by at most {ALLOWED} beyond the interval: {'holds' if holds else 'MISSED'}"


def less(of: Outcome, none: Outcome, metric: str) -> str:
    if of is none:
        return ""
    found, (low, high) = difference(of, none, metric)
    return f"{found:+.4f} ({low:+.4f} to {high:+.4f})"


def difference(of: Outcome, none: Outcome, metric: str) -> tuple[float, tuple[float, float]]:
    paired = metrics.ScoredTwice(of.after, none.after, of.labels, 1 - of.labels)
    return metrics.difference(paired, metric, REPLICATES, CONFIDENCE, seed=0)


if __name__ == "__main__":
    main()
