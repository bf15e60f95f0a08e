"""A model's bytes as something that scores: ONNX Runtime, one thread, one load a process.

Workers import this module: no pyspark here.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from spark_lib.errors import ModelError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

#: The names of the graph's ends: float32 [n, k] in, float32 [n, 2] out.
INPUT = "features"
OUTPUT = "probabilities"

#: Loaded models by digest. A backfill that walks past many models keeps the last few.
_sessions: dict[str, InferenceSession] = {}
_KEPT = 4


def digest(model_bytes: bytes) -> str:
    """SHA-256 of a model, as 64 hexadecimal digits."""
    return hashlib.sha256(model_bytes).hexdigest()


def load(model_bytes: bytes, sha256: str | None = None) -> InferenceSession:
    """A session for the model, the one of this process if it has loaded these bytes before.

    It computes on the calling thread alone: Spark already runs a task a core. Raises ModelError, before anything is
    parsed, where ``sha256`` is given and is not the digest of the bytes, and where ONNX Runtime refuses them.
    """
    found = digest(model_bytes)
    if sha256 is not None and found != sha256:
        raise ModelError(
            "model.onnx",
            f"the SHA-256 of its card, {sha256}",
            found,
            "restore the file that was trained, or train again; do not score with this one",
        )
    if found not in _sessions:
        session = _new_session(model_bytes)
        if len(_sessions) >= _KEPT:
            del _sessions[next(iter(_sessions))]
        _sessions[found] = session
    return _sessions[found]


def score(session: InferenceSession, matrix: np.ndarray) -> np.ndarray:
    """The positive class's uncalibrated probability, float32 [n], of a float32 matrix [n, k].

    Raises ModelError for a matrix of another type or width.
    """
    width = session.get_inputs()[0].shape[1]
    if matrix.dtype != np.float32 or matrix.ndim != 2 or matrix.shape[1] != width:
        raise ModelError(
            "scoring",
            f"a float32 matrix [n, {width}]",
            f"{matrix.dtype} {list(matrix.shape)}",
            "make the matrix with spark_lib.matrix, from the features of the model's card",
        )
    outputs: list[Any] = session.run([OUTPUT], {INPUT: matrix})
    return np.ascontiguousarray(outputs[0][:, 1])


def check_parity(model_bytes: bytes, matrix: np.ndarray, spark_probabilities: np.ndarray, limit: float = 1e-6) -> None:
    """Raise ModelError unless the exported model and Spark agree within ``limit`` on every row.

    ``matrix`` is float32 [n, k], ``spark_probabilities`` [n] the positive class's, of the same rows in the same
    order. A NaN on either side is a difference; no rows at all prove nothing and are refused.
    """
    scores = score(load(model_bytes), matrix)
    if not len(scores) or scores.shape != np.shape(spark_probabilities):
        raise ModelError(
            "parity of model.onnx with Spark",
            "at least one row, and one probability of Spark for each",
            f"{len(scores)} rows and probabilities {list(np.shape(spark_probabilities))}",
            "compare on the rows of the validation split",
        )
    differences = np.abs(scores.astype(np.float64) - spark_probabilities)
    beyond = np.count_nonzero(~(differences <= limit))
    if beyond:
        raise ModelError(
            "parity of model.onnx with Spark",
            f"probabilities that differ by at most {limit:g}",
            f"{beyond} of {len(scores)} rows beyond it, the largest difference {differences.max():.3g}",
            "do not publish this model; report the forest as a bug of spark_lib/onnx_forest.py",
        )


def _new_session(model_bytes: bytes) -> InferenceSession:
    # Its wheels, from 1.29 on, tell Microsoft about each session over the network, and keep an identifier of the machine.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    try:
        return ort.InferenceSession(model_bytes, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no common base of their own
        raise ModelError(
            "model.onnx",
            f"an ONNX model that onnxruntime {ort.__version__} loads",
            str(error).rstrip("."),
            "restore the file, or score with the onnxruntime that the model's card names",
        ) from error
