"""Fits estimators of two kinds behind one interface. Those of Spark ML never bring a row to the driver. Those of
scikit-learn are fitted on the driver, and score where the rows are."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from spark_lib.errors import ModelError
from spark_lib.frames.files import remove
from spark_lib.learning.resampling import WEIGHT
from spark_lib.models import export, matrix
from spark_lib.models.model import check_parity, digest
from spark_lib.models.python_model import PythonModel, check_gives, filled
from spark_lib.problems.outputs import floats
from spark_lib.problems.problem import SCORE
from spark_lib.scoring.rows import scored_by, scored_with
from spark_lib.session.paths import spark_path
from spark_lib.use_case import Feature
from spark_lib.use_case.keys import Key, names

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

PARITY_ROWS = 10_000
#: The most rows that a pipeline of texts is fitted to.
MOST_ON_DRIVER = 1_000_000
#: Spark's transformers that keep each feature in its place, so that what a model says of a place is about that feature.
_KEEP_PLACES = ("StandardScalerModel", "MinMaxScalerModel", "MaxAbsScalerModel")


def fit(
    estimator: Any, rows: DataFrame, features: Mapping[str, Feature], use_weights: bool, classes: int = 2
) -> SparkModel | SklearnModel | PickledModel:
    """Fit the estimator to ``rows``: the float ``features`` by name and as the vector ``features``, the ``label`` and
    the weight. The model gives the probabilities of so many ``classes``, or a number where there are none (0). What is
    fitted may depend on the partitions and on the order of rows in each, so the caller has to lay out the same rows in
    the same way. Where a feature is a text, the rows have the features as they are and no vector, and the model is a
    pickle.

    Raises ModelError for an estimator that ONNX cannot carry, and for one that takes no weights where they are wanted.
    """
    from pyspark.ml import Estimator

    if any(feature.text for feature in features.values()):
        return fit_pickled(estimator, rows, features, use_weights, classes)
    check(estimator, features, use_weights, classes)
    if isinstance(estimator, Estimator):
        return SparkModel(_fit_spark(estimator, rows, use_weights), features, classes)
    return SklearnModel(_fit_sklearn(estimator, rows, features, use_weights, classes), features, classes)


def check(estimator: Any, features: Mapping[str, Feature], use_weights: bool, classes: int = 2) -> None:
    """Raise ModelError for an estimator whose model could not be carried, or that takes no weights where they are
    wanted. It is not fitted."""
    texts = [name for name, feature in features.items() if feature.text]
    if not texts:
        export.check_estimator(estimator, classes)
    elif not type(estimator).__module__.startswith("sklearn."):
        raise ModelError(
            "training on texts",
            f"an estimator of scikit-learn, which takes the texts {', '.join(texts)}",
            f"a {type(estimator).__name__}",
            "return a Pipeline of scikit-learn from the use case's `estimator`",
        )
    else:
        check_gives(estimator, classes)
    if use_weights:
        check_weighted(estimator)


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

    def export(self, rows: DataFrame, key: Key, scratch: str) -> bytes:
        """The model as ONNX, after its scores of ``rows`` were compared with Spark's on at most 10,000 rows, sampled
        evenly. Raises ModelError where they differ."""
        path = spark_path(scratch)
        spark = rows.sparkSession
        try:
            exported = export.export(self.fitted, len(self.features), path, spark, self.classes)
        finally:
            remove(spark, path)
        sample = self.scored(_sample(rows, key)).select(*self.features, SCORE).toArrow()
        check_parity(exported, matrix.from_arrow(sample, self.features), floats(sample[SCORE]))
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

    def export(self, rows: DataFrame, key: Key, scratch: str) -> bytes:
        """The model as ONNX, after its scores of ``rows`` were compared with scikit-learn's on at most 10,000 rows,
        sampled evenly. Raises ModelError where they differ. ``scratch`` is not used: only Spark ML writes files."""
        sample = matrix.from_arrow(_sample(rows, key).select(*self.features).toArrow(), self.features)
        check_parity(self.exported, sample, export.said_by_sklearn(self.fitted, sample, self.classes))
        return self.exported

    @property
    def importance(self) -> dict[str, float]:
        """What each feature contributes, adding up to 1, as the last step gives it; empty where it gives none."""
        last = _last(self.fitted)
        found = getattr(last, "feature_importances_", getattr(last, "coef_", None))
        return _shares(None if found is None else np.asarray(found), self.features)


@dataclass(frozen=True)
class PickledModel:
    """A fitted pipeline of scikit-learn that is carried as a pickle. Rows are scored by the bytes that are published,
    so there is nothing to compare them with."""

    exported: bytes
    features: Mapping[str, Feature]
    classes: int = 2
    importance: Mapping[str, float] = field(default_factory=dict)

    def scored(self, rows: DataFrame) -> DataFrame:
        """Add ``SCORE`` to ``rows``, as ``SparkModel.scored`` does."""
        runs = PythonModel(self.exported, digest(self.exported), self.classes)
        others = [name for name in rows.columns if name not in self.features]
        return scored_with(runs, rows, others, self.features, SCORE, self.classes)

    def export(self, rows: DataFrame, key: Key, scratch: str) -> bytes:
        """The pickle. The arguments are not used: there is no other form of the model to compare it with."""
        return self.exported


def fit_pickled(
    estimator: Any, rows: DataFrame, features: Mapping[str, Feature], use_weights: bool, classes: int
) -> PickledModel:
    """Fit an estimator of scikit-learn on the driver to a table of the features as they are.

    Raises ModelError for an estimator of another library, for one that does not give what is asked or cannot be
    pickled, and for more rows than the driver takes.
    """
    check(estimator, features, use_weights, classes)
    found = rows.select(*features, "label", WEIGHT).limit(MOST_ON_DRIVER + 1).toArrow()
    if found.num_rows > MOST_ON_DRIVER:
        raise ModelError(
            "training on texts",
            f"at most {MOST_ON_DRIVER:,} training rows, which are fitted on the driver",
            "more",
            "set [training] balancing = undersample or a smaller window_days",
        )
    table = pa.table(filled(found, features)).to_pandas()
    labels = found["label"].to_numpy()
    fitted = estimator.fit(
        table, labels.astype(np.int64) if classes else labels, **_weights(estimator, found, use_weights)
    )
    return PickledModel(pickled(fitted), features, classes)


def pickled(estimator: Any) -> bytes:
    """The pickle of an estimator of scikit-learn, fitted or not. Raises ModelError where it cannot be pickled."""
    import joblib

    stored = io.BytesIO()
    try:
        joblib.dump(estimator, stored, compress=3)
    except Exception as error:  # whatever a part of the pipeline raises
        raise ModelError(
            "training on texts",
            "an estimator that can be pickled",
            f"{type(error).__name__}: {str(error).splitlines()[0]}",
            "let it be made of scikit-learn's parts and of functions of modules, without a lambda",
        ) from error
    return stored.getvalue()


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
    labels = found["label"].to_numpy()
    return estimator.fit(
        matrix.from_arrow(found, features),
        labels.astype(np.int64) if classes else labels,
        **_weights(estimator, found, use_weights),
    )


def _weights(estimator: Any, rows: pa.Table, use_weights: bool) -> dict[str, np.ndarray]:
    """The argument of ``fit`` that has the weights of the rows, for the last step of a pipeline."""
    if not use_weights:
        return {}
    steps = getattr(estimator, "steps", None)
    return {f"{steps[-1][0]}__sample_weight" if steps else "sample_weight": rows[WEIGHT].to_numpy()}


def _last(estimator: Any) -> Any:
    """The stage of a pipeline that classifies, fitted or not; or the estimator alone."""
    for stages in ("getStages", "stages", "steps"):
        found = getattr(estimator, stages, None)
        if found is not None:
            last = (found() if callable(found) else found)[-1]
            return last[1] if isinstance(last, tuple) else last
    return estimator


def _sample(rows: DataFrame, key: Key) -> DataFrame:
    from pyspark.sql import functions as F

    return rows.orderBy(F.xxhash64(*names(key))).limit(PARITY_ROWS)


def _shares(found: np.ndarray | None, features: Mapping[str, Feature]) -> dict[str, float]:
    """The share of each feature in ``found`` [k], or in the sizes of its rows' sum [m, k]."""
    sizes = np.zeros(0) if found is None else np.abs(found).reshape(-1, found.shape[-1]).sum(axis=0)
    if len(sizes) != len(features) or not sizes.sum() > 0:
        return {}
    shares = sizes / sizes.sum()
    return {name: float(share) for name, share in zip(features, shares, strict=True)}
