"""Look-ups of entities at a target that is in memory: the fallback, the mark of stale scores, and what is no entity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest

import spark_lib
from spark_lib import Feature, Feed, Label, UseCase
from spark_lib.errors import ConfigurationError, UnknownEntity
from spark_lib.lake import Lake, normalise_root
from spark_lib.lookups import Answer, Fallback, Lookups, newest_card
from spark_lib.targets import Score, Series
from tests.unit.rest.served import CASE, DAY, NEXT_DAY, Case, Served

USE_CASE = "tests.unit.rest.served:Case"


class Visits(UseCase):
    """A use case whose entity has two columns."""

    feeds = {"visits": Feed("`visit no` BIGINT, shop INT, customer STRING, sold STRING", key="visit no")}
    rows = "visits"
    entity = ("shop", "customer")
    label = Label(feed="visits", key="visit no", column="sold", positive="yes", allowed=("yes", "no"))
    features = {"shop": Feature("INT")}
    settings = {"training.label_delay_days": 0}


@dataclass
class Memory:
    """A target that answers look-ups alone."""

    scores: Mapping[tuple[Any, ...], Score] = field(default_factory=dict)
    asked: list[Series] = field(default_factory=list)

    def lookup(self, series: Series, entity: Mapping[str, Any]) -> Score | None:
        self.asked.append(series)
        return self.scores.get(tuple(entity.values()))


SCORE = Score(
    {"visit no": 7, "shop": 3, "customer": "C1", "score": 0.5, "model_date": date(2026, 2, 23), "model_digest": "abc"},
    "run 1",
    date(2026, 2, 23),
    date(2026, 3, 1),
)


def lookups(**more: Any) -> Lookups:
    return Lookups(Memory({(3, "C1"): SCORE, ("3", "C1"): SCORE}), "lake", "visits", Visits(), **more)  # type: ignore[arg-type]  # look-ups alone


def test_a_score_has_its_day_its_run_and_its_model() -> None:
    found = lookups().of({"customer": "C1", "shop": 3})

    assert found == Answer(
        {"shop": 3, "customer": "C1"},
        "score",
        {"visit no": 7, "score": 0.5},
        "run 1",
        model_digest="abc",
        model_date=date(2026, 2, 23),
        date=date(2026, 3, 1),
    )


@pytest.mark.parametrize(
    ("max_age", "on", "is_stale"),
    [
        (None, None, False),
        (1, date(2026, 3, 2), False),
        (1, date(2026, 3, 3), True),
        (0, date(2026, 3, 1), False),
        (0, date(2026, 3, 2), True),
        (1, date(2026, 2, 1), False),
    ],
)
def test_a_score_is_stale_once_it_is_more_days_old_than_it_may_be(max_age: int, on: date, is_stale: bool) -> None:
    assert lookups(max_age_days=max_age).of({"customer": "C1", "shop": 3}, on).is_stale == is_stale


def test_without_a_day_no_age_can_be_told() -> None:
    with pytest.raises(ConfigurationError) as caught:
        lookups(max_age_days=1).of({"customer": "C1", "shop": 3})

    assert str(caught.value) == (
        "look-up of visits: wanted the day that ages are measured from; found none. Next: give the day: on=DAY"
    )


def test_without_a_score_the_fallback_is_marked_and_never_stale() -> None:
    instead = Fallback({"score": 0.1}, date(2026, 2, 23), "abc")

    with_one = lookups(fallback=lambda: instead, max_age_days=0).of({"shop": 4, "customer": "C1"}, date(2030, 1, 1))
    without = lookups().of({"shop": 4, "customer": "C1"})

    entity = {"shop": 4, "customer": "C1"}
    assert with_one == Answer(entity, "fallback", {"score": 0.1}, model_digest="abc", model_date=date(2026, 2, 23))
    assert without == Answer(entity, "none")


@pytest.mark.parametrize("text", ["shop=3,customer=C1", "customer=C1, shop=3", '{"shop": 3, "customer": "C1"}'])
def test_an_entity_of_several_columns_is_written_by_its_columns(text: str) -> None:
    looking = lookups()

    assert looking.of(looking.parsed(text)).kind == "score"


def test_a_value_with_a_comma_is_written_as_json() -> None:
    assert lookups().parsed('{"shop": 3, "customer": "C,1=2"}') == {"shop": 3, "customer": "C,1=2"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "shop=3,custmer=C1",
            "wanted the entity's columns: shop, customer; found 'custmer' (did you mean 'customer'?)",
        ),
        ("shop=3", "wanted a value of each of shop, customer; found none of customer"),
        ("C1", "wanted a value of each of shop, customer; found one value"),
        ("shop=three,customer=C1", "wanted a value of the type int for shop; found 'three'"),
        ("shop=3000000000,customer=C1", "wanted a value of the type int for shop; found '3000000000'"),
        ("shop=3,customer=C\0", "wanted a value of the type string for customer; found 'C\\\\x00'"),
        ('{"shop": null, "customer": "C1"}', "wanted a value of each of shop, customer; found none of shop"),
        ('{"shop": 3, "customer": "\\ud800"}', "wanted a value of the type string for customer; found '?'"),
        ("{shop", "wanted an object of JSON; found another text"),
    ],
)
def test_what_is_no_entity_is_refused_by_its_column(text: str, words: str) -> None:
    looking = lookups()

    with pytest.raises(UnknownEntity) as caught:
        looking.of(looking.parsed(text))

    assert str(caught.value).startswith(f"look-up of visits: {words}. Next: ")


def test_an_entity_of_one_column_may_be_any_text() -> None:
    looking = Lookups(Memory(), "lake", "case", Case())  # type: ignore[arg-type]  # look-ups alone

    assert looking.parsed("a=b,c") == {"id": "a=b,c"}
    assert looking.parsed("id=7") == {"id": "7"}
    assert looking.parsed('{"id": 7}') == {"id": '{"id": 7}'}


def test_the_prior_is_that_of_the_newest_released_model_and_not_of_a_newer_one_that_is_held(tmp_path: Any) -> None:
    lake = Lake(str(tmp_path / "lake"), CASE)
    served = Served(lake)
    served.release(served.score(DAY, served.train(DAY, sides={"train": {"positive": 1, "negative": 3}})))
    newer = served.train(NEXT_DAY, 1, {"train": {"positive": 3, "negative": 1}})
    served.release(served.score(NEXT_DAY, newer), held=True)
    target = Memory()

    found = spark_lib.lookup(lake.root, USE_CASE, target, "nobody", fallback="prior")  # type: ignore[arg-type]  # look-ups alone

    assert (found.kind, found.values, found.model_date) == ("fallback", {"score": 0.25}, DAY)
    assert target.asked == [Series(normalise_root(lake.root), CASE, "predictions")]


def test_a_lake_without_a_released_day_has_no_prior(tmp_path: Any) -> None:
    lake = Lake(str(tmp_path / "lake"), CASE)

    assert newest_card(lake) is None
    assert spark_lib.lookup(lake.root, USE_CASE, Memory(), "nobody", fallback="prior").kind == "none"  # type: ignore[arg-type]  # look-ups alone


def test_the_name_of_a_lake_is_that_which_the_target_knows(tmp_path: Any) -> None:
    target = Memory({("7",): SCORE})

    found = spark_lib.lookup(str(tmp_path), USE_CASE, target, "7", lake_name="production")  # type: ignore[arg-type]  # look-ups alone

    assert found.kind == "score"
    assert target.asked == [Series("production", CASE, "predictions")]
