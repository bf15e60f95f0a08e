"""Scores of a day: those of the pinned model on the matrix of its card, one for each row, or an error in words."""

from __future__ import annotations

import io
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnxruntime
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from spark_lib import engine, features, inference, model, selection
from spark_lib.errors import BadData, DamagedPartition, ModelError
from spark_lib.lake import Attempt, Lake, Partition, tables
from spark_lib.selection import Pinned
from spark_lib.use_case import Feature
from tests.spark.lakes import (
    AFTER,
    ANY_FILE_ROWS,
    BEFORE,
    CASE,
    DAY,
    Chain,
    Parcels,
    break_page,
    featured,
    feed,
    history,
    land,
    land_rows,
    noon,
    parcel,
    publish,
    publish_features,
    table,
)

COLUMNS = ["parcel", "sender", "sent", "score", "model_date", "model_digest"]


def score(
    spark: SparkSession, lake: Lake, to_score: Partition, model: Pinned, file_rows: int = ANY_FILE_ROWS
) -> Partition:
    with Attempt(lake, "predictions", [to_score.date], stage="Test") as attempt:
        attempt.commit(inference.build(spark, Parcels(), to_score, model, attempt, file_rows))
    return lake.require("predictions", to_score.date)[0]


def rows(partition: Partition) -> list[dict[str, Any]]:
    found = [row for file in partition.files() for row in pq.read_table(file, partitioning=None).to_pylist()]
    return sorted(found, key=lambda row: row["parcel"])


@pytest.fixture(scope="module")
def predictions(spark: SparkSession, chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Partition:
    """Of 500 rows in three files, at most 100 rows a file."""
    lake = Lake(str(tmp_path_factory.mktemp("predictions")), CASE)
    return score(spark, lake, chain.to_score, chain.pinned, file_rows=100)


def expected_scores(partition: Partition, model: bytes, card: dict[str, Any]) -> dict[str, float]:
    """By onnxruntime alone, from a matrix made by hand, and brought back to the natural odds by hand."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    found = rows(partition)

    def cell(row: dict[str, Any], feature: dict[str, Any]) -> float:
        value = row[feature["name"]]
        return float(feature["fill"] if value is None else value)

    made = np.array([[cell(row, feature) for feature in card["features"]] for row in found], dtype=np.float32)
    (probabilities,) = session.run(["probabilities"], {"features": made})
    odds = card["calibration"]["odds"]
    scores = [float(p) for p in probabilities[:, 1]]
    return {row["parcel"]: p * odds / (p * odds + (1 - p)) for row, p in zip(found, scores, strict=True)}


# -- what is written


def test_scores_are_onnxruntimes_on_the_matrix_of_the_card(chain: Chain, predictions: Partition) -> None:
    found = {row["parcel"]: row["score"] for row in rows(predictions)}
    assert found == expected_scores(chain.to_score, chain.pinned.model, chain.pinned.card)
    assert len(set(found.values())) > 5


def test_many_rows_are_scored_by_a_forest_with_the_same_scores(
    spark: SparkSession, chain: Chain, predictions: Partition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "LEAST_ROWS", 500)

    by_forest = score(spark, Lake(str(tmp_path), CASE), chain.to_score, chain.pinned)

    assert by_forest.manifest.metrics["engine"] == "forest"
    assert rows(by_forest) == rows(predictions)


def test_a_pickled_pipeline_scores_rows_that_are_alike_once(
    spark: SparkSession, chain: Chain, predictions: Partition, tmp_path: Path
) -> None:
    table = pd.DataFrame({"weight": [0.0, 1.0, 2.0, 3.0]})
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(table, [0, 0, 1, 1])
    file = io.BytesIO()
    joblib.dump(pipeline, file)
    card = chain.pinned.card | {"format": "joblib", "calibration": {"kind": "none"}}
    card["features"] = [{"name": "weight", "type": "DOUBLE", "fill": 0.0}]
    pickled = replace(chain.pinned, model=file.getvalue(), digest=model.digest(file.getvalue()), card=card)
    to_score = publish_features(
        Lake(str(tmp_path), CASE), AFTER, [featured(f"p{n}", weight=float(n % 2)) for n in range(10)]
    )

    found = score(spark, Lake(str(tmp_path), CASE), to_score, pickled)

    light, heavy = pipeline.predict_proba(table[:2])[:, 1]
    assert {row["parcel"]: row["score"] for row in rows(found)} == {f"p{n}": (light, heavy)[n % 2] for n in range(10)}
    assert (found.manifest.metrics["engine"], found.manifest.metrics["repeated"]) == ("scikit-learn", 8)


def test_a_row_is_a_row_with_its_identity(chain: Chain, predictions: Partition) -> None:
    assert predictions.manifest.rows() == 500
    asked = [(row["parcel"], row["sender"], row["sent"]) for row in rows(chain.to_score)]
    assert [(row["parcel"], row["sender"], row["sent"]) for row in rows(predictions)] == asked


def test_columns_are_identity_score_and_model_and_neither_date_nor_run(chain: Chain, predictions: Partition) -> None:
    assert [name for name, _ in predictions.manifest.schema] == COLUMNS
    assert dict(predictions.manifest.schema)["score"] == "double"
    assert pq.read_schema(predictions.files()[0]).names == COLUMNS
    assert {(row["model_date"], row["model_digest"]) for row in rows(predictions)} == {(DAY, chain.pinned.digest)}


def test_the_manifest_says_how_scores_are_distributed_and_what_computed_them(predictions: Partition) -> None:
    metrics = predictions.manifest.metrics
    found = np.array([row["score"] for row in rows(predictions)])

    assert (metrics["model_date"], metrics["engine"]) == (str(DAY), "onnxruntime")
    scores = metrics["scores"]
    assert (scores["least"], scores["greatest"]) == (found.min(), found.max())
    assert scores["mean"] == pytest.approx(found.mean(), abs=1e-9)
    assert scores["bins"] == np.histogram(found, bins=20, range=(0, 1))[0].tolist()


def test_the_limit_of_rows_in_a_file_is_kept(predictions: Partition) -> None:
    counts = [file.rows or 0 for file in predictions.manifest.files]
    assert (sum(counts), max(counts)) == (500, 100)


def test_fills_are_those_of_the_card_and_not_of_the_use_case(spark: SparkSession, chain: Chain, tmp_path: Path) -> None:
    card = chain.pinned.card | {"features": [dict(feature) for feature in chain.pinned.card["features"]]}
    card["features"][1]["fill"] = 9.5
    model = replace(chain.pinned, card=card)
    few = publish_features(Lake(str(tmp_path), CASE), AFTER, [featured("p1", weight=None), featured("p2", weight=0.0)])
    found = {row["parcel"]: row["score"] for row in rows(score(spark, Lake(str(tmp_path), CASE), few, model))}
    assert found == expected_scores(few, model.model, card)
    assert found["p1"] != found["p2"]


def test_a_key_that_is_also_the_entity_is_written_once(spark: SparkSession, chain: Chain, tmp_path: Path) -> None:
    class Alone(Parcels):
        entity = "parcel"

    lake = Lake(str(tmp_path), CASE)
    with Attempt(lake, "predictions", [AFTER], stage="Test") as attempt:
        written = inference.build(spark, Alone(), chain.to_score, chain.pinned, attempt, ANY_FILE_ROWS)
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


def test_features_without_a_file_have_no_scores(spark: SparkSession, chain: Chain, tmp_path: Path) -> None:
    lake = Lake(str(tmp_path), CASE)
    partition = score(spark, lake, publish_features(lake, AFTER, [], files=0), chain.pinned)
    assert partition.manifest.rows() == 0


# -- what is refused


def refusal(spark: SparkSession, chain: Chain, root: Path, to_score: Partition) -> str:
    lake = Lake(str(root), CASE)
    with pytest.raises(BadData) as caught:
        score(spark, lake, to_score, chain.pinned)
    assert not lake.is_published("predictions", to_score.date)
    return str(caught.value)


def test_a_null_without_a_fill_is_counted_over_the_whole_day(spark: SparkSession, chain: Chain, tmp_path: Path) -> None:
    day = [featured(f"p{number}", earlier=None if number % 4 == 0 else 1) for number in range(12)]
    to_score = publish_features(Lake(str(tmp_path), CASE), AFTER, day, files=3)
    assert refusal(spark, chain, tmp_path, to_score) == (
        "the model's matrix: wanted a value in every row of earlier; found null or NaN: 3 of earlier. "
        "Next: declare a `fill` for it in the use case, or repair the feature"
    )


def test_a_feature_of_another_type_than_the_cards_is_refused(spark: SparkSession, chain: Chain, tmp_path: Path) -> None:
    to_score = publish_features(Lake(str(tmp_path), CASE), AFTER, [featured("p1")], weight="float")
    assert refusal(spark, chain, tmp_path, to_score) == (
        "features of 2026-03-11: wanted a column 'weight' of type double, as the model's card has it; found type float. "
        "Next: build the day's features again with the use case that the model was trained with, or train again"
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


def test_types_of_the_card_may_be_spelled_as_sql_allows(spark: SparkSession, chain: Chain) -> None:
    inference.check_columns(chain.to_score, {"earlier": Feature("LONG"), "weight": Feature("Double")})


def test_a_broken_page_of_the_features_is_damage(spark: SparkSession, chain: Chain, tmp_path: Path) -> None:
    lake = Lake(str(tmp_path), CASE)
    to_score = publish_features(lake, AFTER, [featured(f"p{number}") for number in range(10)])
    break_page(to_score.files()[0])
    with pytest.raises(DamagedPartition) as caught:
        score(spark, lake, to_score, chain.pinned)
    assert caught.value.where == to_score.files()[0]


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
    assert caught.value.next_step == "restore the file, or build the day anew (daystone rebuild STAGE --date DAY)"


def test_what_is_pinned_is_what_was_trained(chain: Chain) -> None:
    assert chain.pinned.date == DAY
    assert chain.pinned.model == chain.model.document("model.onnx")
    assert chain.pinned.digest == chain.model.manifest.metrics["model_digest"]


def test_bytes_that_are_not_the_pinned_ones_score_nothing(spark: SparkSession, chain: Chain, tmp_path: Path) -> None:
    """The digest is checked before anything is parsed or sent to a worker."""
    with pytest.raises(ModelError) as caught:
        score(spark, Lake(str(tmp_path), CASE), chain.to_score, replace(chain.pinned, model=b"others"))
    assert str(caught.value) == (
        f"model.onnx: wanted the SHA-256 of its card, {chain.pinned.digest}; found {model.digest(b'others')}. "
        "Next: restore the file that was trained, or train again; do not score with this one"
    )


def test_a_pickle_that_was_pinned_scores_nothing(spark: SparkSession, chain: Chain, tmp_path: Path) -> None:
    pickled = pickle.dumps({"features": 3})
    untrusted = replace(chain.pinned, model=pickled, digest=model.digest(pickled))
    with pytest.raises(ModelError, match=r"^model\.onnx: wanted an ONNX model; found a Python pickle"):
        score(spark, Lake(str(tmp_path), CASE), chain.to_score, untrusted)
