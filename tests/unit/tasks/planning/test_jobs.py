"""Jobs of a backfill: each partition once, each after what it needs, cut by days and by bytes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random

import pytest

from spark_lib.lake import days
from tasks.graph.staleness import Day
from tasks.planning.jobs import Cut, Job, Order, ordered

FIRST, LAST = date(2026, 1, 1), date(2026, 3, 1)
YEAR = days(FIRST, date(2026, 12, 31))


def of(name: str, found: list[date]) -> list[Day]:
    return [Day(name, day) for day in found]


def needs(day: Day) -> Iterator[Day]:
    """Models of Mondays on the seven days before, predictions on the day's features and the last model."""
    if day.name == "model":
        yield from (Day("features", day.date - timedelta(days=back)) for back in range(1, 8))
    if day.name == "predictions":
        yield Day("features", day.date)
        yield Day("model", day.date - timedelta(days=day.date.weekday()))


@pytest.mark.parametrize("seed", range(50))
def test_each_partition_is_in_one_job_which_comes_after_the_jobs_that_it_needs(seed: int) -> None:
    random = Random(seed)
    asked = [
        Day(name, day)
        for name in ("features", "model", "predictions")
        for day in days(FIRST, LAST)
        if (name != "model" or day.weekday() == 0) and random.random() < 0.8
    ]
    cut = Cut(random.randint(1, 40), random.randint(1, 100))

    found = ordered(
        random.sample(asked, len(asked)),
        needs,
        random.choice(list(Order)),
        together=random.choice([[], ["features"], ["features", "predictions"]]),
        size=lambda day: day.date.day,
        cut=cut,
    )

    built: list[Day] = []
    for job in found:
        assert list(job.days) == sorted(job.days)
        assert (job.days[-1] - job.days[0]).days < cut.days
        assert len(job.days) == 1 or sum(day.day for day in job.days) <= cut.bytes
        for day in job.days:
            assert {need for need in needs(Day(job.dataset, day)) if need in asked} <= set(built)
        built += of(job.dataset, list(job.days))
    assert sorted(built) == sorted(asked)


def test_days_that_share_a_job_are_cut_by_the_calendar() -> None:
    found = ordered(of("features", YEAR), needs, together=["features"], cut=Cut(days=100))

    assert [(job.days[0], job.days[-1]) for job in found] == [
        (date(2026, 1, 1), date(2026, 4, 10)),
        (date(2026, 4, 11), date(2026, 7, 19)),
        (date(2026, 7, 20), date(2026, 10, 27)),
        (date(2026, 10, 28), date(2026, 12, 31)),
    ]


def test_newest_first_begins_at_the_end_and_asks_for_what_the_newest_day_needs_before_all_others() -> None:
    asked = [*of("features", YEAR), *of("predictions", YEAR)]

    found = ordered(asked, needs, Order.NEWEST, together=["features"], cut=Cut(days=7))

    assert [str(job) for job in found[:3]] == [
        "features of 2026-12-25 to 2026-12-31 (7 days)",
        "predictions of 2026-12-31",
        "predictions of 2026-12-30",
    ]


def test_a_day_with_more_bytes_than_a_job_may_have_is_a_job_of_its_own() -> None:
    found = ordered(
        of("features", YEAR[:4]), needs, together=["features"], size=lambda day: 50 * day.date.day, cut=Cut(bytes=120)
    )

    assert found == [
        Job("features", (YEAR[0],)),
        Job("features", (YEAR[1],)),
        *(Job("features", (day,)) for day in YEAR[2:4]),
    ]
