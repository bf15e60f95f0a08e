"""Sample data for the use cases that ship, landed where their feeds land by default."""

from __future__ import annotations

import importlib
import shlex
from collections.abc import Callable
from dataclasses import fields
from datetime import date, timedelta
from typing import Any

from spark_lib.errors import ConfigurationError
from spark_lib.lake import Lake, RawFeed
from spark_lib.lake.feeds.dialect import Dialect
from spark_lib.use_case import UseCase, loading
from tasks.config import check, resolve
from tasks.config.settings import Settings
from tasks.config.shown import without_password
from tasks.graph import cadence

#: The use case of a sample unless another one is named.
USE_CASE = "credit_risk"
#: The days of a sample unless a first model needs more.
USUAL_DAYS = 60


def write(
    use_case: str, root: str, first: date, days: int, rows_per_day: int, seed: int, on_day: Callable[[date], None]
) -> str:
    """Land the sample days, call ``on_day`` after each, and return the directory that they are in.

    Raises ConfigurationError where other data lie there and where the chain would look elsewhere, LakeError where nothing
    can be written.
    """
    settings = _settings(use_case)
    settings.connect()
    lake = Lake(root, use_case, settings.connection)
    lake.store.probe()
    feeds = {feed: _as_declared(settings.case, feed, lake.root, use_case) for feed in settings.case.feeds}
    for default in feeds.values():
        _refuse_elsewhere(default, settings)
    truth = lake.store.url(f"{use_case}/truth")
    _sample(use_case).write(
        lambda feed, day: feeds[feed].directory(day), truth, first, days, rows_per_day, seed, on_day
    )
    return lake.store.url(f"{use_case}/raw")


def rows(use_case: str) -> str:
    """What the rows of the scored feed are called."""
    name: str = _sample(use_case).ROWS
    return name


def enough_days(use_case: str, first: date) -> int:
    """The days of a sample from ``first`` on that a first model can be trained on."""
    return min(max(USUAL_DAYS, (first_training(use_case, first) - first).days + 1), check.MOST_DAYS)


def next_command(use_case: str, root: str, first: date, days: int) -> str:
    """The command that builds the predictions of the sample's last day."""
    command = ["daystone", "run", "--date", str(_last(first, days)), "--lake-root", root]
    if resolve.default_use_case() != use_case:
        command += ["--use-case", use_case]
    if _settings(use_case).first_date != first:
        command += ["--set", f"pipeline.first_date={first}"]
    return shlex.join(command)


def first_training(use_case: str, first: date) -> date:
    """The first day that a model can be trained on, of data that begin on ``first``."""
    values = _settings(use_case).training
    return cadence.first_training(values.cadence, first, values.window_days, values.label_delay_days)


def too_short(use_case: str, first: date, days: int) -> bool:
    """Whether the sample ends before a model can be trained on it."""
    return _last(first, days) < first_training(use_case, first)


def _as_declared(case: UseCase, feed: str, root: str, use_case: str) -> RawFeed:
    """A feed that nobody has configured: as the use case's own settings say it lands."""
    prefix = f"raw.{feed}."
    said = {key.removeprefix(prefix): value for key, value in case.settings.items() if key.startswith(prefix)}
    dialect = Dialect(**{option.name: said.pop(option.name) for option in fields(Dialect) if option.name in said})
    return RawFeed(feed, root, use_case, dialect=dialect, **said)


def _refuse_elsewhere(default: RawFeed, settings: Settings) -> None:
    """Raise ConfigurationError for a setting by which the chain would look for a feed elsewhere than the sample lands,
    and wait for it for ever, or would read it by other rules than those it is written by."""
    values = settings.of_feed(default.name)
    wanted: dict[str, Any] = {key: getattr(default, key) for key in ("path", "format", "flag")}
    wanted |= {"endpoint": "", "profile": ""}
    if default.format == "csv":
        wanted |= {option.name: getattr(default.dialect, option.name) for option in fields(Dialect)}
    for key, by_default in wanted.items():
        said = getattr(values, key)
        if said != by_default:
            raise ConfigurationError(
                settings.said_by("raw", key, default.name),
                "none, as the sample lands in the lake"
                if key in ("endpoint", "profile")
                else f"its default, {by_default!r}, by which the sample lands",
                repr(without_password(said) if isinstance(said, str) else said),
                "land a sample without this setting, as in a configuration of its own",
            )


def _last(first: date, days: int) -> date:
    return first + timedelta(days=days - 1)


def _sample(use_case: str) -> Any:
    """The module that writes the sample of a use case."""
    return importlib.import_module(f"{loading.SHIPPED}.{use_case}.sample")


def _settings(use_case: str) -> Settings:
    settings = Settings(use_case, loading.load(use_case))
    settings.check()
    return settings
