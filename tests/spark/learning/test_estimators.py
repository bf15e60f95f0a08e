"""Estimators of Spark ML and of scikit-learn through the same training."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.ml import Pipeline, feature
from pyspark.ml.classification import (
    DecisionTreeClassifier,
    GBTClassifier,
    LogisticRegression,
    RandomForestClassifier,
)
from pyspark.sql import DataFrame, SparkSession
from sklearn import ensemble, preprocessing
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler as SklearnScaler
from sklearn.tree import DecisionTreeClassifier as SklearnTree

from spark_lib import problems
from spark_lib.errors import ModelError
from spark_lib.frames.reading import read_partitions
from spark_lib.lake import Documents, Lake, Partition
from spark_lib.lake.tables import read_arrow
from spark_lib.learning import estimators
from spark_lib.learning.resampling import weighted
from spark_lib.models import calibration, matrix
from spark_lib.models.model import check_safe, load, score
from spark_lib.stages import balancing, training
from tests.spark.conftest import Elsewhere
from tests.spark.lakes import (
    ANY_FILE_ROWS,
    BEFORE,
    CASE,
    DAY,
    SETTINGS,
    SPLIT,
    Chain,
    Estimated,
    Parcels,
    balanced_rows,
    card_of,
    history,
    land_rows,
    many_featured,
    other_estimators,
    outcomes_of,
    publish,
    publish_features,
    silent,
)


def train(
    spark: SparkSession, chain: Chain, balanced: Partition, estimator: Any, scratch: Path, **settings: Any
) -> Documents:
    return training.build(
        spark, Estimated(estimator), balanced, dict(SETTINGS) | settings, str(scratch / "run"), silent
    )


@pytest.fixture(scope="module")
def other_trained(
    spark: SparkSession, chain: Chain, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Documents]:
    """Each of the other estimators, trained once."""
    return cache(
        lambda name: train(spark, chain, chain.balanced, other_estimators()[name], tmp_path_factory.mktemp("trained"))
    )


@pytest.mark.parametrize("name", ["boosted trees", "logistic regression", "scaled logistic regression", "scikit-learn"])
def test_another_estimator_is_fitted_judged_and_exported_and_the_same_on_one_core(
    chain: Chain, elsewhere: Elsewhere, other_trained: Callable[[str], Documents], name: str
) -> None:
    documents = other_trained(name)
    assert documents.metrics["model_digest"] == elsewhere.found["digests"][name]
    check_safe(documents.files["model.onnx"])
    card = card_of(documents)
    assert card["verdict"]["approved"], card["verdict"]
    found = pa.Table.from_pylist(balanced_rows(chain.lake.root, "validation/unbalanced"))
    scores = score(load(documents.files["model.onnx"]), matrix.from_arrow(found, Parcels.features))
    probabilities = calibration.apply(card["calibration"], scores)
    assert probabilities.mean() == pytest.approx(found["label"].to_numpy().mean(), abs=0.1)
    assert sum(card["importance"].values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("name", "of_scikit_learn"),
    [
        ("boosted trees", ensemble.GradientBoostingClassifier(n_estimators=2, max_depth=2, learning_rate=0.1)),
        ("logistic regression", SklearnLogisticRegression(C=np.inf)),
    ],
)
def test_a_model_of_scikit_learn_of_the_same_family_ranks_as_well_as_the_card_says(
    chain: Chain, other_trained: Callable[[str], Documents], name: str, of_scikit_learn: Any
) -> None:
    """Neither of the two is drawn. A forest of three trees is, and one may rank far better than another."""

    def read(section: str) -> tuple[np.ndarray, np.ndarray]:
        found = read_arrow(chain.lake, "balanced", DAY, section=section)
        return matrix.from_arrow(found, Parcels.features), found["label"].to_numpy()

    natural, labels = read("validation/unbalanced")

    area = roc_auc_score(labels, of_scikit_learn.fit(*read("train")).predict_proba(natural)[:, 1])

    low, high = card_of(other_trained(name))["metrics"]["intervals"]["area_under_roc"]
    assert low < area < high


def test_a_pipeline_of_scikit_learn_is_fitted_to_the_same_rows_and_scored_where_they_are(
    spark: SparkSession, chain: Chain, tmp_path: Path
) -> None:
    documents = train(
        spark, chain, chain.balanced, make_pipeline(SklearnScaler(), SklearnLogisticRegression()), tmp_path
    )
    card = card_of(documents)

    def read(section: str) -> tuple[np.ndarray, np.ndarray]:
        found = pa.Table.from_pylist(balanced_rows(chain.lake.root, section))
        return matrix.from_arrow(found, Parcels.features), found["label"].to_numpy()

    by_hand = make_pipeline(SklearnScaler(), SklearnLogisticRegression()).fit(*read("train"))
    validation, _ = read("validation/unbalanced")
    assert card["verdict"]["approved"], card["verdict"]
    assert score(load(documents.files["model.onnx"]), validation) == pytest.approx(
        by_hand.predict_proba(validation)[:, 1], abs=1e-6
    )
    assert card["importance"].keys() == Parcels.features.keys()


@pytest.fixture(scope="module")
def unbalanced(spark: SparkSession, chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Partition]:
    """The chain's window as it is, without weights and with them."""

    def built(strategy: str) -> Partition:
        settings = dict(SPLIT) | {"balancing": strategy}
        return publish(
            Lake(str(tmp_path_factory.mktemp(strategy)), CASE),
            "balanced",
            DAY,
            lambda url: balancing.build(
                spark, chain.case, CASE, chain.window, chain.outcomes, settings, url, ANY_FILE_ROWS
            ),
        )

    return {strategy: built(strategy) for strategy in ("none", "class_weight")}


@pytest.mark.parametrize(
    "make",
    [
        lambda: LogisticRegression(maxIter=20),
        lambda: make_pipeline(SklearnScaler(), SklearnLogisticRegression()),
    ],
    ids=["Spark ML", "scikit-learn"],
)
def test_weights_of_classes_reach_the_estimator_and_the_calibration_takes_them_back(
    spark: SparkSession, chain: Chain, unbalanced: Mapping[str, Partition], tmp_path: Path, make: Callable[[], Any]
) -> None:
    means = {}
    for strategy, balanced in unbalanced.items():
        documents = train(spark, chain, balanced, make(), tmp_path, balancing=strategy, calibration="platt")
        card = card_of(documents)
        assert card["calibration"]["kind"] == "platt"
        found = pa.Table.from_pylist(balanced_rows(chain.lake.root, "validation/unbalanced"))
        scores = score(load(documents.files["model.onnx"]), matrix.from_arrow(found, Parcels.features))
        means[strategy] = (scores.mean(), calibration.apply(card["calibration"], scores).mean())
    prevalence = found["label"].to_numpy().mean()
    assert means["none"][0] == pytest.approx(prevalence, abs=0.06)
    assert means["class_weight"][0] == pytest.approx(0.5, abs=0.06)
    assert means["class_weight"][1] == pytest.approx(means["none"][1], abs=0.03)


def test_an_estimator_that_takes_no_weights_is_refused_where_they_are_wanted() -> None:
    with pytest.raises(ModelError) as caught:
        estimators.check_weighted(KNeighborsClassifier())
    assert str(caught.value) == (
        "training with [training] balancing = class_weight: wanted an estimator that takes the weight of a row (weightCol "
        "in Spark ML, sample_weight in scikit-learn); found a KNeighborsClassifier, which does not. "
        "Next: choose another balancing, or another estimator"
    )


def scaled(stage: Any) -> Pipeline:
    return Pipeline(stages=[stage, LogisticRegression(featuresCol="scaled", maxIter=5)])


def before(step: Any) -> Any:
    return make_pipeline(step, SklearnLogisticRegression())


TO_SCALED = {"inputCol": "features", "outputCol": "scaled"}
#: Every kind that ONNX carries. Spark's are made where Spark runs.
ESTIMATORS: Mapping[str, Callable[[], Any]] = {
    "forest": lambda: RandomForestClassifier(numTrees=5, maxDepth=3, seed=0),
    "tree": lambda: DecisionTreeClassifier(maxDepth=3, seed=0),
    "boosted trees": lambda: GBTClassifier(maxIter=2, maxDepth=2, seed=0),
    "logistic regression": lambda: LogisticRegression(maxIter=5),
    "logistic regression as it is": lambda: LogisticRegression(maxIter=5, standardization=False),
    "sparse logistic regression": lambda: LogisticRegression(maxIter=5, regParam=0.01, elasticNetParam=1.0),
    "StandardScaler": lambda: scaled(feature.StandardScaler(withMean=True, **TO_SCALED)),
    "MinMaxScaler": lambda: scaled(feature.MinMaxScaler(**TO_SCALED)),
    "MaxAbsScaler": lambda: scaled(feature.MaxAbsScaler(**TO_SCALED)),
    "Normalizer": lambda: scaled(feature.Normalizer(**TO_SCALED)),
    "PCA": lambda: scaled(feature.PCA(k=2, **TO_SCALED)),
    "VectorSlicer": lambda: scaled(feature.VectorSlicer(indices=[0, 1], **TO_SCALED)),
    "ElementwiseProduct": lambda: scaled(feature.ElementwiseProduct(scalingVec=[1.0, 2.0, 3.0], **TO_SCALED)),
    "scikit-learn's forest": lambda: ensemble.RandomForestClassifier(5, max_depth=3, random_state=0),
    "scikit-learn's random trees": lambda: ensemble.ExtraTreesClassifier(5, max_depth=3, random_state=0),
    "scikit-learn's tree": lambda: SklearnTree(max_depth=3, random_state=0),
    "scikit-learn's boosted trees": lambda: ensemble.GradientBoostingClassifier(n_estimators=5, random_state=0),
    "scikit-learn's histograms": lambda: ensemble.HistGradientBoostingClassifier(max_iter=5, random_state=0),
    "scikit-learn's StandardScaler": lambda: before(SklearnScaler()),
    "scikit-learn's MinMaxScaler": lambda: before(preprocessing.MinMaxScaler()),
    "scikit-learn's SimpleImputer": lambda: before(SimpleImputer()),
}


@pytest.fixture(scope="module")
def silent_columns(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, tuple[DataFrame, DataFrame]]]:
    """Training rows and validation rows of which one column is constant and one null, and rows that are all alike."""
    place = tmp_path_factory.mktemp("silent")

    def kept(name: str, **columns: Any) -> tuple[DataFrame, DataFrame]:
        balanced = with_columns(spark, place / name, "none", **columns)
        return tuple(
            weighted(
                training.matrix_rows(Parcels(), Parcels.features, read_partitions(spark, [balanced], section)),
                problems.of(Parcels.label).labels,
                balanced.manifest.metrics["weights"],
            ).persist()
            for section in ("train", "validation/unbalanced")
        )

    found = {
        "one constant and one null": kept("some", earlier=2, fragile=None),
        "all constant": kept("all", earlier=2, fragile=None, weight=1e6 + 0.1),
    }
    yield found
    for frames in found.values():
        for frame in frames:
            frame.unpersist()


def with_columns(spark: SparkSession, root: Path, strategy: str, **columns: Any) -> Partition:
    """A balanced set of one day of 400 parcels that have these values."""
    lake, landed = Lake(str(root), CASE), many_featured(BEFORE)
    features = [publish_features(lake, BEFORE, [row | columns for row in landed])]
    land_rows(root, "arrivals", BEFORE, outcomes_of(landed))
    outcomes, settings = history(root, BEFORE, BEFORE, "arrivals"), dict(SPLIT) | {"balancing": strategy}
    return publish(
        lake,
        "balanced",
        DAY,
        lambda url: balancing.build(spark, Parcels(), CASE, features, outcomes, settings, url, ANY_FILE_ROWS),
    )


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        *((name, "one constant and one null") for name in ESTIMATORS),
        *((name, "all constant") for name in ("forest", "boosted trees", "logistic regression", "MinMaxScaler")),
        *((name, "all constant") for name in ("scikit-learn's forest", "scikit-learn's StandardScaler")),
    ],
)
def test_an_estimator_is_fitted_and_exported_with_columns_of_one_value_or_none(
    silent_columns: Mapping[str, tuple[DataFrame, DataFrame]], tmp_path: Path, name: str, columns: str
) -> None:
    """An export that scores otherwise than its estimator is refused."""
    train, validation = silent_columns[columns]

    fitted = estimators.fit(ESTIMATORS[name](), train, Parcels.features, use_weights=False)
    exported = fitted.export(validation, "parcel", str(tmp_path))

    check_safe(exported)
    shares = fitted.importance
    assert shares.keys() in (set(), set(Parcels.features))
    assert np.isfinite(list(shares.values())).all()
    if shares and columns == "one constant and one null":
        assert shares["weight"] > 0.9  # an intercept may be shared with a constant column


@pytest.mark.parametrize(("strategy", "curve"), [("smote", "isotonic"), ("class_weight", "platt")])
def test_a_strategy_of_balancing_and_a_curve_take_columns_of_one_value_or_none(
    spark: SparkSession, chain: Chain, tmp_path: Path, strategy: str, curve: str
) -> None:
    balanced = with_columns(spark, tmp_path / "lake", strategy, earlier=2, fragile=None)
    own = {"balancing": strategy, "calibration": curve, "constant_columns": "warn", "min_area_under_roc": 0.3}

    documents = train(spark, chain, balanced, ESTIMATORS["forest"](), tmp_path, **own)

    card = json.loads(
        documents.files["card.json"], parse_constant=pytest.fail
    )  # of NaN and Infinity, which JSON has not
    assert (card["verdict"]["approved"], card["calibration"]["kind"]) == (True, curve)
    assert card["importance"] == {"earlier": 0.0, "weight": 1.0, "fragile": 0.0}
