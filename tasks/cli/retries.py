"""Repeats a run whose cause of failure may pass by itself: a bounded number of times, with growing and drawn pauses."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from spark_lib import errors
from spark_lib.errors import DaystoneError
from tasks.cli import exits
from tasks.config import check, sections

Result = TypeVar("Result")

SCHEDULER, STORE = check.RETRIED
#: The cause that an error is of, which ``[retries] on`` can name; empty for those that a person has to act on, or that
#: another option waits for. An error of the store is repeated only where it ``may_pass``: permission is not granted by
#: itself. A new class of error has to be added here: a test compares the table with all of them.
CAUSES: dict[type[DaystoneError], str] = {
    exits.SchedulerUnreachable: SCHEDULER,
    errors.LakeError: STORE,
    errors.PublishError: STORE,
    exits.RunByAnother: "",  # the other process builds it, and a repetition would build nothing
    exits.NotRun: "",
    errors.WaitingForData: "",  # --wait waits for it, and goes on as soon as it has landed
    errors.NotPublished: "",
    errors.ConfigurationError: "",
    errors.UnknownEntity: "",
    errors.HoleInHistory: "",
    errors.BadData: "",
    errors.NoApprovedModel: "",
    errors.DamagedPartition: "",
    errors.UseCaseError: "",
    errors.ModelError: "",
    errors.JavaMissing: "",
    errors.StalePartition: "",
    errors.NotConfirmed: "",
    errors.NothingToDecide: "",
    errors.NotReleased: "",
    errors.QueryError: "",
    errors.NoScore: "",
    errors.PromotionRefused: "",
    errors.NothingToEvaluate: "",
    errors.BelowBound: "",
    errors.TrackingUnavailable: "",  # a run goes on without it, and `track` catches up
    errors.AliasRefused: "",
    errors.RegistryUnavailable: "",
    errors.ImageError: "",
    errors.NotNotified: "",
    errors.ScheduleError: "",
    DaystoneError: "",  # nobody knows what it was
}
#: The shortest and the longest pause, as shares of the mean one: so that many runs do not come back at once.
_DRAWN = (0.5, 1.5)


def cause_of(error: DaystoneError) -> str:
    """The cause that ``[retries] on`` can name; empty where a repetition is of no use."""
    cause = next((CAUSES[kind] for kind in type(error).__mro__ if kind in CAUSES), "")
    return cause if cause != STORE or error.may_pass else ""


def repeated(run: Callable[[], Result], values: sections.retries, say: Callable[[str], None]) -> Result:
    """Run, and run again where it raises an error whose cause may pass: at most ``[retries] count`` times. ``say`` is told of
    each repetition. Raises what the last run raises."""
    on = check.names_of(values.on) or check.RETRIED
    for number in range(1, values.count + 1):
        try:
            return run()
        except DaystoneError as error:
            cause = cause_of(error)
            if cause not in on:
                raise
            seconds = pause(number, values.delay_seconds)
            say(f"{cause}: {error}")
            say(f"repeated in {seconds:.0f} s ({number} of {values.count} repetitions)")
        time.sleep(seconds)
    return run()


def pause(number: int, mean_seconds: float) -> float:
    """Seconds before the ``number``-th repetition: on average twice those before the one before it, and never more than an
    hour and a half."""
    doubled = min(float(mean_seconds * 2 ** (number - 1)), float(check.MOST_DELAY))
    return doubled * random.uniform(*_DRAWN)  # noqa: S311  (no secret)
