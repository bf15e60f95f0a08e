"""A number: the model gives it, and calibration gives it an interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from spark_lib.errors import ConfigurationError, ModelError
from spark_lib.models.training_set import CALIBRATION, TRAIN, VALIDATION, TrainingSet
from spark_lib.problems.problem import (
    LEAST_JUDGED,
    NO_DECISION,
    ONE,
    OTHER,
    TO_CALIBRATE,
    Compared,
    Gate,
    Metric,
    Problem,
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
    from spark_lib.scoring.predictions import Numbers
    from spark_lib.use_case.keys import Key

#: The name by which rows with an outcome are counted.
ROWS = "rows"
#: What a card calls the mean of the outcomes, among its metrics.
_MEAN = "mean_outcome"
#: How far below its promise the coverage on the validation rows may be, where ``min_coverage`` is not set. A gate at
#: the promise itself would refuse most good models, half of them by chance alone.
_ROOM = 0.05


@dataclass(frozen=True)
class Regression(Problem):
    """``least`` and ``most`` bound the numbers that may land; None where there is no bound."""

    least: float | None = None
    most: float | None = None

    name: ClassVar[str] = "regression"
    balancing: ClassVar[tuple[str, ...]] = ("none",)
    calibration: ClassVar[tuple[str, ...]] = ("auto", "conformal")
    defaults: ClassVar[Mapping[str, Any]] = {"training.balancing": "none"}
    settings: ClassVar[tuple[str, ...]] = (
        "coverage",
        "max_rmse",
        "max_mae",
        "min_r2",
        "min_coverage",
        "out_of_time",
        "min_labelled",
    )
    metrics: ClassVar[Mapping[str, Metric]] = {
        "rmse": Metric("RMSE", "the root of the mean squared error, in the unit of the outcome: 0 is perfect"),
        "mae": Metric("MAE", "the mean size of the error, in the unit of the outcome: 0 is perfect"),
        "r2": Metric("R2", "the share of the variance that is explained: 0 is the mean for everybody, 1 is perfect"),
        "coverage": Metric("Coverage", "the proportion of outcomes within their interval"),
        "width": Metric("Width", "the mean width of the intervals, in the unit of the outcome"),
    }
    gates: ClassVar[tuple[Gate, ...]] = (
        Gate("rmse", "RMSE", at_least=False),
        Gate("mae", "MAE", at_least=False),
        Gate("r2", "R2", at_least=True),
        Gate("coverage", "coverage", at_least=True),
    )
    report: ClassVar[tuple[str, ...]] = ("errors", "predicted_and_observed")
    shown_apart: ClassVar[tuple[str, ...]] = ("rmse", "mae", "r2", "coverage", "width")
    headline: ClassVar[str] = "rmse"
    shown_later: ClassVar[tuple[str, ...]] = ("rmse", "r2", "coverage")
    constant_wanted: ClassVar[str] = "a finite number"
    what: ClassVar[str] = "bounds"

    @classmethod
    def of_label(cls, label: Any) -> Regression:
        return cls(label.least, label.most)

    @classmethod
    def of_card(cls, card: Card) -> Regression:
        bounds = card.outcome["bounds"]
        return cls(bounds["least"], bounds["most"])

    def __str__(self) -> str:
        return f"{_shown(self.least, 'any')} to {_shown(self.most, 'any')}"

    @property
    def classes(self) -> int:
        return 0

    @property
    def outcome(self) -> dict[str, Any]:
        return {"bounds": {"least": self.least, "most": self.most}}

    @property
    def names(self) -> tuple[str, ...]:
        return (ROWS,)

    @property
    def labels(self) -> dict[str, int]:
        return {}

    def title(self, column: str) -> str:
        return column

    def is_outcome(self, value: Column) -> Column:
        """A number within the bounds; infinities and NaN are none."""
        number = value.cast("double")
        low = -math.inf if self.least is None else self.least
        high = math.inf if self.most is None else self.most
        inside = (number >= low) & (number <= high)
        return inside & (number > -math.inf) & (number < math.inf)

    @property
    def wanted(self) -> str:
        return f"a number from {self}"

    @property
    def repair(self) -> str:
        return "correct the label's `least` and `most`"

    def label(self, value: Column) -> Column:
        return value.cast("double")

    def name_of(self, label: Column) -> Column:
        from pyspark.sql import functions as F

        return F.lit(ROWS)

    def check(self, settings: Mapping[str, Any]) -> None:
        super().check(settings)
        if not settings["calibration_proportion"]:
            raise ConfigurationError(
                "[training] calibration_proportion",
                "above 0: the interval of a number is made from the errors on rows of its own",
                "0",
                "set it to 0.1",
            )

    def bounds(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        if settings["min_coverage"] is not None:
            return settings
        return {**settings, "min_coverage": settings["coverage"] - _ROOM}

    def is_calibrated_by_rows(self, settings: Mapping[str, Any]) -> bool:
        return True

    def too_few(self, counts: TrainingSet, sides: Sequence[str], settings: Mapping[str, Any]) -> str:
        needed = (
            (TRAIN, "train", LEAST_JUDGED),
            (CALIBRATION, "calibrate", _least_calibrated(settings["coverage"])),
            (VALIDATION, "judge", LEAST_JUDGED),
        )
        return too_few_rows(counts, needed, settings["min_labelled"])

    def too_few_out_of_time(self, rows: Mapping[str, Mapping[str, int]], settings: Mapping[str, Any]) -> str:
        least = dict.fromkeys(rows, LEAST_JUDGED) | {TO_CALIBRATE: _least_calibrated(settings["coverage"])}
        return too_few_rows_out_of_time(rows, least)

    def collected(self, rows: DataFrame, key: Key, count: int) -> Outputs:
        from spark_lib.problems import outputs

        (found,) = outputs.collected(rows, key, count)
        return found

    def fitted(self, settings: Mapping[str, Any], on: Outputs | None, counts: TrainingSet) -> Calibration:
        """Half the width of a split-conformal interval (Lei et al. 2018, algorithm 2): of n sizes of errors on the
        calibration rows, the one of rank (n + 1) * coverage, rounded up.

        Where rows are exchangeable, an outcome lies within the interval with at least that probability, over both the
        calibration rows and the new one.
        """
        import numpy as np

        assert on is not None  # rows are asked for
        errors = np.sort(np.abs(on.labels - on.values))
        rank = _rank(len(errors), settings["coverage"])
        return {
            "kind": "conformal",
            "coverage": settings["coverage"],
            "half_width": float(errors[rank - 1]),
            "rows": len(errors),
        }

    def calibrated(self, back: Calibration, found: Outputs) -> Outputs:
        """The rows with [prediction, lower, upper] as their values."""
        from dataclasses import replace

        import numpy as np

        return replace(found, values=np.stack(_interval(back, found.values), axis=1))

    def measured(self, calibrated: Outputs, found: Outputs, settings: Mapping[str, Any]) -> dict[str, Any]:
        from spark_lib.problems import outputs

        sums = _sums(calibrated)
        measured: dict[str, Any] = measure(outputs.total(sums))
        measured["intervals"] = outputs.intervals(
            sums, measure, settings["bootstrap_replicates"], settings["confidence"], settings["seed"]
        )
        return measured | {_MEAN: self.outcomes_of(found)["mean"]}

    def outcomes_of(self, found: Outputs) -> dict[str, float]:
        return {"mean": math.fsum(found.labels) / found.rows}

    def too_few_apart(self, found: Outputs) -> str:
        from spark_lib.problems import outputs

        return outputs.too_few_apart(found, lambda label: f"one outcome: every row has {label:g}")

    def predictions(self, back: Calibration, decision: Mapping[str, Any] = NO_DECISION) -> Estimated:
        return Estimated(back)

    def constant(self, number: float) -> dict[str, Any] | None:
        return {"prediction": number} if math.isfinite(number) else None

    def prior(self, card: Card) -> dict[str, Any] | None:
        """The mean of the outcomes of the validation rows, which older cards do not have."""
        mean = card.metrics.get(_MEAN)
        return None if mean is None else {"prediction": mean}

    def published(self) -> Column:
        from pyspark.sql import functions as F

        return F.array("prediction", "lower", "upper")

    def rows_of(self, values: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> Outputs:
        from spark_lib.problems import outputs

        return outputs.in_order(values, labels, groups)

    def level(self, values: np.ndarray) -> np.ndarray:
        return values[:, 0]

    def base_rates(self, found: Outputs) -> dict[str, float]:
        """The errors of the mean outcome as everybody's prediction. Its R2 is 0 by definition."""
        mean = math.fsum(found.labels) / found.rows
        errors = found.labels - mean
        return {
            "rmse": math.sqrt(math.fsum(errors**2) / found.rows),
            "mae": math.fsum(abs(errors)) / found.rows,
        }

    def paired(
        self,
        values: tuple[np.ndarray, np.ndarray],
        labels: np.ndarray,
        groups: np.ndarray,
        settings: Mapping[str, Any],
        against: str,
    ) -> Compared:
        from spark_lib.problems import outputs

        squares = [
            found.by_group((found.labels - found.values[:, 0]) ** 2) for found in outputs.pair(values, labels, groups)
        ]
        return outputs.compared_by_error("RMSE", squares, math.sqrt, settings, against)

    def compared(
        self, rows: DataFrame, backs: tuple[Calibration, Calibration], settings: Mapping[str, Any], against: str
    ) -> Compared:
        """The difference is the RMSE of the newer model less that of the older one, over the latter: a share of the
        error. The newer model loses where the upper end of the interval is above ``champion_margin``."""
        from spark_lib.problems import outputs

        pair = outputs.collected(rows, ONE, 0, (ONE, OTHER))
        squares = [found.by_group((found.labels - found.values) ** 2) for found in pair]
        return outputs.compared_by_error("RMSE", squares, math.sqrt, settings, against)


def _rank(rows: int, coverage: float) -> int:
    return math.ceil(round((rows + 1) * coverage, 9))


def _least_calibrated(coverage: float) -> int:
    """The fewest rows whose largest error is of the rank that the coverage asks for."""
    return max(LEAST_JUDGED, math.ceil(round(coverage / (1 - coverage), 9)))


def _interval(back: Calibration, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers float64 [n] with the lower and upper ends of their intervals. Raises ModelError for a calibration of a
    kind that this version does not know."""
    import numpy as np

    if back["kind"] != "conformal":
        raise ModelError(
            "card.json", "a calibration of the kind conformal", repr(back["kind"]), "score with a newer Daystone"
        )
    found = np.asarray(numbers, np.float64)
    return found, found - back["half_width"], found + back["half_width"]


def _sums(found: Outputs) -> Sums:
    """By group: rows, outcomes, their squares, squared errors, sizes of errors, outcomes inside, widths [g, 7]."""
    import numpy as np

    number, lower, upper = found.values.T
    centred = found.labels - found.labels.mean()  # squares of large numbers would lose the digits that differ
    error = found.labels - number
    inside = (found.labels >= lower) & (found.labels <= upper)
    columns = [np.ones(found.rows), centred, centred**2, error**2, np.abs(error), inside, upper - lower]
    return {"sums": found.by_group(np.stack(columns, axis=1))}


def measure(sums: Sums) -> dict[str, float]:
    """Every metric, from sums over rows. Where all outcomes are equal, R2 is 1 for predictions without an error and 0 for
    all others, as in scikit-learn's ``r2_score``."""
    rows, outcomes, squares, squared_errors, errors, inside, widths = map(float, sums["sums"])
    variance = squares - outcomes**2 / rows
    return {
        "rmse": math.sqrt(squared_errors / rows),
        "mae": errors / rows,
        "r2": 1 - squared_errors / variance if variance > 0 else float(squared_errors == 0),
        "coverage": inside / rows,
        "width": widths / rows,
    }


def _shown(bound: float | None, without: str) -> str:
    return without if bound is None else f"{bound:g}"


@dataclass(frozen=True)
class Estimated:
    """Predictions are the number and the ends of its interval."""

    back: Calibration

    schema: ClassVar[Schema] = (("prediction", "double"), ("lower", "double"), ("upper", "double"))
    wanted: ClassVar[tuple[str, str]] = (
        "a finite number for every row",
        "predictions that are infinite or not a number",
    )

    def columns(self, outputs: np.ndarray) -> dict[str, Any]:
        return dict(zip(("prediction", "lower", "upper"), _interval(self.back, outputs), strict=True))

    def senseless(self, columns: Mapping[str, Any]) -> np.ndarray:
        import numpy as np

        senseless: np.ndarray = ~np.isfinite(columns["prediction"])
        return senseless

    def distribution(self) -> Numbers:
        from spark_lib.scoring.predictions import Numbers

        return Numbers()
