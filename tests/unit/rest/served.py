"""Lakes with released days that the batch has scored, by small models of each kind of problem, without Spark."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from spark_lib import Feature
from spark_lib.lake import Attempt, Documents, Lake, Partition, Rows, tables
from spark_lib.lake.tables import arrow_schema
from spark_lib.models import export, matrix
from spark_lib.models.card import CARD, MODEL, PICKLE, Card, ModelFile
from spark_lib.models.model import digest
from spark_lib.models.training_set import TrainingSet
from spark_lib.release.check import Check, Outcome
from spark_lib.release.decision import Decisions
from spark_lib.release.document import RELEASE, Release
from spark_lib.scoring import partitions
from spark_lib.stages import inference, selection
from tests.unit.stubs.cases import Loans

#: The use case ``Case`` as its directory in a lake.
CASE = "tests.unit.rest.served.Case"
DAY = date(2026, 3, 1)
NEXT_DAY = DAY + timedelta(days=1)
KINDS = ("purchase", "repair", "study", "travel")
TEXTS = ("red shoe", "blue shoe", "green apple", "red apple", "blue plum", "small red plum")

Values = dict[str, Any]

NUMBERS = {
    "amount": Feature("DOUBLE", fill=0.0),
    "rate": Feature("DECIMAL(6,3)", fill=1.0),
    "months": Feature("INT"),
    "customer no": Feature("BIGINT", fill=0.0),
    "is_new": Feature("BOOLEAN", fill=0.0),
    "share": Feature("FLOAT", fill=-1.0),
    "kind": Feature("STRING", categories=KINDS[:3]),
}
WORDS = {
    "name": Feature("STRING", fill="", text=True),
    "months": Feature("INT", fill=0.0),
}


@dataclass(frozen=True)
class Problem:
    """A model of a kind of problem: what is fitted to the matrix (of texts, to a table), and what its card says."""

    estimator: Callable[[], Any]
    outcome: Mapping[str, Any]
    name: str
    calibration: Mapping[str, Any]
    decision: Mapping[str, Any]
    features: Mapping[str, Feature]
    classes: int


BINARY_OUTCOME = {"classes": {"positive": "bad", "negative": ["good"]}}
CLASSES_OUTCOME = {"classes": {"values": ["bread", "fruit", "other"], "all_scores": True}}
PROBLEMS = {
    "binary": Problem(
        lambda: RandomForestClassifier(20, max_depth=5, random_state=0),
        *(BINARY_OUTCOME, "binary", {"kind": "platt", "slope": 1.2, "intercept": -0.4}, {"threshold": 0.4}, NUMBERS, 2),
    ),
    "boosted trees": Problem(
        lambda: GradientBoostingClassifier(n_estimators=20, random_state=0),
        *(BINARY_OUTCOME, "binary", {"kind": "prior", "odds": 0.2}, {}, NUMBERS, 2),
    ),
    "multiclass": Problem(
        lambda: RandomForestClassifier(20, max_depth=5, random_state=0),
        *(
            CLASSES_OUTCOME,
            "multiclass",
            {"kind": "temperature", "odds": [1.0, 0.5, 2.0], "temperature": 1.3},
            {},
            NUMBERS,
            3,
        ),
    ),
    "regression": Problem(
        lambda: RandomForestRegressor(20, max_depth=5, random_state=0),
        *(
            {"bounds": {"least": None, "most": None}},
            "regression",
            {"kind": "conformal", "half_width": 3.5},
            {},
            NUMBERS,
            0,
        ),
    ),
    "texts": Problem(
        lambda: make_pipeline(
            make_column_transformer((TfidfVectorizer(), "name"), ("passthrough", ["months"])),
            LogisticRegression(max_iter=1_000),
        ),
        *(BINARY_OUTCOME, "binary", {"kind": "shift", "intercept": 0.3}, {}, WORDS, 2),
    ),
}


def drawn(features: Mapping[str, Feature], count: int, seed: int = 0) -> list[Values]:
    """Rows with values of each type, and nulls where they are allowed."""
    draw = random.Random(seed)
    of = {
        "amount": lambda: draw.choice([draw.uniform(-100, 5000), draw.randrange(100), 1e300, -0.0]),
        "rate": lambda: f"{draw.randrange(-999_999, 999_999) / 1000:.3f}",
        "months": lambda: draw.randrange(-5, 60),
        "customer no": lambda: draw.choice([draw.randrange(100), 2**53 + 1, -(2**63), 2**60 + 2**36 + 1]),
        "is_new": lambda: draw.choice([True, False]),
        "share": lambda: draw.random(),
        "kind": lambda: draw.choice(KINDS),
        "name": lambda: draw.choice(TEXTS),
    }
    return [
        {
            name: None if not feature.needs_values and draw.random() < 0.1 else of[name]()
            for name, feature in features.items()
        }
        for _ in range(count)
    ]


def as_arrow(features: Mapping[str, Feature], rows: Sequence[Values]) -> pa.Table:
    """Rows of JSON as a day of features has them."""
    kinds = tuple((name, feature.type.lower()) for name, feature in features.items())
    schema = arrow_schema(kinds)
    columns = []
    for name, kind in kinds:
        values = [row[name] for row in rows]
        if kind.startswith("decimal"):
            columns.append(pa.array(values, pa.string()).cast(schema.field(name).type))
        else:
            values = [float(value) if value is not None and kind == "double" else value for value in values]
            columns.append(pa.array(values, schema.field(name).type))
    return pa.table(columns, schema=schema)


@cache
def fitted(kind: str, seed: int = 0) -> bytes:
    """A model of the kind, fitted to drawn rows."""
    problem = PROBLEMS[kind]
    table = as_arrow(problem.features, drawn(problem.features, 300, seed + 1))
    labels = np.arange(300) * 7919 % 13 % max(problem.classes, 2)
    estimator = problem.estimator()
    if kind == "texts":
        filled = [row | {"name": row["name"] or "", "months": row["months"] or 0} for row in table.to_pylist()]
        file = io.BytesIO()
        joblib.dump(estimator.fit(pd.DataFrame(filled), labels), file)
        return file.getvalue()
    inputs = np.clip(np.nan_to_num(matrix.from_arrow(table, problem.features)), -1e9, 1e9)
    target = inputs[:, 2] * 1.5 + labels if problem.classes == 0 else labels
    return export.export_sklearn(estimator.fit(inputs, target), len(problem.features), problem.classes)


class Case(Loans):
    """Rows are named by ``id``; whom they are about and when does not matter here."""

    entity = None
    event_time = None


@dataclass(frozen=True)
class Served:
    """A lake of days that the batch has scored by models of one kind of problem."""

    lake: Lake
    kind: str = "binary"

    @property
    def problem(self) -> Problem:
        return PROBLEMS[self.kind]

    def train(self, day: date, seed: int = 0, sides: Mapping[str, Mapping[str, int]] | None = None) -> Partition:
        """Publish a model. ``sides`` are the rows that it was trained and judged on."""
        body = fitted(self.kind, seed)
        name = PICKLE if self.kind == "texts" else MODEL
        card = Card(
            features=self.problem.features,
            outcome=self.problem.outcome,
            entity="id",
            calibration=self.problem.calibration,
            rows=TrainingSet(sides=sides or {}),
            settings={"seed": seed},
            versions={},
            decision=self.problem.decision,
            model=ModelFile(name, digest(body), len(body)),
            problem=self.problem.name,
            format=1 if self.problem.name == "binary" else 2,
        )
        figures = {"model_digest": digest(body), "verdict": card.verdict.document()}
        return self._publish("model", day, Documents({CARD: card.to_json(), name: body}, figures))

    def score(
        self, day: date, model: Partition, rows: Sequence[Values] | None = None, rebuild: bool = False
    ) -> Partition:
        """Publish features, the selection of a model, and what the batch makes of them."""
        rows = drawn(self.problem.features, 50, day.day) if rows is None else rows
        table = as_arrow(self.problem.features, rows)
        table = table.add_column(0, "id", pa.array([f"{number:04}" for number in range(len(rows))], pa.string()))
        schema = (("id", "string"), *((name, each.type.lower()) for name, each in self.problem.features.items()))
        with Attempt(self.lake, "features", [day], stage="Test", rebuild=rebuild) as attempt:
            Path(attempt.destination).mkdir(parents=True)
            pq.write_table(table, f"{attempt.destination}/part-0.parquet")
            attempt.commit(Rows({"": len(rows)}, schema))
        pinned = self._publish("selection", day, selection.build(model, [model]), rebuild)
        with Attempt(self.lake, "predictions", [day], stage="Test", rebuild=rebuild) as attempt:
            (features,) = self.lake.require("features", day)
            scored = inference.build(_here, Case(), features, selection.pinned(self.lake, pinned), attempt, 10**6)
            attempt.commit(scored)
        return self.lake.require("predictions", day)[0]

    def release(self, predictions: Partition, held: bool = False, rebuild: bool = False) -> None:
        """Release a day, or hold it."""
        checks = (Check("number of rows", Outcome.FAILED, "too few"),) if held else ()
        in_force = None if held else predictions.manifest
        found = Release(predictions.date, predictions.manifest.run, checks, Decisions(), in_force)
        self._publish("release", predictions.date, Documents({RELEASE: found.to_json()}, found.figures()), rebuild)

    def released(self, day: date = DAY, seed: int = 0) -> Partition:
        """Train, score and release in one."""
        predictions = self.score(day, self.train(day, seed))
        self.release(predictions)
        return predictions

    def features_of(self, day: date) -> list[Values]:
        """The rows of a day as JSON has them."""
        found = tables.read_arrow(self.lake, "features", day).to_pylist()
        names = list(self.problem.features)
        return [
            {name: str(row[name]) if name == "rate" and row[name] is not None else row[name] for name in names}
            for row in found
        ]

    def predictions_of(self, day: date) -> list[Values]:
        """What the batch has published, without identity and model."""
        found: list[Values] = tables.read_arrow(self.lake, "predictions", day).to_pylist()
        others = ("id", "model_date", "model_digest", "date")
        return [{name: value for name, value in row.items() if name not in others} for row in found]

    def _publish(self, dataset: str, day: date, documents: Documents, rebuild: bool = False) -> Partition:
        with Attempt(self.lake, dataset, [day], stage="Test", rebuild=rebuild) as attempt:
            attempt.commit(documents)
        return self.lake.require(dataset, day)[0]


def _here(job: partitions.Job, files: Sequence[Any], prefix: str) -> partitions.Done:
    """Score a day in this process, as a process of the driver does."""
    shares = partitions.shared(files, prefix, 1)
    return partitions.together(job, [partitions.attempted(job, share, number) for number, share in enumerate(shares)])
