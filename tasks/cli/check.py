"""Tries the use case that the configuration names on the first rows of its landed feeds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tasks.cli.place import Place, configured
from tasks.config import resolve
from tasks.config.sections import training
from tasks.graph import sessions

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from spark_lib.stages.trial import Tried


def examine(use_case: str | None = None) -> Iterator[Tried]:
    """Yield every check of the use case, which is that of the configuration where none is named.

    Raises ConfigurationError where it cannot be loaded, or where its declarations or settings cannot work.
    """
    if use_case is not None:
        resolve.give("pipeline", "use_case", use_case)
    place = configured()
    from spark_lib.stages import trial

    kind = type(place.case)
    yield trial.Tried("use case", f"{kind.__module__}:{kind.__name__} is loaded, its declarations and settings fit")

    def spark() -> SparkSession:
        return sessions.start(place.settings, place.partitions.root)

    yield from trial.examine(spark, place.case, place.feeds, place.settings.first_date, _settings(place))


def _settings(place: Place) -> dict[str, Any]:
    return {name: getattr(place.settings.training, name) for name, _ in training.get_params()}
