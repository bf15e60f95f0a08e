"""The interface of a use case for those who write one. Here Daystone also finds a use case, checks it, and identifies
its version.

Nothing here imports pyspark, so that planning and a run with nothing to do stay cheap.
"""

from spark_lib.use_case.labels import ClassLabel, Label, NumberLabel
from spark_lib.use_case.loading import directory, load, normalise, shipped
from spark_lib.use_case.protocol import Feature, Feed, UseCase

__all__ = [
    "ClassLabel",
    "Feature",
    "Feed",
    "Label",
    "NumberLabel",
    "UseCase",
    "directory",
    "load",
    "normalise",
    "shipped",
]
