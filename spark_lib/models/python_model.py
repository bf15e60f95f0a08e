"""Runs scikit-learn pipelines that ONNX serves badly, such as those of texts, as they are: on one thread, and only once
for rows that are alike.

Such a model is a pickle, as joblib writes it. A pickle runs code when it is loaded, so only a worker loads it, and only
where its bytes have the pinned digest. Workers import this module, so scikit-learn is imported only where a model is
loaded.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from spark_lib.errors import ModelError
from spark_lib.models import matrix
from spark_lib.models.model import Given, check_digest, within_rounding

if TYPE_CHECKING:
    import pyarrow as pa

    from spark_lib.use_case import Feature

#: Rows that a pipeline is given at a time: enough for its loops, few enough for its sparse matrices.
_BLOCK_ROWS = 2**15
#: Loaded models by digest.
_loaded: dict[str, Any] = {}


@dataclass(frozen=True)
class PythonModel:
    """A fitted pipeline on a table of features by name, with ``predict_proba`` for ``classes``, or with ``predict`` for
    a number (0): the bytes that joblib pickled, and the SHA-256 that they are to have."""

    model: bytes
    digest: str
    classes: int = 2

    #: Rows among which equal ones are looked for. A worker holds this many at a time.
    rows_at_once = 2**20
    name = "scikit-learn"

    def of_rows(self, rows: pa.RecordBatch, features: Mapping[str, Feature]) -> Given:
        """What the pipeline says of each row, uncalibrated: the positive class's probability float64 [n], those of more
        classes [n, m], or the number [n]. A row with the features of an earlier one takes its score. The pipeline gets
        categories as texts."""
        import pyarrow as pa

        columns = filled(rows, features)
        unseen = matrix.unseen(rows, features)
        missing = {name: column.null_count for name, column in columns.items() if column.null_count}
        if missing or not rows.num_rows:
            return Given(np.zeros(0), missing, unseen)
        first, same = _distinct(list(columns.values()))
        scores = self._scores(pa.table(columns).take(first))[same]
        return Given(scores, {}, unseen, rows.num_rows - len(first))

    def _scores(self, rows: pa.Table) -> np.ndarray:
        from threadpoolctl import threadpool_limits

        pipeline = load(self.model, self.digest)
        check_gives(pipeline, self.classes)
        found = []
        with threadpool_limits(1):  # Spark already runs a task on each core
            for start in range(0, rows.num_rows, _BLOCK_ROWS):
                block = rows.slice(start, _BLOCK_ROWS).to_pandas()
                if not self.classes:
                    found.append(np.asarray(pipeline.predict(block), np.float64))
                    continue
                probabilities = pipeline.predict_proba(block)
                found.append(within_rounding(probabilities[:, 1] if self.classes == 2 else probabilities))
        return np.concatenate(found)


def load(model: bytes, digest: str) -> Any:
    """The pipeline. It is the one of this process where that has loaded these bytes before.

    Raises ModelError where ``digest`` is not that of the bytes (before anything is unpickled), and where another
    version of scikit-learn wrote them.
    """
    check_digest(model, digest, "model.joblib")
    if digest not in _loaded:
        _loaded.clear()
        _loaded[digest] = _unpickled(model)
    return _loaded[digest]


def _unpickled(model: bytes) -> Any:
    import joblib
    import sklearn
    from sklearn.exceptions import InconsistentVersionWarning

    with warnings.catch_warnings():
        warnings.simplefilter("error", InconsistentVersionWarning)
        try:
            found = joblib.load(io.BytesIO(model))
        except InconsistentVersionWarning as error:
            raise ModelError(
                "model.joblib",
                f"a model of scikit-learn {sklearn.__version__}, which is installed here",
                f"one of {error.original_sklearn_version}",
                "score with the version that the model was trained with, or train again",
            ) from error
        except (ImportError, AttributeError) as error:  # a module, or a name in it, that the pickle needs is not there
            raise ModelError(
                "model.joblib",
                "a model whose parts can be imported where it scores",
                str(error),
                "install there what the model was trained with, or train again",
            ) from error
    return found


def check_gives(pipeline: Any, classes: int) -> None:
    """Raise ModelError for a pipeline, fitted or not, that does not give what is asked of it."""
    wanted = "predict_proba" if classes else "predict"
    if not hasattr(pipeline, wanted):
        raise ModelError(
            "model.joblib",
            f"a fitted pipeline with {wanted}",
            f"an object of {type(pipeline).__name__}",
            "end the pipeline with a classifier that gives probabilities, and train again"
            if classes
            else "end the pipeline with a regressor, and train again",
        )


def filled(rows: pa.RecordBatch | pa.Table, features: Mapping[str, Feature]) -> dict[str, pa.Array]:
    """The columns of the features, with their fills in the places of nulls."""
    import pyarrow as pa

    return {
        name: column if feature.fill is None else column.fill_null(pa.scalar(feature.fill).cast(column.type))
        for name, feature in features.items()
        for column in [rows.column(name)]
    }


def _distinct(columns: Sequence[pa.Array]) -> tuple[np.ndarray, np.ndarray]:
    """Find rows that are alike, in columns without nulls: the numbers [d] of the rows that are like no earlier one, and
    for every row which of these it is like, [n]."""
    first = np.zeros(1, np.intp)
    same = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        encoded = column.dictionary_encode()
        codes = same * len(encoded.dictionary) + encoded.indices.to_numpy()
        # Number the codes from 0 again, for the next column.
        _, first, same = np.unique(codes, return_index=True, return_inverse=True)
    return first, same
