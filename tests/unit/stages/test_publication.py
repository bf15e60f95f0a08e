"""Files of CSV with the features of a row and the name of its predicted class."""

from __future__ import annotations

import io
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_lib.errors import BadData, ConfigurationError, PublishError
from spark_lib.lake import Attempt, Lake, Manifest, Partition, Rows
from spark_lib.lake.tables import arrow_schema
from spark_lib.stages import publication
from spark_lib.stages.publication import Wider
from spark_lib.targets import Series
from spark_lib.targets.csv import CsvTarget
from spark_lib.use_case import Feed, Label, NumberLabel
from tests.unit.lakes import put
from tests.unit.stubs import cases

DAY = date(2026, 1, 14)
SERIES = Series("lake", "loans", "predictions")
FEATURES = (("shop", "string"), ("id", "bigint"), ("who", "string"), ("amount", "double"), ("name", "string"))
PREDICTIONS = (("shop", "string"), ("id", "bigint"), ("who", "string"), ("score", "double"), ("prediction", "boolean"))


class Loans(cases.Loans):
    """Of rows whose key is two columns, without an event time."""

    feeds = {"events": Feed("shop STRING, id INT, who STRING, at DATE", ("shop", "id"))}
    event_time = None


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"), "loans")


def written(lake: Lake, dataset: str, schema: Any, rows: list[tuple[Any, ...]], **more: Any) -> Manifest:
    """A day of rows, published."""
    sink = io.BytesIO()
    table = pa.Table.from_pylist([dict(zip(dict(schema), row, strict=True)) for row in rows], arrow_schema(schema))
    pq.write_table(table, sink)
    rebuild = lake.published_run(dataset, DAY) != ""
    with Attempt(lake, dataset, [DAY], stage="Test", rebuild=rebuild, **more) as attempt:
        put(attempt, "part-0.parquet", sink.getvalue(), DAY)
        return attempt.commit({DAY: Rows({"": len(rows)}, schema)})[DAY]


def scored(lake: Lake) -> Partition:
    """Predictions whose rows are in another order than those of their features."""
    written(
        lake, "features", FEATURES, [("b", 1, "x", 1.5, "one;two"), ("a", 1, "y", None, None), ("a", 2, "x", 3.5, "")]
    )
    (features,) = lake.require("features", DAY)
    rows = [("a", 2, "x", 0.5, True), ("b", 1, "x", 0.25, False), ("a", 1, "y", 0.75, True)]
    written(lake, "predictions", PREDICTIONS, rows, inputs={DAY: [features.input]})
    return lake.require("predictions", DAY)[0]


def test_each_row_has_the_features_that_it_was_scored_by_and_the_name_of_its_class(lake: Lake, tmp_path: Path) -> None:
    found = scored(lake)

    CsvTarget(str(tmp_path / "out")).publish(
        [publication.day(Loans(), SERIES, found, lake, Wider(input_columns=True, predicted_class=True))]
    )

    (file,) = (tmp_path / "out").rglob("2026-01-14.csv")
    assert file.read_text().splitlines() == [
        '"shop";"id";"who";"score";"prediction";"predicted_class";"amount";"name"',
        '"a";2;"x";0.5;true;"bad";3.5;""',
        '"b";1;"x";0.25;false;"good";1.5;"one;two"',
        '"a";1;"y";0.75;true;"bad";;',
    ]


def test_features_that_were_built_since_are_not_taken_for_those_that_were_scored(lake: Lake) -> None:
    found = scored(lake)
    run = written(lake, "features", FEATURES, [("a", 2, "x", 9.5, "")]).run

    with pytest.raises(PublishError) as refused:
        publication.day(Loans(), SERIES, found, lake, Wider(input_columns=True))

    assert str(refused.value) == (
        f"predictions of {DAY}: input_columns: wanted the features that run {found.manifest.run} was scored by; found run {run} "
        "of other features, which were built since. Next: score the day again (daystone rebuild predictions --date "
        f"{DAY}), or leave input_columns out"
    )


def test_a_prediction_without_features_is_an_error(lake: Lake) -> None:
    written(lake, "features", FEATURES, [("a", 2, "x", 9.5, "")])
    (features,) = lake.require("features", DAY)
    rows = [("a", 2, "x", 0.5, True), ("b", 1, "x", 0.25, False)]
    written(lake, "predictions", PREDICTIONS, rows, inputs={DAY: [features.input]})
    (found,) = lake.require("predictions", DAY)

    with pytest.raises(BadData) as refused:
        list(publication.day(Loans(), SERIES, found, lake, Wider(input_columns=True)).batches())

    assert str(refused.value) == (
        f"features of {DAY}: wanted one row for each of 2 predictions; found 2 rows, of which 1 have none. Next: score the day "
        "again; nothing was published"
    )


@pytest.mark.parametrize(
    ("label", "found"),
    [
        (NumberLabel("outcomes", "id", "outcome"), "a label that has none"),
        (Label("outcomes", "id", "outcome", "bad", ("bad", "good", "late")), "a label that has none"),
    ],
)
def test_a_class_that_predictions_do_not_name_is_refused(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, label: Any, found: str
) -> None:
    partition = scored(lake)
    monkeypatch.setattr(Loans, "label", label)

    with pytest.raises(ConfigurationError) as refused:
        publication.day(Loans(), SERIES, partition, lake, Wider(predicted_class=True))

    assert str(refused.value) == (
        f"predictions of {DAY}: predicted_class: wanted predictions with a column 'prediction' that names one outcome; found "
        f"{found}. Next: set [decision] threshold and train anew, or leave predicted_class out"
    )
