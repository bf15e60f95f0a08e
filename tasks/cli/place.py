"""Where a verb of ``daystone`` looks: the use case and the lake that the configuration names."""

from __future__ import annotations

from dataclasses import dataclass

from spark_lib.lake import Lake, RawFeed
from spark_lib.use_case import UseCase, loading
from tasks.config import check, luigi_settings, resolve
from tasks.config.settings import Settings


@dataclass(frozen=True)
class Place:
    """A use case in a lake, with its checked configuration."""

    use_case: str
    case: UseCase
    settings: Settings
    partitions: Lake

    @property
    def feeds(self) -> dict[str, RawFeed]:
        """Every raw feed of the use case."""
        return {feed: self.settings.feed(self.partitions.root, feed) for feed in self.case.feeds}


def configured() -> Place:
    """The use case and the lake that the configuration names. Raises ConfigurationError where they cannot be used."""
    check.configuration_files()
    luigi_settings.check()
    name = loading.normalise(resolve.default_use_case())
    case = loading.load(name)
    settings = Settings(name, case)
    settings.check()
    settings.connect()
    partitions = Lake(resolve.default_lake(), loading.directory(name), settings.connection)
    return Place(name, case, settings, partitions)
