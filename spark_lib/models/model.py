"""Checks and loads a model's bytes, and scores with ONNX Runtime, on one thread. A process loads a model once.

A model gives the probabilities of 2 or more classes, or a number. ``classes`` says which, here and in
``spark_lib.models.export``: the number of the classes, whose labels are 0, 1, ..., or 0 for a number. Workers import this module, so it does not import pyspark.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from spark_lib.errors import ModelError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

#: The names of the graph's input, float32 [n, k], and of its output: the probabilities of the classes, float32
#: [n, classes], or a number, float32 [n, 1].
INPUT = "features"
OUTPUT = "probabilities"
PREDICTION = "prediction"

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


@dataclass(frozen=True)
class Given:
    """What a model gives of rows, whichever engine runs it: ``scores``, which are empty where values are missing.

    ``missing`` says how many values are null or NaN, for each feature without a ``fill`` that has any; ``unseen``, in
    how many rows a category is a text that training did not see. ``repeated`` rows took the score of an earlier one.
    ``matrix`` is the features as the model had them, float32 [k, n], with fills in the place of ``absent`` values, which
    are counted by feature; None where a pipeline took the columns as they are.
    """

    scores: np.ndarray
    missing: Mapping[str, int] = field(default_factory=dict)
    unseen: Mapping[str, int] = field(default_factory=dict)
    repeated: int = 0
    matrix: np.ndarray | None = None
    absent: Mapping[str, int] = field(default_factory=dict)


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
    than ONNX's operators, from float32 ``features`` [n, k] to float32 ``probabilities`` [n, classes], of 2 classes or
    more, or to float32 ``prediction`` [n, 1]."""
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


def classes_of(session: InferenceSession) -> int:
    """The number of classes that the session's model tells apart, or 0 for a model of a number."""
    (output,) = session.get_outputs()
    return 0 if output.name == PREDICTION else int(output.shape[1])


def score(session: InferenceSession, matrix: np.ndarray) -> np.ndarray:
    """What the model says of each row of a float32 matrix [n, k], as float32.

    Of 2 classes it is the positive class's uncalibrated probability [n], and of more it is the uncalibrated
    probabilities of all [n, classes], ``within_rounding`` both. Of a number it is the number [n], as it is. Raises
    ModelError for a matrix of another type or width.
    """
    width = session.get_inputs()[0].shape[1]
    if matrix.dtype != np.float32 or matrix.ndim != 2 or matrix.shape[1] != width:
        raise ModelError(
            "scoring",
            f"a float32 matrix [n, {width}]",
            f"{matrix.dtype} {list(matrix.shape)}",
            "make the matrix with spark_lib.models.matrix, from the features of the model's card",
        )
    return run(session, INPUT, matrix)


def run(session: InferenceSession, name: str, values: np.ndarray) -> np.ndarray:
    """As ``score``, for a session whose one input is ``name`` and takes ``values``."""
    classes = classes_of(session)
    outputs: list[Any] = session.run([OUTPUT if classes else PREDICTION], {name: values})
    return as_scores(outputs[0], classes)


def as_scores(output: np.ndarray, classes: int) -> np.ndarray:
    """What ``score`` returns for the output of a graph, float32 [n, classes], or [n, 1] for a number."""
    if classes == 0:
        return np.ascontiguousarray(output[:, 0])
    return within_rounding(np.ascontiguousarray(output[:, 1]) if classes == 2 else output)


def within_rounding(scores: np.ndarray) -> np.ndarray:
    """The scores, float [n] or [n, classes], with those that only rounding has put outside of [0, 1] brought back to 0 or 1.

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


def check_parity(model_bytes: bytes, matrix: np.ndarray, expected: np.ndarray, limit: float = 1e-6) -> None:
    """Raise ModelError unless the exported model and its estimator agree within ``limit`` on every row.

    ``matrix`` is float32 [n, k]. ``expected`` is what the estimator says of the same rows in the same order: of 2
    classes the positive class's probabilities [n], of more classes the probabilities of all [n, classes], of a number
    the numbers [n]. A difference of numbers is divided by max(1, |expected|), because the model gives a float32, which
    has 24 bits and so cannot be nearer to a great number. A NaN on either side is a difference. No rows at all prove
    nothing, and are refused.
    """
    session = load(model_bytes)
    classes, scores, wanted = classes_of(session), score(session, matrix), np.asarray(expected)
    name = "probabilities" if classes else "predictions"
    if not len(scores) or scores.shape != wanted.shape:
        of_a_row = f"{classes} probabilities" if classes > 2 else "one probability" if classes else "one prediction"
        raise ModelError(
            "parity of model.onnx with its estimator",
            f"at least one row, and {of_a_row} of the estimator for each",
            f"{len(scores)} rows and {name} {list(wanted.shape)}",
            "compare on the rows of the validation split",
        )
    if classes:
        differences = np.abs(scores.astype(np.float64) - within_rounding(wanted))
    else:
        differences = np.abs(scores.astype(np.float64) - wanted) / np.maximum(1, np.abs(wanted))
    beyond = np.count_nonzero(~(differences.reshape(len(scores), -1) <= limit).all(axis=1))
    if beyond:
        share = "" if classes else " of max(1, |prediction|), because a float32 has 24 bits"
        raise ModelError(
            "parity of model.onnx with its estimator",
            f"{name} that differ by at most {limit:g}{share}",
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
    classes = outputs[0][2][-1] if outputs and outputs[0][2] else None
    probabilities = classes is not None and classes >= 2 and outputs == [(OUTPUT, True, [None, classes])]
    if (
        width is None
        or inputs != [(INPUT, True, [None, width])]
        or not (probabilities or outputs == [(PREDICTION, True, [None, 1])])
    ):
        raise _unsafe(
            f"one input, float32 {INPUT!r} [n, k], and one output, float32 {OUTPUT!r} [n, 2 or more] or "
            f"{PREDICTION!r} [n, 1]",
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
