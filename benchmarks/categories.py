"""A day of categories and the same day with the numbers that they become.

Each of the 20 columns has 100 texts that training saw, the first of which are the most frequent, and some that it did not
see. What a number is on one side is a text on the other, so that one forest gives the same scores of both.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import contestants, made
from benchmarks.made import CASE, DAY, FILES, GROUP_ROWS, IDENTITY
from benchmarks.ready import Bench
from benchmarks.result import Result, judge
from spark_lib.lake import Attempt, Lake, Rows
from spark_lib.use_case import Feature

WIDTH = 20
#: The texts of a column that training saw, and one that it did not see.
KNOWN = tuple(f"category {number:03d}" for number in range(100))
TEXTS = pa.array([*KNOWN, "another category"])
#: At most so many times as long as a day with numbers.
GOAL = 1.5
NUMBERS, CATEGORIES = "numbers", "categories"


@dataclass(frozen=True)
class OfCategories(made.Model):
    """The same model, to which the card gives texts."""

    @property
    def features(self) -> dict[str, Feature]:
        return {name: Feature("STRING", categories=KNOWN) for name in made.names(self.width)}


def forest(directory: str, width: int) -> made.Model:
    """A forest of scikit-learn on the numbers of categories."""
    columns = codes(made.TRAINED_ROWS, width, seed=1)
    noise = np.random.default_rng(2).normal(0, 5, made.TRAINED_ROWS)
    label = (columns["x0"] % 7 + columns["x1"] % 11 + noise > 6).astype(np.float64)
    return made.fitted_by_sklearn(columns, label, directory, 2)


def codes(rows: int, width: int, seed: int) -> dict[str, np.ndarray]:
    """The numbers of categories, of which a few are as frequent as in language (Zipf's law)."""
    random = np.random.default_rng(seed)
    return {
        name: np.minimum(random.zipf(1.3, rows) - 1, len(TEXTS) - 1).astype(np.float32) for name in made.names(width)
    }


def land(root: str, rows: int, kind: str) -> str:
    """Publish a day of so many rows with ``NUMBERS`` or with ``CATEGORIES``, and return the lake's root. Both are stored
    with dictionaries, as Spark stores values that repeat."""
    arrow, declared = (pa.string(), "string") if kind == CATEGORIES else (pa.float32(), "float")
    kinds = pa.schema(IDENTITY | dict.fromkeys(made.names(WIDTH), arrow))
    schema = (("id", "bigint"), ("at", "timestamp"), *((name, declared) for name in made.names(WIDTH)))
    with Attempt(Lake(root, CASE), "features", [DAY], stage="Bench") as attempt:
        for number in range(FILES):
            first, stop = rows * number // FILES, rows * (number + 1) // FILES
            with (
                attempt.lake.store.writing(f"{attempt.prefix(DAY)}/part-{number}.parquet") as opened,
                pq.ParquetWriter(opened, kinds) as writer,
            ):
                for start in range(first, stop, GROUP_ROWS):
                    writer.write_table(_rows(start, min(start + GROUP_ROWS, stop), kind, kinds))
        attempt.commit(Rows({"": rows}, schema))
    return root


def _rows(first: int, stop: int, kind: str, kinds: pa.Schema) -> pa.Table:
    ids = np.arange(first, stop)
    columns: Mapping[str, object] = codes(stop - first, WIDTH, seed=100 + first)
    if kind == CATEGORIES:
        columns = {name: TEXTS.take(pa.array(numbers.astype(np.int32))) for name, numbers in columns.items()}
    return pa.table({"id": ids, "at": pa.array(ids * 1_000_000, kinds.field("at").type)} | columns, schema=kinds)


def model(directory: str) -> made.Model:
    return forest(f"{directory}/forest-of-categories", WIDTH)


def starts(of_numbers: made.Model) -> dict[str, Callable[[], contestants.Work]]:
    """The library with both cards, the one of categories first."""
    of_categories = OfCategories(of_numbers.directory, of_numbers.width)
    return {
        CATEGORIES: partial(contestants.library, of_categories),
        NUMBERS: partial(contestants.library, of_numbers),
    }


def sources(bench: Bench, rows: int) -> dict[str, str]:
    """A day of so many rows of either kind."""
    found = {kind: land(f"{bench.directory}/{kind}-{rows}", rows, kind) for kind in (CATEGORIES, NUMBERS)}
    os.sync()
    return found


def judged(rows: int, taken: Mapping[str, list[float]]) -> Result:
    pairs = list(zip(taken[CATEGORIES], taken[NUMBERS], strict=True))
    return judge(f"{rows:,} rows of {WIDTH} categories by a forest / the same with numbers", pairs, goal=GOAL)
