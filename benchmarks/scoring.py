"""Scoring, from Parquet to Parquet: the library against what else would do it, on the same model and rows, in turn in one run.

    python -m benchmarks.scoring [--pairs 3] [--rows 4000000] [--only NAME ...]

A forest of 100 trees of depth 8, fitted by Spark on 20,000 rows and exported by the library; rows of an id, an event time and
20 float32 features, in four files of row groups of half a million. Every contestant is a process that has done a small job
before (a session, workers, compiled code), uses both cores, and writes id, event time and score. The library's time includes
checksums and the manifest. After the first round the scores of all are compared. Left out: starting, and the training.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.result import Result, judge, keep
from benchmarks.sides import Side, Work
from spark_lib.lake import Attempt, Lake, Rows
from spark_lib.use_case import Feature

CORES = 2
FILES = 4
WIDTH = 20
GROUP_ROWS = 500_000
TREES, DEPTH = 100, 8
TRAINED_ROWS = 20_000
DAY = date(2026, 1, 5)
CASE = "bench"
FEATURES = {f"x{number}": Feature("FLOAT") for number in range(WIDTH)}
SCHEMA = (("id", "bigint"), ("at", "timestamp"), *((name, "float") for name in FEATURES))
CLOSE = 1e-6


class Case:
    """What scoring asks of a use case."""

    key, entity, event_time = "id", "id", "at"


# -- contestants: given a directory with a model, a lake's root to score and one to write to


def library(directory: str) -> Work:
    from spark_lib import inference
    from spark_lib.calibration import NONE
    from spark_lib.model import digest
    from spark_lib.selection import Pinned
    from spark_lib.session import session

    spark = session(master=f"local[{CORES}]", conf={"spark.ui.enabled": "false"})
    model = Path(directory, "model.onnx").read_bytes()
    card = {
        "features": [{"name": name, "type": "FLOAT", "fill": None} for name in FEATURES],
        "calibration": NONE,
    }
    pinned = Pinned(DAY, model, digest(model), card)

    def work(source: str, target: str) -> None:
        (features,) = Lake(source, CASE).require("features", DAY)
        with Attempt(Lake(target, CASE), "predictions", [DAY], stage="Bench") as attempt:
            attempt.commit(inference.build(spark, Case(), features, pinned, attempt, 10**7))

    return work


def plain(engine: str, directory: str) -> Work:
    """One warm process a core, pyarrow, and an engine: half of the files each."""
    pool = ProcessPoolExecutor(CORES)

    def work(source: str, target: str) -> None:
        files = inputs(source)
        os.makedirs(target, exist_ok=True)
        shares = [(engine, directory, files[core::CORES], f"{target}/{core}.parquet") for core in range(CORES)]
        list(pool.map(score_plainly, shares))

    return work


def score_plainly(share: tuple[str, str, list[str], str]) -> None:
    import onnxruntime

    from spark_lib import engine as engines

    name, directory, files, target = share
    model = Path(directory, "model.onnx").read_bytes()
    if name == "forest":
        forest = engines.of(model)
        score = forest.scores
    else:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

        def score(columns: np.ndarray) -> np.ndarray:
            (found,) = session.run(["probabilities"], {"features": np.ascontiguousarray(columns.T)})
            return np.asarray(found)[:, 1]

    kinds = pa.schema([("id", pa.int64()), ("at", pa.timestamp("us", tz="UTC")), ("score", pa.float64())])
    with pq.ParquetWriter(target, kinds, use_dictionary=False) as writer:
        for file in files:
            read = pq.ParquetFile(file)
            for group in range(read.num_row_groups):
                done = []
                for batch in read.iter_batches(65_536, [group], use_threads=False):
                    scores = score(np.stack([batch.column(name).to_numpy() for name in FEATURES]))
                    columns = [batch.column("id"), batch.column("at"), pa.array(scores.astype(np.float64))]
                    done.append(pa.RecordBatch.from_arrays(columns, schema=kinds))
                writer.write_table(pa.Table.from_batches(done))


def spark_ml(directory: str) -> Work:
    from pyspark.ml import PipelineModel
    from pyspark.ml.functions import vector_to_array
    from pyspark.sql import functions as F

    from spark_lib.session import session

    spark = session(master=f"local[{CORES}]", conf={"spark.ui.enabled": "false"})
    model = PipelineModel.load(f"{directory}/spark")

    def work(source: str, target: str) -> None:
        scored = model.transform(spark.read.parquet(*inputs(source)))
        score = vector_to_array("probability")[1].alias("score")
        scored.select("id", F.col("at"), score).write.mode("overwrite").parquet(target)

    return work


def map_in_arrow(directory: str) -> Work:
    from spark_lib.inference import scored_by
    from spark_lib.session import session

    spark = session(master=f"local[{CORES}]", conf={"spark.ui.enabled": "false"})
    model = Path(directory, "model.onnx").read_bytes()

    def work(source: str, target: str) -> None:
        rows = spark.read.parquet(*inputs(source))
        scored_by(model, rows, ["id", "at"], FEATURES).write.mode("overwrite").parquet(target)

    return work


CONTESTANTS: dict[str, tuple[Callable[[str], Work], float | None]] = {
    "pyarrow and onnxruntime in plain processes": (partial(plain, "onnxruntime"), 7),
    "pyarrow and the library's forest in plain processes": (partial(plain, "forest"), 0.85),
    "mapInArrow with onnxruntime": (map_in_arrow, None),
    "Spark ML's transform": (spark_ml, 15),
}


# -- what they work on


def train(directory: str) -> None:
    """A forest on rows of noise, as Spark's own files and as ONNX."""
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import RandomForestClassifier
    from pyspark.ml.feature import VectorAssembler

    from spark_lib import export
    from spark_lib.session import session

    spark = session(master=f"local[{CORES}]", conf={"spark.ui.enabled": "false"})
    columns = noise(TRAINED_ROWS, seed=1)
    label = (columns["x0"] + columns["x1"] + noise(TRAINED_ROWS, seed=2)["x2"] > 0).astype(np.float64)
    rows = spark.createDataFrame(pa.table(columns | {"label": label}))
    forest = RandomForestClassifier(numTrees=TREES, maxDepth=DEPTH, seed=1)
    assembler = VectorAssembler(inputCols=list(FEATURES), outputCol="features")
    fitted = Pipeline(stages=[assembler, forest]).fit(rows)
    fitted.write().overwrite().save(f"{directory}/spark")
    exported = export.export(fitted.stages[1].copy(), WIDTH, f"{directory}/scratch", spark)
    Path(directory, "model.onnx").write_bytes(exported)
    spark.stop()


def noise(rows: int, seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {name: random.standard_normal(rows, np.float32) for name in FEATURES}


def land(root: str, rows: int, shares: tuple[float, ...] = (1 / FILES,) * FILES) -> str:
    """Publish a day of features with so many rows, in files with these shares of them; the lake's root."""
    with Attempt(Lake(root, CASE), "features", [DAY], stage="Bench") as attempt:
        os.makedirs(attempt.destination)
        counts = [int(rows * share) for share in shares]
        first = 0
        for number, count in enumerate(counts):
            ids = np.arange(first, first + count)
            at = pa.array(ids * 1_000_000, pa.timestamp("us", tz="UTC"))
            table = pa.table({"id": ids, "at": at} | noise(count, seed=number))
            pq.write_table(table, f"{attempt.destination}/part-{number}.parquet", row_group_size=GROUP_ROWS)
            first += count
        attempt.commit(Rows({"": sum(counts)}, SCHEMA))
    return root


def inputs(root: str) -> list[str]:
    return Lake(root, CASE).require("features", DAY)[0].files("")


def scores(target: str) -> np.ndarray:
    """Scores by id, of whatever files lie below a directory."""
    files = sorted(Path(target).rglob("*.parquet"))
    tables = [pq.ParquetFile(file).read(["id", "score"]) for file in files]
    found = pa.concat_tables(tables).sort_by("id")
    return np.asarray(found["score"].to_numpy())


# -- what is measured


def kernel(directory: str, rows: int = 400_000, rounds: int = 7) -> Result:
    """The forest against ONNX Runtime on one thread each, on a matrix that is in memory."""
    from spark_lib import engine, model

    bytes_ = Path(directory, "model.onnx").read_bytes()
    columns = np.stack(list(noise(rows, seed=3).values()))
    matrix = np.ascontiguousarray(columns.T)
    made, session = engine.of(bytes_), model.load(bytes_)
    if not np.array_equal(made.scores(columns), model.score(session, matrix)):
        raise SystemExit("the forest's scores are not those of ONNX Runtime")
    taken = [(timed(lambda: made.scores(columns)), timed(lambda: model.score(session, matrix))) for _ in range(rounds)]
    print(f"{rows / statistics.median(ours for ours, _ in taken) / 1e3:,.0f} thousand rows a second on one thread")
    return judge("the forest / onnxruntime, one thread, in memory", taken, goal=1 / 9)


def timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def against(name: str, directory: str, source: str, rows: int, pairs: int) -> Result:
    start, times = CONTESTANTS[name]
    us, them = Side(partial(library, directory)), Side(partial(start, directory))
    try:
        small = land(f"{directory}/small-{time.monotonic_ns()}", 20_000)
        for side, place in ((us, "our"), (them, "their")):
            side.warm(small, f"{directory}/{place}-warm")
        taken = []
        for pair in range(pairs):
            ours, theirs = f"{directory}/our", f"{directory}/their"
            taken.append((us.run(rows, source, ours), them.run(rows, source, theirs)))
            if not pair and not np.allclose(scores(ours), scores(theirs), rtol=0, atol=CLOSE):
                raise SystemExit(f"the scores of {name} are others")
            shutil.rmtree(ours)
            shutil.rmtree(theirs)
        return judge(f"scoring {rows:,} rows / {name}", taken, goal=times and 1 / times)
    finally:
        us.end()
        them.end()
        for place in Path(directory).glob("*-warm"):
            shutil.rmtree(place)


def results(pairs: int, rows: int, only: list[str]) -> list[Result]:
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, ", end="")
    print(", ".join(f"{name} {version(name)}" for name in ("pyspark", "pyarrow", "onnxruntime", "numba")))
    with tempfile.TemporaryDirectory(prefix="daystone-bench-") as directory:
        train(directory)
        source = land(f"{directory}/lake", rows)
        names = [name for name in CONTESTANTS if not only or any(word in name for word in only)]
        return [kernel(directory), *(against(name, directory, source, rows, pairs) for name in names)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--only", nargs="*", default=[], help="words of the contestants' names")
    given = parser.parse_args()
    keep(results(given.pairs, given.rows, given.only))


if __name__ == "__main__":
    main()
