"""Reading without Spark: what the manifests name, as Arrow tables and pandas frames."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_lib.errors import DamagedPartition, LakeError, NotPublished
from spark_lib.lake import Lake, Rows
from spark_lib.lake.manifest import Schema
from spark_lib.lake.tables import arrow_schema, read_arrow
from tests.unit.lakes import DAY, NEXT_DAY, THIRD_DAY, open_attempt, parquet, publish, put, write

if TYPE_CHECKING:
    from tests.support.outsiders import Outsider

SCHEMA: Schema = (("id", "bigint"), ("score", "double"), ("landed", "timestamp"))
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def publish_rows(lake: Lake, day: date, rows: list[dict[str, Any]], schema: Schema = SCHEMA, section: str = "") -> None:
    """A day with one file, or with none where there are no rows."""
    with open_attempt(lake, day, "predictions") as attempt:
        if rows:
            sink = io.BytesIO()
            pq.write_table(pa.Table.from_pylist(rows, arrow_schema(schema)), sink)
            put(attempt, "/".join(filter(None, [section, "part-0.parquet"])), sink.getvalue())
        attempt.commit(Rows({section: len(rows)}, schema))


def test_several_days_come_in_order_with_their_date_as_the_last_column(lake: Lake) -> None:
    publish_rows(lake, NEXT_DAY, [{"id": 3, "score": None, "landed": NOON}])
    publish_rows(lake, DAY, [{"id": 1, "score": 0.5, "landed": NOON}, {"id": 2, "score": 0.25, "landed": None}])

    table = read_arrow(lake, "predictions", DAY, NEXT_DAY)

    assert table.column_names == ["id", "score", "landed", "date"]
    assert table.to_pylist() == [
        {"id": 1, "score": 0.5, "landed": NOON, "date": DAY},
        {"id": 2, "score": 0.25, "landed": None, "date": DAY},
        {"id": 3, "score": None, "landed": NOON, "date": NEXT_DAY},
    ]


def test_a_day_without_files_has_the_manifests_schema(lake: Lake) -> None:
    publish_rows(lake, DAY, [])

    table = read_arrow(lake, "predictions", DAY)

    assert (table.num_rows, table.schema.names) == (0, ["id", "score", "landed", "date"])
    assert table.schema.types == [pa.int64(), pa.float64(), pa.timestamp("us", tz="UTC"), pa.date32()]


def test_an_empty_day_among_others_changes_nothing(lake: Lake) -> None:
    publish_rows(lake, DAY, [{"id": 1, "score": 0.5, "landed": NOON}])
    publish_rows(lake, NEXT_DAY, [])
    publish_rows(lake, THIRD_DAY, [{"id": 2, "score": 0.5, "landed": NOON}])

    frame = read_arrow(lake, "predictions", DAY, THIRD_DAY).to_pandas()

    assert frame["id"].tolist() == [1, 2]
    assert frame["date"].tolist() == [DAY, THIRD_DAY]
    assert str(frame["landed"].dtype) == "datetime64[us, UTC]"
    assert [str(kind) for kind in frame.dtypes][:2] == ["int64", "float64"]


def test_a_section_is_read_by_its_name(lake: Lake) -> None:
    with open_attempt(lake, dataset="balanced") as attempt:
        write(attempt, [1, 2], name="train/part-0.parquet")
        write(attempt, [3], name="train/part-1.parquet")
        write(attempt, [4], name="validation/unbalanced/part-0.parquet")
        attempt.commit(Rows({"train": 3, "validation/unbalanced": 1}, (("id", "bigint"),)))

    assert read_arrow(lake, "balanced", DAY, section="train").column("id").to_pylist() == [1, 2, 3]
    assert read_arrow(lake, "balanced", DAY, section="validation/unbalanced").to_pandas()["id"].tolist() == [4]


def test_files_that_no_manifest_names_are_not_read(lake: Lake, outsider: Outsider) -> None:
    manifest = publish(lake, [1], dataset="predictions")
    outsider.write(f"{lake.prefix('predictions', DAY)}/run={manifest.run}/part-9.parquet", parquet([9]))
    outsider.write(f"{lake.prefix('predictions', DAY)}/run=00000000000000ff/part-0.parquet", parquet([9]))

    assert read_arrow(lake, "predictions", DAY).column("id").to_pylist() == [1]


def test_days_of_different_schemas_are_not_mixed(lake: Lake) -> None:
    publish_rows(lake, DAY, [])
    publish_rows(lake, NEXT_DAY, [])
    publish_rows(lake, THIRD_DAY, [], (("id", "string"), ("score", "double")))

    with pytest.raises(LakeError) as caught:
        read_arrow(lake, "predictions", DAY, THIRD_DAY)

    assert str(caught.value) == (
        "predictions of 2026-01-01 and 2026-01-03: wanted one schema (id bigint, score double, landed timestamp); "
        "found id string, score double. Next: read them apart, or build the older one again"
    )


def test_a_missing_day_is_an_error(lake: Lake) -> None:
    publish_rows(lake, DAY, [])

    with pytest.raises(NotPublished, match=r"^predictions of 2026-01-02: wanted a published partition"):
        read_arrow(lake, "predictions", DAY, NEXT_DAY).to_pandas()


def test_a_damaged_day_is_an_error(lake: Lake, outsider: Outsider) -> None:
    manifest = publish(lake, [1], dataset="predictions")
    outsider.delete(f"{lake.prefix('predictions', DAY)}/{manifest.files[0].path}")

    with pytest.raises(DamagedPartition):
        read_arrow(lake, "predictions", DAY)


def test_a_file_whose_content_is_no_longer_parquet_is_named(lake: Lake, outsider: Outsider) -> None:
    (file,) = publish(lake, [1], dataset="predictions").files
    key = f"{lake.prefix('predictions', DAY)}/{file.path}"
    outsider.write(key, b"x" * file.size)  # S3 has another etag then, a local directory nothing that tells

    with pytest.raises(DamagedPartition) as refused:
        read_arrow(lake, "predictions", DAY)

    assert refused.value.where == f"predictions of 2026-01-01: {lake.store.url(key)}"


def test_every_plain_type_comes_back(lake: Lake) -> None:
    values: dict[str, Any] = {
        "string": "é",
        "boolean": True,
        "tinyint": 1,
        "smallint": 2,
        "int": 3,
        "bigint": 4,
        "float": 0.5,
        "double": 0.25,
        "date": DAY,
        "timestamp": NOON,
        "timestamp_ntz": datetime(2026, 1, 1, 12),  # noqa: DTZ001  (the type has no zone)
        "binary": b"\x00",
        "decimal(10,2)": Decimal("1.50"),
    }
    schema = tuple((f"a {kind}", kind) for kind in values)
    publish_rows(lake, DAY, [{f"a {kind}": value for kind, value in values.items()}], schema)

    (row,) = read_arrow(lake, "predictions", DAY).to_pylist()

    assert row == {f"a {kind}": value for kind, value in values.items()} | {"date": DAY}


def test_a_type_that_has_no_counterpart_is_named(lake: Lake) -> None:
    publish_rows(lake, DAY, [])

    with pytest.raises(LakeError) as caught:
        arrow_schema((("tags", "array<string>"),))

    assert str(caught.value) == (
        "column 'tags': wanted one of string, boolean, tinyint, smallint, int, bigint, float, double, date, timestamp, "
        "timestamp_ntz, binary, array<double>, decimal(p,s); found array<string>. Next: read it with Spark"
    )
