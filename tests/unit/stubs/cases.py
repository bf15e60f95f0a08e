"""Use cases of declarations alone: what planning needs, and no Spark."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from spark_lib import Feature, Feed, Label, UseCase

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class Loans(UseCase):
    """History from 2026-01-01 on, weekly trainings on 7 days whose outcomes land within 2: the first on 2026-01-12."""

    feeds = {
        "events": Feed("id STRING, who STRING, at TIMESTAMP, amount DOUBLE", key="id"),
        "outcomes": Feed("id STRING, outcome STRING", key="id"),
    }
    rows = "events"
    entity = "who"
    event_time = "at"
    label = Label(feed="outcomes", key="id", column="outcome", positive="bad", allowed=("bad", "good"))
    features = {"amount": Feature("DOUBLE", fill=0.0)}
    settings = {
        "pipeline.first_date": "2026-01-01",
        "training.window_days": 7,
        "training.label_delay_days": 2,
        "training.champion_margin": 1,
    }

    def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        raise NotImplementedError


class Together(Loans):
    """Features of many days can be built by one job."""

    def engineer_days(self, days: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        raise NotImplementedError


class Contested(Loans):
    """A new model has to hold its own against the one before it."""

    settings = dict(Loans.settings) | {"training.champion_margin": 0.02}


class Known(Loans):
    """The outcome is a column of the scored feed, known when the row lands."""

    feeds = {"events": Feed("id STRING, who STRING, at TIMESTAMP, amount DOUBLE, outcome STRING", key="id")}
    label = Label(feed="events", key="id", column="outcome", positive="bad", allowed=("bad", "good"))
    settings = dict(Loans.settings) | {"training.label_delay_days": 0}


class Corrected(Known):
    """What becomes known later, or is corrected, lands in a feed of its own, on which features look back."""

    feeds = dict(Known.feeds) | {"corrections": Feed("id STRING, outcome STRING, by STRING", key="id", history=True)}
    label = Label("events", "id", "outcome", "bad", ("bad", "good"), later="corrections")
    settings = Loans.settings


class Remembered(Loans):
    """Features look back on outcomes."""

    feeds = dict(Loans.feeds) | {"outcomes": Feed("id STRING, outcome STRING", key="id", history=True)}


CLEANED = {
    "events": replace(Loans.feeds["events"], rules={"amount is positive": "amount > 0"}, unique_days=2),
    "outcomes": replace(Loans.feeds["outcomes"], rules={"outcome is known": "outcome IS NOT NULL"}),
}


class Cleaned(Contested):
    """Both feeds declare rules, and a key of an event counts once in three days."""

    feeds = CLEANED


class CleanedTogether(Together):
    """The same, of features of many days by one job."""

    feeds = CLEANED


class Cards(Loans):
    """Another use case over the same feeds."""


class Landed(Loans):
    """Features as they land."""

    engineer = UseCase.engineer


class Unfinished(Loans):
    """What several use cases of a company share, and not one yet."""

    @abstractmethod
    def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame: ...


class Asking(Loans):
    """Not made without an argument."""

    def __init__(self, country: str) -> None: ...


class Undated(Loans):
    """Nobody says when its history begins."""

    settings = {}


class Stateful(Together):
    """Features can be made from a state by entity."""

    def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        raise NotImplementedError

    def engineer_days(self, days: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        raise NotImplementedError

    def update_state(self, state: DataFrame | None, recent: Mapping[str, DataFrame]) -> DataFrame:
        raise NotImplementedError

    def engineer_from_state(
        self, day: DataFrame, state: DataFrame | None, recent: Mapping[str, DataFrame]
    ) -> DataFrame:
        raise NotImplementedError


class CleanedStateful(Stateful):
    """Features can be made from a state, and the scored feed declares rules."""

    feeds = dict(Loans.feeds) | {"events": CLEANED["events"]}
