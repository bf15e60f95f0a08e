"""One of several classes: the model gives the probability of each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, ClassVar

from spark_lib.errors import ConfigurationError, ModelError
from spark_lib.models.training_set import TRAIN, TrainingSet
from spark_lib.problems.options import DRAWN_AT_RANDOM
from spark_lib.problems.problem import (
    LEAST_JUDGED,
    NO_DECISION,
    ONE,
    OTHER,
    PURPOSES,
    TO_TRAIN,
    Compared,
    Gate,
    Metric,
    Problem,
    landed,
    too_few_rows,
    too_few_rows_out_of_time,
)

if TYPE_CHECKING:
    import numpy as np
    from pyspark.sql import Column, DataFrame

    from spark_lib.lake import Schema
    from spark_lib.models.calibration import Calibration
    from spark_lib.models.card import Card
    from spark_lib.problems.outputs import Outputs, Sums
    from spark_lib.scoring.predictions import Scores
    from spark_lib.use_case.keys import Key

BINS = 10
_SMALLEST = 1e-15  # the smallest probability that a logarithm is taken of
#: The smallest probability that a temperature acts on, as in a calibration of two classes. The float32 of an engine may
#: have 1e-8 where another has 0, and a logarithm would make a great difference of that.
_NEXT_TO_NOTHING = 2.0**-21
#: Temperatures that are tried: from very sure to hardly sure at all.
_COLDEST, _HOTTEST = 0.05, 20.0
_HALVINGS = 60


@dataclass(frozen=True)
class Multiclass(Problem):
    """``values`` are the classes as the label's column has them, in the order of a model's probabilities."""

    values: tuple[str | int, ...]
    all_scores: bool = False

    name: ClassVar[str] = "multiclass"
    balancing: ClassVar[tuple[str, ...]] = ("none", "class_weight", "undersample", "oversample")
    calibration: ClassVar[tuple[str, ...]] = ("auto", "none", "prior", "temperature")
    defaults: ClassVar[Mapping[str, Any]] = {"training.balancing": "none"}
    settings: ClassVar[tuple[str, ...]] = (
        "min_accuracy",
        "min_macro_f1",
        "max_log_loss",
        "max_calibration_error",
        "out_of_time",
        "min_labelled",
    )
    metrics: ClassVar[Mapping[str, Metric]] = {
        "accuracy": Metric("Accuracy", "the proportion of rows whose likeliest class is theirs: 1 is perfect"),
        "macro_f1": Metric("Macro F1", "the mean over classes of F1, so that rare classes count as much: 1 is perfect"),
        "log_loss": Metric("Log loss", "0 is perfect; to be certain and wrong costs most"),
        "calibration_error": Metric(
            "Calibration error", "the mean distance of the likeliest class's probability and its hits in ten bins"
        ),
    }
    gates: ClassVar[tuple[Gate, ...]] = (
        Gate("accuracy", "accuracy", at_least=True),
        Gate("macro_f1", "macro F1", at_least=True),
        Gate("log_loss", "log loss", at_least=False),
        Gate("calibration_error", "calibration error", at_least=False),
    )
    report: ClassVar[tuple[str, ...]] = ("confusion", "worst_classes", "certainty")
    shown_apart: ClassVar[tuple[str, ...]] = ("accuracy", "macro_f1", "log_loss", "calibration_error")
    headline: ClassVar[str] = "accuracy"
    shown_later: ClassVar[tuple[str, ...]] = ("accuracy", "macro_f1", "calibration_error")
    constant_wanted: ClassVar[str] = "prior or none, because a number names no class"

    @classmethod
    def of_label(cls, label: Any) -> Multiclass:
        return cls(tuple(label.classes), label.all_scores)

    @classmethod
    def of_card(cls, card: Card) -> Multiclass:
        classes = card.outcome["classes"]
        return cls(tuple(classes["values"]), classes["all_scores"])

    def __str__(self) -> str:
        return ", ".join(map(repr, self.values))

    @property
    def classes(self) -> int:
        return len(self.values)

    @property
    def outcome(self) -> dict[str, Any]:
        return {"classes": {"values": list(self.values), "all_scores": self.all_scores}}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(map(str, self.values))

    @property
    def labels(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.names)}

    def title(self, column: str) -> str:
        return f"{column}, one of {self.classes} classes"

    @property
    def predicted_classes(self) -> dict[Any, str]:
        return {str(name): str(name) for name in self.names}

    def is_outcome(self, value: Column) -> Column:
        return value.isin(*self.values)

    @property
    def wanted(self) -> str:
        return f"one of {self}"

    @property
    def repair(self) -> str:
        return "add the value to the label's `classes`"

    def label(self, value: Column) -> Column:
        from pyspark.sql import functions as F

        cases = enumerate(self.values)
        return reduce(lambda known, case: known.when(value == case[1], case[0]), cases, F.when(F.lit(False), -1))

    def name_of(self, label: Column) -> Column:
        from pyspark.sql import functions as F

        return F.element_at(F.array(*map(F.lit, self.names)), label.cast("int") + 1)

    def check(self, settings: Mapping[str, Any]) -> None:
        super().check(settings)
        if settings["calibration"] == "prior" and settings["balancing"] not in ("none", *DRAWN_AT_RANDOM):
            raise ConfigurationError(
                "[training] calibration",
                f"temperature, none or auto with balancing = {settings['balancing']}",
                f"prior, which is exact only where rows are drawn at random ({', '.join(DRAWN_AT_RANDOM)})",
                "correct one of the two",
            )
        if self.is_calibrated_by_rows(settings) and not settings["calibration_proportion"]:
            raise ConfigurationError(
                "[training] calibration_proportion",
                f"above 0 with calibration = {settings['calibration']}: the temperature is fitted on rows of its own",
                "0",
                "set it to 0.1, or choose calibration = none",
            )

    def is_calibrated_by_rows(self, settings: Mapping[str, Any]) -> bool:
        return settings["calibration"] in ("auto", "temperature")

    def too_few(self, counts: TrainingSet, sides: Sequence[str], settings: Mapping[str, Any]) -> str:
        """Every class needs a training row, because a model knows no other classes than those that it has seen. Of
        calibration and validation rows a class may have none."""
        for name in self.names:
            if not counts.sides[TRAIN][name]:
                return (
                    f"a class without rows: none of {name!r} among the {counts.rows(TRAIN):,} labelled rows of the "
                    f"{TRAIN} split"
                )
        needed = [(side, purpose, LEAST_JUDGED) for side, purpose in PURPOSES if side in sides]
        return too_few_rows(counts, needed, settings["min_labelled"])

    def too_few_out_of_time(self, rows: Mapping[str, Mapping[str, int]], settings: Mapping[str, Any]) -> str:
        for name, there in rows[TO_TRAIN].items():
            if not there:
                return f"a class without rows out of time: none of {name!r} that landed {landed(TO_TRAIN)}"
        return too_few_rows_out_of_time(rows, dict.fromkeys(rows, LEAST_JUDGED))

    def collected(self, rows: DataFrame, key: Key, count: int) -> Outputs:
        from spark_lib.problems import outputs

        (found,) = outputs.collected(rows, key, count)
        return found

    def fitted(self, settings: Mapping[str, Any], on: Outputs | None, counts: TrainingSet) -> Calibration:
        """The correction for classes that were drawn, and then a temperature (Guo et al. 2017, section 4.2): one number
        by which all log-probabilities are divided, of the greatest likelihood on the calibration rows.

        The correction is exact for rows that were drawn at random within each class: probabilities are multiplied by
        the natural proportion of a class over the trained one (Saerens et al. 2002, section 2.2).
        """
        kind = settings["calibration"]
        drawn = settings["balancing"] in DRAWN_AT_RANDOM and kind != "none"
        natural, trained = counts.sides[TRAIN], counts.trained_on
        odds = [natural[name] / trained[name] if drawn else 1.0 for name in self.names]
        found = {"kind": "temperature", "odds": odds, "temperature": 1.0}
        if on is None:
            return found if drawn else {"kind": "none"}
        return found | {"temperature": _temperature(apply(found, on.values), on.labels)}

    def calibrated(self, back: Calibration, found: Outputs) -> Outputs:
        from dataclasses import replace

        return replace(found, values=apply(back, found.values))

    def measured(self, calibrated: Outputs, found: Outputs, settings: Mapping[str, Any]) -> dict[str, Any]:
        from spark_lib.problems import outputs

        sums = _sums(calibrated)
        measured: dict[str, Any] = measure(outputs.total(sums))
        measured["uncalibrated"] = measure(outputs.total(_sums(found)))
        measured["intervals"] = outputs.intervals(
            sums, measure, settings["bootstrap_replicates"], settings["confidence"], settings["seed"]
        )
        return measured

    def outcomes_of(self, found: Outputs) -> dict[str, float]:
        import numpy as np

        rows = np.bincount(found.labels.astype(np.intp), minlength=self.classes)
        return {name: float(count / found.rows) for name, count in zip(self.names, rows, strict=True)}

    def too_few_apart(self, found: Outputs) -> str:
        from spark_lib.problems import outputs

        return outputs.too_few_apart(found, lambda label: f"one class: every row is {self.names[int(label)]!r}")

    def predictions(self, back: Calibration, decision: Mapping[str, Any] = NO_DECISION) -> Classified:
        return Classified(back, self.names, self.all_scores)

    def constant(self, number: float) -> dict[str, Any] | None:
        return None

    def prior(self, card: Card) -> dict[str, Any] | None:
        """The class of the most training rows, before balancing, and its proportion."""
        rows = card.rows.rows(TRAIN)
        if not rows:
            return None
        shares = [card.rows.sides[TRAIN].get(name, 0) / rows for name in self.names]
        greatest = max(range(len(shares)), key=shares.__getitem__)
        every = {"scores": shares} if self.all_scores else {}
        return {"prediction": self.names[greatest], "score": shares[greatest], **every}

    @property
    def unknown_later(self) -> tuple[str, ...]:
        """Without the probabilities of all classes nobody knows that of the class that came true."""
        return () if self.all_scores else ("log_loss",)

    def published(self) -> Column:
        """The probabilities of all classes. Where only that of the likeliest was published, the others are 0, which says
        enough for all metrics but the log loss."""
        from pyspark.sql import functions as F

        if self.all_scores:
            return F.col("scores")
        return F.array(*(F.when(F.col("prediction") == name, F.col("score")).otherwise(0.0) for name in self.names))

    def rows_of(self, values: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> Outputs:
        from spark_lib.problems import outputs

        return outputs.in_order(values, labels, groups)

    def level(self, values: np.ndarray) -> np.ndarray:
        highest: np.ndarray = values.max(axis=1)
        return highest

    def base_rates(self, found: Outputs) -> dict[str, float]:
        """The accuracy of the most frequent class as everybody's prediction, and the log loss of the proportions."""
        shares = [share for share in self.outcomes_of(found).values() if share]
        log_loss = {} if self.unknown_later else {"log_loss": -math.fsum(share * math.log(share) for share in shares)}
        return {"accuracy": max(shares), **log_loss}

    def paired(
        self,
        values: tuple[np.ndarray, np.ndarray],
        labels: np.ndarray,
        groups: np.ndarray,
        settings: Mapping[str, Any],
        against: str,
    ) -> Compared:
        """By the log loss; where that is unknown by the share of rows whose likeliest class is not theirs."""
        from spark_lib.problems import outputs

        pair = outputs.pair(values, labels, groups)
        if self.unknown_later:
            wrong = [found.by_group(found.values.argmax(axis=1) != found.labels) for found in pair]
            return outputs.compared_by_error("error rate", wrong, lambda mean: mean, settings, against)
        losses = [found.by_group(_losses(found.values, found.labels)) for found in pair]
        return outputs.compared_by_error("log loss", losses, lambda mean: mean, settings, against)

    def compared(
        self, rows: DataFrame, backs: tuple[Calibration, Calibration], settings: Mapping[str, Any], against: str
    ) -> Compared:
        """The difference is the log loss of the newer model less that of the older one, over the latter: a share of the
        error. The newer model loses where the upper end of the interval is above ``champion_margin``."""
        from spark_lib.problems import outputs

        pair = outputs.collected(rows, ONE, 0, (ONE, OTHER))
        losses = [
            found.by_group(_losses(apply(back, found.values), found.labels))
            for back, found in zip(backs, pair, strict=True)
        ]
        return outputs.compared_by_error("log loss", losses, lambda mean: mean, settings, against)


def apply(back: Calibration, probabilities: np.ndarray) -> np.ndarray:
    """Calibrated probabilities float64 [n, m] of ``probabilities`` [n, m]. Raises ModelError for a kind that this
    version does not know."""
    import numpy as np

    found = np.asarray(probabilities, np.float64)
    if back["kind"] == "none":
        return found
    if back["kind"] != "temperature":
        raise ModelError(
            "card.json",
            "a calibration of one of the kinds none, temperature",
            repr(back["kind"]),
            "score with a newer Daystone",
        )
    logs = (np.log(np.clip(found, _NEXT_TO_NOTHING, None)) + np.log(back["odds"])) / back["temperature"]
    odds = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def _temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature of the least log loss. The loss is convex in the inverse of the temperature, so that halving an
    interval of inverses by the sign of the slope finds it."""
    import numpy as np

    logs = np.log(np.clip(probabilities, _NEXT_TO_NOTHING, None))
    of_label = logs[np.arange(len(labels)), labels.astype(np.intp)]
    cold, hot = 1 / _COLDEST, 1 / _HOTTEST
    for _ in range(_HALVINGS):
        inverse = (cold + hot) / 2
        odds = np.exp(inverse * (logs - logs.max(axis=1, keepdims=True)))
        expected = (odds * logs).sum(axis=1) / odds.sum(axis=1)
        if math.fsum(expected - of_label) > 0:
            cold = inverse
        else:
            hot = inverse
    return 2 / (cold + hot)


def _losses(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The negative logarithm [n] of the probability given to what happened."""
    import numpy as np

    of_label = probabilities[np.arange(len(labels)), labels.astype(np.intp)]
    losses: np.ndarray = -np.log(np.clip(of_label, _SMALLEST, 1.0))
    return losses


def confusion(found: Outputs) -> np.ndarray:
    """How many rows of each class [m] were taken for each class [m]."""
    import numpy as np

    width = found.values.shape[1]
    taken = found.values.argmax(axis=1)
    places = found.labels.astype(np.intp) * width + taken
    cells: np.ndarray = np.bincount(places, minlength=width * width).reshape(width, width)
    return cells


def _sums(found: Outputs) -> Sums:
    """The rows of each group by class and class taken for [g, m * m], their losses [g], and by ten bins of equally many
    rows, from the least sure to the surest: rows, hits and probabilities of the likeliest class [g, 3 * bins]."""
    import numpy as np

    width, rows = found.values.shape[1], found.rows
    taken = found.values.argmax(axis=1)
    sure = found.values.max(axis=1)
    labels = found.labels.astype(np.intp)
    groups = int(found.groups.max()) + 1
    cells = np.bincount((found.groups * width + labels) * width + taken, minlength=groups * width * width)
    place = np.empty(rows, np.intp)
    place[np.argsort(sure, kind="stable")] = np.arange(rows) * BINS // rows
    binned = [
        np.bincount(found.groups * BINS + place, weights, groups * BINS).reshape(groups, BINS)
        for weights in (np.ones(rows), (taken == labels).astype(np.float64), sure)
    ]
    return {
        "cells": cells.reshape(groups, width * width).astype(np.float64),
        "losses": found.by_group(_losses(found.values, found.labels)),
        "bins": np.concatenate(binned, axis=1),
    }


def measure(sums: Sums) -> dict[str, float]:
    """Every metric, from sums over rows. The mean of F1 is over the classes that have rows."""
    import numpy as np

    width = math.isqrt(len(sums["cells"]))
    cells = sums["cells"].reshape(width, width)
    rows, hits = cells.sum(), np.diag(cells)
    both = cells.sum(axis=0) + cells.sum(axis=1)
    there = cells.sum(axis=1) > 0
    sizes, right, sure = sums["bins"].reshape(3, BINS)
    return {
        "accuracy": float(hits.sum() / rows),
        "macro_f1": float(np.mean(2 * hits[there] / both[there])),
        "log_loss": float(sums["losses"] / rows),
        "calibration_error": float(np.abs(sure - right).sum() / sizes.sum()),
    }


@dataclass(frozen=True)
class Classified:
    """Predictions are the likeliest class by its name, its calibrated probability, and where wanted those of all."""

    back: Calibration
    names: tuple[str, ...]
    all_scores: bool

    wanted: ClassVar[tuple[str, str]] = ("probabilities for every row", "rows without probabilities")

    @property
    def schema(self) -> Schema:
        every: Schema = (("scores", "array<double>"),) if self.all_scores else ()
        return (("prediction", "string"), ("score", "double"), *every)

    def columns(self, outputs: np.ndarray) -> dict[str, Any]:
        import numpy as np
        import pyarrow as pa

        found = apply(self.back, outputs)
        likeliest = found.argmax(axis=1) if len(found) else np.zeros(0, np.intp)
        columns = {
            "prediction": pa.array(self.names).take(pa.array(likeliest)),
            "score": found.max(axis=1) if len(found) else np.zeros(0),
        }
        if self.all_scores:
            starts = np.arange(len(found) + 1, dtype=np.int32) * len(self.names)
            columns["scores"] = pa.ListArray.from_arrays(pa.array(starts), pa.array(found.ravel()))
        return columns

    def senseless(self, columns: Mapping[str, Any]) -> np.ndarray:
        from spark_lib.models.model import is_probability

        return ~is_probability(columns["score"])

    def distribution(self) -> Scores:
        from spark_lib.scoring.predictions import Scores

        return Scores()
