"""Watches for rows that ``engineer`` brings to the driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from spark_lib.stages.trial.blame import asked_at

if TYPE_CHECKING:
    from spark_lib.use_case import UseCase

#: The methods of a DataFrame that bring its rows to the driver.
METHODS = ("collect", "toPandas", "toArrow", "toLocalIterator", "take", "head", "first", "tail")


@contextmanager
def watched(case: UseCase) -> Iterator[list[str]]:
    """Yield a list that gets, for each call in the block that brings rows to the driver, its method and its line."""
    from pyspark.sql.classic.dataframe import DataFrame

    calls: list[str] = []
    inside = False

    def watching(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def watcher(*arguments: Any, **named: Any) -> Any:
            nonlocal inside
            if inside:  # one method calls another
                return original(*arguments, **named)
            calls.append(f"{name}() {asked_at(case)}")
            inside = True
            try:
                return original(*arguments, **named)
            finally:
                inside = False

        return watcher

    originals = {name: getattr(DataFrame, name) for name in METHODS}
    for name, original in originals.items():
        setattr(DataFrame, name, watching(name, original))
    try:
        yield calls
    finally:
        for name, original in originals.items():
            setattr(DataFrame, name, original)
