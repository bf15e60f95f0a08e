"""The arguments and options of verbs: days, stages, and the options of every verb that touches a lake."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from spark_lib.errors import did_you_mean
from tasks.backfill.waiting import seconds_of
from tasks.config import check, resolve
from tasks.config.shown import without_password
from tasks.planning.chain import NAMES, known, named

if TYPE_CHECKING:
    from tasks.graph.stage import Stage

#: The word for the last landing day that is over, for commands that are run every day.
YESTERDAY = "yesterday"
Verb = TypeVar("Verb", bound=Callable[..., Any])


class Day(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only: click 8.1 will do
    """A landing day, in UTC; ``yesterday`` is the last one that is over."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if value == YESTERDAY:
            return datetime.now(UTC).date() - timedelta(days=1)
        try:
            day = value if isinstance(value, date) else date.fromisoformat(value)
        except ValueError:
            self.fail(f"wanted a day like 2026-11-20; found {value!r}", param, ctx)
        if wanted := check.wrong_day(day):
            self.fail(f"wanted {wanted}; found {value!r}", param, ctx)
        return day


class Days(Day):
    """The days from the first to the last, written ``FROM..TO``."""

    name = "days"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[date, date]:  # type: ignore[override]  # two days for one
        first, dots, last = str(value).partition("..")
        if not dots:
            self.fail(f"wanted two days like 2026-01-01..2026-03-31; found {value!r}", param, ctx)
        return super().convert(first, param, ctx), super().convert(last, param, ctx)


class Wait(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only: click 8.1 will do
    """How long to wait for raw days, in seconds, written like ``4h``, ``90m`` or ``30s``."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        seconds = seconds_of(str(value))
        if seconds is None:
            self.fail(f"wanted a time like 4h, 90m or 30s; found {value!r}", param, ctx)
        return seconds


class Words(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only: click 8.1 will do
    """A text for people, which is not blank."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        words = " ".join(str(value).split())
        if not words:
            self.fail("wanted a reason in words; found none", param, ctx)
        return words


def of_a_wait(verb: Verb) -> Verb:
    """The option of verbs that can wait for raw days."""
    return click.option(
        "--wait",
        type=Wait(),
        default=0.0,
        show_default="not at all",
        metavar="TIME",
        help="Wait so long for raw days that are late, as in 4h, 90m or 30s.",
    )(verb)


def of_targets(verb: Verb) -> Verb:
    """The option of verbs about targets of publication."""
    return click.option(
        "--target",
        multiple=True,
        show_default="[publication] targets",
        metavar="NAME",
        help="A target, as in [target.NAME]. Repeatable.",
    )(verb)


class StageOrDataset(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only: click 8.1 will do
    """A stage, by the name of its class or of its dataset."""

    name = "stage"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> type[Stage]:
        if not isinstance(value, str):
            stage: type[Stage] = value
            return stage
        found = named(value)
        if found is None:
            self.fail(f"no stage or dataset {value!r}{did_you_mean(value, known())}; there are {NAMES}", param, ctx)
        return found


class StageOrPublication(StageOrDataset):
    """A stage, or the publication of a day, which is None."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> type[Stage] | None:  # type: ignore[override]  # one more
        return None if value in ("publication", "Publication") else super().convert(value, param, ctx)


def of_a_lake(verb: Verb) -> Verb:
    """The options of every verb that touches a lake. They outrank all files, as on Luigi's own command line."""
    for option in (
        click.option(
            "--set", multiple=True, metavar="SECTION.KEY=VALUE", expose_value=False, callback=_give,
            help="Any value of the configuration, as in --set training.cadence=daily. Repeatable.",
        ),
        click.option(
            "--use-case", metavar="NAME", expose_value=False, callback=lambda *given: _give_one("pipeline.use_case", *given),
            help="A shipped one or module:Class; outranks [pipeline] use_case.",
        ),
        click.option(
            "--lake-root", metavar="DIR", expose_value=False, callback=lambda *given: _give_one("lake.root", *given),
            help="Where the lake is; outranks [lake] root.",
        ),
    ):  # fmt: skip
        verb = option(verb)
    return verb


def _give(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> None:
    for text in values:
        name, equals, value = text.partition("=")
        section, dot, key = name.strip().rpartition(".")
        if not (equals and dot and section and key):
            raise click.BadParameter(
                f"wanted section.key=value, as in training.cadence=daily; found {_bare(text)!r}", ctx, param
            )
        resolve.give(section, key, value.strip())


def _bare(text: str) -> str:
    """What was given, up to a value of JSON, which may be a secret."""
    return without_password(text.partition("{")[0])


def _give_one(name: str, ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        section, key = name.split(".")
        resolve.give(section, key, value)
