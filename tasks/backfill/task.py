"""The task of Luigi that builds a range of days.

luigi --module tasks Backfill --start 2026-01-01 --stop 2026-02-01 --of BatchInference
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any

import luigi
from luigi.retcodes import retcode

from spark_lib.errors import ConfigurationError, DaystoneError, did_you_mean
from tasks.backfill.waiting import Patience, seconds_of
from tasks.config import resolve
from tasks.graph.log import logger, say_why
from tasks.graph.parameters import DayParameter, LakeParameter, UseCaseParameter, refusal_as_exit_code
from tasks.graph.stage import Stage, explained
from tasks.planning import jobs
from tasks.planning.chain import NAMES, known, named
from tasks.planning.jobs import Cut, Order

if TYPE_CHECKING:
    from tasks.backfill.builder import Watcher


class Backfill(luigi.Task):
    """Builds the missing days of a stage from ``start`` on and before ``stop``, in this process.

    ``of`` is a stage or its dataset; left out, all stages that the chain asks for on these days. A day that fails does
    not stop the others. The task fails at its end where a day is not there.
    """

    start: date = DayParameter(option="--start", description="the first day, UTC")
    stop: date = DayParameter(option="--stop", description="the day after the last")
    of: str = luigi.Parameter(default="", description="a stage or its dataset; default: all that the chain asks for")
    order: str = luigi.ChoiceParameter(
        choices=[order.value for order in Order],
        default=Order.OLDEST.value,
        significant=False,
        description="which days come first: oldest (the default) or newest",
    )
    max_days_per_job: int = luigi.IntParameter(
        default=jobs.MOST_DAYS,
        significant=False,
        description=f"greatest number of calendar days that one job spans; default: {jobs.MOST_DAYS}",
    )
    wait: str = luigi.Parameter(
        default="0s", significant=False, description="how long to wait for raw days that are late, like 4h; default: 0s"
    )
    use_case: str = UseCaseParameter(positional=False, description="a shipped use case or module:Class")
    lake: str = LakeParameter(positional=False, description="the root of the lake")
    #: Shows the backfill to a person; None where nobody looks on.
    watcher: Watcher | None = None
    #: Why the run has failed; None where it has not.
    error: DaystoneError | None = None
    #: Is told of each job and each wait, besides the log and the scheduler's page.
    say: Callable[[str], None] = staticmethod(lambda words: None)

    @classmethod
    def get_param_values(cls, params: Any, args: Any, kwargs: Any) -> Any:
        with refusal_as_exit_code():
            if "use_case" not in kwargs:
                kwargs = kwargs | {"use_case": resolve.default_use_case()}
            if "lake" not in kwargs:
                kwargs = kwargs | {"lake": resolve.default_lake()}
            return super().get_param_values(params, args, kwargs)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        with refusal_as_exit_code():
            if self.start >= self.stop:
                raise ConfigurationError(
                    "Backfill",
                    f"a --stop (exclusive) after --start {self.start}",
                    f"{self.stop}",
                    "correct one of them",
                )
            if self.max_days_per_job < 1:
                raise ConfigurationError(
                    "Backfill", "--max-days-per-job of at least 1", f"{self.max_days_per_job}", "correct it"
                )
            self._seconds = seconds_of(self.wait)
            if self._seconds is None:
                raise ConfigurationError(
                    "Backfill", "--wait to be a time like 4h, 90m or 30s", repr(self.wait), "correct it"
                )
            from tasks.backfill.builder import Asked, Builder  # only a backfill needs the plan

            asked = Asked(
                self.start,
                self.stop - date.resolution,
                stage_named(self.of) if self.of else None,
                Order(self.order),
                Cut(self.max_days_per_job),
                {"use_case": self.use_case, "lake": self.lake},
            )
            self.builder = Builder(asked, self.show)
            if asked.last < self.builder.first_date:
                raise ConfigurationError(
                    f"backfill of {asked.first} to {asked.last}",
                    f"a day from [pipeline] first_date on, {self.builder.first_date}",
                    "earlier ones alone",
                    "ask for later days, or set [pipeline] first_date",
                )

    def complete(self) -> bool:
        """Whether all that is asked for is there. What is damaged is not: the run reports it."""
        return self.builder.is_complete()

    def run(self) -> None:
        self.builder.look()
        patience = Patience(self._seconds, self.show) if self._seconds else None
        try:
            self.builder.run(self.watcher, patience)
        except KeyboardInterrupt:
            logger.warning(
                "stopped: %d partitions remain; run it again, and it goes on", len(self.builder.report.remains)
            )
            raise
        errors = self.builder.reasons()
        for error in errors[1:]:
            logger.warning(str(error))
        if errors:
            raise errors[0]

    def stages_asked(self) -> list[Stage]:
        """The stages whose stale days this may rebuild."""
        return self.builder.stages_asked()

    def on_failure(self, exception: BaseException) -> str:
        """The explanation that Luigi passes on: one line where the error is ours, else the traceback."""
        explanation = str(exception) if isinstance(exception, DaystoneError) else super().on_failure(exception)
        self.error = explained(f"backfill of {self.start} to {self.stop - date.resolution}", exception)
        say_why(retcode().task_failed, f"{self.task_family} of {self.start} to {self.stop}: {self.error}")
        return str(explanation)

    def show(self, words: str) -> None:
        """Show on the scheduler's page which days the job has that runs now, or what is waited for."""
        logger.info(words)
        self.say(words)
        if self.set_status_message is not None:
            self.set_status_message(words)


def stage_named(name: str) -> type[Stage]:
    """A stage by the name of its class or of its dataset. Raises ConfigurationError."""
    stage = named(name)
    if stage is None:
        raise ConfigurationError(
            "Backfill", f"--of to be one of {NAMES}", f"{name!r}{did_you_mean(name, known())}", "correct it"
        )
    return stage
