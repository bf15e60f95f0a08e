"""A model and its verdict: measured as others measure, exported as Spark scores, the same for the same rows."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.functions import array_to_vector
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from spark_lib.errors import BadData, ConfigurationError, DamagedPartition, ModelError
from spark_lib.lake import Documents, Lake, Partition, Rows
from spark_lib.lake.tables import arrow_schema
from spark_lib.learning import estimators
from spark_lib.models import matrix
from spark_lib.models.card import parse
from spark_lib.models.export import trees
from spark_lib.models.model import load, score
from spark_lib.models.training_set import SIDES
from spark_lib.problems import metrics, problem
from spark_lib.problems.binary import GROUPED_ROWS, Binary
from spark_lib.stages import balancing, segments, training
from tests.spark.conftest import Elsewhere
from tests.spark.lakes import (
    ANY_FILE_ROWS,
    BEFORE,
    CASE,
    DAY,
    SETTINGS,
    SPLIT,
    Chain,
    Parcels,
    arrival,
    balanced_rows,
    break_page,
    card_of,
    history,
    land_rows,
    many_featured,
    publish,
    publish_features,
    silent,
)


def train(spark: SparkSession, balanced: Partition, scratch: Path, **settings: Any) -> Documents:
    return training.build(spark, Parcels(), balanced, dict(SETTINGS) | settings, str(scratch), silent)


@pytest.fixture(scope="module")
def card(chain: Chain) -> dict[str, Any]:
    return dict(json.loads(chain.model.document("card.json")))


# -- verdicts


def test_an_approved_model_is_published_with_its_card(chain: Chain, card: dict[str, Any]) -> None:
    metrics = chain.model.manifest.metrics
    assert sorted(file.path.partition("/")[2] for file in chain.model.manifest.files) == [
        "card.json",
        "model.onnx",
        "report.html",
    ]
    assert card["verdict"] == metrics["verdict"] == {"approved": True, "reason": "", "detail": ""}
    model = chain.model.document("model.onnx")
    assert card["model"] == {"file": "model.onnx", "sha256": metrics["model_digest"], "size": len(model)}
    assert metrics["training_rows"] == chain.balanced.manifest.rows("train")
    assert metrics["area_under_roc"] == card["metrics"]["area_under_roc"] > 0.6


def test_a_model_that_misses_its_gates_leaves_a_card_and_no_model(
    spark: SparkSession, chain: Chain, card: dict[str, Any], tmp_path: Path
) -> None:
    told: list[tuple[int, str]] = []
    gates = dict(SETTINGS) | {"min_area_under_roc": 0.99, "min_area_under_pr": 0.98}
    url = str(tmp_path / "run")
    documents = training.build(spark, Parcels(), chain.balanced, gates, url, lambda *words: told.append(words))
    (roc, pr, error) = card["gates"]
    assert list(documents.files) == ["card.json", "report.html"]
    rejected = card_of(documents)
    assert rejected["verdict"] == {
        "approved": False,
        "reason": "gate",
        "detail": f"area under ROC {roc['value']:.4f}, lower end {roc['end']:.4f} below 0.9900; "
        f"area under PR {pr['value']:.4f}, lower end {pr['end']:.4f} below 0.9800",
    }
    assert rejected["model"] is None
    assert [gate["passed"] for gate in rejected["gates"]] == [False, False, True]
    assert (roc["end"], error["end"]) == (
        card["metrics"]["intervals"]["area_under_roc"][0],
        card["metrics"]["intervals"]["calibration_error"][1],
    )
    assert rejected["metrics"] == card["metrics"]
    assert documents.metrics.keys() == chain.model.manifest.metrics.keys() - {"model_digest"}
    fitting = f"fitting {chain.balanced.manifest.rows('train')} rows"
    assert told == [(20, fitting), (45, "calibrating and measuring")]


def test_an_inconclusive_training_leaves_a_card_without_figures_of_a_model(
    spark: SparkSession, chain: Chain, tmp_path: Path
) -> None:
    positives = sum(chain.balanced.manifest.metrics[split]["positive"] for split in SIDES)
    documents = train(spark, chain.balanced, tmp_path / "run", min_positives=positives + 1)
    assert list(documents.files) == ["card.json", "report.html"]
    assert card_of(documents)["verdict"] == {
        "approved": False,
        "reason": "inconclusive",
        "detail": f"too few positives: {positives} in the window, min_positives is {positives + 1}",
    }
    assert (card_of(documents)["metrics"], card_of(documents)["model"]) == ({}, None)
    assert documents.metrics.keys() == {"training_rows", "verdict"}
    assert not (tmp_path / "run").exists()


def test_one_class_is_an_inconclusive_training(spark: SparkSession, tmp_path: Path) -> None:
    balanced = balanced_set(spark, tmp_path, late=lambda number: False)
    assert card_of(train(spark, balanced, tmp_path / "run"))["verdict"] == {
        "approved": False,
        "reason": "inconclusive",
        "detail": "one class: no positive among the "
        f"{balanced.manifest.metrics['train']['negative']} labelled rows of the train split",
    }


# -- the card


NO_TEXT = {"text": False, "categories": None}


def test_a_card_says_what_is_needed_to_score_and_to_judge(chain: Chain, card: dict[str, Any]) -> None:
    assert card["features"] == [
        {"name": "earlier", "type": "BIGINT", "fill": None, "nominal": False, **NO_TEXT},
        {"name": "weight", "type": "DOUBLE", "fill": 0.0, "nominal": False, **NO_TEXT},
        {"name": "fragile", "type": "BOOLEAN", "fill": 0.0, "nominal": False, **NO_TEXT},
    ]
    assert card["classes"] == {"negative": ["in time"], "positive": "late"}
    drawn_from = card["rows"]["train"]
    assert card["calibration"] == {
        "kind": "prior",
        "odds": pytest.approx(drawn_from["positive"] / drawn_from["negative"]),
    }
    before, after = card["metrics"]["uncalibrated"], card["metrics"]
    assert after["calibration_error"] < before["calibration_error"]
    assert after["brier"] < before["brier"]
    figures = chain.balanced.manifest.metrics
    assert card["rows"] == {name: figures[name] for name in figures if name not in ("by_day", "spread")}
    assert set(card["importance"]) == set(Parcels.features)
    assert sum(card["importance"].values()) == pytest.approx(1)
    assert card["settings"] == SETTINGS
    assert {"python", "pyspark", "onnxruntime"} <= card["versions"].keys()


def test_a_card_holds_no_run_and_no_time_but_when_the_rows_of_its_reference_landed(chain: Chain) -> None:
    text = chain.model.document("card.json").decode()
    landed = json.loads(text)["reference"]["middle"]
    runs = [partition.manifest.run for partition in (*chain.window, chain.balanced, chain.model)]
    assert not [run for run in runs if run in text]
    assert re.findall(r"\d{4}-\d\d-\d\d|\d\d:\d\d|seconds", text) == [landed]
    assert chain.window[0].date <= date.fromisoformat(landed) <= chain.window[-1].date


# -- out of time


def test_out_of_time_judges_on_the_last_days_a_model_of_the_days_before(
    spark: SparkSession, chain: Chain, card: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted, fit = [], training._fitted
    monkeypatch.setattr(
        training, "_fitted", lambda case, features, rows, *rest: fitted.append(rows) or fit(case, features, rows, *rest)
    )
    days = sorted({row["landed"] for row in balanced_rows(chain.lake.root, "train")})
    later = days[len(days) * 4 // 5 :]

    documents = train(spark, chain.balanced, tmp_path / "run", out_of_time=True)

    found = card_of(documents)["metrics"]
    judging = [row for row in balanced_rows(chain.lake.root, "validation/unbalanced") if row["landed"] in later]
    assert {name: found["out_of_time"][name] for name in ("days", "rows", "positives")} == {
        "days": len(later),
        "rows": len(judging),
        "positives": sum(row["label"] for row in judging),
    }
    low, high = found["out_of_time"]["intervals"]["area_under_roc"]
    assert 0.5 < low < found["out_of_time"]["area_under_roc"] < high
    ends = [rows.agg(F.max("landed")).first()[0] for rows in fitted]
    assert ends == [days[-1], days[len(days) * 4 // 5 - 1]]
    assert found["area_under_roc"] == card["metrics"]["area_under_roc"]


def test_rows_of_too_few_entities_judge_nothing_out_of_time(
    spark: SparkSession, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(problem, "LEAST_GROUPS", problem.GROUPS + 1)

    found = training.out_of_time(spark, chain.case, chain.balanced, SETTINGS)

    assert set(found) == {"days", "rows", "positives", "reason"}
    assert re.fullmatch(r"too few entities: they make \d+ of 200 groups, an interval takes 201", found["reason"])


# -- areas


def area_under_roc(scores: np.ndarray, labels: np.ndarray) -> float:
    """The chance that a positive is above a negative, a tie counting half (Hanley and McNeil, 1982)."""
    ranks = pd.Series(scores).rank().to_numpy()
    positives = labels.sum()
    below = ranks[labels == 1].sum() - positives * (positives + 1) / 2
    return float(below / (positives * (len(labels) - positives)))


def area_under_pr(scores: np.ndarray, labels: np.ndarray) -> float:
    """The mean precision at each positive, those of equal scores together."""
    frame = pd.DataFrame({"score": scores, "label": labels})
    above = frame.groupby("score")["label"].agg(["size", "sum"]).sort_index(ascending=False)
    upto = above.cumsum()
    return float((above["sum"] * upto["sum"] / upto["size"]).sum() / labels.sum())


def test_the_area_under_roc_is_that_of_sparks_own_evaluator(spark: SparkSession) -> None:
    random = np.random.default_rng(1)
    labels = (random.random(2_500) < 0.2).astype(np.float64)
    scores = np.round(0.6 * random.random(len(labels)) + 0.3 * labels, 3)
    table = pa.table({"label": labels, "score": scores, "p": np.stack([1 - scores, scores], axis=1).tolist()})
    scored = spark.createDataFrame(table).select(
        "label", F.col("score").alias("_score"), array_to_vector(F.col("p")).alias("probability")
    )
    evaluator = BinaryClassificationEvaluator(rawPredictionCol="probability", labelCol="label", numBins=0)
    found = metrics.measured(Binary("late", ("in time",)).collected(scored, "label", GROUPED_ROWS + 1))
    assert found["area_under_roc"] == pytest.approx(evaluator.evaluate(scored), abs=1e-6)


def test_the_cards_areas_are_those_of_its_model_on_the_validation_rows(chain: Chain, card: dict[str, Any]) -> None:
    session = load(chain.model.document("model.onnx"))
    for section, prefix in (("validation/unbalanced", ""), ("validation/balanced", "balanced_")):
        found = pa.Table.from_pylist(balanced_rows(chain.lake.root, section))
        scores, labels = score(session, matrix.from_arrow(found, Parcels.features)), found["label"].to_numpy()
        assert card["metrics"][f"{prefix}area_under_roc"] == pytest.approx(area_under_roc(scores, labels), abs=1e-5)
        assert card["metrics"][f"{prefix}area_under_pr"] == pytest.approx(area_under_pr(scores, labels), abs=1e-5)


def test_the_card_says_how_sure_its_metrics_are(card: dict[str, Any]) -> None:
    found = card["metrics"]

    assert found["intervals"].keys() == metrics.METRICS.keys()
    for name, (low, high) in found["intervals"].items():
        assert low < high
        assert low - 0.05 < found[name] < high + 0.05
    assert found["intervals"]["area_under_roc"][0] < found["area_under_roc"] < found["intervals"]["area_under_roc"][1]


# -- the same model


def test_the_same_rows_give_the_same_model_in_other_files_and_partitions(
    spark: SparkSession, chain: Chain, card: dict[str, Any], tmp_path: Path
) -> None:
    def scattered(url: str) -> Rows:
        for section in ("train", "calibration", "validation/unbalanced", "validation/balanced"):
            found = spark.createDataFrame(rows_table(chain, section)).orderBy(F.desc("weight"))
            found.repartition(3).write.option("maxRecordsPerFile", 60).parquet(f"{url}/{section}")
        manifest = chain.balanced.manifest
        return Rows({name: manifest.rows(name) for name in manifest.sections}, manifest.schema, manifest.metrics)

    balanced = publish(Lake(str(tmp_path), CASE), "balanced", DAY, scattered)
    assert len(balanced.manifest.files) > 2 * len(chain.balanced.manifest.files)
    assert card_of(train(spark, balanced, tmp_path / "run")) == card


def rows_table(chain: Chain, section: str) -> pa.Table:
    return pa.Table.from_pylist(balanced_rows(chain.lake.root, section), arrow_schema(chain.balanced.manifest.schema))


def test_another_process_with_one_core_in_another_time_zone_makes_the_same_model(
    chain: Chain, elsewhere: Elsewhere
) -> None:
    assert elsewhere.found["model_digest"] == chain.model.manifest.metrics["model_digest"]


# -- the export


def test_a_wrong_export_is_refused_and_its_scratch_files_are_removed(
    spark: SparkSession, chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trees, "round_down", lambda thresholds: thresholds.astype(np.float32) + 1)
    with pytest.raises(ModelError) as caught:
        train(spark, chain.balanced, tmp_path / "run")
    assert caught.value.where == "parity of model.onnx with its estimator"
    assert caught.value.wanted == "probabilities that differ by at most 1e-06"
    of = chain.balanced.manifest.rows("validation/unbalanced")
    assert re.fullmatch(rf"[1-9]\d* of {of} rows beyond it, the largest difference 0\.\d+", caught.value.found)
    assert not list((tmp_path / "run").iterdir())


def test_scratch_files_are_removed_when_the_export_fails_half_way(
    spark: SparkSession, chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(trees, "tree_attributes", full)
    with pytest.raises(OSError, match="no space left"):
        train(spark, chain.balanced, tmp_path / "[run]")
    assert not list((tmp_path / "[run]").iterdir())


def test_a_published_model_has_no_scratch_files(chain: Chain) -> None:
    run = Path(chain.lake.root, chain.lake.prefix("model", DAY), f"run={chain.model.manifest.run}")
    assert sorted(path.name for path in run.rglob("*")) == ["card.json", "model.onnx", "report.html"]


def test_a_sample_for_parity_comes_from_all_over_the_validation_rows(
    spark: SparkSession, chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[np.ndarray] = []
    monkeypatch.setattr(estimators, "PARITY_ROWS", 30)
    monkeypatch.setattr(estimators, "check_parity", lambda model, drawn, probabilities: compared.append(drawn))
    train(spark, chain.balanced, tmp_path / "run")
    found = balanced_rows(chain.lake.root, "validation/unbalanced")
    of_all = matrix.from_arrow(pa.Table.from_pylist(found), Parcels.features)
    (drawn,) = compared
    assert drawn.shape == (30, 3)
    days = {found[index]["landed"] for row in drawn for index in np.flatnonzero((of_all == row).all(axis=1))[:1]}
    assert days == {partition.date for partition in chain.window}


# -- what is refused


def balanced_set(spark: SparkSession, root: Path, late: Any, **more: Any) -> Partition:
    """A balanced set of one day of 100 parcels of which ``late`` says whether the nth is."""
    lake, window = Lake(str(root), CASE), [row | more for row in many_featured(BEFORE, 100)]
    features = [publish_features(lake, BEFORE, window)]
    outcomes = [arrival(row["parcel"], "late" if late(number) else "in time") for number, row in enumerate(window)]
    land_rows(root, "arrivals", BEFORE, outcomes)
    days = history(root, BEFORE, BEFORE, "arrivals")
    return publish(
        lake,
        "balanced",
        DAY,
        lambda url: balancing.build(spark, Parcels(), CASE, features, days, SPLIT, url, ANY_FILE_ROWS),
    )


def test_a_null_without_a_fill_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    balanced = balanced_set(spark, tmp_path, lambda number: number % 2, earlier=None)
    with pytest.raises(BadData) as caught:
        train(spark, balanced, tmp_path / "run")
    assert str(caught.value) == (
        "the model's matrix: wanted a value in every row of earlier; "
        f"found null or NaN: {balanced.manifest.rows('train')} of earlier. "
        "Next: declare a `fill` for it in the use case, or repair the feature"
    )


@pytest.mark.parametrize(
    ("weight", "said"),
    [(2.0, "weight is 2 in all {rows} rows of the train split"), (None, "weight is null in all {rows}")],
)
def test_a_column_with_one_value_or_none_rejects_the_training_where_that_is_wanted(
    spark: SparkSession, tmp_path: Path, weight: float | None, said: str
) -> None:
    balanced = balanced_set(spark, tmp_path, lambda number: number % 2, weight=weight)
    documents = train(spark, balanced, tmp_path / "run", constant_columns="reject")
    verdict = card_of(documents)["verdict"]
    assert (verdict["approved"], verdict["reason"]) == (False, "features")
    assert verdict["detail"].startswith(said.format(rows=sum(balanced.manifest.metrics["train"].values())))
    assert list(documents.files) == ["card.json", "report.html"]


def test_a_column_with_one_value_is_a_warning_in_the_card_the_report_and_the_manifest(
    spark: SparkSession, chain: Chain, card: dict[str, Any], tmp_path: Path
) -> None:
    balanced = balanced_set(spark, tmp_path, lambda number: number % 3 == 0, weight=2.0, fragile=True)
    documents = train(spark, balanced, tmp_path / "run", min_area_under_roc=0.0, max_calibration_error=1.0)
    rows = sum(balanced.manifest.metrics["train"].values())
    words = f"fragile is 1 and weight is 2 in all {rows} rows of the train split: a model learns nothing from them"
    assert card_of(documents)["verdict"]["approved"]
    assert card_of(documents)["warnings"] == documents.metrics["warnings"] == [words]
    assert f"<strong>Warning: </strong>{words}." in documents.files["report.html"].decode()
    assert card["warnings"] == []
    assert "warnings" not in chain.model.manifest.metrics


def test_a_column_without_a_value_is_judged_by_the_training_before(spark: SparkSession, tmp_path: Path) -> None:
    balanced = balanced_set(spark, tmp_path, lambda number: number % 3 == 0, weight=None, fragile=True)
    settings = dict(SETTINGS) | {"min_area_under_roc": 0.0, "max_calibration_error": 1.0}

    def trained(null_before: list[str] | None) -> dict[str, Any]:
        url = str(tmp_path / "run")
        return card_of(training.build(spark, Parcels(), balanced, settings, url, silent, null_before))

    of_first, of_new, of_known = trained(None), trained(["fragile"]), trained(["weight"])
    rows = sum(balanced.manifest.metrics["train"].values())
    in_all = f"in all {rows} rows of the train split"
    assert of_first["verdict"]["detail"].startswith(
        f"weight is null {in_all}, and there was no training before; repair"
    )
    assert of_new["verdict"]["detail"].startswith(f"weight is null {in_all}, and not in the training before; repair")
    assert of_first["warnings"] == [f"fragile is 1 {in_all}: a model learns nothing from it"]
    assert of_known["verdict"]["approved"]
    assert of_known["warnings"] == [f"weight is null and fragile is 1 {in_all}: a model learns nothing from them"]


def test_an_infinite_value_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    balanced = balanced_set(spark, tmp_path, lambda number: number % 2, weight=float("inf"))
    with pytest.raises(BadData) as caught:
        train(spark, balanced, tmp_path / "run")
    rows = sum(balanced.manifest.metrics["train"].values())
    assert str(caught.value) == (
        "the training rows: wanted finite numbers in every row of weight; "
        f"found infinite: {rows} of weight. Next: repair the feature: a model cannot be fitted to infinity"
    )


def test_rows_balanced_by_smote_are_not_brought_back_by_the_correction_of_random_draws(
    spark: SparkSession, chain: Chain, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match="prior, which is exact only where rows are drawn at random"):
        train(spark, chain.balanced, tmp_path / "run", balancing="smote", calibration="prior")


def test_a_broken_page_of_the_training_rows_is_damage(spark: SparkSession, tmp_path: Path) -> None:
    balanced = balanced_set(spark, tmp_path, lambda number: number % 2)
    broken = balanced.files("train")[0]
    break_page(broken)
    with pytest.raises(DamagedPartition) as caught:
        train(spark, balanced, tmp_path / "run")
    assert caught.value.where == broken


def test_an_estimator_that_onnx_does_not_carry_is_refused(spark: SparkSession, chain: Chain, tmp_path: Path) -> None:
    class Bayes(Parcels):
        def estimator(self, settings: Mapping[str, Any]) -> Any:
            from pyspark.ml.classification import NaiveBayes

            return NaiveBayes()

    lenient = dict(SETTINGS) | {"min_area_under_roc": 0.0}
    with pytest.raises(ModelError) as caught:
        training.build(spark, Bayes(), chain.balanced, lenient, str(tmp_path / "run"), silent)
    assert str(caught.value) == (
        "export to ONNX: wanted a classifier of Spark ML that ONNX can carry (DecisionTreeClassifier, GBTClassifier, "
        "LogisticRegression or RandomForestClassifier), alone or as the last stage of a Pipeline after transformers that "
        "it can carry (ElementwiseProduct, MaxAbsScaler, MinMaxScaler, Normalizer, PCA, StandardScaler or VectorSlicer); "
        "found NaiveBayes. Next: let the use case's estimator be made of these"
    )


# -- segments


class Segmented(Parcels):
    segments = ("fragile", "earlier")


def test_every_value_of_a_segment_is_judged_on_its_own_validation_rows(
    spark: SparkSession, chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "MOST_VALUES", 3)

    documents = training.build(spark, Segmented(), chain.balanced, SETTINGS, str(tmp_path / "run"), silent)

    card, natural = parse(documents.files["card.json"]), rows_table(chain, "validation/unbalanced").to_pandas()
    of_fragile, of_earlier = ([each for each in card.segments if each.column == name] for name in Segmented.segments)
    assert {each.value: each.rows for each in of_fragile} == {
        value: int((natural["fragile"].isna() if value is None else natural["fragile"] == value).sum())
        for value in (True, False, None)
    }
    by_earlier = natural["earlier"].value_counts()
    assert [each.rows for each in of_earlier] == [*by_earlier[:3], by_earlier[3:].sum()]
    assert [each.others for each in of_earlier] == [0, 0, 0, 2]
    frail = next(each for each in of_fragile if each.value is True)
    found = natural[natural["fragile"] == True]  # noqa: E712
    scores = score(
        load(documents.files["model.onnx"]),
        matrix.from_arrow(
            pa.Table.from_pandas(found, rows_table(chain, "validation/unbalanced").schema), Parcels.features
        ),
    )
    assert frail.outcomes == {"prevalence": pytest.approx(found["label"].mean())}
    assert frail.metrics["area_under_roc"] == pytest.approx(
        area_under_roc(np.round(scores, 6), found["label"].to_numpy()), abs=1e-3
    )
    low, high = frail.metrics["intervals"]["area_under_roc"]
    assert low < frail.metrics["area_under_roc"] < high
    assert "Segments of fragile" in documents.files["report.html"].decode()
    assert card.metrics == parse(chain.model.document("card.json")).metrics
