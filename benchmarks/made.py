"""Makes what the benchmarks of scoring work on: models, each in a directory with the files that contestants load, and
days of features.

The rows of a day depend on their ids alone, not on the files that they are in. They are made a row group at a time, so
that nobody holds a day.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.commands import apart
from spark_lib.lake import Attempt, Lake, Rows
from spark_lib.lake.stores import open_store
from spark_lib.models.calibration import NONE
from spark_lib.models.card import Card, ModelFile
from spark_lib.models.model import digest
from spark_lib.models.training_set import TrainingSet
from spark_lib.use_case import Feature

CORES = 2
FILES = 4
EVEN = (1 / FILES,) * FILES
GROUP_ROWS = 500_000
TREES, DEPTH = 100, 8
TRAINED_ROWS = 20_000
CLASSES = 10
DAY = date(2026, 1, 5)
CASE = "bench"
IDENTITY = {"id": pa.int64(), "at": pa.timestamp("us", tz="UTC")}
#: What every contestant writes.
SCORED = pa.schema(IDENTITY | {"score": pa.float64()})


class Case:
    """The part of a use case that scoring reads."""

    identity = ("id", "at")


def card_of(features: Mapping[str, Feature], file: ModelFile) -> Card:
    """The card of a model, with no more than scoring reads of it."""
    return Card(
        features,
        {"classes": {"positive": 1, "negative": [0]}},
        "id",
        NONE,
        TrainingSet(),
        settings={},
        versions={},
        model=file,
    )


@dataclass(frozen=True)
class Model:
    """A ``directory`` with model.onnx and, of the library that it was trained with, ``sklearn.pickle`` or ``spark``."""

    directory: str
    width: int

    @property
    def onnx(self) -> bytes:
        return Path(self.directory, "model.onnx").read_bytes()

    @property
    def content(self) -> bytes:
        return self.onnx

    @property
    def card(self) -> Card:
        return card_of(self.features, ModelFile("model.onnx", digest(self.onnx), len(self.onnx)))

    @property
    def pickled(self) -> bytes:
        return Path(self.directory, "sklearn.pickle").read_bytes()

    @property
    def features(self) -> dict[str, Feature]:
        return {name: Feature("FLOAT") for name in names(self.width)}


def names(width: int) -> list[str]:
    return [f"x{number}" for number in range(width)]


# -- models


def forest(directory: str, width: int) -> Model:
    """A forest of scikit-learn. scikit-learn and the engines of its ONNX file score by the same trees."""
    return fitted_by_sklearn(*_training_rows(width), directory, 2)


def forest_of_classes(directory: str, width: int) -> Model:
    """The same for ``CLASSES`` classes, which are tenths of what decides between two."""
    columns, _ = _training_rows(width)
    decides = _decides(columns)
    bounds = np.quantile(decides, np.arange(1, CLASSES) / CLASSES)
    return fitted_by_sklearn(columns, np.searchsorted(bounds, decides), directory, CLASSES)


def fitted_by_sklearn(columns: dict[str, np.ndarray], label: np.ndarray, directory: str, classes: int) -> Model:
    """A forest of scikit-learn, fitted to columns [n] by their names."""
    from sklearn.ensemble import RandomForestClassifier

    from spark_lib.models import export

    width = len(columns)
    estimator = RandomForestClassifier(TREES, max_depth=DEPTH, random_state=1, n_jobs=CORES)
    fitted = estimator.fit(np.column_stack([*columns.values()]), label).set_params(n_jobs=1)
    model = Model(directory, width)
    Path(directory).mkdir(parents=True)
    Path(directory, "sklearn.pickle").write_bytes(pickle.dumps(fitted))
    Path(directory, "model.onnx").write_bytes(export.export_sklearn(fitted, width, classes))
    return model


def spark_forest(directory: str, width: int) -> Model:
    from pyspark.ml.classification import RandomForestClassifier

    return _fitted_by_spark(lambda: RandomForestClassifier(numTrees=TREES, maxDepth=DEPTH, seed=1), directory, width)


def logistic_regression(directory: str, width: int) -> Model:
    from pyspark.ml.classification import LogisticRegression

    return _fitted_by_spark(LogisticRegression, directory, width)


def _fitted_by_spark(estimator: Callable[[], Any], directory: str, width: int) -> Model:
    from pyspark.ml import Pipeline
    from pyspark.ml.feature import VectorAssembler

    from spark_lib.models import export
    from spark_lib.session.session import session

    spark = session(master=f"local[{CORES}]", conf={"spark.ui.enabled": "false"})
    columns, label = _training_rows(width)
    rows = spark.createDataFrame(pa.table(columns | {"label": label}))
    assembler = VectorAssembler(inputCols=names(width), outputCol="features")
    fitted = Pipeline(stages=[assembler, estimator()]).fit(rows)
    fitted.write().overwrite().save(f"{directory}/spark")
    exported = export.export(export.without_summary(fitted.stages[1]), width, f"{directory}/scratch", spark)
    Path(directory, "model.onnx").write_bytes(exported)
    return Model(directory, width)


#: The function that makes each model, and its number of features, by the name of the model.
MODELS: dict[str, tuple[Callable[[str, int], Model], int]] = {
    "forest": (forest, 20),
    "wide forest": (forest, 200),
    "forest of 10 classes": (forest_of_classes, 20),
    "spark forest": (spark_forest, 20),
    "logistic regression": (logistic_regression, 20),
}


def model(name: str, directory: str) -> Model:
    """The model of that name, made in a process of its own, so that no JVM stays behind."""
    make, width = MODELS[name]
    return apart(make, f"{directory}/{name.replace(' ', '-')}", width)


def _training_rows(width: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    columns = noise(TRAINED_ROWS, width, seed=1)
    return columns, (_decides(columns) > 0).astype(np.float64)


def _decides(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    found: np.ndarray = columns["x0"] + columns["x1"] + noise(TRAINED_ROWS, 1, seed=2)["x0"]
    return found


# -- rows


def noise(rows: int, width: int, seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {name: random.standard_normal(rows, np.float32) for name in names(width)}


def land(root: str, rows: int, width: int, shares: Sequence[float] = EVEN) -> str:
    """Publish a day of features with so many rows, in files with these shares of them; the lake's root."""
    schema = (("id", "bigint"), ("at", "timestamp"), *((name, "float") for name in names(width)))
    kinds = pa.schema(IDENTITY | dict.fromkeys(names(width), pa.float32()))
    store = open_store(root)
    bounds = [0, *(round(rows * share) for share in accumulate(shares))]
    with Attempt(Lake(root, CASE), "features", [DAY], stage="Bench") as attempt:
        for number, (first, stop) in enumerate(pairwise(bounds)):
            with (
                store.writing(f"{attempt.prefix(DAY)}/part-{number}.parquet") as opened,
                pq.ParquetWriter(opened, kinds, use_dictionary=False) as writer,  # as Spark does: no value repeats
            ):
                for start in range(first, stop, GROUP_ROWS):
                    writer.write_table(_rows(start, min(start + GROUP_ROWS, stop), width, kinds))
        attempt.commit(Rows({"": rows}, schema))
    return root


def _rows(first: int, stop: int, width: int, kinds: pa.Schema) -> pa.Table:
    """The rows with these ids, cut from the one or two blocks of noise that they lie in."""
    ids = np.arange(first, stop)
    parts = []
    for block in range(first // GROUP_ROWS, (stop - 1) // GROUP_ROWS + 1):
        begin = block * GROUP_ROWS
        made = noise(GROUP_ROWS, width, seed=100 + block)
        parts.append({name: values[max(first - begin, 0) : stop - begin] for name, values in made.items()})
    columns = {name: np.concatenate([part[name] for part in parts]) for name in names(width)}
    at = pa.array(ids * 1_000_000, kinds.field("at").type)
    return pa.table({"id": ids, "at": at} | columns, schema=kinds)


def inputs(root: str) -> list[str]:
    return Lake(root, CASE).require("features", DAY)[0].files("")


def scores(target: str | Path, rows: int) -> np.ndarray:
    """The score of each id below ``rows``, from all files below a directory. Ends the benchmark where there is not one
    score for each row.
    """
    found = np.full(rows, np.nan)
    count = 0
    for path in Path(target).rglob("*.parquet"):
        table = pq.ParquetFile(path).read(["id", "score"])
        found[table["id"].to_numpy()] = table["score"].to_numpy()
        count += table.num_rows
    if count != rows or np.isnan(found).any():
        raise SystemExit(f"{count:,} scores of {rows:,} rows, {np.isnan(found).sum():,} of them missing: {target}")
    return found


def count(target: str | Path) -> int:
    return sum(pq.read_metadata(path).num_rows for path in Path(target).rglob("*.parquet"))
