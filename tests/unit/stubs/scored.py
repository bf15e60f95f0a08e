"""Predictions with rows, in place of those that write a few bytes: what is published has to be read."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import luigi
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import spark_lib.stages.inference
import tasks
from spark_lib.lake import Rows
from spark_lib.lake.tables import arrow_schema
from tests.unit.lakes import put
from tests.unit.stubs.stublake import build

#: Of the stub use case LOANS: key, entity, event time, and what scoring adds.
SCHEMA = (
    ("id", "string"),
    ("who", "string"),
    ("at", "timestamp"),
    ("score", "double"),
    ("model_date", "date"),
    ("model_digest", "string"),
)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Scored(NamedTuple):
    """A scored row: its key, its entity, and its score."""

    id: str
    who: str
    score: float


def rows(count: int, score: float = 0.25) -> list[Scored]:
    """Rows of as many entities."""
    return [Scored(f"row{number}", f"who{number}", score) for number in range(count)]


def score(monkeypatch: pytest.MonkeyPatch, day: date, given: Sequence[Scored]) -> str:
    """Build the predictions of a day, again where they are there, with these rows, and return their run."""
    written: dict[str, str] = {}

    def predictions(
        spark: None, case: Any, features: Any, model: Any, attempt: Any, file_rows: int, canary: object = None
    ) -> Rows:
        put(attempt, "part-0.parquet", _parquet(given, model.date))
        written["run"] = attempt.run
        figures = {"model_date": str(model.date), "scores": {"mean": 0.5}}
        return Rows({"": len(given)}, SCHEMA, figures)

    with monkeypatch.context() as patch:
        patch.setattr(spark_lib.stages.inference, "build", predictions)
        stage = tasks.BatchInference(date=day)
        stage.force = stage.complete()
        assert build(stage).status == luigi.LuigiStatusCode.SUCCESS
    return written["run"]


def _parquet(given: Sequence[Scored], model_date: date) -> bytes:
    columns = [{**row._asdict(), "at": NOON, "model_date": model_date, "model_digest": "digest"} for row in given]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(columns, arrow_schema(SCHEMA)), sink)
    return sink.getvalue()
