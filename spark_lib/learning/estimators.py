"""Fits estimators of two kinds behind one interface. Those of Spark ML never bring a row to the driver. Those of
scikit-learn are fitted on the driver, and score where the rows are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from spark_lib.errors import ModelError
from spark_lib.frames.files import remove
from spark_lib.learning.resampling import WEIGHT
from spark_lib.models import export, matrix
from spark_lib.models.model import check_parity
from spark_lib.problems.problem import SCORE
from spark_lib.scoring.rows import scored_by
from spark_lib.session.paths import spark_path
from spark_lib.use_case import Feature

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

PARITY_ROWS = 10_000
#: Spark's transformers that keep each feature in its place, so that what a model says of a place is about that feature.
_KEEP_PLACES = ("StandardScalerModel", "MinMaxScalerModel", "MaxAbsScalerModel")


def fit(
    estimator: Any, rows: DataFrame, features: Mapping[str, Feature], use_weights: bool, classes: int = 2
) -> SparkModel | SklearnModel:
    """Fit the estimator to ``rows``: the float ``features`` by name and as the vector ``features``, the ``label`` and
    the weight. The model gives the probabilities of so many ``classes``, or a number where there are none (0). What is
    fitted may depend on the partitions and on the order of rows in each, so the caller has to lay
    out the same rows in the same way.

    Raises ModelError for an estimator that ONNX cannot carry, and for one that takes no weights where they are wanted.
    """
    from pyspark.ml import Estimator

    export.check_estimator(estimator, classes)
    if use_weights:
        check_weighted(estimator)
    if isinstance(estimator, Estimator):
        return SparkModel(_fit_spark(estimator, rows, use_weights), features, classes)
    return SklearnModel(_fit_sklearn(estimator, rows, features, use_weights, classes), features, classes)


@dataclass(frozen=True)
class SparkModel:
    """A fitted model of Spark ML."""

    fitted: Any
    features: Mapping[str, Feature]
    classes: int = 2

    def __post_init__(self) -> None:
        export.check(self.fitted, len(self.features), self.classes)

    def scored(self, rows: DataFrame) -> DataFrame:
        """Add ``SCORE`` to ``rows``, uncalibrated: the probability of the positive one of two classes, an array of the
        probabilities of more, or the number."""
        from pyspark.ml.functions import vector_to_array
        from pyspark.sql import functions as F

        found: DataFrame = self.fitted.transform(rows)
        if not self.classes:
            return found.withColumn(SCORE, F.col("prediction"))
        probabilities = vector_to_array(F.col("probability"), "float64")
        return found.withColumn(SCORE, probabilities[1] if self.classes == 2 else probabilities)

    def export(self, rows: DataFrame, key: str, scratch: str) -> bytes:
        """The model as ONNX, after its scores of ``rows`` were compared with Spark's on at most 10,000 rows, sampled
        evenly. Raises ModelError where they differ."""
        path = spark_path(scratch)
        spark = rows.sparkSession
        try:
            exported = export.export(self.fitted, len(self.features), path, spark, self.classes)
        finally:
            remove(spark, path)
        sample = self.scored(_sample(rows, key)).select(*self.features, SCORE).toArrow()
        check_parity(exported, matrix.from_arrow(sample, self.features), as_numpy(sample[SCORE]))
        return exported

    @property
    def importance(self) -> dict[str, float]:
        """What each feature contributes, adding up to 1: the decrease of impurity in a forest, or the size of a
        coefficient on the scale that the last stage sees. Empty where the model does not give it feature by feature."""
        *before, last = getattr(self.fitted, "stages", [self.fitted])
        found = getattr(last, "featureImportances", None)
        if found is None and self.classes > 2:
            found = getattr(last, "coefficientMatrix", None)
        elif found is None:
            found = getattr(last, "coefficients", None)
        if any(type(stage).__name__ not in _KEEP_PLACES for stage in before):
            found = None
        return _shares(None if found is None else found.toArray(), self.features)


@dataclass(frozen=True)
class SklearnModel:
    """A fitted classifier or regressor of scikit-learn."""

    fitted: Any
    features: Mapping[str, Feature]
    classes: int = 2

    @cached_property
    def exported(self) -> bytes:
        return export.export_sklearn(self.fitted, len(self.features), self.classes)

    def scored(self, rows: DataFrame) -> DataFrame:
        """Add ``SCORE`` to ``rows``, as ``SparkModel.scored`` does."""
        others = [name for name in rows.columns if name not in self.features and name != "features"]
        return scored_by(self.exported, rows.drop("features"), others, self.features, name=SCORE, classes=self.classes)

    def export(self, rows: DataFrame, key: str, scratch: str) -> bytes:
        """The model as ONNX, after its scores of ``rows`` were compared with scikit-learn's on at most 10,000 rows,
        sampled evenly. Raises ModelError where they differ. ``scratch`` is not used: only Spark ML writes files."""
        sample = matrix.from_arrow(_sample(rows, key).select(*self.features).toArrow(), self.features)
        expected = self.fitted.predict_proba(sample) if self.classes else self.fitted.predict(sample)
        check_parity(self.exported, sample, expected[:, 1] if self.classes == 2 else expected)
        return self.exported

    @property
    def importance(self) -> dict[str, float]:
        """What each feature contributes, adding up to 1, as the last step gives it; empty where it gives none."""
        last = _last(self.fitted)
        found = getattr(last, "feature_importances_", getattr(last, "coef_", None))
        return _shares(None if found is None else np.asarray(found), self.features)


def check_weighted(estimator: Any) -> None:
    """Raise ModelError for an estimator that takes no weight of a row."""
    from sklearn.utils.validation import has_fit_parameter

    last = _last(estimator)
    if not (hasattr(last, "weightCol") or has_fit_parameter(last, "sample_weight")):
        raise ModelError(
            "training with [training] balancing = class_weight",
            "an estimator that takes the weight of a row (weightCol in Spark ML, sample_weight in scikit-learn)",
            f"a {type(last).__name__}, which does not",
            "choose another balancing, or another estimator",
        )


def _fit_spark(estimator: Any, rows: DataFrame, use_weights: bool) -> Any:
    if use_weights:
        last = _last(estimator)
        last.set(last.weightCol, WEIGHT)
    return export.without_summary(estimator.fit(rows))


def _fit_sklearn(
    estimator: Any, rows: DataFrame, features: Mapping[str, Feature], use_weights: bool, classes: int
) -> Any:
    found = rows.select(*features, "label", WEIGHT).toArrow()
    weights = {}
    if use_weights:
        steps = getattr(estimator, "steps", None)
        weights = {f"{steps[-1][0]}__sample_weight" if steps else "sample_weight": found[WEIGHT].to_numpy()}
    labels = found["label"].to_numpy()
    return estimator.fit(matrix.from_arrow(found, features), labels.astype(np.int64) if classes else labels, **weights)


def as_numpy(column: Any) -> np.ndarray:
    """A column of Arrow, of numbers [n] or of lists of equally many numbers [n, m]."""
    import pyarrow as pa

    if not pa.types.is_list(column.type):
        found: np.ndarray = column.to_numpy()
        return found
    flat: np.ndarray = column.combine_chunks().flatten().to_numpy()
    return flat.reshape(len(column), -1)


def _last(estimator: Any) -> Any:
    """The stage of a pipeline that classifies, fitted or not; or the estimator alone."""
    for stages in ("getStages", "stages", "steps"):
        found = getattr(estimator, stages, None)
        if found is not None:
            last = (found() if callable(found) else found)[-1]
            return last[1] if isinstance(last, tuple) else last
    return estimator


def _sample(rows: DataFrame, key: str) -> DataFrame:
    from pyspark.sql import functions as F

    return rows.orderBy(F.xxhash64(key)).limit(PARITY_ROWS)


def _shares(found: np.ndarray | None, features: Mapping[str, Feature]) -> dict[str, float]:
    """The share of each feature in ``found`` [k], or in the sizes of its rows' sum [m, k]."""
    sizes = np.zeros(0) if found is None else np.abs(found).reshape(-1, found.shape[-1]).sum(axis=0)
    if len(sizes) != len(features) or not sizes.sum() > 0:
        return {}
    shares = sizes / sizes.sum()
    return {name: float(share) for name, share in zip(features, shares, strict=True)}
