"""Daystone's helper library: it reads files and DataFrames, and writes files and DataFrames. It does not know Luigi.

A use case is written with ``UseCase``, ``Feed``, ``Label`` (or ``ClassLabel``, ``NumberLabel``) and ``Feature``:

    from spark_lib import Feature, Feed, Label, UseCase

``read`` gives the rows of published partitions to Spark; ``read_arrow`` and ``read_pandas`` read them without Spark.
``views`` makes them SQL views of a Spark session. ``lookup`` asks a target for the score of one entity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_lib._version import __version__ as __version__

__all__ = [
    "ClassLabel",
    "Feature",
    "Feed",
    "Label",
    "NumberLabel",
    "UseCase",
    "lookup",
    "read",
    "read_arrow",
    "read_pandas",
    "views",
]

if TYPE_CHECKING:
    from spark_lib.frames.reading import read, read_arrow, read_pandas
    from spark_lib.frames.views import views
    from spark_lib.lookups import lookup
    from spark_lib.use_case import ClassLabel, Feature, Feed, Label, NumberLabel, UseCase
else:
    _HOMES = {"lookup": "lookups", "views": "frames.views"} | dict.fromkeys(
        ("read", "read_arrow", "read_pandas"), "frames.reading"
    )

    def __getattr__(name):
        # Names are imported on first use, so that importing the package costs nothing. Type checkers do not see this
        # function: they would take every misspelt name for one that it finds.
        if name in __all__:
            import importlib

            home = _HOMES.get(name, "use_case")
            return getattr(importlib.import_module(f"spark_lib.{home}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
