"""Scores rows of requests by a model, as the batch scores those of a day.

An ONNX model runs in this process. A pickle runs code when it is loaded: a process of its own loads it, after its
digest, and that process has none of the secrets of this one.
"""

from __future__ import annotations

import pickle
import subprocess
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from spark_lib import problems
from spark_lib.errors import DaystoneError
from spark_lib.lake.tables import arrow_schema
from spark_lib.models import model as models
from spark_lib.models import python_model
from spark_lib.models.card import Card
from spark_lib.models.matrix import Encoder
from spark_lib.models.model import Given
from spark_lib.models.python_model import PythonModel
from spark_lib.rest.rows import Columns, Fault, Refused, Row
from spark_lib.scoring import processes
from spark_lib.stages.selection import Pinned
from spark_lib.use_case import Feature

#: The greatest float32. What is beyond is infinite to a model.
_LARGEST = float(np.finfo(np.float32).max)


class Runs(Protocol):
    """What a model says of rows whose values are of their types. It may be called by several threads."""

    def __call__(self, rows: Sequence[Row]) -> Given: ...


@dataclass(frozen=True)
class Scored:
    """``predictions`` are the columns of the batch by name, for each row. ``unseen`` says in how many rows a category is a
    text that training did not see."""

    predictions: list[dict[str, Any]]
    unseen: Mapping[str, int]


class Scorer:
    """A model that is ready. ``columns`` are those that a request has to have."""

    def __init__(self, card: Card, runs: Runs, is_quick: bool) -> None:
        self.columns = Columns(card.features)
        #: Whether a few rows take no longer than handing them to a thread.
        self.is_quick = is_quick
        self._runs = runs
        self._predictions = problems.of_card(card).predictions(card.calibration, card.decision)
        self._names = [name for name, _ in self._predictions.schema]

    @property
    def predicted(self) -> tuple[tuple[str, str], ...]:
        """The columns of predictions with their types."""
        return tuple(self._predictions.schema)

    def score(self, rows: Sequence[Row]) -> Scored:
        """The predictions of rows that ``columns`` have checked. Raises Refused where one has no prediction that makes
        sense, and DaystoneError where the model cannot be run."""
        if not rows:
            return Scored([], {})
        given = self._runs(rows)
        found = self._predictions.columns(given.scores)
        senseless = np.flatnonzero(self._predictions.senseless(found))
        if len(senseless):
            raise Refused(*(self._senseless(int(number), rows[number]) for number in senseless[:1]))
        values = zip(*(found[name].tolist() for name in self._names), strict=True)
        return Scored([dict(zip(self._names, of_row, strict=True)) for of_row in values], given.unseen)

    def _senseless(self, number: int, row: Row) -> Fault:
        wanted, others = self._predictions.wanted
        infinite = [
            name
            for name, value in row.items()
            if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) > _LARGEST
        ]
        of = f"; infinite to the model: {', '.join(infinite)}" if infinite else ""
        return Fault(wanted, f"{others}{of}", number)


def of(pinned: Pinned) -> Scorer:
    """A scorer for a model, ready to answer. Raises ModelError where the model's bytes are not those of its card, or not
    safe to load."""
    card = pinned.card
    if card.is_pickled:
        model = PythonModel(pinned.model, pinned.digest, problems.of_card(card).classes)
        models.check_digest(pinned.model, pinned.digest, "model.joblib")
        return Scorer(card, _Pickled(model, card.features), is_quick=False)
    models.check_digest(pinned.model, pinned.digest)
    models.check_safe(pinned.model)
    return Scorer(card, _Onnx(pinned, card.features), is_quick=True)


class _Onnx:
    """ONNX Runtime, which scores all days but the largest, too, with the same bits as a forest."""

    def __init__(self, pinned: Pinned, features: Mapping[str, Feature]) -> None:
        session = models.load(pinned.model, pinned.digest)
        self._classes = models.classes_of(session)
        self._outputs = [models.OUTPUT if self._classes else models.PREDICTION]
        self._run = session.run
        self._encoder = Encoder(features)

    def __call__(self, rows: Sequence[Row]) -> Given:
        found = self._encoder.encoded(rows)
        (output,) = self._run(self._outputs, {models.INPUT: np.ascontiguousarray(found.columns.T)})
        return Given(models.as_scores(output, self._classes), found.missing, found.unseen)


class _Pickled:
    """A pipeline of scikit-learn in a process of its own, which answers one question at a time."""

    def __init__(self, model: PythonModel, features: Mapping[str, Feature]) -> None:
        self._model, self._features = model, features
        self._one_at_a_time = threading.Lock()
        self._child = self._started()

    def __call__(self, rows: Sequence[Row]) -> Given:
        with self._one_at_a_time:
            try:
                found: Given = self._child.asked(list(rows))
            except (EOFError, BrokenPipeError, pickle.UnpicklingError):
                # It was ended from outside, as the system does where memory is short. A new one is as good.
                self._child = self._started()
                found = self._child.asked(list(rows))
        return found

    def _started(self) -> _Child:
        child = _Child()
        child.asked((self._model, self._features))
        return child


class _Child:
    """The process of a pickled model. It ends when nobody has this object any more, and at the latest with this process."""

    def __init__(self) -> None:
        self._process = processes.started(f"from {__name__} import work; work()", may_have=processes.is_harmless)
        weakref.finalize(self, _end, self._process)

    def asked(self, question: Any) -> Any:
        """The answer to a question. Raises what the process raised, and EOFError or BrokenPipeError where it is gone."""
        processes.ask(self._process, question)
        answer = processes.answer(self._process)
        if isinstance(answer, DaystoneError):
            raise answer
        return answer


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


def work() -> None:
    """Answer questions until there can be no more: what a process does. The first one is the model with its features, and
    each further one is rows."""
    processes.answer_all(_answers())


def _answers() -> Callable[..., Any]:
    known: list[tuple[PythonModel, Mapping[str, Feature]]] = []

    def answer(question: Any) -> Given | None:
        import pyarrow as pa

        if isinstance(question, tuple):
            # A model that cannot be loaded is refused before it answers in the place of another.
            python_model.check_gives(python_model.load(question[0].model, question[0].digest), question[0].classes)
            known.append(question)
            return None
        model, features = known[0]
        kinds = {name: column.kind for name, column in Columns(features).by_name.items()}
        rows = pa.Table.from_pylist(question, arrow_schema(tuple(kinds.items())))
        (batch,) = rows.combine_chunks().to_batches()
        return model.of_rows(batch, features)

    return answer
