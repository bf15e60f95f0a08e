"""Raw days: what others land, one feed and day at a time."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import luigi
from luigi.retcodes import retcode

from spark_lib.errors import DaystoneError
from tasks.graph.parameters import refusal_as_exit_code
from tasks.graph.stage import Dated
from tasks.graph.staleness import RAW
from tasks.graph.targets import RawTarget


class RawPartition(Dated, luigi.ExternalTask):
    """A landed day of a feed. Nothing here builds it: it is complete once its flag is there."""

    feed: str = luigi.Parameter(positional=False, description="a feed of the use case")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        with refusal_as_exit_code():
            self.output()  # a feed that nobody declares would be awaited for ever

    @property
    def subject(self) -> str:
        return f"{RAW}{self.feed}"

    def output(self) -> RawTarget:
        return RawTarget(self.settings.feed(self.lake, self.feed), self.date)


@RawPartition.event_handler(luigi.Event.DEPENDENCY_MISSING)
def _say_what_is_awaited(task: RawPartition) -> None:
    """Log which raw day is awaited. Luigi itself only warns that some data do not exist, and ends with a summary."""
    with suppress(DaystoneError):  # Luigi also calls this where the flag cannot be read, which was reported already
        task.output().exists()
        task.refuse(task.settings.feed(task.lake, task.feed).waiting(task.date), retcode().missing_data)
