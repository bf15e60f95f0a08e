"""What is asked of a model, and how an answer is judged: the base of the kinds of problems.

A use case's label decides the kind. Outside of this folder nobody asks which kind it is: a stage asks the problem for the
label as a number, for the metrics, the gates and the columns of predictions.

Nothing is imported here that loads Spark or numpy before it is needed, because the configuration is checked by a
problem's choices.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from spark_lib.errors import ConfigurationError
from spark_lib.models.training_set import CALIBRATION, SIDES, TRAIN, VALIDATION, TrainingSet

if TYPE_CHECKING:
    import numpy as np
    from pyspark.sql import Column, DataFrame

    from spark_lib.lake import Schema
    from spark_lib.models.calibration import Calibration
    from spark_lib.models.card import Card
    from spark_lib.scoring.predictions import Predictions
    from spark_lib.use_case.keys import Key

#: The columns of scored rows: what a model gives of a row, and the group of its entity. No feature has these names.
SCORE, GROUP = "_score", "_group"
#: The same for a comparison: what the newer and the older model give.
ONE, OTHER = "_one", "_other"
#: The number of groups of entities.
GROUPS = 200
#: The least groups of entities that the bootstrap draws from. Of fewer, the ends of an interval are due to chance.
LEAST_GROUPS = 10
#: The least rows to train, to calibrate or to judge by; of each class where there are two. With fewer rows, a certainty may
#: be due to chance.
LEAST_JUDGED = 10
#: The decision of a card in which nothing of ``[decision]`` is set.
NO_DECISION: Mapping[str, Any] = {}

#: What rows are for, in messages and where rows are counted by it.
TO_TRAIN, TO_CALIBRATE, TO_JUDGE = "train", "calibrate", "judge"
#: What the rows of the sides beside the training side are for.
PURPOSES = ((CALIBRATION, TO_CALIBRATE), (VALIDATION, TO_JUDGE))


@dataclass(frozen=True)
class Metric:
    """A metric, its words in a sentence, and what its values mean."""

    words: str
    meaning: str


@dataclass(frozen=True)
class Gate:
    """A bound on a metric. ``at_least`` says whether it is the least that is allowed, by the setting ``min_<metric>``,
    or the most, by ``max_<metric>``. A setting that is None is no gate."""

    metric: str
    words: str
    at_least: bool

    @property
    def setting(self) -> str:
        """The name of the bound in ``[training]``."""
        return f"min_{self.metric}" if self.at_least else f"max_{self.metric}"


@dataclass(frozen=True)
class Compared:
    """A newer model against the one before it, on the same rows: the difference of the metric that decides, its
    interval, whether the newer model ``loses``, and the figures in ``words``."""

    difference: float
    interval: tuple[float, float]
    loses: bool
    words: str


class Problem(ABC):
    """A kind of problem, with the outcomes of one use case.

    What a method calls ``found`` are the rows of a section with what the model gives of them. Its type is the
    problem's own: nobody else looks into it, except the parts of a report that the problem names.
    """

    #: The name in cards; the label says it too.
    name: ClassVar[str]
    #: The strategies of balancing, and the kinds of calibration, that ``[training]`` may name.
    balancing: ClassVar[tuple[str, ...]]
    calibration: ClassVar[tuple[str, ...]]
    #: Values of the configuration that are other than usual where nothing sets them, by ``section.key``.
    defaults: ClassVar[Mapping[str, Any]] = {}
    #: The values of ``[training]`` that only some problems use, and this one does.
    settings: ClassVar[tuple[str, ...]]
    #: The values of ``[decision]`` that this problem uses. Settings of a training have them as ``decision.<name>``.
    decisions: ClassVar[tuple[str, ...]] = ()
    #: Metrics by name, in the order in which a report shows them.
    metrics: ClassVar[Mapping[str, Metric]]
    gates: ClassVar[tuple[Gate, ...]]
    #: The sections of a report about scores, by name (``spark_lib.report``).
    report: ClassVar[tuple[str, ...]]
    #: The metrics of a segment that a report shows.
    shown_apart: ClassVar[tuple[str, ...]]
    #: The metric that a run says in its summary.
    headline: ClassVar[str]
    #: The metrics of published predictions that a table shows: how well they rank or hit first, calibration last.
    shown_later: ClassVar[tuple[str, ...]]
    #: Whether the proportion of the first of ``names`` is the prevalence.
    has_prevalence: ClassVar[bool] = False
    #: What a problem is compared by, in a sentence; ``str`` shows it.
    what: ClassVar[str] = "classes"
    #: What a number that stands for a score has to be, in a message.
    constant_wanted: ClassVar[str] = "no number"
    #: The first format of cards whose readers understand this problem.
    card_format: ClassVar[int] = 2

    @property
    @abstractmethod
    def classes(self) -> int:
        """The number of classes whose probabilities a model gives; 0 where it gives a number."""

    @property
    @abstractmethod
    def outcome(self) -> dict[str, Any]:
        """What a card says of the outcome, as JSON has it."""

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """The names by which rows with an outcome are counted, in the order of a table."""

    @property
    @abstractmethod
    def labels(self) -> dict[str, int]:
        """The label of each class by its name; empty where the label is a number."""

    @abstractmethod
    def title(self, column: str) -> str:
        """What a model says of a row, for a heading. ``column`` is that of the label."""

    # The label.

    @abstractmethod
    def is_outcome(self, value: Column) -> Column:
        """Whether a raw value that is not null is one of the outcomes."""

    @property
    @abstractmethod
    def wanted(self) -> str:
        """The outcomes in words."""

    @property
    @abstractmethod
    def repair(self) -> str:
        """What to do where a raw value is right, and the declaration does not allow it."""

    @abstractmethod
    def label(self, value: Column) -> Column:
        """The label as a number, from the raw outcome; null where this is null."""

    @abstractmethod
    def name_of(self, label: Column) -> Column:
        """Which of ``names`` a label counts as."""

    @property
    def headline_words(self) -> str:
        """The headline in a sentence."""
        return next(gate.words for gate in self.gates if gate.metric == self.headline)

    # The configuration.

    def check(self, settings: Mapping[str, Any]) -> None:
        """Raise ConfigurationError for values of ``[training]`` that do not fit together."""
        for setting in ("balancing", "calibration"):
            choices = getattr(self, setting)
            if settings[setting] not in choices:
                raise ConfigurationError(
                    f"[training] {setting}",
                    f"one of {', '.join(choices)}, for a label of this kind ({self.name})",
                    repr(settings[setting]),
                    "correct it",
                )

    def bounds(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """The settings with the bounds of the gates."""
        return settings

    @abstractmethod
    def is_calibrated_by_rows(self, settings: Mapping[str, Any]) -> bool:
        """Whether the calibration is fitted on rows of its own."""

    def sides(self, settings: Mapping[str, Any]) -> Sequence[str]:
        """The sides of the split that a training needs."""
        return SIDES if self.is_calibrated_by_rows(settings) else (TRAIN, VALIDATION)

    def has_calibration_rows(self, settings: Mapping[str, Any], counts: TrainingSet) -> bool:
        """Whether a calibration is fitted, where the calibration split has the rows of ``counts``."""
        return self.is_calibrated_by_rows(settings)

    # The rows.

    def prevalences(self, sides: Mapping[str, Mapping[str, int]]) -> dict[str, float | None]:
        """The prevalence of each side, None of one without rows; empty where the problem has none. ``sides`` are the
        rows by their names."""
        if not self.has_prevalence:
            return {}
        rows = {side: sum(by_name.values()) for side, by_name in sides.items()}
        return {side: sides[side][self.names[0]] / rows[side] if rows[side] else None for side in sides}

    def told(self, rows: Mapping[str, int]) -> dict[str, int]:
        """What a card tells of the rows that judge out of time, beside their number. ``rows`` are by their names."""
        return {}

    def in_words(self, told: Mapping[str, Any]) -> str:
        """The number of ``rows`` that judge out of time, and what is ``told`` of them."""
        return f"{told['rows']:,} rows"

    @abstractmethod
    def too_few_out_of_time(self, rows: Mapping[str, Mapping[str, int]], settings: Mapping[str, Any]) -> str:
        """The reason why a model cannot be judged out of time; empty where it can. ``rows`` are by their names, and by
        what they are for: ``TO_TRAIN`` and ``TO_CALIBRATE`` are those before the last fifth of the window's days,
        ``TO_JUDGE`` those in it."""

    @abstractmethod
    def too_few(self, counts: TrainingSet, sides: Sequence[str], settings: Mapping[str, Any]) -> str:
        """The reason why there are too few rows to prove anything; empty where there are enough."""

    @abstractmethod
    def collected(self, rows: DataFrame, key: Key, count: int) -> Any:
        """The ``count`` rows with ``SCORE``, ``label`` and ``GROUP``, as ``found`` of the other methods."""

    # The model.

    def to_calibrate_by(self, settings: Mapping[str, Any], rows: DataFrame, key: Key, count: int) -> Any:
        """The ``count`` rows of the calibration split, as ``collected`` gives them."""
        return self.collected(rows, key, count)

    @abstractmethod
    def fitted(self, settings: Mapping[str, Any], on: Any, counts: TrainingSet) -> Calibration:
        """The calibration, fitted on the rows of the calibration split; ``on`` is None where it needs none."""

    def chosen(
        self, settings: Mapping[str, Any], on: Any, counts: TrainingSet
    ) -> tuple[Calibration, tuple[Mapping[str, Any], ...]]:
        """The calibration as ``fitted`` gives it, and what it was chosen from, as a card has it."""
        return self.fitted(settings, on, counts), ()

    @abstractmethod
    def calibrated(self, back: Calibration, found: Any) -> Any:
        """The same rows, calibrated."""

    @abstractmethod
    def measured(self, calibrated: Any, found: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Every metric of the calibrated natural rows, the same before calibration as ``uncalibrated``, and
        ``intervals`` by a bootstrap over groups of entities."""

    def measured_balanced(self, of_drawn: Any) -> dict[str, Any]:
        """Metrics on the balanced validation rows, before calibration."""
        return {}

    @abstractmethod
    def outcomes_of(self, found: Any) -> dict[str, float]:
        """What the outcomes of rows are like, by words of the problem's own. Each is a mean over the rows."""

    @abstractmethod
    def too_few_apart(self, found: Any) -> str:
        """The reason why a part of the validation rows is not judged apart: too few rows, rows of too few entities, or
        one outcome alone. Empty where it is judged."""

    def decision(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """What a model's card says of how predictions are decided; empty where nothing of ``[decision]`` is set."""
        found = {name: settings.get(f"decision.{name}") for name in self.decisions}
        return {name: value for name, value in found.items() if value is not None}

    @abstractmethod
    def predictions(self, back: Calibration, decision: Mapping[str, Any] = NO_DECISION) -> Predictions:
        """What workers make of the outputs of a model, by the calibration and the decision of its card."""

    @property
    def predicted(self) -> Schema:
        """The columns of predictions, with their types."""
        return self.predictions({"kind": "none"}).schema

    @property
    def predicted_classes(self) -> dict[Any, str]:
        """What each value of the column ``prediction`` means, as the label has it; empty where it names no class."""
        return {}

    @abstractmethod
    def constant(self, number: float) -> dict[str, Any] | None:
        """What is said, by columns of predictions, of a row for which a fixed number stands; None where that number is
        no ``constant_wanted``. Nothing is decided by it."""

    @abstractmethod
    def prior(self, card: Card) -> dict[str, Any] | None:
        """What is said, by columns of predictions, of a row of which nothing is known, as the card of a model has it; None
        where the card does not say. Nothing is decided by it."""

    # Predictions that were published, and are judged by the outcomes that landed later.

    @property
    def unknown_later(self) -> tuple[str, ...]:
        """The metrics that the columns of predictions do not say enough for."""
        return ()

    @abstractmethod
    def published(self) -> Column:
        """What the columns of predictions say of a row: a number, or an array of m numbers."""

    @abstractmethod
    def rows_of(self, values: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> Any:
        """Rows with what was ``published`` of them as ``values`` [n] or [n, m], their ``labels`` [n] and the groups of
        their entities [n], as calibrated rows of the other methods."""

    @abstractmethod
    def level(self, values: np.ndarray) -> np.ndarray:
        """The number [n] by which it is shown where predictions lie, of ``values`` as in ``rows_of``."""

    @abstractmethod
    def base_rates(self, found: Any) -> dict[str, float]:
        """The metrics that an answer would have which is the same for every row: the proportions, or the mean, of the
        outcomes of these very rows."""

    def measured_later(self, found: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Every metric of published predictions that can be known, with ``intervals``."""
        measured = self.measured(found, found, settings)
        measured["intervals"] = {
            name: ends for name, ends in measured["intervals"].items() if name not in self.unknown_later
        }
        known = [name for name in self.metrics if name in measured and name not in self.unknown_later]
        return {name: measured[name] for name in (*known, "intervals")}

    @abstractmethod
    def paired(
        self,
        values: tuple[np.ndarray, np.ndarray],
        labels: np.ndarray,
        groups: np.ndarray,
        settings: Mapping[str, Any],
        against: str,
    ) -> Compared:
        """The first of two published ``values`` of the same rows against the second, which ``against`` names."""

    @abstractmethod
    def compared(
        self,
        rows: DataFrame,
        backs: tuple[Calibration, Calibration],
        settings: Mapping[str, Any],
        against: str,
    ) -> Compared:
        """A newer model against an older one, which ``against`` names. ``rows`` have what the two give as ``ONE`` and
        ``OTHER``, the ``label`` and ``GROUP``. ``backs`` are the calibrations of the two."""


def too_few_groups(groups: int) -> str:
    """The reason why rows of entities in so many groups give no interval; empty where they do."""
    if groups >= LEAST_GROUPS:
        return ""
    return f"too few entities: they make {groups} of {GROUPS} groups, an interval takes {LEAST_GROUPS}"


def too_few_rows(counts: TrainingSet, needed: Sequence[tuple[str, str, int]], min_labelled: int) -> str:
    """The reason why a side has fewer rows than its purpose takes (side, purpose, least), or the window fewer with an
    outcome than ``[training] min_labelled``; empty where there are enough."""
    for side, purpose, least in needed:
        if counts.rows(side) < least:
            return f"too few to {purpose} by: {counts.rows(side):,} {side} rows, it takes {least:,}"
    rows = sum(counts.rows(side) for side in SIDES)
    if rows < min_labelled:
        return f"too few rows with an outcome: {rows:,} in the window, min_labelled is {min_labelled:,}"
    return ""


def landed(purpose: str) -> str:
    """When the rows landed that are for this purpose where a model is judged out of time, in a message."""
    return f"{'in' if purpose == TO_JUDGE else 'before'} the last fifth of the window's days"


def too_few_rows_out_of_time(rows: Mapping[str, Mapping[str, int]], least: Mapping[str, int]) -> str:
    """The reason why there are fewer rows for a purpose than the ``least`` that it takes; empty where there are
    enough."""
    for purpose, by_name in rows.items():
        there = sum(by_name.values())
        if there < least[purpose]:
            return (
                f"too few to {purpose} out of time by: {there:,} rows that landed {landed(purpose)}, it takes "
                f"{least[purpose]:,}"
            )
    return ""
