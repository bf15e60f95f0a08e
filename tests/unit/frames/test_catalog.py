"""The views of a lake are of exactly the days that are published, and of the columns that these have."""

from __future__ import annotations

from datetime import date, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_lib.errors import DamagedPartition, LakeError
from spark_lib.frames import catalog
from spark_lib.lake import Lake, Rows
from spark_lib.lake.lake import days
from spark_lib.lake.stores.local import LocalStore
from spark_lib.lake.tables import arrow_schema
from tests.unit.lakes import DAY, NEXT_DAY, SCHEMA, THIRD_DAY, open_attempt, parquet, publish, put
from tests.unit.release.test_in_force import FAILED, publish_release


@pytest.fixture
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return Lake(str(tmp_path_factory.mktemp("lake")), "credit_risk")


def publish_columns(lake: Lake, day: date, **columns: str) -> None:
    """A day of features without rows, of columns by their types."""
    schema = tuple(columns.items())
    with open_attempt(lake, day) as attempt:
        sink = pa.BufferOutputStream()
        pq.write_table(arrow_schema(schema).empty_table(), sink)
        put(attempt, "part-0.parquet", sink.getvalue().to_pybytes())
        attempt.commit(Rows({"": 0}, schema))


def test_a_view_has_the_files_of_the_published_runs_and_no_others(lake: Lake) -> None:
    manifest = publish(lake, [1])
    with open_attempt(lake, NEXT_DAY) as crashed:
        put(crashed, "part-0.parquet", parquet([9]))

    view = catalog.of(lake, only=["features"]).views["features"]

    assert view.days == [DAY]
    assert view.files == [f"{lake.root}/credit_risk/features/date={DAY}/{file.path}" for file in manifest.files]
    assert view.columns == SCHEMA
    assert view.added == (("date", "date"),)


def test_only_the_days_that_are_asked_for_are_in_a_view(lake: Lake) -> None:
    for day in (DAY, NEXT_DAY, THIRD_DAY):
        publish(lake, [1], day)

    assert catalog.of(lake, NEXT_DAY, THIRD_DAY).views["features"].days == [NEXT_DAY, THIRD_DAY]


def test_a_dataset_without_a_day_in_the_range_has_a_view_with_the_columns_of_its_newest_day(lake: Lake) -> None:
    publish(lake, [1])

    view = catalog.of(lake, NEXT_DAY, THIRD_DAY).views["features"]

    assert (view.partitions, view.columns) == ((), SCHEMA)


def test_a_dataset_without_any_day_is_left_out_and_said(lake: Lake) -> None:
    publish(lake, [1])

    found = catalog.of(lake, only=["features", "serving_features", "released"])

    assert list(found.views) == ["features"]
    assert found.left_out == {
        "serving_features": "no day of serving is published",
        "released": "no day of predictions is published",
    }


def test_released_has_the_run_in_force_and_says_which_days_are_held(lake: Lake) -> None:
    released = publish(lake, [1, 2], dataset="predictions")
    publish_release(lake, released)
    publish(lake, [9], dataset="predictions", rebuild=True)
    publish(lake, [3], NEXT_DAY, "predictions")
    publish_release(lake, None, NEXT_DAY, FAILED)

    found = catalog.of(lake, only=["released", "predictions"])

    assert [partition.manifest.run for partition in found.views["released"].partitions] == [released.run]
    assert found.views["predictions"].days == [DAY, NEXT_DAY]
    assert found.held == {NEXT_DAY: "held: number of rows: 2 rows; 4 are usual; nothing is in force"}


def test_without_a_release_the_view_of_released_predictions_has_no_day(lake: Lake) -> None:
    publish(lake, [1], dataset="predictions")

    view = catalog.of(lake).views["released"]

    assert (view.partitions, view.columns) == ((), SCHEMA)


def test_columns_that_only_some_days_have_are_all_there_in_the_order_of_the_newest_day(lake: Lake) -> None:
    publish_columns(lake, DAY, id="bigint", gone="string")
    publish_columns(lake, NEXT_DAY, new="double", id="bigint")

    columns = catalog.of(lake).views["features"].columns

    assert columns == (("new", "double"), ("id", "bigint"), ("gone", "string"))


def test_a_column_that_changes_its_type_is_refused_with_both_days(lake: Lake) -> None:
    publish_columns(lake, DAY, id="bigint", amount="int")
    publish_columns(lake, NEXT_DAY, id="bigint", amount="double")

    with pytest.raises(LakeError) as refused:
        catalog.of(lake)

    assert str(refused.value) == (
        "features of 2026-01-01 and 2026-01-02: wanted one type of the column 'amount' on all days of a view; found int and "
        "double. Next: make views of days on one side of the change (--from, --to), or build the older days again"
    )
    assert catalog.of(lake, NEXT_DAY).views["features"].columns == (("id", "bigint"), ("amount", "double"))


def test_a_day_that_is_not_whole_is_an_error_and_not_missing(lake: Lake) -> None:
    manifest = publish(lake, [1])
    lake.store.remove_objects([f"{lake.prefix('features', DAY)}/{manifest.files[0].path}"])

    with pytest.raises(DamagedPartition):
        catalog.of(lake)


def test_a_view_that_there_is_not_is_refused_by_name(lake: Lake) -> None:
    with pytest.raises(LakeError) as refused:
        catalog.of(lake, only=["prediction"])

    assert str(refused.value) == (
        "views: wanted one of predictions, released, shadow, features, serving_features, snapshots, balanced; found 'prediction' (did "
        "you mean 'predictions'?). Next: correct the name"
    )


def test_days_in_the_wrong_order_are_refused(lake: Lake) -> None:
    with pytest.raises(LakeError, match="days in order"):
        catalog.of(lake, NEXT_DAY, DAY)


def test_no_file_of_rows_is_opened(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    for day in days(DAY, DAY + timedelta(days=9)):
        publish_release(lake, publish(lake, [1], day, "predictions"), day)
    opened: list[str] = []
    real = LocalStore.read

    def read(store: LocalStore, key: str) -> tuple[bytes, str] | None:
        opened.append(key)
        return real(store, key)

    monkeypatch.setattr(LocalStore, "read", read)
    monkeypatch.setattr(LocalStore, "open", lambda store, key: pytest.fail(f"opened {key}"))

    assert len(catalog.of(lake).views["released"].files) == 10
    assert {key.rpartition("/")[2] for key in opened} <= {"_SUCCESS"}
