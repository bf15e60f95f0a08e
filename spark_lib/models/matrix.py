"""The one rule that turns features into a model's float32 matrix: for Spark in training, for Arrow in scoring, and for
values of Python where single rows are scored, for which Arrow takes longer than a model.

A column is cast to float32 (false and true are 0 and 1), then null and NaN become the feature's ``fill`` where it
declares one. Without a ``fill`` they are an error on both sides. A category becomes its place among the ``categories`` of
its feature, any other text their number, and null one more. Workers import this module: pyspark is imported
inside the functions that need it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from spark_lib.errors import BadData
from spark_lib.use_case import Feature, ddl

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def columns(features: Mapping[str, Feature]) -> list[Column]:
    """Spark's side of the rule: a FLOAT column for each feature, named and ordered as declared."""
    return [_column(name, feature).alias(name) for name, feature in features.items()]


def check_filled(frame: DataFrame, features: Mapping[str, Feature]) -> None:
    """Raise BadData where a feature without a ``fill`` is null or NaN in ``frame``. One Spark job, or none."""
    from pyspark.sql import functions as F

    unfilled = [name for name, feature in features.items() if feature.needs_values]
    if unfilled:
        row = frame.select(
            *[F.count_if(_is_absent(F.col(name), features[name])).alias(name) for name in unfilled]
        ).first()
        refuse_missing(row.asDict() if row else {})


def from_arrow(rows: pa.RecordBatch | pa.Table, features: Mapping[str, Feature]) -> np.ndarray:
    """Arrow's side of the rule: float32 [n, k], the columns in the order of ``features``.

    Raises BadData for a null or NaN without a ``fill``, and for a feature that is absent or not a number or boolean.
    """
    found = by_column(rows, features)
    refuse_missing(found.missing)
    return np.ascontiguousarray(found.columns.T)


@dataclass(frozen=True)
class Encoded:
    """Rows as float32 ``columns`` [k, n]. ``missing`` says how many values are null or NaN, for each feature without a
    ``fill`` that has any; ``unseen``, in how many rows a category is a text that training did not see, for each
    category that has any; ``absent``, how many values are null or NaN before they are filled, for each feature that has
    any."""

    columns: np.ndarray
    missing: dict[str, int]
    unseen: dict[str, int]
    absent: dict[str, int]


def by_column(rows: pa.RecordBatch | pa.Table, features: Mapping[str, Feature]) -> Encoded:
    """Like ``from_arrow``, but by column, and missing values are counted. Raises BadData for a feature that is absent
    or not a number or boolean."""
    found = Encoded(np.empty((len(features), rows.num_rows), dtype=np.float32), {}, {}, {})
    for values, (name, feature) in zip(found.columns, features.items(), strict=True):
        if feature.is_category:
            values[:] = _places(rows, name, feature)
            _count(found.unseen, name, values == len(_known(name, feature)))
            if nulls := rows.column(name).null_count:
                found.absent[name] = nulls
            continue
        values[:] = _floats(rows, name)
        gaps = np.isnan(values)
        _count(found.absent, name, gaps)
        if feature.fill is None:
            _count(found.missing, name, gaps)
        else:
            values[gaps] = np.float32(feature.fill)
    return found


class Encoder:
    """Python's side of the rule, made once for the ``features`` of a card: a row is a mapping with a value of the
    feature's type, or None, for each feature."""

    def __init__(self, features: Mapping[str, Feature]) -> None:
        self._features = features
        #: What is more to a number than its value as a double, by place.
        self._turned = [
            (place, turned)
            for place, (name, feature) in enumerate(features.items())
            if (turned := _turned(name, feature)) is not None
        ]
        self._unseen = {
            place: (name, len(_known(name, feature)))
            for place, (name, feature) in enumerate(features.items())
            if feature.is_category
        }

    def encoded(self, rows: Sequence[Mapping[str, Any]]) -> Encoded:
        """Like ``by_column``, for rows of Python."""
        numbers = [[row[name] for name in self._features] for row in rows]
        for place, turned in self._turned:
            for values in numbers:
                values[place] = turned(values[place])
        with np.errstate(over="ignore"):  # beyond float32: infinity, as Arrow's cast makes of it
            # None becomes NaN.
            matrix = np.array(numbers, np.float64).reshape(len(rows), len(self._features)).astype(np.float32)
        found = Encoded(np.ascontiguousarray(matrix.T), {}, {}, {})
        for place, (name, others) in self._unseen.items():
            _count(found.unseen, name, found.columns[place] == others)
            if nulls := sum(row[name] is None for row in rows):
                found.absent[name] = nulls
        gaps = np.isnan(found.columns)
        if gaps.any():
            for values, of_column, (name, feature) in zip(found.columns, gaps, self._features.items(), strict=True):
                _count(found.absent, name, of_column)
                if feature.fill is None:
                    _count(found.missing, name, of_column)
                elif not feature.is_category:
                    values[of_column] = np.float32(feature.fill)
        return found


def _turned(name: str, feature: Feature) -> Callable[[Any], float | None] | None:
    """What turns a value of a feature into a double that rounds to the number of the matrix; None where the value itself
    does."""
    if feature.is_category:
        known = _known(name, feature)
        places = {text: float(place) for place, text in enumerate(known)}
        others, null = float(len(known)), float(len(known) + 1)
        null = null if feature.fill is None else places.get(str(feature.fill), others)
        return lambda value: null if value is None else places.get(value, others)
    kind = ddl.columns(f"`x` {feature.type}")[0].kind
    if kind.startswith("decimal"):
        return _of_decimal
    return _of_long if kind == "bigint" else None


def _of_long(value: int | None) -> float | None:
    """Doubles hold each whole number up to 2^53. Of a greater one the nearest float32 is taken at once, because rounding
    twice may miss it."""
    return value if value is None or abs(value) <= 2**53 else float(np.float32(np.int64(value)))


def _of_decimal(value: Decimal | None) -> float | None:
    """The nearest float32 is taken at once, as for large whole numbers."""
    return None if value is None else float(pa.scalar(format(value, "f")).cast(pa.float32()).as_py())


def unseen(rows: pa.RecordBatch, features: Mapping[str, Feature]) -> dict[str, int]:
    """In how many rows each category is a text that training did not see, for rows that are not encoded: those that go
    to a pipeline as they landed. Categories without such rows are left out."""
    found: dict[str, int] = {}
    for name, feature in features.items():
        if feature.categories is not None:
            _count(found, name, _places(rows, name, feature) == len(feature.categories))
    return found


def _count(counts: dict[str, int], name: str, which: np.ndarray) -> None:
    if which.any():
        counts[name] = int(np.count_nonzero(which))


def of_the_matrix(features: Mapping[str, Feature]) -> dict[str, Feature]:
    """The features of rows whose columns have gone through ``columns``: their categories are numbers."""
    return {name: Feature("FLOAT") if feature.is_category else feature for name, feature in features.items()}


def not_finite(rows: pa.RecordBatch, features: Mapping[str, Feature]) -> dict[str, int]:
    """In how many rows each feature is infinite (as a float32), or NaN after it is filled. Features without such rows,
    and columns that are not numbers, are left out."""
    found = {}
    for name, feature in features.items():
        if _is_number(rows.schema.field(name).type):
            values = _floats(rows, name)
            bad = np.isinf(values) if feature.fill is not None else ~np.isfinite(values)
            if bad.any():
                found[name] = int(np.count_nonzero(bad))
    return found


def _column(name: str, feature: Feature) -> Column:
    from pyspark.sql import functions as F

    if feature.is_category:
        known = _known(name, feature)
        text = F.col(name) if feature.fill is None else F.coalesce(F.col(name), F.lit(str(feature.fill)))
        place = F.array_position(F.array(*map(F.lit, known)).cast("array<string>"), text)  # from 1; 0 for others
        found = F.when(place > 0, place - 1).when(text.isNull(), len(known) + 1).otherwise(len(known))
        return found.cast("float")
    value = F.col(name).cast("float")
    if feature.fill is None:
        return value
    return F.when(is_missing(value), F.lit(float(feature.fill)).cast("float")).otherwise(value)


def _is_absent(value: Column, feature: Feature) -> Column:
    return value.isNull() if feature.is_string else is_missing(value.cast("float"))


def _known(name: str, feature: Feature) -> tuple[str, ...]:
    if feature.categories is None:
        raise BadData(
            "the model's matrix",
            f"the categories of {name}, as training learns them",
            "none",
            "score with the features of a model's card",
        )
    return feature.categories


def _places(rows: pa.RecordBatch | pa.Table, name: str, feature: Feature) -> np.ndarray:
    """Each row's place among the categories, float32 [n]; their number for other texts, and one more for null.

    The column has texts, or is a dictionary of texts, of which each is looked up once.
    """
    found = rows.schema.field(name).type if name in rows.schema.names else None
    kind = found.value_type if found is not None and pa.types.is_dictionary(found) else found
    if kind is None or not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise BadData(
            "the model's matrix",
            f"texts in the column {name}",
            f"{found or 'no such column'}",
            "compare the features of the model's card with those of the day, and rebuild the older of the two",
        )
    known = pa.array(_known(name, feature), kind)
    column = rows.column(name)
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    return np.concatenate([np.zeros(0, np.float32), *(_places_of(chunk, known, feature) for chunk in chunks)])


def _places_of(texts: pa.Array, known: pa.Array, feature: Feature) -> np.ndarray:
    import pyarrow.compute as pc

    encoded = texts if pa.types.is_dictionary(texts.type) else texts.dictionary_encode()
    fill = pa.array([None if feature.fill is None else str(feature.fill)], known.type)
    asked = pa.concat_arrays([encoded.dictionary, fill])  # the last one is for null
    found = pc.index_in(asked, known, skip_nulls=True).fill_null(len(known))
    places: np.ndarray = found.to_numpy().astype(np.float32)
    if feature.fill is None:
        places[-1] = len(known) + 1
    of_rows: np.ndarray = places[encoded.indices.fill_null(len(places) - 1).to_numpy()]
    return of_rows


def is_missing(value: Column) -> Column:
    """Whether a number is null or NaN."""
    from pyspark.sql import functions as F

    return value.isNull() | F.isnan(value)


def _floats(rows: pa.RecordBatch | pa.Table, name: str) -> np.ndarray:
    """A column as float32 [n], rounded as Spark's cast does; null becomes NaN."""
    found = rows.schema.field(name).type if name in rows.schema.names else None
    if found is None or not _is_number(found):
        raise BadData(
            "the model's matrix",
            f"numbers or booleans in the column {name}",
            f"{found or 'no such column'}",
            "compare the features of the model's card with those of the day, and rebuild the older of the two",
        )
    values = rows.column(name)
    if pa.types.is_decimal(found):
        values = values.cast(pa.string())  # Arrow's cast of a decimal is not the nearest float; its parser's result is
    # safe=False: an integer beyond 2^24 becomes the nearest float32 and is not an error.
    floats: np.ndarray = values.cast(pa.float32(), safe=False).to_numpy(zero_copy_only=False)
    return floats


def _is_number(kind: pa.DataType) -> bool:
    """Whether a type can become float32: numbers and booleans can."""
    return (pa.types.is_primitive(kind) or pa.types.is_decimal(kind)) and not pa.types.is_temporal(kind)


def refuse_missing(missing: Mapping[str, int]) -> None:
    """Raise BadData where a feature without a ``fill`` has missing values."""
    bad = {name: count for name, count in missing.items() if count}
    if bad:
        raise BadData(
            "the model's matrix",
            f"a value in every row of {', '.join(bad)}",
            "null or NaN: " + ", ".join(f"{count} of {name}" for name, count in bad.items()),
            "declare a `fill` for it in the use case, or repair the feature",
        )


def round_down(thresholds: np.ndarray) -> np.ndarray:
    """The largest float32 not above each float64 threshold.

    For every float32 x, ``x <= round_down(t)`` exactly where ``x <= t`` in doubles.
    """
    with np.errstate(over="ignore"):  # beyond float32: infinity, which the next line brings back below the threshold
        nearest = thresholds.astype(np.float32)
    return np.where(nearest > thresholds, np.nextafter(nearest, np.float32(-np.inf)), nearest)
