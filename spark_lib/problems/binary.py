"""One of two values: the model gives the probability of the positive one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from spark_lib.models.training_set import CALIBRATION as CALIBRATION_SIDE
from spark_lib.models.training_set import SIDES, TRAIN, TrainingSet
from spark_lib.problems.gates import too_few_out_of_time
from spark_lib.problems.options import (
    BALANCING,
    CALIBRATION,
    FITTED,
    calibration_kinds,
    check_calibration,
    needs_calibration_rows,
)
from spark_lib.problems.problem import (
    GROUP,
    GROUPS,
    LEAST_JUDGED,
    NO_DECISION,
    ONE,
    OTHER,
    PURPOSES,
    SCORE,
    Compared,
    Gate,
    Metric,
    Problem,
    too_few_groups,
)

if TYPE_CHECKING:
    import numpy as np
    from pyspark.sql import Column, DataFrame

    from spark_lib.lake import Schema
    from spark_lib.models.calibration import Calibration
    from spark_lib.models.card import Card
    from spark_lib.problems.metrics import Scored, ScoredTwice
    from spark_lib.scoring.predictions import Predictions, Scores
    from spark_lib.use_case.keys import Key

POSITIVE, NEGATIVE = "positive", "negative"
#: Up to this number of rows the bootstrap draws groups of entities. Intervals of more rows are narrow in any case, so
#: single rows are drawn, and the driver does not get a count for each group.
GROUPED_ROWS = 1_000_000
_COMPARED_BY = "area_under_roc"


@dataclass(frozen=True)
class Binary(Problem):
    """``positive`` is the outcome that the model gives the probability of, ``negative`` are the others."""

    positive: str | int
    negative: tuple[str | int, ...]

    name: ClassVar[str] = "binary"
    balancing: ClassVar[tuple[str, ...]] = BALANCING
    calibration: ClassVar[tuple[str, ...]] = CALIBRATION
    settings: ClassVar[tuple[str, ...]] = (
        "min_area_under_roc",
        "min_area_under_pr",
        "max_calibration_error",
        "out_of_time",
        "min_out_of_time_area_under_roc",
        "min_positives",
    )
    decisions: ClassVar[tuple[str, ...]] = ("threshold",)
    metrics: ClassVar[Mapping[str, Metric]] = {
        "area_under_roc": Metric("Area under ROC", "0.5 is chance, 1 is perfect"),
        "area_under_pr": Metric("Area under PR", "of precision by recall: the prevalence is chance, 1 is perfect"),
        "brier": Metric("Brier score", "the mean squared error of the probability: 0 is perfect"),
        "log_loss": Metric("Log loss", "0 is perfect; to be certain and wrong costs most"),
        "calibration_error": Metric(
            "Calibration error", "the mean distance of probability and proportion in ten bins: 0 is perfect"
        ),
        "mean_score": Metric("Mean score", "the proportion of positives that the scores foretell"),
        "prevalence": Metric("Prevalence", "the proportion of positives that there is"),
        "calibration_in_the_large": Metric(
            "Calibration in the large",
            "the mean score less the prevalence: 0 is perfect, above 0 too many positives are foretold",
        ),
    }
    gates: ClassVar[tuple[Gate, ...]] = (
        Gate("area_under_roc", "area under ROC", at_least=True),
        Gate("area_under_pr", "area under PR", at_least=True),
        Gate("calibration_error", "calibration error", at_least=False),
    )
    report: ClassVar[tuple[str, ...]] = ("ranking", "probabilities", "scores", "decision", "thresholds")
    shown_apart: ClassVar[tuple[str, ...]] = (
        "area_under_roc",
        "area_under_pr",
        "calibration_error",
        "calibration_in_the_large",
    )
    headline: ClassVar[str] = "area_under_roc"
    shown_later: ClassVar[tuple[str, ...]] = ("area_under_roc", "brier", "calibration_in_the_large")
    has_prevalence: ClassVar[bool] = True
    constant_wanted: ClassVar[str] = "a probability from 0 to 1"
    card_format: ClassVar[int] = 1

    @classmethod
    def of_label(cls, label: Any) -> Binary:
        return cls(label.positive, tuple(value for value in label.allowed if value != label.positive))

    @classmethod
    def of_card(cls, card: Card) -> Binary:
        classes = card.outcome["classes"]
        return cls(classes["positive"], tuple(classes["negative"]))

    def __str__(self) -> str:
        return f"{self.positive!r} against {' or '.join(map(repr, self.negative))}"

    @property
    def classes(self) -> int:
        return 2

    @property
    def outcome(self) -> dict[str, Any]:
        return {"classes": {"positive": self.positive, "negative": list(self.negative)}}

    @property
    def names(self) -> tuple[str, ...]:
        return POSITIVE, NEGATIVE

    @property
    def labels(self) -> dict[str, int]:
        return {NEGATIVE: 0, POSITIVE: 1}

    @property
    def predicted_classes(self) -> dict[Any, str]:
        """Empty where several outcomes are negative: a prediction does not say which."""
        return {True: str(self.positive), False: str(self.negative[0])} if len(self.negative) == 1 else {}

    def title(self, column: str) -> str:
        return f"the probability of {self.positive}"

    def is_outcome(self, value: Column) -> Column:
        return value.isin(self.positive, *self.negative)

    @property
    def wanted(self) -> str:
        return f"one of {', '.join(map(repr, (self.positive, *self.negative)))}"

    @property
    def repair(self) -> str:
        return "add the value to the label's `allowed`"

    def label(self, value: Column) -> Column:
        from pyspark.sql import functions as F

        return F.when(value == self.positive, 1).when(value.isNotNull(), 0)

    def name_of(self, label: Column) -> Column:
        from pyspark.sql import functions as F

        return F.when(label == 1, POSITIVE).otherwise(NEGATIVE)

    def check(self, settings: Mapping[str, Any]) -> None:
        check_calibration(settings["calibration"], settings["balancing"], settings["calibration_proportion"])

    def is_calibrated_by_rows(self, settings: Mapping[str, Any]) -> bool:
        return needs_calibration_rows(settings["calibration"], settings["balancing"])

    def has_calibration_rows(self, settings: Mapping[str, Any], counts: TrainingSet) -> bool:
        return bool(set(self._kinds(settings, counts)) & set(FITTED))

    def _kinds(self, settings: Mapping[str, Any], counts: TrainingSet) -> tuple[str, ...]:
        """The calibrations to choose from: the first one alone where there are too few rows to fit another."""
        kinds = calibration_kinds(settings["calibration"], settings["balancing"])
        return kinds if min(counts.sides[CALIBRATION_SIDE].values()) >= LEAST_JUDGED else kinds[:1]

    def too_few(self, counts: TrainingSet, sides: Sequence[str], settings: Mapping[str, Any]) -> str:
        for side in sides:
            for label in self.names:
                if not counts.sides[side][label]:
                    rows = counts.rows(side)
                    return f"one class: no {label} among the {rows:,} labelled rows of the {side} split"
        for (side, purpose), what in zip(PURPOSES, ("a curve", "an interval"), strict=True):
            there = counts.sides[side]
            rarer = min(there, key=lambda label: there[label])
            if side in sides and there[rarer] < LEAST_JUDGED:
                return (
                    f"too few to {purpose} by: {there[rarer]:,} {rarer} {side} rows, "
                    f"{what} takes {LEAST_JUDGED} of each class"
                )
        positives, least = sum(counts.sides[side][POSITIVE] for side in SIDES), settings["min_positives"]
        if positives < least:
            return f"too few positives: {positives:,} in the window, min_positives is {least:,}"
        return ""

    def told(self, rows: Mapping[str, int]) -> dict[str, int]:
        return {"positives": rows[POSITIVE]}

    def in_words(self, told: Mapping[str, Any]) -> str:
        return f"{super().in_words(told)}, {told['positives']:,} positive"

    def too_few_out_of_time(self, rows: Mapping[str, Mapping[str, int]], settings: Mapping[str, Any]) -> str:
        return too_few_out_of_time(rows)

    def collected(self, rows: DataFrame, key: Key, count: int) -> Scored:
        """Count rows by score and, where they are few enough, by group.

        Rows are counted where they are, so the driver gets only counts. The counts do not depend on the order of rows,
        as the sums of Spark's own evaluator do.
        """
        from pyspark.sql import functions as F

        from spark_lib.models.calibration import GRID
        from spark_lib.models.model import within_rounding
        from spark_lib.problems import metrics

        grouped = count <= GROUPED_ROWS
        score = F.round(F.col(SCORE) * GRID) / GRID
        counts = rows.groupBy(score.alias("score"), (F.col(GROUP) if grouped else F.lit(0)).alias("group")).agg(
            F.count_if(F.col("label") == 1).alias("positives"), F.count_if(F.col("label") == 0).alias("negatives")
        )
        found = counts.toArrow().sort_by([("score", "ascending"), ("group", "ascending")])
        scores, positives, negatives, groups = (
            found[name].to_numpy() for name in ("score", "positives", "negatives", "group")
        )
        return metrics.by_score(within_rounding(scores), positives, negatives, groups if grouped else None)

    def to_calibrate_by(self, settings: Mapping[str, Any], rows: DataFrame, key: Key, count: int) -> Scored:
        """Where a calibration is chosen, which takes groups, and the rows are many, those of some of the groups: more
        rows make no other choice, and the driver gets a count for each score of each group."""
        from pyspark.sql import functions as F

        from spark_lib.problems import calibration_fit

        several = len(calibration_kinds(settings["calibration"], settings["balancing"])) > 1
        if several and count > GROUPED_ROWS:
            groups = max(calibration_fit.FOLDS, GROUPS * GROUPED_ROWS // count)
            return self.collected(rows.where(F.col(GROUP) < groups), key, GROUPED_ROWS)
        return self.collected(rows, key, count)

    def fitted(self, settings: Mapping[str, Any], on: Scored | None, counts: TrainingSet) -> Calibration:
        return self.chosen(settings, on, counts)[0]

    def chosen(
        self, settings: Mapping[str, Any], on: Scored | None, counts: TrainingSet
    ) -> tuple[Calibration, tuple[Mapping[str, Any], ...]]:
        from spark_lib.problems import calibration_fit, metrics

        rows = metrics.NOTHING if on is None else on
        kinds = self._kinds(settings, counts)
        back, tried = calibration_fit.chosen(kinds, rows, counts.sides[TRAIN], counts.trained_on)
        return back, tuple(each.document() for each in tried)

    def calibrated(self, back: Calibration, found: Scored) -> Scored:
        from spark_lib.problems import calibration_fit

        return calibration_fit.calibrated(back, found)

    def measured(self, calibrated: Scored, found: Scored, settings: Mapping[str, Any]) -> dict[str, Any]:
        from spark_lib.problems import decision, metrics

        measured: dict[str, Any] = dict(metrics.measured(calibrated))
        measured["uncalibrated"] = metrics.measured(found)
        measured["intervals"] = metrics.intervals(
            calibrated, settings["bootstrap_replicates"], settings["confidence"], settings["seed"]
        )
        decided = self.decision(settings)
        if decided:
            measured["at_threshold"] = decision.at_threshold(calibrated, decided["threshold"], settings)
        return measured

    def measured_balanced(self, of_drawn: Scored) -> dict[str, Any]:
        from spark_lib.problems import metrics

        return {f"balanced_{name}": metrics.METRICS[name](of_drawn) for name in ("area_under_roc", "area_under_pr")}

    def outcomes_of(self, found: Scored) -> dict[str, float]:
        return {"prevalence": found.prevalence}

    def too_few_apart(self, found: Scored) -> str:
        rows = {POSITIVE: int(found.positives.sum()), NEGATIVE: int(found.negatives.sum())}
        rarer = min(rows, key=lambda label: rows[label])
        if not rows[rarer]:
            return f"one class: no {rarer} row"
        if rows[rarer] < LEAST_JUDGED:
            return f"too few: {rows[rarer]} {rarer} rows, it takes {LEAST_JUDGED} of each class"
        return too_few_groups(int(found.grouped.groups.max()) + 1) if found.grouped else ""

    def predictions(self, back: Calibration, decision: Mapping[str, Any] = NO_DECISION) -> Predictions:
        return Probability(back, decision.get("threshold"))

    def constant(self, number: float) -> dict[str, Any] | None:
        return {"score": number} if 0 <= number <= 1 else None

    def prior(self, card: Card) -> dict[str, Any] | None:
        """The prevalence of the training rows, before balancing."""
        rows = card.rows.rows(TRAIN)
        return {"score": card.rows.sides[TRAIN][POSITIVE] / rows} if rows else None

    def published(self) -> Column:
        from pyspark.sql import functions as F

        return F.col("score")

    def rows_of(self, values: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> Scored:
        from spark_lib.problems import metrics

        return metrics.counted(values, labels, groups)

    def level(self, values: np.ndarray) -> np.ndarray:
        return values

    def base_rates(self, found: Scored) -> dict[str, float]:
        """The Brier score and the log loss of the prevalence as everybody's score. No constant ranks better than by
        chance."""
        from dataclasses import replace

        import numpy as np

        from spark_lib.problems import metrics

        constant = replace(found, scores=np.full(len(found.scores), found.prevalence))
        return {"brier": metrics.brier(constant), "log_loss": metrics.log_loss(constant)}

    def paired(
        self,
        values: tuple[np.ndarray, np.ndarray],
        labels: np.ndarray,
        groups: np.ndarray,
        settings: Mapping[str, Any],
        against: str,
    ) -> Compared:
        import numpy as np

        from spark_lib.models.calibration import GRID
        from spark_lib.problems import metrics

        one, other = (np.round(each * GRID) / GRID for each in values)
        positives = (labels == 1).astype(np.int64)
        twice = metrics.ScoredTwice(one, other, positives, 1 - positives, np.unique(groups, return_inverse=True)[1])
        return _compared(twice, settings, against)

    def compared(
        self, rows: DataFrame, backs: tuple[Calibration, Calibration], settings: Mapping[str, Any], against: str
    ) -> Compared:
        """The difference is the area under ROC of the newer model less that of the older one. The newer model loses
        where the lower end of the interval is further below 0 than ``champion_margin``: it has to show that it is not
        worse by more than the margin."""
        import numpy as np
        from pyspark.sql import functions as F

        from spark_lib.models import calibration
        from spark_lib.problems import metrics

        counted = rows.groupBy(ONE, OTHER, GROUP).agg(
            F.count_if(F.col("label") == 1).alias("positives"), F.count_if(F.col("label") == 0).alias("negatives")
        )
        found = counted.toArrow().sort_by([(name, "ascending") for name in (ONE, OTHER, GROUP)])
        one, other, positives, negatives, groups = (
            found[name].to_numpy() for name in (ONE, OTHER, "positives", "negatives", GROUP)
        )
        one, other = (calibration.apply(back, scores) for back, scores in zip(backs, (one, other), strict=True))
        twice = metrics.ScoredTwice(one, other, positives, negatives, np.unique(groups, return_inverse=True)[1])
        return _compared(twice, settings, against)


def _compared(twice: ScoredTwice, settings: Mapping[str, Any], against: str) -> Compared:
    """The first of two scores of the same rows against the second, by the area under ROC."""
    from spark_lib.problems import metrics

    difference, interval = metrics.difference(
        twice, _COMPARED_BY, settings["bootstrap_replicates"], settings["confidence"], settings["seed"]
    )
    margin = settings["champion_margin"]
    words = (
        f"area under ROC {difference:+.4f} against {against} "
        f"({interval[0]:+.4f} to {interval[1]:+.4f}), champion_margin {margin:g}"
    )
    return Compared(difference, interval, interval[0] < -margin, words)


@dataclass(frozen=True)
class Probability:
    """Predictions are the calibrated ``score`` and, where there is a ``threshold``, whether the score is at least that:
    ``prediction``. It is a boolean and no name of an outcome, because several outcomes may be negative."""

    back: Calibration
    threshold: float | None = None

    wanted: ClassVar[tuple[str, str]] = ("a probability for every row", "scores outside of [0, 1] or not a number")

    @property
    def schema(self) -> Schema:
        decided: Schema = () if self.threshold is None else (("prediction", "boolean"),)
        return (("score", "double"), *decided)

    def columns(self, outputs: np.ndarray) -> dict[str, Any]:
        from spark_lib.models import calibration

        scores = calibration.apply(self.back, outputs)
        decided = {} if self.threshold is None else {"prediction": scores >= self.threshold}
        return {"score": scores, **decided}

    def senseless(self, columns: Mapping[str, Any]) -> np.ndarray:
        from spark_lib.models.model import is_probability

        return ~is_probability(columns["score"])

    def distribution(self) -> Scores:
        from spark_lib.scoring.predictions import Scores

        return Scores()
