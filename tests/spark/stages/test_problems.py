"""Classes and numbers through the stages: training set, model, comparison and predictions."""

from __future__ import annotations

import io
import json
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.metrics import accuracy_score, f1_score, root_mean_squared_error

from spark_lib.errors import BadData, ModelError
from spark_lib.lake import Attempt, Lake, Partition, Rows
from spark_lib.lake.tables import arrow_schema, read_arrow
from spark_lib.models import matrix
from spark_lib.models.card import parse
from spark_lib.models.model import load, score
from spark_lib.problems import multiclass
from spark_lib.scoring import partitions as scoring
from spark_lib.stages import balancing, champion, inference, selection, training
from spark_lib.use_case import ClassLabel, Feature, Feed, NumberLabel, UseCase
from tests.spark.lakes import AFTER, BEFORE, DAY, SETTINGS, feed, land, noon, publish, silent, table

ANY_FILE_ROWS = 1_000_000
CASE = "problems"
SCHEMA = (
    *(("dish", "string"), ("cook", "string"), ("at", "timestamp")),
    *(("sweet", "double"), ("heavy", "double"), ("kind", "string"), ("words", "string")),
)
CLASSES: Mapping[str, Any] = {
    **{name: value for name, value in SETTINGS.items() if not name.startswith(("min_area", "min_pos"))},
    "balancing": "undersample",
    "min_labelled": 100,
    "min_accuracy": 0.5,
    "min_macro_f1": 0.0,
    "max_log_loss": None,
    "champion_margin": 0.05,
}
NUMBERS: Mapping[str, Any] = {
    **CLASSES,
    "balancing": "none",
    "coverage": 0.8,
    "min_coverage": None,
    "max_rmse": None,
    "max_mae": None,
    "min_r2": 0.3,
}


class Courses(UseCase):
    """Which course a dish is."""

    feeds = {
        "dishes": Feed(
            "dish STRING, cook STRING, at TIMESTAMP, sweet DOUBLE, heavy DOUBLE, kind STRING, words STRING", key="dish"
        ),
        "verdicts": Feed("dish STRING, course STRING, minutes DOUBLE", key="dish"),
    }
    rows = "dishes"
    entity = "cook"
    event_time = "at"
    label: Any = ClassLabel(
        feed="verdicts", key="dish", column="course", classes=("main", "starter", "dessert"), all_scores=True
    )
    features = {"sweet": Feature("DOUBLE"), "heavy": Feature("DOUBLE", fill=0.0)}


class Minutes(Courses):
    """How many minutes a dish takes."""

    label = NumberLabel(feed="verdicts", key="dish", column="minutes", least=0, most=500)


class Kinds(Minutes):
    """How many minutes a dish takes, by its kind alone."""

    features = {"kind": Feature("STRING")}


class Described(Courses):
    """Which course a dish is, by its description."""

    features = {"words": Feature("STRING", fill="", text=True), "sweet": Feature("DOUBLE")}

    def estimator(self, settings: Mapping[str, Any]) -> Any:
        from sklearn.compose import make_column_transformer
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        return make_pipeline(
            make_column_transformer((TfidfVectorizer(), "words"), ("passthrough", ["sweet"])), LogisticRegression()
        )


def dishes(day: Any, count: int = 500) -> list[dict[str, Any]]:
    draw = random.Random(f"{day}")
    return [
        {
            "dish": f"{day}-{number}",
            "cook": f"C{draw.randrange(120)}",
            "at": noon(day, seconds=number),
            "sweet": round(draw.uniform(0, 10), 2),
            "heavy": None if number % 50 == 0 else round(draw.uniform(0, 10), 2),
        }
        | described(draw.randrange(4), number)
        for number in range(count)
    ]


def described(kind: int, number: int) -> dict[str, Any]:
    """A kind of dish, and words for it; some are not known, and one kind was never there before AFTER."""
    names = ["soup", "stew", "crumble", None]
    words = ["thin and hot", "slow and rich", "sweet and baked", None]
    return {"kind": names[kind], "words": words[kind] if number % 7 else None}


def verdict(row: Mapping[str, Any]) -> dict[str, Any]:
    draw = random.Random(row["dish"])
    sweet, heavy = row["sweet"] + draw.gauss(0, 1), (row["heavy"] or 0) + draw.gauss(0, 1)
    course = "dessert" if sweet > 8 else "main" if heavy > 3 else "starter"
    longer = {"soup": 0, "stew": 6, "crumble": 2}.get(row["kind"], 9)
    return {"dish": row["dish"], "course": course, "minutes": max(0.0, 5 * heavy + 10 + longer + draw.gauss(0, 4))}


@dataclass(frozen=True)
class Built:
    """What a use case has built in a lake."""

    lake: Lake
    balanced: Partition
    model: Partition
    predictions: Partition

    @property
    def card(self) -> dict[str, Any]:
        return dict(json.loads(self.model.document("card.json")))


def landed(lake: Lake, case: UseCase) -> tuple[list[Partition], Any]:
    """Three days of features, and their outcomes on DAY."""
    days = [DAY - timedelta(days=3), DAY - timedelta(days=2), BEFORE]
    rows = {day: dishes(day) for day in days}
    window = [features_of(lake, day, rows[day]) for day in days]
    for day in (*days, DAY):
        arrived = [verdict(row) for of_day in rows.values() for row in of_day] if day == DAY else []
        land(replace(feed(lake.root, "verdicts"), use_case=CASE), day, table(case, "verdicts", arrived))
    return window, replace(feed(lake.root, "verdicts"), use_case=CASE).history(days[0], DAY)


def features_of(lake: Lake, day: Any, rows: list[dict[str, Any]]) -> Partition:
    def build(url: str) -> Rows:
        Path(url).mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows, arrow_schema(SCHEMA)), f"{url}/part-0.parquet")
        return Rows({"": len(rows)}, SCHEMA)

    return publish(lake, "features", day, build)


def built(spark: SparkSession, root: Path, case: UseCase, settings: Mapping[str, Any]) -> Built:
    lake = Lake(str(root), CASE)
    window, outcomes = landed(lake, case)
    balanced = publish(
        lake,
        "balanced",
        DAY,
        lambda url: balancing.build(spark, case, CASE, window, outcomes, dict(settings), url, ANY_FILE_ROWS),
    )
    model = publish(lake, "model", DAY, lambda url: training.build(spark, case, balanced, settings, url, silent))
    assert parse(model.document("card.json")).verdict.approved, parse(model.document("card.json")).verdict
    pins = publish(lake, "selection", AFTER, lambda url: selection.build(model, [model]))
    to_score = features_of(lake, AFTER, dishes(AFTER))
    with Attempt(lake, "predictions", [AFTER], stage="Test") as attempt:
        attempt.commit(
            inference.build(
                partial(scoring.run, spark), case, to_score, selection.pinned(lake, pins), attempt, ANY_FILE_ROWS
            )
        )
    return Built(lake, balanced, model, lake.require("predictions", AFTER)[0])


@pytest.fixture(scope="module")
def courses(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return built(spark, tmp_path_factory.mktemp("courses"), Courses(), CLASSES)


@pytest.fixture(scope="module")
def kinds(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return built(spark, tmp_path_factory.mktemp("kinds"), Kinds(), {**NUMBERS, "max_categories": 2, "min_r2": -1.0})


@pytest.fixture(scope="module")
def texts(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return built(spark, tmp_path_factory.mktemp("texts"), Described(), {**CLASSES, "min_accuracy": 0.2})


@pytest.fixture(scope="module")
def minutes(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return built(spark, tmp_path_factory.mktemp("minutes"), Minutes(), NUMBERS)


def section(found: Built, name: str) -> pa.Table:
    return read_arrow(found.lake, "balanced", DAY, section=name)


def test_labels_are_places_in_the_declared_classes_and_classes_are_undersampled_to_the_smallest(courses):
    counts = courses.balanced.manifest.metrics
    train = section(courses, "train")

    assert set(counts["train"]) == {"main", "starter", "dessert"}
    smallest = min(counts["train"].values())
    assert counts["balanced"] == dict.fromkeys(counts["train"], smallest)
    assert np.bincount(train["label"].to_numpy()).tolist() == [smallest] * 3
    natural = section(courses, "validation/unbalanced")
    of_side = np.bincount(natural["label"].to_numpy()).tolist()
    assert dict(zip(Courses.label.classes, of_side, strict=True)) == counts["validation"]
    by_dish = dict(zip(natural["dish"].to_pylist(), natural["label"].to_pylist(), strict=True))
    for rows in (dishes(BEFORE), dishes(DAY - timedelta(days=2))):
        for row in rows:
            if row["dish"] in by_dish:
                assert Courses.label.classes[by_dish[row["dish"]]] == verdict(row)["course"]


def test_a_number_is_its_own_label_and_its_training_set_is_not_balanced(minutes):
    counts = minutes.balanced.manifest.metrics
    train = section(minutes, "train")

    assert counts["balanced"] == counts["train"] == {"rows": train.num_rows}
    assert section(minutes, "validation/balanced").num_rows == 0
    assert all(abs(number - round(number)) > 0 for number in train["label"].to_pylist()[:5])


def test_the_card_of_classes_has_what_its_model_measures_on_the_natural_rows(courses):
    card, natural = courses.card, section(courses, "validation/unbalanced")
    matrix_of_rows = matrix.from_arrow(natural, Courses.features)
    raw = score(load(courses.model.document("model.onnx")), matrix_of_rows)

    probabilities = multiclass.apply(card["calibration"], raw)

    labels = natural["label"].to_numpy()
    assert card["metrics"]["accuracy"] == pytest.approx((probabilities.argmax(axis=1) == labels).mean())
    of_label = probabilities[np.arange(len(labels)), labels]
    assert card["metrics"]["log_loss"] == pytest.approx(-np.log(of_label).mean(), rel=1e-5)
    assert card["metrics"]["log_loss"] < card["metrics"]["uncalibrated"]["log_loss"]
    assert (card["problem"], card["format"]) == ("multiclass", 2)
    assert card["classes"] == {"values": ["main", "starter", "dessert"], "all_scores": True}
    assert [gate["name"] for gate in card["gates"]] == ["accuracy", "macro_f1", "calibration_error"]


def median_of_forests(found: Built, features: Mapping[str, Feature], metric: Callable[[Any, Any], float]) -> float:
    """The median of ``metric(labels, said)`` of forests of scikit-learn with 21 seeds: one forest of three trees is a
    matter of luck.

    Each is fitted to the rows that the model was fitted to, and judged on the natural validation rows. It has as many
    trees, as deep, and as many features a split as Spark's: the root of their number for classes, a third of it for a
    number, rounded up. ``said`` are the probabilities [n, K] of K classes, or the numbers [n].
    """
    train, natural = section(found, "train"), section(found, "validation/unbalanced")
    x, judged = (matrix.from_arrow(rows, features) for rows in (train, natural))
    is_number = found.card["problem"] == "regression"
    forest = RandomForestRegressor if is_number else RandomForestClassifier
    settings = {
        "n_estimators": found.card["settings"]["trees"],
        "max_depth": found.card["settings"]["depth"],
        "max_features": math.ceil(len(features) / 3 if is_number else math.sqrt(len(features))),
    }

    def measured(seed: int) -> float:
        fitted = forest(**settings, random_state=seed).fit(x, train["label"].to_numpy())
        return metric(natural["label"].to_numpy(), (fitted.predict if is_number else fitted.predict_proba)(judged))

    return float(np.median([measured(seed) for seed in range(21)]))


@pytest.mark.parametrize(
    ("name", "metric"), [("accuracy", accuracy_score), ("macro_f1", lambda *rows: f1_score(*rows, average="macro"))]
)
def test_forests_of_scikit_learn_tell_classes_apart_as_well_as_the_card_says(courses, name, metric):
    counts = courses.balanced.manifest.metrics
    natural = np.array([counts["train"][course] / counts["balanced"][course] for course in Courses.label.classes])

    found = median_of_forests(
        courses,
        Courses.features,
        lambda labels, probabilities: metric(labels, (probabilities * natural).argmax(axis=1)),
    )

    low, high = courses.card["metrics"]["intervals"][name]
    assert low < found < high


def test_forests_of_scikit_learn_are_as_far_off_a_number_as_the_card_says(minutes):
    found = median_of_forests(minutes, Minutes.features, root_mean_squared_error)

    low, high = minutes.card["metrics"]["intervals"]["rmse"]
    assert low < found < high


def test_predictions_of_classes_are_those_of_the_calibrated_model(courses):
    found = read_arrow(courses.lake, "predictions", AFTER)
    rows = {row["dish"]: row for row in dishes(AFTER)}
    ordered = pa.Table.from_pylist([rows[dish] for dish in found["dish"].to_pylist()], arrow_schema(SCHEMA))
    raw = score(load(courses.model.document("model.onnx")), matrix.from_arrow(ordered, Courses.features))

    expected = multiclass.apply(courses.card["calibration"], raw)

    assert found.column_names[:6] == ["dish", "cook", "at", "prediction", "score", "scores"]
    assert np.allclose(np.array(found["scores"].to_pylist()), expected)
    assert np.allclose(found["score"].to_numpy(), expected.max(axis=1))
    names = [Courses.label.classes[place] for place in expected.argmax(axis=1)]
    assert found["prediction"].to_pylist() == names
    figures = courses.predictions.manifest.metrics
    assert sum(figures["scores"]["classes"].values()) == 500


def test_predictions_of_numbers_have_the_interval_of_the_card(minutes):
    found = read_arrow(minutes.lake, "predictions", AFTER)
    half = minutes.card["calibration"]["half_width"]

    number, lower, upper = (found[name].to_numpy() for name in ("prediction", "lower", "upper"))

    assert np.allclose(number - lower, half) and np.allclose(upper - number, half)
    truth = {row["dish"]: verdict(row)["minutes"] for row in dishes(AFTER)}
    outcome = np.array([truth[dish] for dish in found["dish"].to_pylist()])
    assert ((outcome >= lower) & (outcome <= upper)).mean() > 0.7
    assert np.sqrt(((outcome - number) ** 2).mean()) < outcome.std()
    assert [gate["name"] for gate in minutes.card["gates"]] == ["r2", "coverage"]
    assert minutes.card["gates"][1]["bound"] == pytest.approx(0.75)


def test_categories_are_the_most_frequent_of_the_training_split_and_others_are_counted_at_scoring(kinds):
    (feature,) = kinds.card["features"]
    train = section(kinds, "train")["kind"].to_pylist()
    frequent = sorted(("soup", "stew", "crumble"), key=lambda kind: (-train.count(kind), kind))

    assert feature["categories"] == frequent[:2]
    day = [row["kind"] for row in dishes(AFTER)]
    assert kinds.predictions.manifest.metrics["unseen_categories"] == {"kind": day.count(frequent[2])}
    found = read_arrow(kinds.lake, "predictions", AFTER)
    kind_of = {row["dish"]: row["kind"] for row in dishes(AFTER)}
    by_kind: dict[Any, set[float]] = {}
    for dish, number in zip(found["dish"].to_pylist(), found["prediction"].to_pylist(), strict=True):
        by_kind.setdefault(kind_of[dish], set()).add(number)
    assert by_kind.keys() == {"soup", "stew", "crumble", None}  # null has a number of its own
    assert all(len(numbers) == 1 for numbers in by_kind.values())
    assert len(set.union(*by_kind.values())) == 4


def test_texts_go_to_a_pipeline_whose_pickle_scores_the_day_once_for_each_distinct_row(texts):
    model = texts.model.document("model.joblib")
    card = parse(texts.model.document("card.json"))
    found = read_arrow(texts.lake, "predictions", AFTER)
    rows = {row["dish"]: row for row in dishes(AFTER)}

    pipeline = joblib.load(io.BytesIO(model))

    table = pd.DataFrame([rows[dish] for dish in found["dish"].to_pylist()])[["words", "sweet"]].fillna({"words": ""})
    expected = multiclass.apply(card.calibration, pipeline.predict_proba(table))
    assert np.allclose(np.array(found["scores"].to_pylist()), expected)
    assert card.model is not None
    assert (card.model.file, card.is_pickled) == ("model.joblib", True)
    assert texts.predictions.manifest.metrics["engine"] == "scikit-learn"
    assert texts.predictions.manifest.metrics["repeated"] >= 0


def test_a_text_without_a_pipeline_of_scikit_learn_is_refused_by_name(spark, texts):
    class Forested(Described):
        def estimator(self, settings):
            return UseCase.estimator(self, settings)

    with pytest.raises(ModelError) as caught:
        training.build(spark, Forested(), texts.balanced, {**CLASSES, "trees": 2, "depth": 2}, "unused", silent)

    assert str(caught.value) == (
        "training on texts: wanted an estimator of scikit-learn, which takes the texts words; found a "
        "RandomForestClassifier. Next: return a Pipeline of scikit-learn from the use case's `estimator`"
    )


def test_an_estimator_that_cannot_be_pickled_is_refused_before_anything_is_published(spark, texts):
    class Local(Described):
        def estimator(self, settings):
            found = super().estimator(settings)
            found.steps[0][1].transformers[0][1].set_params(tokenizer=lambda text: text.split(), token_pattern=None)
            return found

    with pytest.raises(ModelError) as caught:
        training.build(spark, Local(), texts.balanced, CLASSES, "unused", silent)

    assert str(caught.value).startswith(
        "training on texts: wanted an estimator that can be pickled; found PicklingError: "
    )
    assert str(caught.value).endswith(
        "Next: let it be made of scikit-learn's parts and of functions of modules, without a lambda"
    )


def test_reports_show_the_sections_of_their_problem(courses, minutes):
    by_class, by_number = (found.model.document("report.html").decode() for found in (courses, minutes))

    for title in ("What is taken for what", "The classes that it finds least", "Is it as sure as it should be?"):
        assert title in by_class
    for title in ("How large the errors are", "Predicted and observed"):
        assert title in by_number
    assert "Precision by recall" not in by_class + by_number


@pytest.mark.parametrize(("kind", "words"), [("courses", "log loss +0.00%"), ("minutes", "RMSE +0.00%")])
def test_a_model_does_not_lose_to_itself(spark, request, kind, words):
    found = request.getfixturevalue(kind)
    settings = CLASSES if kind == "courses" else NUMBERS
    pinned = selection.approved_model(found.lake, found.model)

    compared = champion.compare_models(lambda: spark, "dish", pinned, pinned, found.balanced, settings)

    assert not compared.loses
    assert compared.detail.startswith(f"{words} against the model of {DAY} (")


class Short(Minutes):
    """Dishes that take 20 minutes at most."""

    label = NumberLabel(feed="verdicts", key="dish", column="minutes", least=0, most=20)


class Unsweetened(Courses):
    """Courses that know no dessert."""

    label = ClassLabel(feed="verdicts", key="dish", column="course", classes=("main", "starter"))


@pytest.mark.parametrize(
    ("case", "settings", "wanted", "is_wrong", "repair"),
    [
        (
            Short(),
            NUMBERS,
            "'minutes' to be a number from 0 to 20",
            lambda row: row["minutes"] if row["minutes"] > 20 else None,
            "correct the label's `least` and `most`",
        ),
        (
            Unsweetened(),
            CLASSES,
            "'course' to be one of 'main', 'starter'",
            lambda row: row["course"] if row["course"] == "dessert" else None,
            "add the value to the label's `classes`",
        ),
    ],
    ids=["a number outside of its bounds", "a class that is not declared"],
)
def test_an_outcome_that_the_label_does_not_allow_is_refused_and_nothing_is_written(
    spark, tmp_path, case, settings, wanted, is_wrong, repair
):
    lake = Lake(str(tmp_path), CASE)
    window, outcomes = landed(lake, case)
    wrong = [is_wrong(verdict(row)) for partition in window for row in dishes(partition.date)]

    with pytest.raises(BadData) as caught:
        balancing.build(spark, case, CASE, window, outcomes, dict(settings), str(tmp_path / "out"), ANY_FILE_ROWS)

    first = min(value for value in wrong if value is not None)
    assert str(caught.value) == (
        f"raw feed verdicts of {DAY}: wanted {wanted}; found {first!r}. Next: land the day again, or {repair}"
    )
    assert not (tmp_path / "out").exists()


def test_classes_and_numbers_are_judged_out_of_time_by_their_own_metrics(spark, courses, minutes):
    for found, case, settings in ((courses, Courses(), CLASSES), (minutes, Minutes(), NUMBERS)):
        later = training.out_of_time(spark, case, found.balanced, settings)

        natural = section(found, "validation/unbalanced")["landed"].to_pylist()
        assert (later["days"], later["rows"]) == (1, natural.count(BEFORE))
        assert "positives" not in later
        for name, (low, high) in later["intervals"].items():
            assert low <= later[name] <= high
        assert later["intervals"].keys() == found.card["metrics"]["intervals"].keys()
