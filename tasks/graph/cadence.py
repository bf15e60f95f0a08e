"""Says which days have a training. The calendar alone decides, so a backfill chooses as the day itself would have."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.config.settings import Settings


def candidates(
    cadence: str, day: date, first: date, window_days: int, label_delay_days: int, at_most: int
) -> list[date]:
    """The cadence dates up to ``day`` whose window starts on or after ``first``, newest first."""
    earliest = first_candidate(first, window_days, label_delay_days)
    found: list[date] = []
    while day >= earliest and len(found) < at_most:
        if on_cadence(cadence, day):
            found.append(day)
        day -= timedelta(days=1)
    return found


def candidates_of(settings: Settings, day: date, at_most: int) -> list[date]:
    """The candidates of a day by the configuration, newest first."""
    values = settings.training
    return candidates(values.cadence, day, settings.first_date, values.window_days, values.label_delay_days, at_most)


def on_cadence(cadence: str, day: date) -> bool:
    """Whether a day is trained on: every day, Mondays, or the 1st of a month."""
    return {"daily": True, "weekly": day.weekday() == 0, "monthly": day.day == 1}[cadence]


def first_candidate(first: date, window_days: int, label_delay_days: int) -> date:
    """The first day whose window lies within the data."""
    return first + timedelta(days=window_days + label_delay_days)


def first_training(cadence: str, first: date, window_days: int, label_delay_days: int) -> date:
    """The first cadence date whose window lies within the data."""
    day = first_candidate(first, window_days, label_delay_days)
    while not on_cadence(cadence, day):
        day += timedelta(days=1)
    return day


def has_model(day: date, settings: Settings) -> bool:
    """Whether there can be a model in force on a day, because a training is due on it or before it."""
    values = settings.training
    first = first_training(values.cadence, settings.first_date, values.window_days, values.label_delay_days)
    return day >= first


def is_trained_on(day: date, settings: Settings) -> bool:
    """Whether a day has a training of its own."""
    return has_model(day, settings) and on_cadence(settings.training.cadence, day)


def window(day: date, window_days: int, label_delay_days: int) -> tuple[date, date]:
    """First and last landing day (inclusive) of the training set of ``day``."""
    end = day - timedelta(days=label_delay_days)
    return end - timedelta(days=window_days), end - timedelta(days=1)
