"""Estimators of Spark ML and of scikit-learn through the same training."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.ml.classification import LogisticRegression
from pyspark.sql import SparkSession
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler as SklearnScaler

from spark_lib import balancing, calibration, estimators, matrix, training
from spark_lib.errors import ModelError
from spark_lib.lake import Documents, Lake, Partition
from spark_lib.model import check_safe, load, score
from tests.spark.conftest import Elsewhere
from tests.spark.lakes import (
    ANY_FILE_ROWS,
    CASE,
    DAY,
    SETTINGS,
    SPLIT,
    Chain,
    Estimated,
    Parcels,
    other_estimators,
    publish,
    silent,
)
from tests.spark.test_balancing import rows


def train(
    spark: SparkSession, chain: Chain, balanced: Partition, estimator: Any, scratch: Path, **settings: Any
) -> Documents:
    return training.build(
        spark, Estimated(estimator), balanced, dict(SETTINGS) | settings, str(scratch / "run"), silent
    )


def card_of(documents: Documents) -> dict[str, Any]:
    return dict(json.loads(documents.files["card.json"]))


@pytest.mark.parametrize("name", ["boosted trees", "logistic regression", "scaled logistic regression", "scikit-learn"])
def test_another_estimator_is_fitted_judged_and_exported_and_the_same_on_one_core(
    spark: SparkSession, chain: Chain, elsewhere: Elsewhere, tmp_path: Path, name: str
) -> None:
    documents = train(spark, chain, chain.balanced, other_estimators()[name], tmp_path)
    assert documents.metrics["model_digest"] == elsewhere.found["digests"][name]
    check_safe(documents.files["model.onnx"])
    card = card_of(documents)
    assert card["verdict"]["approved"], card["verdict"]
    found = pa.Table.from_pylist(rows(chain.lake.root, "validation/unbalanced"))
    scores = score(load(documents.files["model.onnx"]), matrix.from_arrow(found, Parcels.features))
    probabilities = calibration.apply(card["calibration"], scores)
    assert probabilities.mean() == pytest.approx(found["label"].to_numpy().mean(), abs=0.1)
    assert sum(card["importance"].values()) == pytest.approx(1)


def test_a_pipeline_of_scikit_learn_is_fitted_to_the_same_rows_and_scored_where_they_are(
    spark: SparkSession, chain: Chain, tmp_path: Path
) -> None:
    documents = train(
        spark, chain, chain.balanced, make_pipeline(SklearnScaler(), SklearnLogisticRegression()), tmp_path
    )
    card = card_of(documents)

    def read(section: str) -> tuple[np.ndarray, np.ndarray]:
        found = pa.Table.from_pylist(rows(chain.lake.root, section))
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
        documents = train(spark, chain, balanced, make(), tmp_path, balancing=strategy)
        card = card_of(documents)
        assert card["calibration"]["kind"] == "platt"
        found = pa.Table.from_pylist(rows(chain.lake.root, "validation/unbalanced"))
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
