"""Tries a use case on the first rows that have landed, and says what is wrong with it before a chain is built on it.

``sample`` reads and checks the rows, ``engineering`` runs ``engineer`` on them several times, ``clock`` moves the time
that Python tells, and ``driver`` watches for rows that are brought to the driver. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from spark_lib import problems
from spark_lib.errors import DaystoneError
from spark_lib.learning import estimators
from spark_lib.stages.trial import engineering, sample
from spark_lib.stages.trial.blame import of_their_code

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from spark_lib.lake import RawFeed
    from spark_lib.use_case import UseCase


@dataclass(frozen=True)
class Tried:
    """One check: what was looked at, in words what was found, and the ``error`` where it is not as it should be.
    ``skipped`` says that it could not be looked at, because of an error before it."""

    what: str
    text: str
    error: DaystoneError | None = None
    skipped: bool = False


def examine(
    spark: Callable[[], SparkSession],
    case: UseCase,
    feeds: Mapping[str, RawFeed],
    first_date: date,
    settings: Mapping[str, Any],
) -> Iterator[Tried]:
    """Yield every check of a use case in the order in which one would repair what they find.

    ``feeds`` says where each feed lands, of which days before ``first_date`` are not looked at. ``settings`` are those
    of ``[training]``. ``spark`` starts the session, once the feeds were listed.
    """
    landed, errors = sample.listed(case, feeds, first_date)
    yield from (_fault(f"raw {feed}", error) for feed, error in errors.items())
    session = spark()
    first_rows: dict[str, sample.FirstRows] = {}
    for feed, days in landed.items():
        try:
            first_rows[feed] = sample.read(session, case, days)
            found = sample.checked(session, case, first_rows[feed])
        except DaystoneError as error:
            errors[feed] = error
            yield _fault(f"raw {feed}", error)
        else:
            yield Tried(f"raw {feed}", found)
    yield from _engineer(session, case, first_rows, errors.keys())
    yield tried_estimator(case, settings)


def _engineer(
    spark: SparkSession, case: UseCase, first_rows: Mapping[str, sample.FirstRows], faulty: Collection[str]
) -> Iterator[Tried]:
    needed = case.history_feeds
    if missing := [feed for feed in needed if feed in faulty]:
        yield Tried("engineer", f"not tried, as it reads {', '.join(missing)}", skipped=True)
        return
    if not first_rows[case.rows].table.num_rows:
        yield Tried("engineer", f"not tried, as the newest days of {case.rows} have no rows", skipped=True)
        return
    for check in engineering.Trial(spark, case, first_rows).checks():
        try:
            yield Tried("engineer", check())
        except DaystoneError as error:
            yield _fault("engineer", error)


def tried_estimator(case: UseCase, settings: Mapping[str, Any]) -> Tried:
    """Whether the model of the use case's estimator could be carried."""
    try:
        with of_their_code(case, "estimator", "an estimator that is not fitted"):
            estimator = case.estimator(settings)
        by_weight = settings["balancing"] == "class_weight"
        estimators.check(estimator, case.features, by_weight, problems.of(case.label).classes)
        if any(feature.text for feature in case.features.values()):
            estimators.pickled(estimator)
            return Tried("estimator", f"a {type(estimator).__name__}, which can be carried as a pickle")
    except DaystoneError as error:
        return _fault("estimator", error)
    return Tried("estimator", f"a {type(estimator).__name__}, which can be carried as ONNX")


def _fault(what: str, error: DaystoneError) -> Tried:
    return Tried(what, str(error), error)
