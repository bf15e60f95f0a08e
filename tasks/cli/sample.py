"""Sample data for the use case that ships, landed where its feeds land by default."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from datetime import date, timedelta

from spark_lib.errors import ConfigurationError
from spark_lib.lake import Lake, RawFeed
from spark_lib.use_case import loading
from tasks.config import resolve
from tasks.config.settings import Settings
from tasks.config.shown import without_password
from tasks.graph import cadence

USE_CASE = "credit_risk"


def write(root: str, first: date, days: int, rows_per_day: int, seed: int, on_day: Callable[[date], None]) -> str:
    """Land the sample days, call ``on_day`` after each, and return the directory that they are in.

    Raises ConfigurationError where other data lie there and where the chain would look elsewhere, LakeError where nothing
    can be written.
    """
    from spark_lib.use_cases.credit_risk import sample

    settings = _settings()
    settings.connect()
    lake = Lake(root, USE_CASE, settings.connection)
    lake.store.probe()
    feeds = {feed: RawFeed(feed, lake.root, USE_CASE) for feed in settings.case.feeds}
    for default in feeds.values():
        _refuse_elsewhere(default, settings)
    truth = lake.store.url(f"{USE_CASE}/truth")
    sample.write(lambda feed, day: feeds[feed].directory(day), truth, first, days, rows_per_day, seed, on_day)
    return lake.store.url(f"{USE_CASE}/raw")


def next_command(root: str, first: date, days: int) -> str:
    """The command that builds the predictions of the sample's last day."""
    command = ["daystone", "run", "--date", str(_last(first, days)), "--lake-root", root]
    if resolve.default_use_case() != USE_CASE:
        command += ["--use-case", USE_CASE]
    if _settings().first_date != first:
        command += ["--set", f"pipeline.first_date={first}"]
    return shlex.join(command)


def first_training(first: date) -> date:
    """The first day that a model can be trained on, of data that begin on ``first``."""
    values = _settings().training
    return cadence.first_training(values.cadence, first, values.window_days, values.label_delay_days)


def too_short(first: date, days: int) -> bool:
    """Whether the sample ends before a model can be trained on it."""
    return _last(first, days) < first_training(first)


def _refuse_elsewhere(default: RawFeed, settings: Settings) -> None:
    """Raise ConfigurationError for a setting by which the chain would look for a feed elsewhere than the sample lands,
    and wait for it for ever."""
    values = settings.of_feed(default.name)
    for key in ("path", "format", "flag", "endpoint", "profile"):
        said, wanted = getattr(values, key), getattr(default, key, "")
        if said != wanted:
            raise ConfigurationError(
                settings.said_by("raw", key, default.name),
                f"its default, {wanted!r}, by which the sample lands"
                if wanted
                else "none, as the sample lands in the lake",
                repr(without_password(said)),
                "land a sample without this setting, as in a configuration of its own",
            )


def _last(first: date, days: int) -> date:
    return first + timedelta(days=days - 1)


def _settings() -> Settings:
    settings = Settings(USE_CASE, loading.load(USE_CASE))
    settings.check()
    return settings
