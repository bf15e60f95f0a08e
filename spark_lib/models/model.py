"""Checks and loads a model's bytes, and scores with ONNX Runtime, on one thread. A process loads a model once.

Workers import this module, so it does not import pyspark.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from spark_lib.errors import ModelError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

#: The names of the graph's input, float32 [n, k], and of its output, float32 [n, 2].
INPUT = "features"
OUTPUT = "probabilities"

#: How far outside of [0, 1] rounding may put a probability. Each of n float32 additions errs by at most 2^-24 of a sum
#: that stays near 1, and so does the rounding of what is added (Higham 2002, section 4.2). Together this is n * 2^-24.
#: The value here is that of 512 trees.
ROUNDING = 2.0**-15

#: Loaded models by digest. Only the last few stay loaded, because a backfill may use many models.
_sessions: dict[str, InferenceSession] = {}
_KEPT = 4

#: ONNX's own operators and those for machine learning. Any other domain is somebody's code.
_DOMAINS = {"", "ai.onnx.ml"}
_UNTRUSTED = "score only with a model that a training of yours published; do not load this one"


def digest(model_bytes: bytes) -> str:
    """SHA-256 of a model, as 64 hexadecimal digits."""
    return hashlib.sha256(model_bytes).hexdigest()


def check_digest(model_bytes: bytes, sha256: str, name: str = "model.onnx") -> None:
    """Raise ModelError unless ``sha256`` is the digest of the bytes of ``name``. Nothing is parsed."""
    found = digest(model_bytes)
    if found != sha256:
        raise ModelError(
            name,
            f"the SHA-256 of its card, {sha256}",
            found,
            "restore the file that was trained, or train again; do not score with this one",
        )


def check_safe(model_bytes: bytes) -> None:
    """Raise ModelError unless the bytes are a whole, valid ONNX model that reads no other file and runs no other code
    than ONNX's operators, from float32 ``features`` [n, k] to float32 ``probabilities`` [n, 2]."""
    import onnx

    if model_bytes[:1] == b"\x80":  # a pickle begins with this byte, and no ONNX model does
        raise _unsafe("an ONNX model", "a Python pickle, as joblib writes them, which runs code when it is loaded")
    try:
        model = onnx.load_model_from_string(model_bytes)
    except Exception as error:  # an error of protobuf, which comes with onnx and is not our dependency
        raise _unsafe("an ONNX model", f"{len(model_bytes):,} bytes that are none, or a part of one") from error
    if model.functions or model.training_info:
        raise _unsafe("a graph of operators alone", "functions or training graphs")
    for node, tensors in _contents(model.graph):
        if node is not None and node.domain not in _DOMAINS:
            raise _unsafe("operators of ONNX and ai.onnx.ml alone", f"{node.op_type} of the domain {node.domain!r}")
        for tensor in tensors:
            if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
                places = [entry.value for entry in tensor.external_data if entry.key == "location"]
                raise _unsafe(
                    "all data inside the file", f"data of {tensor.name!r} in {', '.join(places) or 'another'}"
                )
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # errors of the checker and of the inference of shapes have no common base
        raise _unsafe("a valid ONNX model", str(error).strip().partition("\n")[0].rstrip(".")) from error
    _check_ends(model.graph)


def load(model_bytes: bytes, sha256: str | None = None) -> InferenceSession:
    """A session for the model. It is the session of this process where that has loaded these bytes before.

    It computes on the calling thread alone, because Spark already runs a task on each core. Raises ModelError where
    ``sha256`` is given and is not the digest of the bytes (before anything is parsed), and where ONNX Runtime refuses
    the bytes.
    """
    found = digest(model_bytes)
    if sha256 is not None:
        check_digest(model_bytes, sha256)
    if found not in _sessions:
        session = _new_session(model_bytes)
        if len(_sessions) >= _KEPT:
            del _sessions[next(iter(_sessions))]
        _sessions[found] = session
    return _sessions[found]


def score(session: InferenceSession, matrix: np.ndarray) -> np.ndarray:
    """The positive class's uncalibrated probability, float32 [n], of a float32 matrix [n, k], ``within_rounding``.

    Raises ModelError for a matrix of another type or width.
    """
    width = session.get_inputs()[0].shape[1]
    if matrix.dtype != np.float32 or matrix.ndim != 2 or matrix.shape[1] != width:
        raise ModelError(
            "scoring",
            f"a float32 matrix [n, {width}]",
            f"{matrix.dtype} {list(matrix.shape)}",
            "make the matrix with spark_lib.models.matrix, from the features of the model's card",
        )
    return positive(session, INPUT, matrix)


def positive(session: InferenceSession, name: str, values: np.ndarray) -> np.ndarray:
    """The positive class's probability of each row, float32 [n], ``within_rounding``. ``name`` is that of the session's
    one input, which takes ``values``; its output ``OUTPUT`` has the probabilities of both classes, [n, 2]."""
    outputs: list[Any] = session.run([OUTPUT], {name: values})
    return within_rounding(np.ascontiguousarray(outputs[0][:, 1]))


def within_rounding(scores: np.ndarray) -> np.ndarray:
    """The scores, float [n], with those that only rounding has put outside of [0, 1] brought back to 0 or 1.

    For example, twenty float32 additions of 1/20, the votes of twenty trees that are all certain, give 1.0000001. A
    score that is further outside than ``ROUNDING``, or is not a number, stays as it is. It is not a probability, and is
    refused where it is found.
    """
    if not len(scores) or (scores.min() >= 0 and scores.max() <= 1):
        return scores
    found = scores.copy()
    found[(scores < 0) & (scores >= -ROUNDING)] = 0
    found[(scores > 1) & (scores <= 1 + ROUNDING)] = 1
    return found


def is_probability(scores: np.ndarray) -> np.ndarray:
    """Which of the scores [n] are numbers from 0 to 1."""
    found: np.ndarray = (scores >= 0) & (scores <= 1)
    return found


def check_parity(model_bytes: bytes, matrix: np.ndarray, probabilities: np.ndarray, limit: float = 1e-6) -> None:
    """Raise ModelError unless the exported model and its estimator agree within ``limit`` on every row.

    ``matrix`` is float32 [n, k]. ``probabilities`` [n] are the estimator's of the positive class, of the same rows in
    the same order. A NaN on either side is a difference. No rows at all prove nothing, and are refused.
    """
    scores = score(load(model_bytes), matrix)
    if not len(scores) or scores.shape != np.shape(probabilities):
        raise ModelError(
            "parity of model.onnx with its estimator",
            "at least one row, and one probability of the estimator for each",
            f"{len(scores)} rows and probabilities {list(np.shape(probabilities))}",
            "compare on the rows of the validation split",
        )
    differences = np.abs(scores.astype(np.float64) - within_rounding(np.asarray(probabilities)))
    beyond = np.count_nonzero(~(differences <= limit))
    if beyond:
        raise ModelError(
            "parity of model.onnx with its estimator",
            f"probabilities that differ by at most {limit:g}",
            f"{beyond} of {len(scores)} rows beyond it, the largest difference {differences.max():.3g}",
            "do not publish this model; report the estimator's kind as a bug of spark_lib.models.export",
        )


def _contents(graph: Any) -> Iterator[tuple[Any, list[Any]]]:
    """Every node of a graph and of the graphs inside it, with the tensors among its attributes. The constants of a
    graph come with None in place of a node."""
    sparse = list(graph.sparse_initializer)
    yield None, [*graph.initializer, *(part for tensor in sparse for part in (tensor.values, tensor.indices))]
    for node in graph.node:
        tensors: list[Any] = []
        for attribute in node.attribute:
            tensors += [attribute.t, *attribute.tensors]
            for tensor in (attribute.sparse_tensor, *attribute.sparse_tensors):
                tensors += [tensor.values, tensor.indices]
            for inner in (attribute.g, *attribute.graphs):
                yield from _contents(inner)
        yield node, tensors


def _check_ends(graph: Any) -> None:
    from onnx import TensorProto

    def said(ends: Any) -> list[tuple[str, bool, list[int | None]]]:
        return [
            (
                end.name,
                end.type.tensor_type.elem_type == TensorProto.FLOAT,
                [size.dim_value or None for size in end.type.tensor_type.shape.dim],
            )
            for end in ends
        ]

    inputs, outputs = said(graph.input), said(graph.output)
    width = inputs[0][2][-1] if inputs and inputs[0][2] else None
    if width is None or inputs != [(INPUT, True, [None, width])] or outputs != [(OUTPUT, True, [None, 2])]:
        raise _unsafe(
            f"one input, float32 {INPUT!r} [n, k], and one output, float32 {OUTPUT!r} [n, 2]",
            f"{_words(inputs)} to {_words(outputs)}",
        )


def _words(ends: list[tuple[str, bool, list[int | None]]]) -> str:
    said = (
        f"{'float32' if single else 'another type'} {name!r} [{', '.join(str(size or 'n') for size in sizes)}]"
        for name, single, sizes in ends
    )
    return " and ".join(said) or "nothing"


def _unsafe(wanted: str, found: str) -> ModelError:
    return ModelError("model.onnx", wanted, found, _UNTRUSTED)


def _new_session(model_bytes: bytes) -> InferenceSession:
    # From 1.29 on, the wheels of ONNX Runtime report each session to Microsoft over the network, and store an
    # identifier of the machine.
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
