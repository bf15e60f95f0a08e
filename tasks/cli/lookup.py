"""Looks up an entity at a target: puts the look-up together from the configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from spark_lib import lookups
from spark_lib.errors import NoScore
from spark_lib.lookups import Answer, Lookups, Released
from spark_lib.plain import in_a_line, plain
from spark_lib.targets import Score
from spark_lib.use_case.keys import names
from tasks.cli.place import Place


def today() -> date:
    """The day in UTC, from which the age of a score is measured where no other day is given."""
    return datetime.now(UTC).date()


def at(place: Place, target: str, newest: Callable[[], Released | None] | None = None) -> Lookups:
    """What looks up entities at a target, by ``[lookup]``. ``newest`` gives the newest released model; without it the lake
    is asked where a prior is needed. Raises ConfigurationError for a target that is not configured."""
    values = place.settings.lookup
    fallback = lookups.declared(
        place.settings.problem,
        values.fallback,
        newest or (lambda: lookups.newest_card(place.partitions)),
        place.settings.said_by("lookup", "fallback"),
    )
    lake = place.settings.name_of_lake(place.partitions.root)
    found = place.settings.target(target)
    return Lookups(found, lake, place.use_case, place.case, fallback, values.max_age_days)


@dataclass(frozen=True)
class Found:
    """What is known of an entity, and its serving features where they were asked for; None where it has none."""

    answer: Answer
    target: str
    features: Score | None = None
    has_features: bool = False

    def document(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        found = self.answer.document()
        if self.has_features:
            found["serving_features"] = (
                None
                if self.features is None
                else {
                    "date": str(self.features.date),
                    "run": self.features.run,
                    "values": plain(dict(self.features.values)),
                }
            )
        return found

    def lines(self) -> Iterator[str]:
        """All of it for a person."""
        answer = self.answer
        said: dict[str, Any] = {**answer.entity, "kind": _kind(answer), **answer.values}
        if answer.kind == "score":
            said |= {"date": f"{answer.date}{' (stale)' if answer.is_stale else ''}", "run": answer.run}
        if answer.model_date is not None:
            said["model"] = f"{answer.model_date} {answer.model_digest}".rstrip()
        yield from _aligned(said)
        if self.has_features:
            yield ""
            if self.features is None:
                yield "serving features: none"
            else:
                yield f"serving features of {self.features.date}"
                yield from _aligned(self.features.values)

    def require(self) -> None:
        """Raise NoScore where nothing is known of the entity."""
        if self.answer.kind != "none":
            return
        who = ", ".join(f"{name} {in_a_line(value)}" for name, value in self.answer.entity.items())
        raise NoScore(
            f"{who} at {self.target}",
            "a published score, or a fallback",
            "neither",
            "check the entity, publish the day that has it, or declare [lookup] fallback",
        )


def find(place: Place, target: str, entity: str, on: date | None, has_features: bool) -> Found:
    """What is known of an entity, as a person writes it. Raises UnknownEntity, and what the target raises."""
    looking = at(place, target)
    asked = looking.parsed(entity)
    answer = looking.of(asked, on or today())
    features = looking.serving_features(asked) if has_features else None
    return Found(answer, target, features, has_features)


def holds_nothing(place: Place, target: str) -> str:
    """A warning where a target holds no day of the predictions, so that every entity is without a score; else empty."""
    looking = at(place, target)
    if looking.target.published(looking.series, date.min, date.max):
        return ""
    return f"{target} holds no day of {looking.series}: publish one (daystone publish), or correct [lake] name"


class Scores:
    """Scores for the REST service, on the day of each request."""

    def __init__(self, looking: Lookups) -> None:
        self._looking = looking
        #: The columns of an entity.
        self.columns = names(looking.case.entity_or_key)

    def of(self, entity: str) -> Mapping[str, Any] | None:
        answer = self._looking.of(self._looking.parsed(entity), today())
        return None if answer.kind == "none" else answer.document()


def _kind(answer: Answer) -> str:
    if answer.kind != "fallback":
        return answer.kind
    return "fallback, the prior of the model" if answer.model_date else "fallback, a fixed value"


def _aligned(values: Mapping[str, Any]) -> Iterator[str]:
    width = max(map(len, values), default=0)
    for name, value in values.items():
        yield f"{in_a_line(name).ljust(width)}  {in_a_line(value)}".rstrip()
