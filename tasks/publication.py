"""Puts a day of the lake where products read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

import luigi

from spark_lib.errors import DaystoneError, PublishError
from spark_lib.use_case import loading
from tasks.config import targets
from tasks.graph.log import logger
from tasks.graph.parameters import refusal_as_exit_code
from tasks.graph.stage import Dated, Stage
from tasks.release import Release
from tasks.serving import ServingFeatures

if TYPE_CHECKING:
    from spark_lib.lake import Partition
    from spark_lib.targets import Series, Target

#: What can be published, and the stage that says which run of a day that is.
SOURCES: dict[str, type[Stage]] = {"predictions": Release, "serving_features": ServingFeatures}


class Publication(Dated):
    """Publishes a day to a target: the predictions that are in force, or the serving features.

    It is no dataset of the lake, which claims nothing of what a database may have lost. It is complete when what it
    requires is, and the target and its ledger hold the run that is in force. Where nothing is in force, it fails and says
    why.
    """

    target: str = luigi.Parameter(description="the name of a target, as in [target.NAME]")
    dataset: str = luigi.ChoiceParameter(
        choices=list(SOURCES),
        default="predictions",
        positional=False,
        description="what is published: predictions (the default) or serving_features",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        with refusal_as_exit_code():
            targets.kind_of(self.target)
            _ = self.series  # raises for a name of the lake that is another lake's

    @property
    def subject(self) -> str:
        return f"{self.dataset} at {self.target}"

    @property
    def series(self) -> Series:
        """What targets call the days of this dataset in this lake."""
        from spark_lib.targets import Series

        return Series(self.settings.name_of_lake(self.lake), loading.directory(self.use_case), self.dataset)

    def requires(self) -> Stage:
        required: Stage = self.clone(SOURCES[self.dataset])
        return required

    def complete(self) -> bool:
        """Whether what is required is complete, and the target holds the run in force. A target that cannot be asked holds
        nothing: the run then fails and says why."""
        with self.refusal_said():
            source = self.requires()
            if not source.complete():
                return False
            wanted = self.runs(self.date, self.date).get(self.date)
        if wanted is None:
            return False
        try:
            return self.published(self.date, self.date).get(self.date) == wanted
        except DaystoneError as error:
            logger.warning("%s of %s cannot be looked up at %s: %s", self.dataset, self.date, self.target, error)
            return False

    @classmethod
    def bulk_complete(cls, parameter_tuples: Iterable[date]) -> list[date]:
        """The complete days among many: by the listings that their stage needs, one more, and one question to the
        target."""
        days = list(parameter_tuples)
        if not days:
            return []
        task = cls(date=days[0])  # Luigi's ranges bind the other parameters first
        first, last = min(days), max(days)
        with task.refusal_said():
            source = task.requires()
            complete = source.complete_among(source.partitions.find(source.dataset, first, last), days)
            wanted = task.runs(first, last)
            held = task.published(first, last) if complete else {}
        return [day for day in complete if day in wanted and held.get(day) == wanted[day]]

    def run(self) -> None:
        published = self.publish([self.date])
        self.progress(100, f"{self.dataset}: {published[self.date]:,} rows at {self.target}")

    def publish(self, days: Iterable[date]) -> dict[date, int]:
        """Make days visible, oldest first, over one connection of the target, and return their numbers of rows. What they
        require has to be complete.

        Raises what the target raises, NotReleased where nothing is in force, and PublishError where the target does not
        hold a day afterwards. A day that somebody takes out of force meanwhile is taken back.
        """
        from spark_lib.stages import publication

        lake = self.requires().partitions
        found = {day: publication.partition(lake, self.dataset, day) for day in sorted(days)}
        wider = (
            publication.Wider(**targets.columns_of(self.target))
            if self.dataset == "predictions"
            else publication.Wider()
        )
        self.at_target.publish([publication.day(self.case, self.series, each, lake, wider) for each in found.values()])
        self._check_in_force(found)
        self._check_held(found)
        return {day: each.manifest.rows() for day, each in found.items()}

    def _check_in_force(self, found: Mapping[date, Partition]) -> None:
        """Raise PublishError where a day that was just published is not in force any more. One of which nothing is in force
        is taken back."""
        first, last = min(found), max(found)
        source = self.requires()
        in_force = self.runs(first, last)
        complete = source.complete_among(source.partitions.find(source.dataset, first, last), found)
        for day, each in found.items():
            if in_force.get(day) == each.manifest.run and day in complete:
                continue
            if day not in in_force:
                self.at_target.withdraw(self.series, day)
            raise PublishError(
                f"{self.dataset} of {day} at {self.target}",
                f"run {each.manifest.run} to be in force until it is published",
                "another decision or another run meanwhile" + ("" if day in in_force else "; the day was taken back"),
                "run again: then the run that is in force is published",
            )

    def _check_held(self, found: Mapping[date, Partition]) -> None:
        """Raise PublishError where the target does not hold a day that was just published."""
        held = self.published(min(found), max(found))
        for day, each in found.items():
            if held.get(day) != each.manifest.run:
                raise PublishError(
                    f"{self.dataset} of {day} at {self.target}",
                    f"run {each.manifest.run}, which was just published",
                    f"run {held[day]}" if day in held else "none",
                    "look who else publishes or removes days there, then run again",
                )

    def runs(self, first: date, last: date) -> dict[date, str]:
        """The run of each day of ``[first, last]`` that is in force."""
        from spark_lib.stages import publication

        return publication.runs(self.requires().partitions, self.dataset, first, last)

    def published(self, first: date, last: date) -> dict[date, str]:
        """The run of each day of ``[first, last]`` that the target holds. Its server is asked."""
        return self.at_target.published(self.series, first, last)

    @cached_property
    def at_target(self) -> Target:
        """The target itself. Raises ConfigurationError."""
        return self.settings.target(self.target)
