"""The protocol of a use case: what an adopter writes, in one module.

    from spark_lib import Feature, Feed, Label, UseCase

    class Churn(UseCase):
        ...

The configuration names the module and the class:

    [pipeline]
    use_case = my_company.churn:Churn

Nothing here imports pyspark, so that planning and a run with nothing to do stay cheap.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from spark_lib.errors import ConfigurationError
from spark_lib.use_case.keys import Key, names
from spark_lib.use_case.labels import Outcome

if TYPE_CHECKING:
    from pyspark.ml import Estimator
    from pyspark.sql import DataFrame

#: The greatest share of a day's rows that may break rules, where a feed does not say it.
MAX_QUARANTINED = 0.1


@dataclass(frozen=True)
class Feed:
    """Raw data that others land. ``schema`` is DDL text (``"loan_id STRING, amount DOUBLE"``), and ``key`` is a column
    that is never null and unique within a day, or a tuple of two or more columns that are never null and together
    unique within a day: ``key=("shop", "receipt")``.

    A name with other characters than letters, digits and ``_`` stands in backticks in the schema, and without them
    everywhere else: ``Feed("`loan-id` STRING, `amount eur` DOUBLE", key="loan-id")``. Columns of the key, the entity,
    the event time, the label's key and features have no dot and no backtick in their names. No column of a feed is called
    ``landed``, ``_metadata`` or ``_rank``, because Daystone adds these to raw rows. To Spark, names that differ only in
    upper and lower case are one name.

    ``history`` is for a feed in which outcomes land: ``engineer`` gets the outcomes that landed before the day in its
    ``history``, too. Every other feed is there in any case.

    A feed that declares one of the following is cleaned before anything reads it (docs/cleaning.md). Rows that are left
    out stay in a quarantine. Any other feed is read as it landed.

    ``rules`` are conditions in Spark SQL over the declared columns, by name: ``{"amount is positive": "amount > 0"}``. A
    row breaks a rule whose condition is not true for it; null is not true.

    ``duplicates`` says what becomes of rows of one day with one key: ``"error"`` refuses the day; ``"identical"`` keeps one
    of them where they are equal in every column, and refuses the day otherwise; ``"newest"`` keeps the row with the
    greatest event time, which is the use case's of the scored feed and ``event_time`` of any other. Of rows with the
    same event time it keeps the one whose other columns, compared in the order of the schema, are the greatest.

    With ``unique_days`` a row is left out where its key passed the rules on one of so many days before it landed.

    ``max_quarantined`` is the greatest share of a day's rows that may break rules (``MAX_QUARANTINED`` where it is left
    out); a day with more is an error. Duplicates do not count.
    """

    schema: str
    key: Key
    history: bool = False
    rules: Mapping[str, str] = field(default_factory=dict, hash=False)
    duplicates: str = "error"
    unique_days: int = 0
    max_quarantined: float | None = None
    event_time: str | None = None

    def first_needed(self, day: date, first_date: date) -> date:
        """The first raw day that a clean day is made from. History has none before ``first_date``."""
        return max(first_date, day - timedelta(days=self.unique_days))

    @property
    def is_cleaned(self) -> bool:
        """Whether the feed is cleaned before anything reads it."""
        asks = self.duplicates != "error" or self.max_quarantined is not None
        return bool(self.rules) or bool(self.unique_days) or asks

    @property
    def most_quarantined(self) -> float:
        """The greatest share of a day's rows that may break rules."""
        return MAX_QUARANTINED if self.max_quarantined is None else self.max_quarantined


@dataclass(frozen=True)
class Feature:
    """A column of the model's input: its Spark SQL ``type``, and the ``fill`` that null and NaN become in the matrix.

    Without a ``fill`` a null is an error at training and at scoring. ``nominal`` says that a number is a code: its
    values have no order, and nothing lies between two of them. A boolean is always nominal.

    A STRING is a category: the matrix has a number for each of the texts that the training split holds, one for all
    other texts, and one for null, unless there is a ``fill``. With ``text`` it is a text for a pipeline of
    scikit-learn, which gets it as it is. A use case with a text is trained on the driver, and its model is a pickle.

    ``categories`` are the texts that have a number of their own. Training learns them and writes them into the model's
    card; a use case that declares them fixes them.
    """

    type: str
    fill: float | str | None = None
    nominal: bool = False
    text: bool = False
    categories: tuple[str, ...] | None = None

    @property
    def is_string(self) -> bool:
        """Whether the column holds texts."""
        return self.type.strip().lower() == "string"

    @property
    def is_category(self) -> bool:
        """Whether the column holds texts that are categories."""
        return self.is_string and not self.text

    @property
    def needs_values(self) -> bool:
        """Whether a null is refused."""
        return self.fill is None and not self.is_category


class UseCase(ABC):
    """What Daystone needs to know about a problem. Subclass it, set the attributes, and write ``engineer`` where
    features are more than columns of the scored feed.

    Declarations that cannot work are refused by name before anything runs (``spark_lib.use_case.declarations``).
    """

    #: Feeds by name; every one has a ``[raw.<feed>]`` section of configuration.
    feeds: ClassVar[Mapping[str, Feed]]
    #: The feed whose rows are scored.
    rows: ClassVar[str]
    #: The column of ``rows`` that says whom a row is about. The split never puts one entity on two sides. Leave it out
    #: where every row is about somebody else: the key then stands for the entity.
    entity: ClassVar[str | None] = None
    #: The column of ``rows`` with the instant at which a row's features are known: TIMESTAMP, TIMESTAMP_NTZ or DATE.
    #: Leave it out where rows have none: the day on which a row lands then stands for its event time.
    event_time: ClassVar[str | None] = None
    #: A Label, a ClassLabel or a NumberLabel.
    label: ClassVar[Outcome]
    #: The model's columns, in the order of its matrix.
    features: ClassVar[Mapping[str, Feature]]
    #: Features of which each value is judged apart, such as ``("region",)``: texts that are categories, booleans and
    #: whole numbers of few values. The card and the report have prevalence, metrics and intervals of each.
    segments: ClassVar[tuple[str, ...]] = ()
    #: The use case's own defaults, as ``{"section.key": value}``: ``{"training.label_delay_days": 37}``.
    settings: ClassVar[Mapping[str, Any]] = {}

    def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        """The features of ``day``: exactly one row for each of its keys, with the key and ``features``, and no more
        columns.

        ``day`` holds rows of the scored feed. ``history`` maps each feed except the label's to its rows that landed up
        to and including that day, with a ``landed`` date column. To be point-in-time, look only at rows of ``history``
        whose event time is strictly earlier than the row's own. A label's column of the scored feed is in neither.

        Without an ``event_time``, ``day`` has a ``landed`` date column, too, and earlier rows are those that ``landed``
        before that day.

        A feed of outcomes that is declared with ``history=True`` is in ``history`` under its own name, with the rows
        that landed strictly before the day. Where the label is a column of the scored feed, and that feed is declared
        so, its outcomes are under ``<feed>.<column>``: the key, the column where it is not null, and ``landed``.

        The default takes features as they land: each is a column of the scored feed, with the same name and type.
        """
        return day.select(*names(self.key), *self.features)

    def engineer_days(self, days: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        """The features of many days at once: exactly one row for each ``landed`` and key of ``days``, with ``landed``,
        the key and ``features``, and no more columns. For each day it has to give what ``engineer`` gives for that day
        alone.

        ``days`` holds rows of the scored feed with the date on which each ``landed``; the key is unique within a day
        alone. ``history`` has the feeds that ``engineer`` gets, up to the last of the days. So rows are there that landed
        after the day of a row: every join has to compare ``landed``. A row of ``days`` may see rows of ``history`` that
        landed up to its day, and outcomes that landed before it.

        Write it where many days are to be built by one job (``daystone backfill``). Where it is left out, or a subclass
        writes ``engineer`` anew without it, each day is built alone. The default is that of ``engineer``.
        """
        return days.select("landed", *names(self.key), *self.features)

    def update_state(self, state: DataFrame | None, recent: Mapping[str, DataFrame]) -> DataFrame:
        """The state of all entities after ``recent`` rows: one row for each entity, with the columns of ``entity`` (of
        the key, where it is left out), those that ``engineer_from_state`` needs, and ``newest``, which is the greatest
        event time of all rows that count in the state of the entity. Without an ``event_time`` there is no ``newest``.

        ``state`` is what this method returned before, or None at first. ``recent`` maps the feeds that ``engineer`` gets
        to the rows that have landed since, with ``landed``; outcomes are among them up to the last day of the others.

        No column of the state is a double or a float, because a sum of doubles depends on the order of the rows. Sum up
        integers or decimals.

        Write it, together with ``engineer_from_state``, where a day is not to read all days before it (``[features]
        snapshot``). Where a subclass writes ``engineer`` anew without them, it reads them.
        """
        raise NotImplementedError

    def engineer_from_state(
        self, day: DataFrame, state: DataFrame | None, recent: Mapping[str, DataFrame]
    ) -> DataFrame:
        """The features of ``day`` from the ``state`` of all entities and the ``recent`` rows that have landed since, up
        to and including that day. It has to give what ``engineer`` gives for all rows that have landed.

        The event time of each row of ``day`` is later than ``newest`` in the state of its entity: all of that state is
        earlier than the row. Other rows of the day are left to ``engineer``. Among ``recent`` rows look at those whose
        event time is strictly earlier than the row's own, as in ``engineer``.

        Where it takes None for the ``state`` of no rows, ``engineer`` can be ``return self.engineer_from_state(day, None,
        history)``, so that features are written once.
        """
        raise NotImplementedError

    @property
    def has_engineer_days(self) -> bool:
        """Whether days can be engineered together: ``engineer_days`` is written where ``engineer`` is, or below it, and
        no column has a name by which files of many days are laid out."""
        columns = {name.lower() for name in (*self.identity, *self.features)}
        written = self._written_last("engineer", "engineer_days", "engineer_from_state")
        return "engineer_days" in written and not columns & _OF_A_LAYOUT

    @property
    def has_state(self) -> bool:
        """Whether features can be made from a state: ``update_state`` and ``engineer_from_state`` are written where
        ``engineer`` is, or below it."""
        written = self._written_last("engineer", "engineer_from_state", "update_state")
        is_left_out = type(self).update_state is UseCase.update_state
        return not is_left_out and {"engineer_from_state", "update_state"} <= written

    def _written_last(self, *methods: str) -> set[str]:
        """Those of ``methods`` that are written in the nearest class of this one which has any of them."""
        return next(found for kind in type(self).__mro__ if (found := {*methods} & {*vars(kind)}))

    def estimator(self, settings: Mapping[str, Any]) -> Estimator[Any]:
        """The unfitted classifier, or the regressor of a number. One of Spark ML works on a vector column ``features`` and a double column ``label``.
        One of scikit-learn, alone or at the end of a pipeline, is fitted on the driver, and scores where the rows are.

        ``settings`` are those of ``[training]``: ``trees``, ``depth``, ``seed``. The default is a random forest of
        Spark.
        """
        from pyspark.ml import classification, regression

        forest = getattr(classification, self.label.forest, None) or getattr(regression, self.label.forest)
        unfitted: Estimator[Any] = forest(
            featuresCol="features",
            labelCol="label",
            numTrees=settings["trees"],
            maxDepth=settings["depth"],
            seed=settings["seed"],
        )
        return unfitted

    @property
    def key(self) -> Key:
        """The key of the scored feed, as it is declared: a column, or a tuple of several."""
        return self.feeds[self.rows].key

    @property
    def entity_or_key(self) -> Key:
        """What says whom a row is about: ``entity``, or the key where it is left out."""
        return self.key if self.entity is None else self.entity

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns that identify a row in features and predictions, each once: key, entity and event time, as far as
        they are declared."""
        known = [*names(self.key), *names(self.entity_or_key), *([] if self.event_time is None else [self.event_time])]
        return tuple(dict.fromkeys(known))

    @property
    def label_lands_with_rows(self) -> bool:
        """Whether the label is a column of the scored feed."""
        return self.label.feed == self.rows

    @property
    def outcome_feeds(self) -> list[str]:
        """The feeds in which outcomes land: the label's, and the one for what becomes known later."""
        return [feed for feed in (self.label.feed, self.label.later) if feed is not None]

    @property
    def feature_feeds(self) -> list[str]:
        """The feeds whose rows of a day its features may see: all except those of outcomes. Of the scored feed the
        label's column is left out."""
        return [feed for feed in self.feeds if feed == self.rows or feed not in self.outcome_feeds]

    @property
    def history_feeds(self) -> list[str]:
        """The feeds that features look back on: those of their day, and those of outcomes that are asked for."""
        return [*self.feature_feeds, *self.past_outcome_feeds]

    @property
    def cleaned_feeds(self) -> list[str]:
        """The feeds that are cleaned before anything reads them."""
        return [feed for feed, declared in self.feeds.items() if declared.is_cleaned]

    def never_null(self, feed: str) -> tuple[str, ...]:
        """The columns of a feed in which no row has a null: its key, of the scored feed whatever identifies a row, and of
        a feed of outcomes the label's key and, unless the outcome lands with the rows, the outcome."""
        found = [*names(self.feeds[feed].key), *(self.identity if feed == self.rows else ())]
        if feed in self.outcome_feeds:
            found += [*names(self.label.key), *([] if feed == self.rows else [self.label.column])]
        return tuple(dict.fromkeys(found))

    def event_time_of(self, feed: str) -> str | None:
        """The column of a feed with the event time of its rows, as far as it is declared."""
        return self.event_time if feed == self.rows else self.feeds[feed].event_time

    @property
    def rows_outcomes(self) -> str:
        """The name in ``history`` of the outcomes that are a column of the scored feed."""
        return f"{self.rows}.{self.label.column}"

    @property
    def past_outcome_feeds(self) -> list[str]:
        """The feeds of outcomes whose earlier days features may see; of the scored feed all days are read already."""
        return [feed for feed in self.outcome_feeds if self.feeds[feed].history and feed != self.rows]


#: The column of a state with the greatest event time that it holds of an entity.
NEWEST = "newest"
#: The names of the directories into which a job of many days writes.
_OF_A_LAYOUT = frozenset({"date", "run"})
#: The columns that scoring adds, besides what the label says, to key, entity and event time.
BY_MODEL = ("model_date", "model_digest")


def refuse(name: str, wanted: str, found: str) -> NoReturn:
    """Raise ConfigurationError for a declaration of the use case ``name``."""
    raise ConfigurationError(f"use case {name}", wanted, found, "correct the declarations of the use case")
