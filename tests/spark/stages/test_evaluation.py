"""Evaluations of published predictions, against scikit-learn on the same rows."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    f1_score,
    log_loss,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)

from spark_lib.evaluation.document import JUDGED, NO_PREDICTIONS, UNJUDGED, Evaluation, Model, parse
from spark_lib.lake import Documents, Lake, Rows
from spark_lib.lake.tables import arrow_schema
from spark_lib.stages import evaluation
from spark_lib.use_case import ClassLabel, NumberLabel, UseCase
from tests.spark.lakes import (
    CASE,
    Corrected,
    Delivered,
    Parcels,
    history,
    land,
    land_rows,
    noon,
    publish,
    table,
)
from tests.spark.lakes import feed as feed_of

DAY = date(2026, 3, 10)
FIRST, LAST = date(2026, 3, 4), date(2026, 3, 7)
DAYS = [FIRST + timedelta(days=number) for number in range(4)]
OLD, NEW = Model(date(2026, 2, 1), "old"), Model(date(2026, 3, 1), "new")
SETTINGS: Mapping[str, Any] = {
    "max_unlabelled": 0.05,
    "bootstrap_replicates": 40,
    "confidence": 0.95,
    "champion_margin": 0.05,
    "seed": 0,
}
KINDS = {"score": "double", "prediction": "double", "lower": "double", "upper": "double"}


class Watched(Parcels):
    """Parcels that are judged by whether they are fragile, too."""

    segments = ("fragile",)


@dataclass(frozen=True)
class Drawn:
    """A drawn prediction and its outcome."""

    parcel: str
    sender: str
    score: float
    state: str | None
    model: Model = NEW


def drawn(day: date, count: int = 400, model: Model = NEW) -> list[Drawn]:
    """Rows of many senders, whose scores say something about what becomes of them."""
    draw = random.Random(f"{day}")
    found = []
    for number in range(count):
        score = round(draw.random(), 4)
        late = draw.random() < 0.1 + 0.5 * score
        found.append(Drawn(f"{day}-{number}", f"S{draw.randrange(120)}", score, "late" if late else "in time", model))
    return found


def publish_predictions(
    root: Path, day: date, rows: Sequence[Drawn], dataset: str = "predictions", **columns: Sequence[Any]
) -> None:
    """A day of predictions; ``columns`` are those of the problem, by default the score alone."""
    said = columns or {"score": [row.score for row in rows]}
    kinds = {
        name: "string" if isinstance(next(iter(values), 0.0), str) else KINDS[name] for name, values in said.items()
    }
    schema = (
        *(("parcel", "string"), ("sender", "string"), ("sent", "timestamp")),
        *kinds.items(),
        *(("model_date", "date"), ("model_digest", "string")),
    )
    records = [
        {
            "parcel": row.parcel,
            "sender": row.sender,
            "sent": noon(day),
            **{name: values[place] for name, values in said.items()},
            "model_date": row.model.date,
            "model_digest": row.model.digest,
        }
        for place, row in enumerate(rows)
    ]

    def build(url: str) -> Rows:
        Path(url).mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(records, arrow_schema(schema)), f"{url}/part-0.parquet")
        return Rows({"": len(rows)}, schema)

    publish(Lake(str(root), CASE), dataset, day, build)


def land_outcomes(root: Path, rows: Sequence[Drawn], last: date = DAY) -> None:
    """Days of arrivals, all of them on the last one."""
    day = FIRST
    while day <= last:
        told = [{"parcel": row.parcel, "state": row.state} for row in rows if row.state] if day == last else []
        land_rows(root, "arrivals", day, told)
        day += timedelta(days=1)


def evaluated(
    spark: SparkSession, root: Path, case: UseCase | None = None, last: date = DAY, **settings: Any
) -> Evaluation:
    case = case or Parcels()
    found = evaluation.published(Lake(str(root), CASE), FIRST, LAST, bool(case.segments))
    outcomes = history(root, FIRST, last, case.label.feed)
    written: Documents = evaluation.build(spark, case, last, found, outcomes, dict(SETTINGS) | settings)
    assert set(written.files) == {"evaluation.json", "evaluation.html"}
    return parse(written.files["evaluation.json"])


def known(rows: Sequence[Drawn]) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores of the rows that have an outcome."""
    there = [row for row in rows if row.state]
    return np.array([row.state == "late" for row in there]), np.array([row.score for row in there])


def test_the_metrics_of_all_rows_of_each_day_and_of_each_model_are_those_of_scikit_learn(
    spark: SparkSession, tmp_path: Path
) -> None:
    days = {day: drawn(day, model=OLD if day < DAYS[2] else NEW) for day in DAYS}
    every = [row for rows in days.values() for row in rows]
    for day, rows in days.items():
        publish_predictions(tmp_path, day, rows)
    land_outcomes(tmp_path, every)

    found = evaluated(spark, tmp_path)

    labels, scores = known(every)
    assert (found.whole.rows, found.verdict) == (1_600, JUDGED)
    assert found.whole.metrics["area_under_roc"] == pytest.approx(roc_auc_score(labels, scores), abs=1e-6)
    assert found.whole.metrics["area_under_pr"] == pytest.approx(average_precision_score(labels, scores), abs=1e-6)
    assert found.whole.metrics["brier"] == pytest.approx(brier_score_loss(labels, scores), abs=1e-6)
    assert found.whole.metrics["log_loss"] == pytest.approx(log_loss(labels, scores), abs=1e-5)
    assert found.whole.metrics["calibration_in_the_large"] == pytest.approx(scores.mean() - labels.mean(), abs=1e-6)
    assert found.whole.base["brier"] == pytest.approx(labels.mean() * (1 - labels.mean()))
    assert found.whole.levels == pytest.approx(np.quantile(scores, [0.05, 0.25, 0.5, 0.75, 0.95]))
    for day in found.days:
        assert day.part.metrics["area_under_roc"] == pytest.approx(roc_auc_score(*known(days[day.date])), abs=1e-6)
    assert [each.model for each in found.models] == [OLD, NEW]
    of_new = known([row for row in every if row.model == NEW])
    assert found.models[1].part.metrics["area_under_roc"] == pytest.approx(roc_auc_score(*of_new), abs=1e-6)
    assert found.shares == ()


def test_an_interval_holds_its_value_and_is_that_of_a_bootstrap_over_entities(
    spark: SparkSession, tmp_path: Path
) -> None:
    rows = drawn(FIRST, 1_500)
    publish_predictions(tmp_path, FIRST, rows)
    land_outcomes(tmp_path, rows)

    found = evaluated(spark, tmp_path, bootstrap_replicates=400)

    labels, scores = known(rows)
    by_sender = (
        pd.Series(range(len(rows))).groupby([row.sender for row in rows]).apply(lambda places: places.to_numpy())
    )
    random_state = np.random.default_rng(1)
    areas = []
    for _ in range(400):
        places = np.concatenate(by_sender.sample(len(by_sender), replace=True, random_state=random_state).to_list())
        areas.append(roc_auc_score(labels[places], scores[places]))
    assert found.whole.interval("area_under_roc") == pytest.approx(np.quantile(areas, [0.025, 0.975]), abs=0.008)


def test_a_day_without_predictions_and_one_with_too_many_unlabelled_rows_are_shown_and_not_judged(
    spark: SparkSession, tmp_path: Path
) -> None:
    whole = drawn(DAYS[0])
    half = [replace(row, state=row.state if number % 2 else None) for number, row in enumerate(drawn(DAYS[1]))]
    publish_predictions(tmp_path, DAYS[0], whole)
    publish_predictions(tmp_path, DAYS[1], half)
    publish_predictions(tmp_path, DAYS[2], [])
    land_outcomes(tmp_path, [*whole, *half])

    found = evaluated(spark, tmp_path)

    assert [day.reason for day in found.days] == [
        "",
        "200 of 400 rows (50.0%) have no outcome, max_unlabelled is 5.0%",
        "no row",
        NO_PREDICTIONS,
    ]
    assert [(day.rows, day.labelled, day.unlabelled) for day in found.days[:2]] == [(400, 400, 0), (400, 200, 200)]
    assert found.whole.rows == 400
    assert found.without_predictions == (DAYS[3],)


def test_where_no_day_is_judged_the_evaluation_says_so(spark: SparkSession, tmp_path: Path) -> None:
    publish_predictions(tmp_path, FIRST, drawn(FIRST))
    land_outcomes(tmp_path, [])

    found = evaluated(spark, tmp_path, max_unlabelled=0.0)

    assert (found.verdict, found.days[0].reason) == (UNJUDGED, "no row with an outcome")
    assert str(found.summary()) == "not judged: no row with an outcome is judged"


def test_days_of_two_models_are_judged_by_the_share_of_each(spark: SparkSession, tmp_path: Path) -> None:
    alone = drawn(DAYS[0], model=OLD)
    shared = [replace(row, model=NEW if number % 4 == 0 else OLD) for number, row in enumerate(drawn(DAYS[1], 800))]
    publish_predictions(tmp_path, DAYS[0], alone)
    publish_predictions(tmp_path, DAYS[1], shared)
    land_outcomes(tmp_path, [*alone, *shared])

    found = evaluated(spark, tmp_path)

    assert [(each.model, each.part.rows) for each in found.models] == [(OLD, 1_000), (NEW, 200)]
    assert [(each.model, each.part.rows) for each in found.shares] == [(OLD, 600), (NEW, 200)]
    of_old = known([row for row in shared if row.model == OLD])
    assert found.shares[0].part.metrics["brier"] == pytest.approx(brier_score_loss(*of_old), abs=1e-6)
    assert found.days[1].models == (OLD, NEW)


def test_a_challenger_in_the_shadow_is_judged_with_what_was_in_force_on_the_same_rows(
    spark: SparkSession, tmp_path: Path
) -> None:
    first, second = drawn(DAYS[0], 800, OLD), drawn(DAYS[1], model=OLD)
    publish_predictions(tmp_path, DAYS[0], first)
    publish_predictions(tmp_path, DAYS[1], second)
    draw = random.Random(0)
    blind = [replace(row, score=draw.random(), model=NEW) for row in first[:700]]
    publish_predictions(tmp_path, DAYS[0], blind, "shadow")
    land_outcomes(tmp_path, [*first, *second])

    (found,) = evaluated(spark, tmp_path).shadows

    labels, scores = known(first[:700])
    area, shadow = roc_auc_score(labels, scores), roc_auc_score(*known(blind))
    assert (found.model, found.challenger.rows, found.in_force.rows) == (NEW, 700, 700)
    assert found.in_force.metrics["area_under_roc"] == pytest.approx(area, abs=1e-6)
    assert found.challenger.metrics["area_under_roc"] == pytest.approx(shadow, abs=1e-6)
    assert found.difference == pytest.approx(shadow - area, abs=1e-6)
    assert found.interval is not None
    assert found.interval[0] < found.difference < found.interval[1] < 0
    assert found.words.startswith(f"area under ROC {found.difference:+.4f} against what was in force (")


def test_segments_are_those_of_the_features_and_bounds_hold_each_of_them(spark: SparkSession, tmp_path: Path) -> None:
    from tests.spark.lakes import featured, publish_features

    rows = drawn(FIRST, 900)
    publish_predictions(tmp_path, FIRST, rows)
    fragile = {row.parcel: number % 3 == 0 for number, row in enumerate(rows)}
    publish_features(
        Lake(str(tmp_path), CASE),
        FIRST,
        [featured(row.parcel, row.sender, fragile=fragile[row.parcel]) for row in rows],
    )
    land_outcomes(tmp_path, rows)

    found = evaluated(spark, tmp_path, Watched(), **{"evaluation.segment_bounds": "min_area_under_roc: 0.95"})

    assert [(each.column, each.value, each.part.rows) for each in found.segments] == [
        ("fragile", False, 600),
        ("fragile", True, 300),
    ]
    of_fragile = known([row for row in rows if fragile[row.parcel]])
    assert found.segments[1].part.metrics["area_under_roc"] == pytest.approx(roc_auc_score(*of_fragile), abs=1e-6)
    assert [gate.segment for gate in found.missed] == ["fragile false", "fragile true"]
    value, low = found.segments[0].part.metrics["area_under_roc"], found.segments[0].part.interval("area_under_roc")
    assert low is not None
    assert str(found.missed[0]) == f"area under ROC of fragile false {value:.4f}, lower end {low[0]:.4f} below 0.9500"


def test_of_many_rows_the_same_ones_are_always_drawn_and_the_document_says_how_many(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = drawn(FIRST)
    publish_predictions(tmp_path, FIRST, rows)
    land_outcomes(tmp_path, rows)
    monkeypatch.setattr(evaluation, "MOST_ROWS", 300)

    found = evaluated(spark, tmp_path)

    assert (found.sampled, found.whole.rows, found.days[0].labelled) == (300, 300, 400)
    assert evaluated(spark, tmp_path) == found


def test_an_outcome_that_lands_after_the_day_changes_nothing(spark: SparkSession, tmp_path: Path) -> None:
    rows = [replace(row, state=row.state if number else None) for number, row in enumerate(drawn(FIRST))]
    publish_predictions(tmp_path, FIRST, rows)
    land_outcomes(tmp_path, rows)
    before = evaluated(spark, tmp_path)

    flipped = [{"parcel": row.parcel, "state": "in time" if row.state == "late" else "late"} for row in rows]
    land_rows(tmp_path, "arrivals", DAY + timedelta(days=1), flipped)
    after, later = evaluated(spark, tmp_path), evaluated(spark, tmp_path, last=DAY + timedelta(days=1))

    assert after == before
    assert (before.days[0].unlabelled, later.days[0].unlabelled) == (1, 0)
    assert later.whole.metrics["area_under_roc"] == pytest.approx(1 - before.whole.metrics["area_under_roc"], abs=0.02)


def test_an_outcome_that_lands_with_its_row_is_read_from_there_and_a_null_is_excluded(
    spark: SparkSession, tmp_path: Path
) -> None:
    rows = [replace(row, state=row.state if number > 50 else None) for number, row in enumerate(drawn(FIRST))]
    publish_predictions(tmp_path, FIRST, rows)
    for day in DAYS:
        told = [
            {
                "parcel": row.parcel,
                "sender": row.sender,
                "sent": noon(day),
                "weight": 1.0,
                "fragile": True,
                "state": row.state,
            }
            for row in (rows if day == FIRST else [])
        ]
        land_rows(tmp_path, "parcels", day, told, Delivered())
    case = Delivered()

    published = evaluation.published(Lake(str(tmp_path), CASE), FIRST, LAST, with_features=False)
    written = evaluation.build(spark, case, DAY, published, history(tmp_path, FIRST, LAST), SETTINGS)

    day = parse(written.files["evaluation.json"]).days[0]
    assert (day.labelled, day.unlabelled, day.excluded, day.reason) == (349, 0, 51, "")
    assert day.part.metrics["area_under_roc"] == pytest.approx(roc_auc_score(*known(rows)), abs=1e-6)


def test_what_becomes_known_later_counts_in_place_of_what_landed_with_the_row(
    spark: SparkSession, tmp_path: Path
) -> None:
    rows = drawn(FIRST)
    publish_predictions(tmp_path, FIRST, rows)
    day = FIRST
    while day <= DAY:
        told = [
            {
                "parcel": row.parcel,
                "sender": row.sender,
                "sent": noon(day),
                "weight": 1.0,
                "fragile": True,
                "state": None,
            }
            for row in (rows if day == FIRST else [])
        ]
        corrected = [
            {"number": row.parcel, "parcel": row.parcel, "state": row.state} for row in (rows if day == DAY else [])
        ]
        land_rows(tmp_path, "parcels", day, told, Corrected())
        land_rows(tmp_path, "corrections", day, corrected, Corrected())
        day += timedelta(days=1)

    published = evaluation.published(Lake(str(tmp_path), CASE), FIRST, LAST, with_features=False)
    written = evaluation.build(
        spark,
        Corrected(),
        DAY,
        published,
        history(tmp_path, FIRST, LAST),
        SETTINGS,
        history(tmp_path, FIRST, DAY, "corrections"),
    )

    found = parse(written.files["evaluation.json"])
    assert found.whole.metrics["area_under_roc"] == pytest.approx(roc_auc_score(*known(rows)), abs=1e-6)


class Ways(Parcels):
    """Which way a parcel takes."""

    feeds = dict(Parcels.feeds) | {"arrivals": replace(Parcels.feeds["arrivals"], schema="parcel STRING, way STRING")}
    label: Any = ClassLabel(feed="arrivals", key="parcel", column="way", classes=("road", "rail", "air"))


class Hours(Parcels):
    """How many hours a parcel takes."""

    feeds = dict(Parcels.feeds) | {"arrivals": replace(Parcels.feeds["arrivals"], schema="parcel STRING, hours DOUBLE")}
    label: Any = NumberLabel(feed="arrivals", key="parcel", column="hours", least=0, most=500)


def land_other_outcomes(root: Path, case: UseCase, column: str, values: Mapping[str, Any]) -> None:
    day = FIRST
    while day <= DAY:
        told = [{"parcel": name, column: value} for name, value in values.items()] if day == DAY else []
        land(feed_of(root, "arrivals"), day, *([table(case, "arrivals", told)] if told else []))
        day += timedelta(days=1)


def test_classes_are_judged_by_their_likeliest_and_numbers_with_their_coverage(
    spark: SparkSession, tmp_path: Path
) -> None:
    rows, draw = drawn(FIRST), random.Random(1)
    ways = ["road", "rail", "air"]
    truth = [draw.choice(ways) for _ in rows]
    said = [way if draw.random() < 0.6 else draw.choice(ways) for way in truth]
    publish_predictions(tmp_path / "ways", FIRST, rows, prediction=said, score=[0.4 + row.score / 2 for row in rows])
    land_other_outcomes(
        tmp_path / "ways", Ways(), "way", {row.parcel: way for row, way in zip(rows, truth, strict=True)}
    )
    hours = np.array([10 + 50 * row.score for row in rows])
    took = hours + np.array([draw.gauss(0, 5) for _ in rows]).clip(-9, 9)
    numbers = {"prediction": hours, "lower": hours - 6, "upper": hours + 6}
    publish_predictions(tmp_path / "hours", FIRST, rows, **{name: found.tolist() for name, found in numbers.items()})
    land_other_outcomes(
        tmp_path / "hours",
        Hours(),
        "hours",
        {row.parcel: value for row, value in zip(rows, took.tolist(), strict=True)},
    )

    classes = evaluated(spark, tmp_path / "ways", Ways()).whole
    estimates = evaluated(spark, tmp_path / "hours", Hours()).whole

    assert classes.metrics["accuracy"] == pytest.approx(accuracy_score(truth, said))
    assert classes.metrics["macro_f1"] == pytest.approx(f1_score(truth, said, average="macro"))
    assert "log_loss" not in classes.metrics
    assert classes.base == {"accuracy": max(truth.count(way) for way in ways) / len(truth)}
    assert estimates.metrics["rmse"] == pytest.approx(root_mean_squared_error(took, hours))
    assert estimates.metrics["mae"] == pytest.approx(mean_absolute_error(took, hours))
    assert estimates.metrics["r2"] == pytest.approx(r2_score(took, hours))
    assert estimates.metrics["coverage"] == pytest.approx((abs(took - hours) <= 6).mean())
    assert estimates.base == pytest.approx({"rmse": took.std(), "mae": abs(took - took.mean()).mean()})
