"""Daystone's helper library: files and DataFrames in, files and DataFrames out. It knows nothing of Luigi.

``read`` gives the rows of published partitions to Spark; ``read_arrow`` and ``read_pandas`` do so without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["read", "read_arrow", "read_pandas"]

if TYPE_CHECKING:
    from spark_lib.reading import read, read_arrow, read_pandas


def __getattr__(name: str) -> Any:
    # Looked up on first use, so that importing the package costs nothing.
    if name in __all__:
        import importlib

        return getattr(importlib.import_module("spark_lib.reading"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
