"""What every target is given: a day, its columns, and its rows."""

from __future__ import annotations

from datetime import date

import pytest

from spark_lib.errors import BadData, ConfigurationError
from spark_lib.lake import Lake
from spark_lib.targets import Columns, Series, day_of
from spark_lib.targets.target import asked
from tests.unit.lakes import DAY, SCHEMA, partition, publish

SERIES = Series("main", "credit_risk", "predictions")


def test_a_published_partition_is_a_day_whose_rows_can_be_read_more_than_once(tmp_path: object) -> None:
    lake = Lake(str(tmp_path), "credit_risk")
    manifest = publish(lake, [3, 1, 2])

    day = day_of(SERIES, partition(lake), ("id",), ("id",), "")

    assert (day.series, day.date, day.run, day.rows) == (SERIES, DAY, manifest.run, 3)
    assert day.columns == Columns(SCHEMA, ("id",), ("id",))
    for _ in range(2):
        assert [row["id"] for batch in day.batches() for row in batch.to_pylist()] == [3, 1, 2]


def test_a_column_that_the_day_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigurationError) as refused:
        Columns(SCHEMA, ("customer",), ("id",))

    assert str(refused.value) == (
        "columns to publish: wanted a column 'customer'; found only id. Next: correct the use case"
    )


def test_rows_that_are_not_those_of_the_manifest_are_refused(tmp_path: object) -> None:
    lake = Lake(str(tmp_path), "credit_risk")
    manifest = publish(lake, [1, 2])
    day = day_of(SERIES, partition(lake), ("id",), ("id",), "")

    day.check_rows(2)
    with pytest.raises(BadData) as refused:
        day.check_rows(1)

    assert str(refused.value) == (
        f"predictions of {DAY}: run {manifest.run}: wanted the 2 rows of its manifest; found 1. Next: check its files "
        "(daystone verify), then publish again; nothing was published"
    )


def test_an_entity_is_named_by_all_of_its_columns() -> None:
    assert list(asked(("shop", "customer"), {"customer": 1, "shop": date(2026, 1, 1)})) == ["shop", "customer"]
    with pytest.raises(ConfigurationError) as refused:
        asked(("shop", "customer"), {"customer": 1})

    assert str(refused.value) == (
        "look-up of an entity: wanted a value of shop, customer; found customer. Next: name each column"
    )
