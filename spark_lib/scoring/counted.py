"""Counts scored rows in the bins of a reference, and makes the reference of a model in the same way. Workers import this
module."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from spark_lib.models import matrix
from spark_lib.models.segments import Value
from spark_lib.release import counting, trend
from spark_lib.release.sketch import Apart, Column, Cut, Reference, Sketch, Sketches
from spark_lib.use_case import Feature

if TYPE_CHECKING:
    import pyarrow as pa

    from spark_lib.models.model import Given
    from spark_lib.scoring.predictions import Predictions

#: The columns of predictions that are counted. The others follow from these.
SCORES = ("score", "prediction")
#: The rows of a day on which features are counted. Chance gives a PSI below 0.001 for so many.
ROWS_OF_FEATURES = 200_000


def stride(rows: int) -> int:
    """Features of a day of ``rows`` rows are counted on every so many-th row of each batch."""
    return max(1, -(-rows // ROWS_OF_FEATURES))


class Counted:
    """The sketches of the rows that were added so far. Scores are counted in all rows, features in every
    ``stride``-th row of those that are added at once."""

    def __init__(self, reference: Reference, stride: int) -> None:
        self._reference = reference
        self._stride = stride
        self._scores = {name: np.zeros(column.cut.bins, np.int64) for name, column in reference.scores.items()}
        self._features = {name: np.zeros(column.cut.bins, np.int64) for name, column in reference.features.items()}
        self._segments = {each.name: np.zeros(each.scores.cut.bins, np.int64) for each in reference.segments}
        self._nulls = dict.fromkeys(reference.features, 0)
        self._rows = 0

    def add(
        self, rows: pa.RecordBatch, features: Mapping[str, Feature], given: Given, predicted: Mapping[str, Any]
    ) -> None:
        """Add rows with the model's ``features``, what the model gave of them, and the columns that were
        ``predicted``."""
        for name, column in self._reference.scores.items():
            if name in predicted:
                self._scores[name] += _of_prediction(column.cut, predicted[name])
        number = _number(predicted)
        for each in self._reference.segments:
            there = _of_segment(rows, each.column, each.value)
            self._segments[each.name] += counting.count_numbers(each.scores.cut, number[there])
        encoded = _encoded(rows, features, given, self._stride)
        for name, values in encoded.columns.items():
            if name in self._features:
                self._features[name] += _of_feature(self._reference.features[name].cut, values)
                self._nulls[name] += encoded.absent.get(name, 0)
        self._rows += encoded.rows

    def sketches(self) -> Sketches:
        return Sketches(
            {name: counting.sketch(counts) for name, counts in self._scores.items()},
            {
                name: Sketch(tuple(counts.tolist()), self._nulls[name], self._rows)
                for name, counts in self._features.items()
            },
            {name: counting.sketch(counts) for name, counts in self._segments.items()},
        )


def reference(
    rows: pa.RecordBatch,
    features: Mapping[str, Feature],
    given: Given,
    predictions: Predictions,
    landed: pa.Array,
    segments: Iterable[tuple[str, Value]] = (),
) -> Reference:
    """The reference that validation rows make, with the model's ``features``, what the model gave of them, the days on
    which they ``landed``, and the ``segments`` among them, each a column with one of its values. A text has no bins, and
    is left out."""
    predicted = predictions.columns(given.scores)
    is_probability = "prediction" not in predicted or _decides(predicted["prediction"])
    scores = {
        name: _column_of_prediction(predicted[name], moments=is_probability and name == "score")
        for name in SCORES
        if name in predicted
    }
    encoded = _encoded(rows, features, given, 1)
    found = {}
    days = landed.cast("int32").to_numpy().astype(np.float64)
    for name, values in encoded.columns.items():
        nulls, categories = encoded.absent.get(name, 0), features[name].categories
        if categories is None:
            column = counting.of_numbers(values, nulls, rows.num_rows)
            bins = counting.bins_of_numbers(column.cut, values)
        else:
            cut = Cut(values=tuple(categories), is_category=True)
            column = Column(cut, counting.sketch(counting.count_places(cut, values), nulls, rows.num_rows))
            bins = np.where(values < cut.bins, values, -1).astype(np.int64)
        there = bins >= 0
        found[name] = replace(column, trend=trend.slopes(bins[there], column.cut.bins, days[there]))
    number = _number(predicted)
    apart = (
        Apart(column, value, counting.of_numbers(number[_of_segment(rows, column, value)]))
        for column, value in segments
    )
    return Reference(scores, found, date(1970, 1, 1) + timedelta(days=round(days.mean())), tuple(apart))


@dataclass(frozen=True)
class _Encoded:
    """Values of features by name, float32 [n / stride], and how many of ``rows`` rows were null or NaN before they were
    filled."""

    columns: Mapping[str, np.ndarray]
    absent: Mapping[str, int]
    rows: int


def _encoded(rows: pa.RecordBatch, features: Mapping[str, Feature], given: Given, stride: int) -> _Encoded:
    if given.matrix is not None:
        columns = given.matrix[:, ::stride]
        return _Encoded(dict(zip(features, columns, strict=True)), given.absent, rows.num_rows)
    numbers = {name: feature for name, feature in features.items() if not feature.text}
    part = rows if stride == 1 else rows.take(np.arange(0, rows.num_rows, stride))
    found = matrix.by_column(part, numbers)
    return _Encoded(dict(zip(numbers, found.columns, strict=True)), found.absent, part.num_rows)


def _of_feature(cut: Cut, values: np.ndarray) -> np.ndarray:
    return counting.count_places(cut, values) if cut.is_category else counting.count_numbers(cut, values)


def _of_prediction(cut: Cut, values: Any) -> np.ndarray:
    if not cut.is_category:
        return counting.count_numbers(cut, values)
    by_name = _by_name(values)
    known = [by_name.pop(name, 0) for name in cut.values]
    return np.array([*known, sum(by_name.values())], np.int64)


def _column_of_prediction(values: Any, moments: bool) -> Column:
    if isinstance(values, np.ndarray) and values.dtype != bool:
        return counting.of_numbers(values, moments=moments)
    cut = Cut(values=tuple(sorted(_by_name(values))), is_category=True)
    return Column(cut, counting.sketch(_of_prediction(cut, values)))


def _number(predicted: Mapping[str, Any]) -> np.ndarray:
    """The predictions that are numbers, [n]: scores, or else what a regression predicts."""
    return np.asarray(predicted["score"] if "score" in predicted else predicted["prediction"])


def _of_segment(rows: pa.RecordBatch, column: str, value: Value) -> np.ndarray:
    """Which rows [n] have a value of a column; None is null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    there = rows.column(column)
    if value is None:
        return np.asarray(there.is_null())
    return np.asarray(pc.fill_null(pc.equal(there, pa.scalar(value, there.type)), False))


def _by_name(values: Any) -> dict[str, int]:
    """The rows by what was predicted: a boolean of numpy, or a name of Arrow."""
    if isinstance(values, np.ndarray):
        positive = int(np.count_nonzero(values))
        return {"true": positive, "false": len(values) - positive}
    return {each["values"]: each["counts"] for each in values.value_counts().to_pylist()}


def _decides(prediction: Any) -> bool:
    """Whether a prediction is a decision by the score, which is then the probability of the positive outcome."""
    return isinstance(prediction, np.ndarray) and prediction.dtype == bool
