"""The calendar of trainings."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.config.sections import CADENCES
from tasks.graph.cadence import candidates, first_training, on_cadence, window

FIRST = date(2026, 1, 1)
dates = st.dates(date(2020, 1, 1), date(2030, 1, 1))


def test_the_window_of_a_training_ends_a_delay_before_it() -> None:
    assert window(date(2026, 2, 23), window_days=28, label_delay_days=21) == (date(2026, 1, 5), date(2026, 2, 1))


def test_without_a_delay_the_window_ends_the_day_before() -> None:
    assert window(date(2026, 2, 2), window_days=1, label_delay_days=0) == (date(2026, 2, 1), date(2026, 2, 1))


@pytest.mark.parametrize(
    ("cadence", "first"),
    [("daily", date(2026, 2, 19)), ("weekly", date(2026, 2, 23)), ("monthly", date(2026, 3, 1))],
)
def test_the_first_training_is_the_first_cadence_date_whose_window_lies_within_the_data(
    cadence: str, first: date
) -> None:
    assert first_training(cadence, FIRST, 28, 21) == first
    assert candidates(cadence, first, FIRST, 28, 21, at_most=8) == [first]
    assert candidates(cadence, first - timedelta(days=1), FIRST, 28, 21, at_most=8) == []


def test_the_first_training_may_be_the_first_possible_day() -> None:
    assert first_training("weekly", date(2026, 1, 5), 28, 21) == date(2026, 2, 23)
    assert window(date(2026, 2, 23), 28, 21)[0] == date(2026, 1, 5)


@pytest.mark.parametrize(
    ("cadence", "expected"),
    [
        ("daily", [date(2026, 5, 4), date(2026, 5, 3), date(2026, 5, 2)]),
        ("weekly", [date(2026, 5, 4), date(2026, 4, 27), date(2026, 4, 20)]),
        ("monthly", [date(2026, 5, 1), date(2026, 4, 1), date(2026, 3, 1)]),
    ],
)
def test_candidates_are_the_newest_first_at_most_so_many_the_day_itself_among_them(
    cadence: str, expected: list[date]
) -> None:
    assert candidates(cadence, date(2026, 5, 4), FIRST, 28, 21, at_most=3) == expected


@given(cadence=st.sampled_from(CADENCES), day=dates, first=dates, days=st.integers(1, 90), delay=st.integers(0, 60))
def test_every_candidate_is_on_cadence_not_later_than_the_day_and_looks_at_no_row_before_the_data(
    cadence: str, day: date, first: date, days: int, delay: int
) -> None:
    found = candidates(cadence, day, first, days, delay, at_most=8)

    assert len(found) <= 8
    assert found == sorted(found, reverse=True)
    for candidate in found:
        begin, end = window(candidate, days, delay)
        assert on_cadence(cadence, candidate)
        assert first <= begin <= end < candidate <= day
        assert (end - begin).days + 1 == days
