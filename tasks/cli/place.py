"""Where a verb of ``daystone`` looks: the use case and the lake that the configuration names; and how it writes a page."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from spark_lib.errors import ConfigurationError
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


def write_whole(file: Path, text: str, where: str) -> None:
    """Write a page into a file, which is there whole or not at all. Raises ConfigurationError, naming ``where``, for one
    that cannot be written."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(file)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise ConfigurationError(
            where, "a file that can be written", f"{error.strerror}", "name another place"
        ) from error


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
