"""The contestants of scoring. Each is a function of a model: it gets ready (a session, a loaded model, processes) and
returns the job, which reads a lake's features and writes files of id, event time and score.

The library starts its JVM with its own settings, the others with Spark's. All use two cores, and the same Arrow
batches.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.made import CASE, CORES, DAY, SCORED, Case, Model, inputs
from benchmarks.sides import Work
from benchmarks.texts import TextModel
from spark_lib.lake import Attempt, Lake
from spark_lib.scoring import partitions as scoring

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

Start = Callable[[Any], Work]
_ONE_THREAD = {"intra_op_num_threads": 1, "inter_op_num_threads": 1, "execution_mode": "sequential"}


def library(model: Model | TextModel) -> Work:
    """Does what BatchInference does: checks of the model and columns, scores, statistics, checksums, the manifest."""
    from spark_lib.models.model import digest
    from spark_lib.stages import inference
    from spark_lib.stages.selection import Pinned

    spark = _spark(quick_start=True)
    pinned = Pinned(DAY, model.content, digest(model.content), model.card)

    def work(source: str, target: str) -> None:
        (features,) = Lake(source, CASE).require("features", DAY)
        with Attempt(Lake(target, CASE), "predictions", [DAY], stage="Bench") as attempt:
            attempt.commit(inference.build(partial(scoring.run, spark), Case(), features, pinned, attempt, 10**7))

    return work


def plain(engine: str, model: Model) -> Work:
    """A warm process for each core scores its share of the files, with pyarrow and an engine."""
    pool = multiprocessing.Pool(CORES)

    def work(source: str, target: str) -> None:
        files = inputs(source)
        os.makedirs(target, exist_ok=True)
        shares = [(engine, model, files[core::CORES], f"{target}/{core}.parquet") for core in range(CORES)]
        pool.map(_score_plainly, shares, chunksize=1)

    return work


def _score_plainly(share: tuple[str, Model, list[str], str]) -> None:
    name, model, files, target = share
    score = _of_forest(model) if name == "forest" else _of_onnxruntime(model)
    with pq.ParquetWriter(target, SCORED, use_dictionary=False) as writer:
        for file in files:
            read = pq.ParquetFile(file)
            for group in range(read.num_row_groups):
                done = []
                for batch in read.iter_batches(65_536, [group], use_threads=False):
                    scores = score(np.stack([batch.column(name).to_numpy() for name in model.features]))
                    columns = [batch.column("id"), batch.column("at"), pa.array(scores.astype(np.float64))]
                    done.append(pa.RecordBatch.from_arrays(columns, schema=SCORED))
                writer.write_table(pa.Table.from_batches(done))


def _of_forest(model: Model) -> Callable[[np.ndarray], np.ndarray]:
    from spark_lib.scoring import engine

    return engine.of(model.onnx).scores


def _of_onnxruntime(model: Model) -> Callable[[np.ndarray], np.ndarray]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.onnx, options, providers=["CPUExecutionProvider"])

    def score(columns: np.ndarray) -> np.ndarray:
        (found,) = session.run(["probabilities"], {"features": np.ascontiguousarray(columns.T)})
        return np.asarray(found)[:, 1]

    return score


def map_in_arrow(model: Model) -> Work:
    """ONNX Runtime on Arrow batches that Spark reads and writes."""
    from spark_lib.scoring.rows import scored_by

    bytes_, features = model.onnx, model.features
    return _of_frames(lambda rows: scored_by(bytes_, rows, ["id", "at"], features))


def spark_ml(model: Model) -> Work:
    """Spark ML's own transform."""
    from pyspark.ml import PipelineModel
    from pyspark.ml.functions import vector_to_array

    _spark()
    fitted = PipelineModel.load(f"{model.directory}/spark")
    score = vector_to_array("probability")[1].alias("score")
    return _of_frames(lambda rows: fitted.transform(rows).select("id", "at", score))


def pandas_udf(model: Model) -> Work:
    """scikit-learn in a pandas UDF over an iterator, on one thread. The model is broadcast, and loaded once a task."""
    from pyspark.sql import functions as F

    shipped = _spark().sparkContext.broadcast(model.pickled)

    @F.pandas_udf("double")
    def score(batches: Iterator[tuple[pd.Series, ...]]) -> Iterator[pd.Series]:
        fitted = pickle.loads(shipped.value)  # noqa: S301  (pickled by this benchmark, and by nobody else)
        for columns in batches:
            yield pd.Series(fitted.predict_proba(np.column_stack(columns))[:, 1])

    return _of_column(score(*model.features))


def mlflow_udf(flavour: str, model: Any) -> Work:
    """MLflow's spark_udf in this environment, of a model without a signature, because MLflow would check rows against
    one.

    Each flavour gets what costs it least. scikit-learn returns the first class's probability as a number, because an
    array of both would become a list for each row. The ONNX graph ends in the positive class's probability, because
    MLflow flattens what a graph returns.
    """
    os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_TRACKING_URI": f"file://{model.directory}/mlruns"}
    import mlflow

    logging.getLogger("mlflow").setLevel(logging.ERROR)  # its warning recommends an environment of its own
    path = f"{tempfile.mkdtemp(dir=model.directory)}/mlflow"
    if flavour == "scikit-learn":
        mlflow.sklearn.save_model(
            pickle.loads(model.pickled),  # noqa: S301  (pickled by this benchmark, and by nobody else)
            path,
            serialization_format="pickle",
            pyfunc_predict_fn="predict_proba",
            pip_requirements=["scikit-learn"],
        )
    else:
        mlflow.onnx.save_model(
            positive_only(model.onnx),
            path,
            onnx_execution_providers=["CPUExecutionProvider"],
            onnx_session_options=_ONE_THREAD,
            save_as_external_data=False,
            pip_requirements=["onnxruntime"],
        )
    from pyspark.sql import functions as F

    spark = _spark()
    # A pipeline of texts asks for its column by name, and only a structure brings names along.
    columns = [F.struct(*model.features)] if isinstance(model, TextModel) else list(model.features)
    found = mlflow.pyfunc.spark_udf(spark, path, result_type="double", env_manager="local")(*columns)
    return _of_column(1 - found if flavour == "scikit-learn" else found)


def positive_only(model_bytes: bytes) -> Any:
    """An ONNX model whose one output is the positive class's probability, float32 [n]."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load_model_from_string(model_bytes)
    graph = model.graph
    (before,) = graph.output
    graph.initializer.append(numpy_helper.from_array(np.array(1), "positive"))
    graph.node.append(helper.make_node("Gather", [before.name, "positive"], ["score"], axis=1))
    graph.output.remove(before)
    graph.output.append(helper.make_tensor_value_info("score", onnx.TensorProto.FLOAT, [None]))
    return model


def _of_column(score: Column) -> Work:
    return _of_frames(lambda rows: rows.select("id", "at", score.alias("score")))


def _of_frames(scored: Callable[[DataFrame], DataFrame]) -> Work:
    """Spark reads the lake's files, and writes the rows that ``scored`` makes of them."""
    spark = _spark()

    def work(source: str, target: str) -> None:
        scored(spark.read.parquet(*inputs(source))).write.mode("overwrite").parquet(target)

    return work


def _spark(quick_start: bool = False) -> SparkSession:
    from spark_lib.session.session import session

    return session(master=f"local[{CORES}]", conf={"spark.ui.enabled": "false"}, quick_start=quick_start)


PLAIN_ONNXRUNTIME: Start = partial(plain, "onnxruntime")
PLAIN_FOREST: Start = partial(plain, "forest")
