"""Looks up single entities at a target: the newest published score, or what is declared for entities without one.

from spark_lib.targets.redis import RedisTarget

cache = RedisTarget("redis://cache.example:6379/0")
found = spark_lib.lookup("lake", "credit_risk", cache, "C0004777500", fallback="prior")
found.kind, found.values["score"], found.date
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from spark_lib import problems
from spark_lib.errors import ConfigurationError, UnknownEntity, did_you_mean
from spark_lib.lake import Lake, normalise_root
from spark_lib.plain import in_a_line, plain
from spark_lib.problems import fallbacks
from spark_lib.problems.fallbacks import NONE, PRIOR
from spark_lib.release import in_force
from spark_lib.stages import selection
from spark_lib.stages.publication import PREDICTIONS, SERVING_FEATURES
from spark_lib.targets import Score, Series
from spark_lib.use_case import UseCase, ddl, loading
from spark_lib.use_case.keys import names
from spark_lib.use_case.protocol import BY_MODEL

if TYPE_CHECKING:
    from spark_lib.models.card import Card
    from spark_lib.problems import Problem
    from spark_lib.targets import Target

Kind = Literal["score", "fallback", "none"]


@dataclass(frozen=True)
class Fallback:
    """What is said of an entity without a score: ``values`` by column of predictions. ``model_date`` and ``model_digest``
    say whose prior it is; of a fixed value they are None and empty."""

    values: Mapping[str, Any]
    model_date: date | None = None
    model_digest: str = ""


@dataclass(frozen=True)
class Answer:
    """What is known of an entity, which is given by its columns.

    ``kind`` is ``score`` for a published score, ``fallback`` for what is declared for entities without one, and ``none``
    where neither is there. ``values`` are those of the published row by column, without the entity and the model, or
    those of the fallback: the columns of predictions, without a decision. ``date`` is the published day, and ``run`` its
    run; None and empty where there is no score. ``is_stale`` says that a score is older than it may be."""

    entity: Mapping[str, Any]
    kind: Kind
    values: Mapping[str, Any] = field(default_factory=dict)
    run: str = ""
    is_stale: bool = False
    model_digest: str = ""
    model_date: date | None = None
    date: date | None = None

    def document(self) -> dict[str, Any]:
        """The answer as JSON has it."""
        return {
            "entity": plain(dict(self.entity)),
            "kind": self.kind,
            "values": plain(dict(self.values)),
            "date": plain(self.date),
            "model_date": plain(self.model_date),
            "model_digest": self.model_digest or None,
            "run": self.run or None,
            "is_stale": self.is_stale,
        }


@dataclass(frozen=True)
class Lookups:
    """Looks up entities of a use case at a target. ``lake`` is the name by which the target knows the lake. ``fallback``
    gives what is said of entities without a score, None where nothing is. A score is stale when it is more than
    ``max_age_days`` older than the day that is asked about. It may be used by several threads."""

    target: Target
    lake: str
    use_case: str
    case: UseCase
    fallback: Callable[[], Fallback | None] = lambda: None
    max_age_days: int | None = None

    @property
    def series(self) -> Series:
        """The predictions, as the target calls them."""
        return self._series(PREDICTIONS)

    def of(self, entity: Any, on: date | None = None) -> Answer:
        """What is known of an entity on a day. ``entity`` is a value, or one by column where it has several.

        Raises UnknownEntity for other columns and for values that do not fit their types, ConfigurationError where no
        day is given to measure ages from, and what the target raises.
        """
        asked = self.entity(entity)
        if on is None and self.max_age_days is not None:
            raise ConfigurationError(
                f"look-up of {self.use_case}", "the day that ages are measured from", "none", "give the day: on=DAY"
            )
        found = self.target.lookup(self.series, asked)
        if found is not None:
            return self._answer(asked, found, on)
        instead = self.fallback()
        if instead is None:
            return Answer(asked, "none")
        model = instead.model_digest, instead.model_date
        return Answer(asked, "fallback", instead.values, "", False, *model)

    def serving_features(self, entity: Any) -> Score | None:
        """The newest published serving features of an entity; None where it has none."""
        asked = self.entity(entity)
        found = self.target.lookup(self._series(SERVING_FEATURES), asked)
        return None if found is None else Score(_without(found.values, asked), found.run, None, found.date)

    def entity(self, given: Any) -> dict[str, Any]:
        """An entity by its columns, from its value or from values by column. Raises UnknownEntity."""
        columns = names(self.case.entity_or_key)
        where = f"look-up of {self.use_case}"
        if not isinstance(given, Mapping):
            if len(columns) > 1:
                wanted = f"a value of each of {', '.join(columns)}"
                raise UnknownEntity(where, wanted, "one value", "name the columns, as in column=value,column=value")
            given = {columns[0]: given}
        for name in given:
            if name not in columns:
                found = f"{name!r}{did_you_mean(str(name), columns)}"
                raise UnknownEntity(where, f"the entity's columns: {', '.join(columns)}", found, "correct the column")
        missing = [name for name in columns if given.get(name) is None]
        if missing:
            wanted = f"a value of each of {', '.join(columns)}"
            raise UnknownEntity(where, wanted, f"none of {', '.join(missing)}", "name each column")
        return {name: self._fitting(where, name, given[name]) for name in columns}

    def parsed(self, text: str) -> dict[str, Any]:
        """An entity as a person writes it: a value, or ``column=value,column=value``, or an object of JSON, which may have
        any value. Raises UnknownEntity."""
        columns = names(self.case.entity_or_key)
        if len(columns) == 1:
            return self.entity(text.removeprefix(f"{columns[0]}="))
        if text.startswith("{"):
            try:
                given = json.loads(text)
            except ValueError:
                step = "correct it, or write column=value,column=value"
                raise UnknownEntity(f"look-up of {self.use_case}", "an object of JSON", "another text", step) from None
            return self.entity(given)
        parts = [part.partition("=") for part in text.split(",")]
        if not all(equals for _, equals, _ in parts):
            return self.entity(text)
        return self.entity({name.strip(): value for name, _, value in parts})

    @cached_property
    def _kinds(self) -> dict[str, str]:
        """The types of the columns of the scored feed."""
        return {column.name: column.kind for column in ddl.columns(self.case.feeds[self.case.rows].schema)}

    def _series(self, dataset: str) -> Series:
        return Series(self.lake, loading.directory(self.use_case), dataset)

    def _answer(self, asked: Mapping[str, Any], found: Score, on: date | None) -> Answer:
        is_stale = self.max_age_days is not None and on is not None and (on - found.date).days > self.max_age_days
        values = _without(found.values, (*asked, *BY_MODEL))
        digest = str(found.values.get(BY_MODEL[1]) or "")
        return Answer(asked, "score", values, found.run, is_stale, digest, found.model_date, found.date)

    def _fitting(self, where: str, name: str, value: Any) -> Any:
        """A value that fits the type of its column."""
        import pyarrow as pa

        from spark_lib.lake.tables import arrow_type

        kind = self._kinds[name]
        wanted = arrow_type(kind)
        text = value if isinstance(value, str) else str(value)
        try:
            text.encode()  # half of a sign is no text
            is_fitting = "\0" not in text  # no database takes it in a text
            if wanted is not None:
                pa.array([text]).cast(wanted)
        except (pa.ArrowException, UnicodeEncodeError):
            is_fitting = False
        if not is_fitting:
            shown = in_a_line(text.encode(errors="replace").decode())
            raise UnknownEntity(where, f"a value of the type {kind} for {name}", repr(shown), "correct it")
        return value


def lookup(
    root: str,
    use_case: str,
    target: Target,
    entity: Any,
    *,
    fallback: str | float = NONE,
    max_age_days: int | None = None,
    on: date | None = None,
    lake_name: str = "",
) -> Answer:
    """What is published of an entity at a target: its score with date, model and run, or the fallback, marked as such.

    ``root`` and ``use_case`` are as in ``read``, and ``entity`` is a value, or one by column where it has several.
    ``fallback`` is ``prior`` (what the newest released model knows of a row of which nothing is known: the prevalence, the
    most frequent class or the mean), a number, or ``none``. A score is stale when it is more than ``max_age_days`` older
    than the day ``on``. ``lake_name`` is ``[lake] name`` where one is set. The lake is read for a prior alone.

    Raises UnknownEntity for another column or a value that does not fit, ConfigurationError for a fallback that cannot
    be, and what the target raises: PublishError where its server is away.
    """
    name = loading.normalise(use_case)
    case, normal = loading.load(name), normalise_root(root)
    instead = declared(problems.of(case.label), fallback, lambda: newest_card(Lake(normal, loading.directory(name))))
    return Lookups(target, lake_name or normal, name, case, instead, max_age_days).of(entity, on)


#: A model's date, its digest and its card.
Released = tuple[date, str, "Card"]


def declared(
    problem: Problem,
    fallback: str | float,
    newest: Callable[[], Released | None],
    where: str = "fallback",
) -> Callable[[], Fallback | None]:
    """What gives a declared fallback: of ``prior`` that of the ``newest`` released model, looked at each time.

    Raises ConfigurationError, naming ``where``, for a word that is none and for a number that the problem cannot have.
    """
    values = fallbacks.constant(problem, fallback, where)
    if fallback == PRIOR:
        return lambda: _prior(newest())
    return lambda: Fallback(values) if values else None


def newest_card(lake: Lake) -> Released | None:
    """The model of the newest day whose predictions are in force, with its card; None where no day has any. Raises
    DamagedPartition and ModelError where it is not what was published."""
    release = in_force.newest(lake)
    predictions = in_force.run_of(release) if release is not None else None
    if release is None or predictions is None:
        return None
    card = selection.card_that_scored(lake, release.date, predictions)
    if card is None:
        raise selection.lost(lake, release.date, predictions)
    return date.fromisoformat(predictions.metrics["model_date"]), predictions.metrics["model_digest"], card


def _prior(released: Released | None) -> Fallback | None:
    if released is None:
        return None
    day, digest, card = released
    values = problems.of_card(card).prior(card)
    return None if values is None else Fallback(values, day, digest)


def _without(values: Mapping[str, Any], columns: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in columns}
