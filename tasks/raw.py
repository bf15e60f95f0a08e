"""Raw days: what others land, one feed and day at a time."""

from __future__ import annotations

import luigi

from tasks.stage import Dated
from tasks.targets import RawTarget


class RawPartition(Dated, luigi.ExternalTask):
    """A landed day of a feed. Nothing here builds it: it is complete once its flag is there."""

    feed: str = luigi.Parameter(positional=False, description="a feed of the use case")

    def output(self) -> RawTarget:
        return RawTarget(self.settings.feed(self.lake, self.feed), self.date)

    def complete(self) -> bool:
        return self.output().exists()


@RawPartition.event_handler(luigi.Event.DEPENDENCY_MISSING)
def _say_what_is_awaited(task: RawPartition) -> None:
    """Luigi itself only warns that some data do not exist, and ends with a summary."""
    task.refuse(task.settings.feed(task.lake, task.feed).waiting(task.date))
