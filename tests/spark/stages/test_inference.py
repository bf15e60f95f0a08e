"""Scores of a day: those of the pinned model on the matrix of its card, one for each row, or an error in words."""

from __future__ import annotations

import io
import pickle
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnxruntime
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import TensorProto, helper, numpy_helper
from pyspark.sql import SparkSession
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from spark_lib.errors import BadData, DamagedPartition, DaystoneError, ModelError
from spark_lib.lake import Attempt, Lake, Partition, Rows, tables
from spark_lib.lake.manifest import File
from spark_lib.models import calibration, model
from spark_lib.models.card import Card, ModelFile, parse
from spark_lib.release.sketch import Sketches
from spark_lib.scoring import engine, processes
from spark_lib.scoring import partitions as scoring
from spark_lib.scoring.forest import Forest
from spark_lib.stages import balancing, champion, features, inference, selection, training
from spark_lib.stages.selection import Pinned
from spark_lib.use_case import Feature
from tests.spark.lakes import (
    AFTER,
    ANY_FILE_ROWS,
    BEFORE,
    CASE,
    DAY,
    SETTINGS,
    Chain,
    Parcels,
    arrival,
    break_page,
    featured,
    feed,
    history,
    land,
    land_rows,
    many_featured,
    noon,
    parcel,
    publish,
    publish_features,
    rows_of,
    silent,
    table,
)
from tests.support.onnx_models import linear

COLUMNS = ["parcel", "sender", "sent", "score", "model_date", "model_digest"]


def score(
    spark: SparkSession, lake: Lake, to_score: Partition, model: Pinned, file_rows: int = ANY_FILE_ROWS
) -> Partition:
    with Attempt(lake, "predictions", [to_score.date], stage="Test") as attempt:
        attempt.commit(inference.build(partial(scoring.run, spark), Parcels(), to_score, model, attempt, file_rows))
    return lake.require("predictions", to_score.date)[0]


@pytest.fixture(scope="module")
def predictions(spark: SparkSession, chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Partition:
    """Of 500 rows in three files, at most 100 rows a file."""
    lake = Lake(str(tmp_path_factory.mktemp("predictions")), CASE)
    return score(spark, lake, chain.to_score, chain.pinned, file_rows=100)


def expected_scores(partition: Partition, model: bytes, card: Card) -> dict[str, float]:
    """By onnxruntime alone, from a matrix made by hand, and brought back to the natural odds by hand."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    found = rows_of(partition)

    def cell(row: dict[str, Any], name: str, feature: Feature) -> float:
        value = feature.fill if row[name] is None else row[name]
        assert value is not None
        return float(value)

    made = np.array([[cell(row, *feature) for feature in card.features.items()] for row in found], dtype=np.float32)
    (probabilities,) = session.run(["probabilities"], {"features": made})
    odds = card.calibration["odds"]
    scores = [float(p) for p in probabilities[:, 1]]
    return {row["parcel"]: p * odds / (p * odds + (1 - p)) for row, p in zip(found, scores, strict=True)}


# -- what is written


def test_scores_are_onnxruntimes_on_the_matrix_of_the_card(chain: Chain, predictions: Partition) -> None:
    found = {row["parcel"]: row["score"] for row in rows_of(predictions)}
    assert found == expected_scores(chain.to_score, chain.pinned.model, chain.pinned.card)
    assert len(set(found.values())) > 5


def test_a_model_with_a_threshold_says_which_rows_are_positive_whatever_is_set_on_the_day(
    spark: SparkSession, chain: Chain, predictions: Partition, tmp_path: Path
) -> None:
    lake, settings = Lake(str(tmp_path), CASE), {**SETTINGS, "decision.threshold": 0.4}
    trained = publish(
        lake, "model", DAY, lambda url: training.build(spark, Parcels(), chain.balanced, settings, url, silent)
    )
    pins = publish(lake, "selection", AFTER, lambda url: selection.build(trained, [trained]))

    found = score(spark, lake, chain.to_score, selection.pinned(lake, pins))

    scores = {row["parcel"]: row["score"] for row in rows_of(predictions)}
    assert list(rows_of(found)[0]) == ["parcel", "sender", "sent", "score", "prediction", "model_date", "model_digest"]
    assert {row["parcel"]: row["score"] for row in rows_of(found)} == scores
    assert {row["parcel"]: row["prediction"] for row in rows_of(found)} == {
        name: value >= 0.4 for name, value in scores.items()
    }
    positive = sum(value >= 0.4 for value in scores.values())
    assert found.manifest.metrics["scores"]["classes"] == {"false": 500 - positive, "true": positive}
    card = parse(trained.document("card.json"))
    assert (card.decision, card.format) == ({"threshold": 0.4}, 1)
    judged = trained.manifest.metrics["at_threshold"]
    assert (
        sum(judged[name] for name in ("true_positives", "false_negatives")) == card.rows.sides["validation"]["positive"]
    )
    assert "At the threshold of predictions" in trained.document("report.html").decode()


def test_many_rows_are_scored_by_a_forest_with_the_same_scores(
    spark: SparkSession, chain: Chain, predictions: Partition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "LEAST_ROWS", 500)

    by_forest = score(spark, Lake(str(tmp_path), CASE), chain.to_score, chain.pinned)

    assert by_forest.manifest.metrics["engine"] == "forest"
    assert rows_of(by_forest) == rows_of(predictions)


def test_where_no_forest_can_be_compiled_the_scores_are_the_same_and_the_reason_is_told(
    chain: Chain,
    predictions: Partition,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(engine, "LEAST_ROWS", 500)
    monkeypatch.setattr(Forest, "why_not_compiled", lambda _: "ImportError: No module named 'numba'")
    lake = Lake(str(tmp_path), CASE)
    with Attempt(lake, "predictions", [chain.to_score.date], stage="Test") as attempt:

        def here(job: scoring.Job, files: Sequence[File], prefix: str) -> scoring.Done:
            (share,) = scoring.shared(files, prefix, 1)
            return scoring.scored(job, share, 0)

        attempt.commit(inference.build(here, Parcels(), chain.to_score, chain.pinned, attempt, ANY_FILE_ROWS))

    found = lake.require("predictions", chain.to_score.date)[0]
    assert rows_of(found) == rows_of(predictions)
    assert {name: found.manifest.metrics[name] for name in ("engine", "no_forest")} == {
        "engine": "onnxruntime",
        "no_forest": "ImportError: No module named 'numba'",
    }
    assert caplog.messages == [
        "scored by onnxruntime, several times slower than by a forest that numba compiles where Spark's Python runs: "
        "ImportError: No module named 'numba'"
    ]


def test_processes_of_the_driver_write_what_sparks_workers_write(
    spark: SparkSession, chain: Chain, predictions: Partition, tmp_path: Path
) -> None:
    lake = Lake(str(tmp_path), CASE)
    with Attempt(lake, "predictions", [chain.to_score.date], stage="Test") as attempt:
        small = partial(processes.run, spark.sparkContext.defaultParallelism)
        attempt.commit(inference.build(small, Parcels(), chain.to_score, chain.pinned, attempt, 100))

    found = lake.require("predictions", chain.to_score.date)[0]

    assert rows_of(found) == rows_of(predictions)
    for part in ("metrics", "schema", "sections"):
        assert getattr(found.manifest, part) == getattr(predictions.manifest, part)
    assert [size_of(file) for file in found.manifest.files] == [size_of(file) for file in predictions.manifest.files]


def size_of(file: File) -> tuple[str, int]:
    """The number of a file's task, and its bytes. The rest of its name is drawn."""
    return file.path.rpartition("/")[2][:10], file.size


def test_twenty_trees_that_are_all_certain_train_are_compared_and_score_their_day(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their votes, twenty float32 of 1/20, add up to 1.0000001."""
    lake = Lake(str(tmp_path), CASE)
    days = {
        day: [row | {"weight": 9.0 * (n % 3 == 0)} for n, row in enumerate(many_featured(day))]
        for day in (BEFORE, AFTER)
    }
    window = [publish_features(lake, BEFORE, days[BEFORE])]
    land_rows(tmp_path, "arrivals", BEFORE, outcomes_of_weight(days[BEFORE]))
    settings = dict(SETTINGS) | {"trees": 20, "champion_margin": 0.02}
    outcomes = history(tmp_path, BEFORE, BEFORE, "arrivals")
    balanced = publish(
        lake,
        "balanced",
        DAY,
        lambda url: balancing.build(spark, Parcels(), CASE, window, outcomes, settings, url, ANY_FILE_ROWS),
    )

    trained = publish(lake, "model", DAY, lambda url: training.build(spark, Parcels(), balanced, settings, url, silent))
    pinned = selection.approved_model(lake, trained)
    compared = champion.compare_models(
        lambda: spark, "parcel", pinned, replace(pinned, date=BEFORE), balanced, settings
    )
    to_score = publish_features(lake, AFTER, days[AFTER])
    by_onnxruntime = score(spark, lake, to_score, pinned)
    monkeypatch.setattr(engine, "LEAST_ROWS", 0)
    by_forest = score(spark, Lake(str(tmp_path / "forest"), CASE), to_score, pinned)

    (votes,) = onnxruntime.InferenceSession(pinned.model).run(None, {"features": np.float32([[0, 9, 0]])})
    assert votes[0, 1] == np.float32(1.0000001)
    assert (compared.difference, compared.loses) == (0.0, False)
    assert by_forest.manifest.metrics["engine"] == "forest"
    assert rows_of(by_forest) == rows_of(by_onnxruntime)
    assert max(row["score"] for row in rows_of(by_forest)) == calibration.apply(pinned.card.calibration, np.ones(1))[0]


def outcomes_of_weight(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The heavy ones are late, without exception."""
    return [arrival(row["parcel"], "late" if row["weight"] else "in time") for row in rows]


def test_a_pickled_pipeline_scores_rows_that_are_alike_once(
    spark: SparkSession, chain: Chain, predictions: Partition, tmp_path: Path
) -> None:
    table = pd.DataFrame({"weight": [0.0, 1.0, 2.0, 3.0]})
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(table, [0, 0, 1, 1])
    file = io.BytesIO()
    joblib.dump(pipeline, file)
    card = replace(
        chain.pinned.card,
        features={"weight": Feature("DOUBLE", fill=0.0)},
        calibration={"kind": "none"},
        model=ModelFile("model.joblib", model.digest(file.getvalue()), len(file.getvalue())),
    )
    pickled = replace(chain.pinned, model=file.getvalue(), digest=model.digest(file.getvalue()), card=card)
    to_score = publish_features(
        Lake(str(tmp_path), CASE), AFTER, [featured(f"p{n}", weight=float(n % 2)) for n in range(10)]
    )

    found = score(spark, Lake(str(tmp_path), CASE), to_score, pickled)

    light, heavy = pipeline.predict_proba(table[:2])[:, 1]
    assert {row["parcel"]: row["score"] for row in rows_of(found)} == {
        f"p{n}": (light, heavy)[n % 2] for n in range(10)
    }
    assert (found.manifest.metrics["engine"], found.manifest.metrics["repeated"]) == ("scikit-learn", 8)


def test_a_row_is_a_row_with_its_identity(chain: Chain, predictions: Partition) -> None:
    assert predictions.manifest.rows() == 500
    asked = [(row["parcel"], row["sender"], row["sent"]) for row in rows_of(chain.to_score)]
    assert [(row["parcel"], row["sender"], row["sent"]) for row in rows_of(predictions)] == asked


def test_columns_are_identity_score_and_model_and_neither_date_nor_run(chain: Chain, predictions: Partition) -> None:
    assert [name for name, _ in predictions.manifest.schema] == COLUMNS
    assert dict(predictions.manifest.schema)["score"] == "double"
    assert pq.read_schema(predictions.files()[0]).names == COLUMNS
    assert {(row["model_date"], row["model_digest"]) for row in rows_of(predictions)} == {(DAY, chain.pinned.digest)}


def test_the_manifest_counts_the_day_in_the_bins_of_the_cards_reference(chain: Chain, predictions: Partition) -> None:
    reference = chain.pinned.card.reference
    assert reference is not None
    found = Sketches.of(predictions.manifest.metrics["sketches"])
    assert found.scores.keys() == reference.scores.keys() == {"score"}
    assert found.features.keys() == reference.features.keys() == chain.pinned.card.features.keys()
    scores = np.array([row["score"] for row in rows_of(predictions)])
    column = reference.scores["score"]
    assert found.scores["score"].counts == tuple(np.histogram(scores, [-np.inf, *column.cut.edges, np.inf])[0])
    validation = chain.balanced.manifest.rows("validation/unbalanced")
    assert sum(column.sketch.counts) == validation
    assert column.mean == pytest.approx(chain.pinned.card.metrics["mean_score"], abs=1e-5)
    for name, sketch in found.features.items():
        assert (sum(sketch.counts), sketch.rows) == (500, 500)
        assert (sum(reference.features[name].sketch.counts), reference.features[name].sketch.rows) == (validation,) * 2


def test_the_manifest_says_how_scores_are_distributed_and_what_computed_them(predictions: Partition) -> None:
    metrics = predictions.manifest.metrics
    found = np.array([row["score"] for row in rows_of(predictions)])

    assert (metrics["model_date"], metrics["engine"]) == (str(DAY), "onnxruntime")
    assert metrics["no_forest"] == "fewer than 500,000 rows"
    scores = metrics["scores"]
    assert (scores["least"], scores["greatest"]) == (found.min(), found.max())
    assert scores["mean"] == pytest.approx(found.mean(), abs=1e-9)
    assert scores["bins"] == np.histogram(found, bins=20, range=(0, 1))[0].tolist()


def test_the_limit_of_rows_in_a_file_is_kept(predictions: Partition) -> None:
    counts = [file.rows or 0 for file in predictions.manifest.files]
    assert (sum(counts), max(counts)) == (500, 100)


def test_fills_are_those_of_the_card_and_not_of_the_use_case(spark: SparkSession, chain: Chain, tmp_path: Path) -> None:
    card = replace(chain.pinned.card, features={**chain.pinned.card.features, "weight": Feature("DOUBLE", fill=9.5)})
    model = replace(chain.pinned, card=card)
    few = publish_features(Lake(str(tmp_path), CASE), AFTER, [featured("p1", weight=None), featured("p2", weight=0.0)])
    found = {row["parcel"]: row["score"] for row in rows_of(score(spark, Lake(str(tmp_path), CASE), few, model))}
    assert found == expected_scores(few, model.model, card)
    assert found["p1"] != found["p2"]


def test_a_key_that_is_also_the_entity_is_written_once(spark: SparkSession, chain: Chain, tmp_path: Path) -> None:
    class Alone(Parcels):
        entity = "parcel"

    lake = Lake(str(tmp_path), CASE)
    with Attempt(lake, "predictions", [AFTER], stage="Test") as attempt:
        written = inference.build(
            partial(scoring.run, spark), Alone(), chain.to_score, chain.pinned, attempt, ANY_FILE_ROWS
        )
    assert [name for name, _ in written.schema] == ["parcel", "sent", "score", "model_date", "model_digest"]


# -- empty days


def test_a_day_without_files_is_empty_all_the_way_to_predictions(
    spark: SparkSession, chain: Chain, tmp_path: Path
) -> None:
    lake = Lake(str(tmp_path), CASE)
    land_rows(tmp_path, "parcels", BEFORE, [parcel("p1", sent=noon(BEFORE))])
    land_rows(tmp_path, "parcels", DAY, [])
    land(feed(tmp_path), AFTER, table(Parcels(), "parcels", []))
    for day in (DAY, AFTER):
        raw = {"parcels": history(tmp_path, BEFORE, day)}
        made = publish(
            lake, "features", day, lambda url, raw=raw: features.build(spark, Parcels(), raw, url, ANY_FILE_ROWS)
        )
        partition = score(spark, lake, made, chain.pinned)
        assert (partition.manifest.rows(), [name for name, _ in partition.manifest.schema]) == (0, COLUMNS)
    assert tables.read_arrow(lake, "predictions", DAY, AFTER).column_names == [*COLUMNS, "date"]


def test_a_day_of_which_not_every_row_was_scored_is_refused(spark: SparkSession, chain: Chain, tmp_path: Path) -> None:
    *others, last = chain.to_score.manifest.files
    lake = Lake(str(tmp_path), CASE)
    attempt = Attempt(lake, "predictions", [chain.to_score.date], stage="Test")
    with pytest.raises(BadData) as caught, attempt:
        inference.build(
            lambda job, _, prefix: scoring.run(spark, job, others, prefix),
            Parcels(),
            chain.to_score,
            chain.pinned,
            attempt,
            ANY_FILE_ROWS,
        )

    assert str(caught.value) == (
        f"predictions of {chain.to_score.date}: wanted a score for each of 500 rows; found {500 - (last.rows or 0)}. "
        "Next: run the stage again; nothing was published"
    )
    assert lake.find("predictions", chain.to_score.date, chain.to_score.date) == {}


def test_features_without_a_file_have_no_scores(spark: SparkSession, chain: Chain, tmp_path: Path) -> None:
    lake = Lake(str(tmp_path), CASE)
    partition = score(spark, lake, publish_features(lake, AFTER, [], files=0), chain.pinned)
    assert partition.manifest.rows() == 0


# -- what is refused


def refusal(spark: SparkSession, lake: Lake, to_score: Partition, model: Pinned) -> DaystoneError:
    """Why a rebuild ended. What stood stands, and nothing of the new run is left beside it."""

    def one(url: str) -> Rows:
        Path(url).mkdir(parents=True)
        pq.write_table(pa.table({"parcel": ["p"]}), f"{url}/part-0.parquet")
        return Rows({"": 1}, (("parcel", "string"),))

    stands = publish(lake, "predictions", to_score.date, one)
    attempt = Attempt(lake, "predictions", [to_score.date], stage="Test", rebuild=True)
    with pytest.raises(DaystoneError) as caught, attempt:
        attempt.commit(inference.build(partial(scoring.run, spark), Parcels(), to_score, model, attempt, ANY_FILE_ROWS))
    (after,) = lake.require("predictions", to_score.date)
    assert after.manifest == stands.manifest
    assert after.verify() == ([], 0)
    there = {entry.key for entry in lake.store.list(after.prefix)}
    assert there == {f"{after.prefix}/{path}" for path in ("_SUCCESS", after.manifest.files[0].path)}
    return caught.value


def test_a_null_without_a_fill_is_counted_over_the_whole_day(spark: SparkSession, chain: Chain, tmp_path: Path) -> None:
    day = [featured(f"p{number}", earlier=None if number % 4 == 0 else 1) for number in range(12)]
    lake = Lake(str(tmp_path), CASE)
    error = refusal(spark, lake, publish_features(lake, AFTER, day, files=3), chain.pinned)
    assert (type(error), str(error)) == (
        BadData,
        "the model's matrix: wanted a value in every row of earlier; found null or NaN: 3 of earlier. "
        "Next: declare a `fill` for it in the use case, or repair the feature",
    )


def test_a_null_key_is_counted_over_the_whole_day(spark: SparkSession, chain: Chain, tmp_path: Path) -> None:
    day = [featured(f"p{number}") | ({"parcel": None} if number % 4 == 0 else {}) for number in range(12)]
    day[1] |= {"sender": None}
    lake = Lake(str(tmp_path), CASE)
    error = refusal(spark, lake, publish_features(lake, AFTER, day, files=3), chain.pinned)
    assert (type(error), str(error)) == (
        BadData,
        "features of 2026-03-11: wanted a value in every row of parcel, sender; found null: 3 of parcel, 1 of sender. "
        "Next: build the day's features again; nothing was published",
    )


def test_infinities_are_scored_as_they_are(
    spark: SparkSession, chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(str(tmp_path), CASE)
    day = [featured(f"p{number}", weight=weight) for number, weight in enumerate([float("inf"), float("-inf"), 1.0])]
    few = publish_features(lake, AFTER, day)
    by_onnxruntime = rows_of(score(spark, lake, few, chain.pinned))
    monkeypatch.setattr(engine, "LEAST_ROWS", 0)
    by_forest = score(spark, Lake(str(tmp_path / "forest"), CASE), few, chain.pinned)

    expected = expected_scores(few, chain.pinned.model, chain.pinned.card)
    assert {row["parcel"]: row["score"] for row in by_onnxruntime} == expected
    assert by_forest.manifest.metrics["engine"] == "forest"
    assert rows_of(by_forest) == by_onnxruntime
    assert expected["p0"] != expected["p1"]


def test_scores_that_are_no_probabilities_are_refused_and_the_infinite_features_are_named(
    spark: SparkSession, chain: Chain, tmp_path: Path
) -> None:
    """As infinity times nothing is none, in a logistic regression."""
    width = len(Parcels.features)
    infinite_less_infinite = linear(
        inputs=[helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, width])],
        initializer=[numpy_helper.from_array(np.ones((width, 2), np.float32), "weights")],
    ).SerializeToString()
    pinned = replace(chain.pinned, model=infinite_less_infinite, digest=model.digest(infinite_less_infinite))
    lake = Lake(str(tmp_path), CASE)
    day = [featured(f"p{number}", weight=[1.0, float("inf"), -1e300][number % 3]) for number in range(12)]
    error = refusal(spark, lake, publish_features(lake, AFTER, day, files=3), pinned)
    assert (type(error), str(error)) == (
        BadData,
        "predictions of 2026-03-11: wanted a probability for every row; "
        "found 8 of 12 scores outside of [0, 1] or not a number; features of these rows that are infinite or NaN: "
        "8 of weight. Next: repair these features, or train a model that takes them, as trees do; nothing was published",
    )


def test_scores_that_are_no_probabilities_though_the_features_are_finite_are_refused(
    spark: SparkSession, chain: Chain, tmp_path: Path
) -> None:
    lake = Lake(str(tmp_path), CASE)
    card = replace(chain.pinned.card, calibration={"kind": "prior", "odds": float("nan")})
    error = refusal(spark, lake, publish_features(lake, AFTER, [featured("p1")]), replace(chain.pinned, card=card))
    assert (type(error), str(error)) == (
        BadData,
        "predictions of 2026-03-11: wanted a probability for every row; "
        "found 1 of 1 scores outside of [0, 1] or not a number, and no infinity or NaN in the features of these rows. "
        "Next: look at the model and at the calibration of its card, and train anew; nothing was published",
    )


def test_columns_that_the_card_does_not_name_are_left_out(
    spark: SparkSession, chain: Chain, predictions: Partition, tmp_path: Path
) -> None:
    lake = Lake(str(tmp_path), CASE)
    day = [row | {"note": "new"} for row in many_featured(AFTER, 500)]
    found = score(spark, lake, publish_features(lake, AFTER, day, note="string"), chain.pinned)
    assert [name for name, _ in found.manifest.schema] == COLUMNS
    assert rows_of(found) == rows_of(predictions)


def test_a_file_without_rows_among_others_adds_none(spark: SparkSession, chain: Chain, tmp_path: Path) -> None:
    lake = Lake(str(tmp_path), CASE)
    to_score = publish_features(lake, AFTER, [featured("p1"), featured("p2")], files=3)
    assert [file.rows for file in to_score.manifest.files] == [1, 1, 0]
    assert [row["parcel"] for row in rows_of(score(spark, lake, to_score, chain.pinned))] == ["p1", "p2"]


def test_a_feature_of_another_type_than_the_cards_is_refused(spark: SparkSession, chain: Chain, tmp_path: Path) -> None:
    lake = Lake(str(tmp_path), CASE)
    error = refusal(spark, lake, publish_features(lake, AFTER, [featured("p1")], weight="float"), chain.pinned)
    assert (type(error), str(error)) == (
        BadData,
        "features of 2026-03-11: wanted a column 'weight' of type double, as the model's card has it; found type float. "
        "Next: build the day's features again with the use case that the model was trained with, or train again",
    )


def test_a_feature_that_the_day_lacks_is_refused(spark: SparkSession, chain: Chain) -> None:
    card = {"more": Feature("INT")}
    with pytest.raises(BadData) as caught:
        inference.check_columns(chain.to_score, card)
    assert str(caught.value) == (
        "features of 2026-03-11: wanted a column 'more' of type int, as the model's card has it; "
        "found only parcel, sender, sent, earlier, weight, fragile. "
        "Next: build the day's features again with the use case that the model was trained with, or train again"
    )


def test_an_entity_that_the_day_lacks_is_refused(chain: Chain) -> None:
    class Weighed(Parcels):
        entity = "scales"

    with pytest.raises(BadData) as caught:
        inference.identity_of(Weighed(), chain.to_score)
    assert str(caught.value) == (
        "features of 2026-03-11: wanted a column 'scales', as the use case has it; "
        "found only parcel, sender, sent, earlier, weight, fragile. "
        "Next: build the day's features again with this use case"
    )


def test_types_of_the_card_may_be_spelled_as_sql_allows(spark: SparkSession, chain: Chain, tmp_path: Path) -> None:
    spelled = {"bigint": "LONG", "double": "Double", "boolean": "BOOLEAN"}
    features = {
        name: replace(feature, type=spelled[feature.type.lower()])
        for name, feature in chain.pinned.card.features.items()
    }
    lake = Lake(str(tmp_path), CASE)
    few = publish_features(lake, AFTER, [featured("p1")])
    found = score(spark, lake, few, replace(chain.pinned, card=replace(chain.pinned.card, features=features)))
    assert found.manifest.rows() == 1


def other_columns(change: Callable[[pa.Table], pa.Table]) -> Callable[[str], None]:
    return lambda file: pq.write_table(change(pq.read_table(file, partitioning=None)), file)


@pytest.mark.parametrize(
    ("damage", "wanted", "found"),
    [
        (lambda file: Path(file).write_bytes(b""), "a Parquet file that can be read", "Parquet file size is 0 bytes"),
        (
            lambda file: Path(file).write_bytes(b"parcel,weight\np1,1.0\n"),
            "a Parquet file that can be read",
            "Parquet magic bytes not found in footer. Either the file is corrupted or this is not a parquet file",
        ),
        (break_page, "a Parquet file that can be read", "Deserializing page header failed"),
        (
            other_columns(lambda rows: rows.drop_columns(["weight"])),
            "a column 'weight' of type double, as its manifest says",
            "only parcel, sender, sent, earlier, fragile",
        ),
        (
            other_columns(lambda rows: rows.rename_columns({"parcel": "Parcel"})),
            "a column 'parcel' of type string, as its manifest says",
            "only Parcel, sender, sent, earlier, weight, fragile",
        ),
        (
            other_columns(lambda rows: rows.set_column(3, "earlier", rows["earlier"].cast("string"))),
            "a column 'earlier' of type int64, as its manifest says",
            "type string",
        ),
    ],
    ids=["0 bytes", "not Parquet", "corrupt row group", "column missing", "column renamed", "another type"],
)
def test_a_file_that_is_not_as_its_manifest_says_is_named(
    spark: SparkSession, chain: Chain, tmp_path: Path, damage: Callable[[str], None], wanted: str, found: str
) -> None:
    """Damaged after the partition was found whole."""
    lake = Lake(str(tmp_path), CASE)
    to_score = publish_features(lake, AFTER, [featured(f"p{number}") for number in range(10)], files=2)
    damage(to_score.files()[1])
    error = refusal(spark, lake, to_score, chain.pinned)
    assert (type(error), str(error)) == (
        DamagedPartition,
        f"{to_score.files()[1]}: wanted {wanted}; found {found}. "
        f"Next: restore the file, or build the day anew (daystone rebuild features --date {AFTER})",
    )


@pytest.mark.parametrize("document", ["model.onnx", "card.json"])
def test_a_model_whose_files_were_altered_is_damaged(chain: Chain, tmp_path: Path, document: str) -> None:
    shutil.copytree(chain.lake.root, tmp_path / "lake")
    lake = Lake(str(tmp_path / "lake"), CASE)
    altered = Path(lake.root, lake.prefix("model", DAY), f"run={chain.model.manifest.run}", document)
    content = altered.read_bytes()
    altered.write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])  # of the same size
    with pytest.raises(DamagedPartition) as caught:
        selection.pinned(lake, lake.require("selection", AFTER)[0])
    assert caught.value.where == str(altered)
    assert caught.value.wanted == next(f.checksum for f in chain.model.manifest.files if f.path.endswith(document))
    assert caught.value.next_step == f"restore the file, or build the day anew (daystone rebuild model --date {DAY})"


def test_what_is_pinned_is_what_was_trained(chain: Chain) -> None:
    assert chain.pinned.date == DAY
    assert chain.pinned.model == chain.model.document("model.onnx")
    assert chain.pinned.digest == chain.model.manifest.metrics["model_digest"]


def test_bytes_that_are_not_the_pinned_ones_score_nothing(
    spark: SparkSession, chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The digest is checked before anything is parsed or sent to a worker."""
    for module, name in ((inference, "check_safe"), (engine, "of"), (scoring, "attempted")):
        monkeypatch.setattr(module, name, None)
    error = refusal(spark, Lake(str(tmp_path), CASE), chain.to_score, replace(chain.pinned, model=b"others"))
    assert (type(error), str(error)) == (
        ModelError,
        f"model.onnx: wanted the SHA-256 of its card, {chain.pinned.digest}; found {model.digest(b'others')}. "
        "Next: restore the file that was trained, or train again; do not score with this one",
    )


def test_a_pickle_that_was_pinned_scores_nothing(spark: SparkSession, chain: Chain, tmp_path: Path) -> None:
    pickled = pickle.dumps({"features": 3})
    untrusted = replace(chain.pinned, model=pickled, digest=model.digest(pickled))
    error = refusal(spark, Lake(str(tmp_path), CASE), chain.to_score, untrusted)
    assert str(error).startswith("model.onnx: wanted an ONNX model; found a Python pickle")
