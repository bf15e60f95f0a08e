"""Builds snapshots of the state by entity that a use case declares, and the features of a day from one.

Features from a snapshot are those from all raw days, row by row. A row that is not later than all that the state of its
entity holds is computed from all raw days.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, NoReturn

from spark_lib.errors import UseCaseError
from spark_lib.frames import raw as raw_feeds
from spark_lib.frames.files import columns_of, read_parquet, schema_of, unreadable_files_named, write_parquet
from spark_lib.lake import ROWS_FROM_RAW, Partition, RawDays, Rows
from spark_lib.stages import features, outcomes
from spark_lib.use_case.ddl import quoted
from spark_lib.use_case.keys import names
from spark_lib.use_case.protocol import NEWEST

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import DataType

    from spark_lib.lake import Schema
    from spark_lib.use_case import UseCase

#: What stands before the names of a state's columns beside those of a day. No column of a use case begins so.
_OF_STATE = "_state_"


@unreadable_files_named()
def build(
    spark: SparkSession, case: UseCase, raw: Mapping[str, RawDays], before: Partition | None, url: str, file_rows: int
) -> Rows:
    """Write the state of all entities after the newest day of ``raw`` below ``url``: from the snapshot ``before`` it and
    the days since, or from all days where there is none.

    ``raw`` holds, by feed, every landed day up to that one, outcomes as well. Raises UseCaseError where ``update_state``
    does not return one row for each entity, of columns that a state may have.
    """
    state, after = (_state(spark, before), before.date) if before else (None, None)
    returned = updated(case, state, _landed(spark, case, raw, after))
    observed = write_parquet(returned, url, file_rows)
    schema = schema_of(returned)
    _check_one_row_each(case, read_parquet(spark, [url], _ddl(schema)))
    return Rows({"": observed["rows"]}, schema, digest=observed["digest"])


@unreadable_files_named()
def build_features(
    spark: SparkSession, case: UseCase, raw: Mapping[str, RawDays], snapshot: Partition, url: str, file_rows: int
) -> Rows:
    """Write what ``features.build`` writes, from an earlier ``snapshot`` and the days since. Days before it are read
    only where a row needs them. Raises what ``features.build`` raises."""
    recent, day, rows = features.read_landed(spark, case, raw, after=snapshot.date)
    state = _state(spark, snapshot)
    returned, late = engineered(case, day, state, recent, lambda: features.read_landed(spark, case, raw)[0])
    written = features.write_engineered(case, day, rows, returned, url, file_rows)
    return replace(written, metrics={ROWS_FROM_RAW: late})


def updated(case: UseCase, state: DataFrame | None, recent: Mapping[str, DataFrame]) -> DataFrame:
    """What ``update_state`` returns. Raises UseCaseError for columns that no state may have."""
    with features.label_withheld(case, "update_state"):
        returned = case.update_state(state, recent)
    _check_state(case, state, returned)
    features.check_asks_no_clock(case, returned, "update_state")
    return returned


def engineered(
    case: UseCase,
    day: DataFrame,
    state: DataFrame,
    recent: Mapping[str, DataFrame],
    history: Callable[[], Mapping[str, DataFrame]],
) -> tuple[DataFrame, int]:
    """The features of ``day`` from a state and the ``recent`` rows since, and the number of rows that are computed from
    all rows, because their event time is not later than the newest in the state of their entity. ``history`` is asked
    for where there are such rows."""
    from pyspark.sql import functions as F

    if case.event_time is None:  # the state holds earlier days alone
        return _from_state(case, day, state, recent), 0
    entity = names(case.entity_or_key)
    newest = state.select(*(F.col(column).alias(f"{_OF_STATE}{column}") for column in (*entity, NEWEST)))
    same = reduce(and_, (F.col(column) == F.col(f"{_OF_STATE}{column}") for column in entity))
    is_late = F.coalesce(F.col(case.event_time) <= F.col(f"{_OF_STATE}{NEWEST}"), F.lit(False))
    marked, columns = day.join(newest, same, "left"), [quoted(column) for column in day.columns]
    late = marked.where(is_late).select(*columns)
    rows = late.count()
    if not rows:
        return _from_state(case, day, state, recent), 0
    returned = features.engineered(case, late, history())
    features.check_columns(case, returned)
    others = _from_state(case, marked.where(~is_late).select(*columns), state, recent)
    return others.unionByName(returned), rows


def _from_state(case: UseCase, day: DataFrame, state: DataFrame, recent: Mapping[str, DataFrame]) -> DataFrame:
    with features.label_withheld(case, "engineer_from_state"):
        returned = case.engineer_from_state(day, state, recent)
    features.check_columns(case, returned, "engineer_from_state")
    return returned


def _state(spark: SparkSession, snapshot: Partition) -> DataFrame:
    return read_parquet(spark, snapshot.files(), _ddl(snapshot.manifest.schema))


def _landed(spark: SparkSession, case: UseCase, raw: Mapping[str, RawDays], after: date | None) -> dict[str, DataFrame]:
    """The rows that have landed later than a day, or all, by feed. Their keys are not checked, because a day of a wrong
    one refuses its own features, and not those of all later days."""
    hidden = features.hidden_columns(case)
    found = {
        feed: raw_feeds.read(spark, days.after(after), case.feeds[feed], hidden.get(feed)) for feed, days in raw.items()
    }
    if case.label_lands_with_rows and case.feeds[case.rows].history:
        found[case.rows_outcomes] = outcomes.told(
            case, raw_feeds.read(spark, raw[case.rows].after(after), case.feeds[case.rows])
        )
    return found


def _check_state(case: UseCase, state: DataFrame | None, returned: DataFrame) -> None:
    landed = columns_of(case.feeds[case.rows].schema)
    wanted = {column: landed[column] for column in names(case.entity_or_key)}
    wanted |= {} if case.event_time is None else {NEWEST: landed[case.event_time]}
    found = {field.name: field.dataType.simpleString() for field in returned.schema.fields}
    if not wanted.items() <= found.items():
        _refuse(case, f"the columns {features.ddl_of(wanted)}, and what features need", features.ddl_of(found))
    floats = {field.name: found[field.name] for field in returned.schema.fields if _holds_floats(field.dataType)}
    if floats:
        _refuse(case, "sums of integers or decimals, which no order of the rows changes", features.ddl_of(floats))
    before = {field.name: field.dataType.simpleString() for field in state.schema.fields} if state else found
    if before != found:
        _refuse(case, f"the columns of the state before, {features.ddl_of(before)}", features.ddl_of(found))


def _holds_floats(kind: DataType) -> bool:
    """Whether a type is float or double, or has one inside."""
    from pyspark.sql import types

    inside = {"elementType", "keyType", "valueType"} & vars(kind).keys()
    parts = [field.dataType for field in getattr(kind, "fields", [])] + [getattr(kind, name) for name in inside]
    return isinstance(kind, types.FloatType | types.DoubleType) or any(map(_holds_floats, parts))


def _check_one_row_each(case: UseCase, state: DataFrame) -> None:
    from pyspark.sql import functions as F

    entity = names(case.entity_or_key)
    several = state.groupBy(*entity).agg(F.count(F.lit(1)).alias(f"{_OF_STATE}rows")).where(f"{_OF_STATE}rows > 1")
    example = several.orderBy(*entity).first()
    if example is not None:
        found = f"{example[f'{_OF_STATE}rows']:,} of {', '.join(repr(example[column]) for column in entity)}"
        _refuse(case, f"one row for each {' and '.join(entity)}", found)


def _refuse(case: UseCase, wanted: str, found: str) -> NoReturn:
    raise UseCaseError(
        f"update_state of {type(case).__name__}", wanted, found, "correct update_state; nothing was published"
    )


def _ddl(schema: Schema) -> str:
    return ", ".join(f"{quoted(name)} {kind}" for name, kind in schema)
