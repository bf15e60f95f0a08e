"""Which run of a day a target is to hold, and the day as a target is given it. Spark is not needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from spark_lib import problems
from spark_lib.errors import BadData, ConfigurationError, PublishError
from spark_lib.lake import Lake, Partition, Schema
from spark_lib.lake.tables import arrow_schema, read_batches
from spark_lib.release import in_force
from spark_lib.release.document import Summary
from spark_lib.targets import Day, day_of
from spark_lib.use_case.keys import names

if TYPE_CHECKING:
    import pyarrow as pa

    from spark_lib.targets import Series
    from spark_lib.use_case import UseCase

#: What can be published, by the names that targets know.
PREDICTIONS, SERVING_FEATURES = "predictions", "serving_features"
#: The dataset of the lake that the rows of each are read from.
ROWS_OF = {PREDICTIONS: "predictions", SERVING_FEATURES: "serving"}

#: The column that a target gets for the name of the class, and the one of predictions that it is taken from.
PREDICTED_CLASS, _PREDICTION = "predicted_class", "prediction"


def runs(lake: Lake, dataset: str, first: date, last: date) -> dict[date, str]:
    """The run of each day of ``[first, last]`` that a target is to hold, by one listing: of predictions the run in force,
    of serving features the published one. Days that have none are left out."""
    found = lake.find("release" if dataset == PREDICTIONS else ROWS_OF[dataset], first, last)
    there = {day: each.manifest for day, each in found.items() if isinstance(each, Partition)}
    if dataset != PREDICTIONS:
        return {day: manifest.run for day, manifest in there.items()}
    figures = {day: Summary.of(manifest.metrics).in_force for day, manifest in there.items()}
    return {day: each.run for day, each in figures.items() if each is not None}


def partition(lake: Lake, dataset: str, day: date) -> Partition:
    """The run of a day that a target is to hold. Raises NotPublished where the lake does not have the day, NotReleased
    where nothing is in force, and DamagedPartition where the run is not whole."""
    if dataset == PREDICTIONS:
        (found,) = in_force.require(lake, PREDICTIONS, day)
    else:
        (found,) = lake.require(ROWS_OF[dataset], day)
    return found


@dataclass(frozen=True)
class Wider:
    """What a target is given beside the columns of predictions: the features that a row was scored by, and the name of the
    class that is predicted."""

    input_columns: bool = False
    predicted_class: bool = False


NO_WIDER = Wider()


def day(case: UseCase, series: Series, found: Partition, lake: Lake, wider: Wider = NO_WIDER) -> Day:
    """A run of a day as a target is given it: exactly the rows of its manifest.

    Raises ConfigurationError where the predictions name no class, and PublishError where the features that they were
    scored by are not published any more.
    """
    given = day_of(series, found, names(case.entity_or_key), names(case.key), case.event_time or "")
    if wider.predicted_class:
        given = _with_class(case, given)
    return _with_input_columns(lake, found, given) if wider.input_columns else given


def _with_class(case: UseCase, given: Day) -> Day:
    classes = problems.of(case.label).predicted_classes
    if not classes or _PREDICTION not in dict(given.columns.schema):
        raise ConfigurationError(
            f"{given}: predicted_class",
            f"predictions with a column {_PREDICTION!r} that names one outcome",
            "a label that has none" if not classes else f"only {', '.join(dict(given.columns.schema))}",
            "set [decision] threshold and train anew, or leave predicted_class out",
        )

    def batches() -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        for batch in given.batches():
            named = [classes.get(value) for value in batch.column(_PREDICTION).to_pylist()]
            yield batch.append_column(PREDICTED_CLASS, pa.array(named, pa.string()))

    return _wider(given, ((PREDICTED_CLASS, "string"),), batches)


def _with_input_columns(lake: Lake, found: Partition, given: Day) -> Day:
    features = _scored(lake, found, given)
    known = dict(given.columns.schema)
    columns = tuple((name, kind) for name, kind in features.manifest.schema if name not in known)

    def batches() -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        rows = _table(given.batches(), given.columns.schema)
        there = _table(read_batches(features), features.manifest.schema)
        joined = there.take(_places(rows, there, given)).select([name for name, _ in columns])
        both = pa.Table.from_arrays(
            [*rows.columns, *joined.columns], schema=arrow_schema((*given.columns.schema, *columns))
        )
        yield from both.combine_chunks().to_batches(max_chunksize=65_536)

    return _wider(given, columns, batches)


def _places(rows: pa.Table, there: pa.Table, given: Day) -> pa.Array:
    """Where the row of ``there`` with the same key is, for each of ``rows``. Raises BadData where there is none."""
    key = [f"key {at}" for at, _ in enumerate(given.columns.key)]
    mine, theirs = (
        _numbered(table.select(list(given.columns.key)).rename_columns(key), name)
        for table, name in ((rows, "mine"), (there, "theirs"))
    )
    joined = mine.join(theirs, key, join_type="left outer").sort_by("mine")
    places = joined.column("theirs")
    if joined.num_rows != rows.num_rows or places.null_count:
        raise BadData(
            f"features of {given.date}",
            f"one row for each of {rows.num_rows:,} predictions",
            f"{joined.num_rows:,} rows, of which {places.null_count:,} have none",
            "score the day again; nothing was published",
        )
    return places.combine_chunks()


def _numbered(table: pa.Table, name: str) -> pa.Table:
    """A table with the places of its rows as a column."""
    import numpy as np

    return table.append_column(name, [np.arange(table.num_rows)])


def _scored(lake: Lake, found: Partition, given: Day) -> Partition:
    """The features that predictions were scored by."""
    (features,) = lake.require("features", found.date)
    for used in found.manifest.inputs:
        if used.name == "features" and used.ids[:1] == (features.manifest.run,):
            return features
        if used.name == "features" and used.digests[:1] == (features.manifest.digest,) != ("",):
            return features  # another run of the same rows
    raise PublishError(
        f"{given}: input_columns",
        f"the features that run {given.run} was scored by",
        f"run {features.manifest.run} of other features, which were built since",
        f"score the day again (daystone rebuild predictions --date {found.date}), or leave input_columns out",
    )


def _table(batches: Iterator[pa.RecordBatch], schema: Schema) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_batches(batches, arrow_schema(schema))


def _wider(given: Day, more: Schema, batches: Callable[[], Iterator[pa.RecordBatch]]) -> Day:
    columns = replace(given.columns, schema=(*given.columns.schema, *more))
    return replace(given, columns=columns, batches=batches)
