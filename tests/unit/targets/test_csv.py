"""What files of CSV alone have: their form, and a ledger that knows the version of each file."""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from spark_lib.errors import BadData, ConfigurationError, LakeError, PublishError
from spark_lib.lake.tables import arrow_schema
from spark_lib.targets import Columns, Day
from spark_lib.targets.csv import CsvTarget
from tests.unit.targets.days import at, day, rows, series

OF = series("main")
FILE = "main/credit_risk/predictions/2026-01-30.csv"
LEDGER = "main/credit_risk/predictions/_ledger/2026-01-30.json"
VALUES: dict[str, tuple[Any, ...]] = {
    "string": ("a;b", 'say "hi"', "two\nlines", "", "NULL", "nan", None),
    "boolean": (True, False, None),
    "bigint": (2**63 - 1, None),
    "float": (0.1, None),
    "double": (0.1, 1e-300, float("inf"), None),
    "date": (date(2026, 1, 1), None),
    "timestamp": (datetime(2026, 1, 1, 12, 0, 0, 1, tzinfo=UTC), None),
    "decimal(5,2)": (Decimal("1.50"), None),
    "binary": (b"\0\xff", None),
    "array<double>": ([0.25, 0.75], [], None),
}


@pytest.mark.parametrize("separator", [";", ","])
def test_a_file_has_a_header_and_a_line_for_each_row(tmp_path: Path, separator: str) -> None:
    CsvTarget(str(tmp_path), separator=separator).publish([day(OF, at(0), "run 0", rows(2))])

    assert (tmp_path / FILE).read_text().replace(separator, "|").splitlines() == [
        '"id"|"customer"|"applied"|"score"|"model_date"',
        '"a0"|0|2026-01-01 00:00:00.000000Z|0.5|2026-01-01',
        '"a1"|1|2026-01-01 01:00:00.000000Z|0.5|2026-01-01',
    ]
    assert json.loads((tmp_path / LEDGER).read_text())["run"] == "run 0"


@pytest.mark.parametrize("kind", sorted(VALUES))
def test_values_of_every_type_come_back(tmp_path: Path, kind: str) -> None:
    columns = Columns((("id", "bigint"), ("value", kind)), ("id",), ("id",))
    values = VALUES[kind]
    given = [{"id": number, "value": value} for number, value in enumerate(values)]
    batch = pa.RecordBatch.from_pylist(given, arrow_schema(columns.schema))
    target = CsvTarget(str(tmp_path))

    target.publish([Day(OF, at(0), "run 0", columns, len(values), lambda: iter([batch]))])

    for expected in batch.to_pylist():
        found = target.lookup(OF, {"id": expected["id"]})
        assert found is not None and found.values == expected


def test_a_file_that_somebody_replaced_or_removed_is_not_published_and_is_repaired(tmp_path: Path) -> None:
    target = CsvTarget(str(tmp_path))
    target.publish([day(OF, at(0), "run 0", rows(2)), day(OF, at(1), "run 1", rows(2))])
    content = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(b"mine")
    (tmp_path / FILE.replace("30", "31")).unlink()
    assert target.published(OF, at(0), at(1)) == {}

    target.publish([day(OF, at(0), "run 0", rows(2)), day(OF, at(1), "run 1", rows(2))])

    assert target.published(OF, at(0), at(1)) == {at(0): "run 0", at(1): "run 1"}
    assert (tmp_path / FILE).read_bytes() == content


def test_a_file_that_another_process_writes_meanwhile_is_not_taken_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = CsvTarget(str(tmp_path))
    written = CsvTarget._write

    def overtaken(self: CsvTarget, given: Day, key: str) -> str:
        digest = written(self, given, key)
        monkeypatch.setattr(CsvTarget, "_write", written)
        CsvTarget(str(tmp_path)).publish([day(OF, at(0), "run 2", rows(3))])
        return digest

    monkeypatch.setattr(CsvTarget, "_write", overtaken)
    with pytest.raises(PublishError) as refused:
        target.publish([day(OF, at(0), "run 1", rows(2))])

    assert str(refused.value) == (
        f"{tmp_path / FILE}: wanted to publish run run 1 alone; found another process that wrote the same day meanwhile. "
        "Next: run again: then the run that is in force is published"
    )
    assert target.published(OF, at(0), at(0)) == {at(0): "run 2"}


def test_a_day_that_is_refused_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadData):
        CsvTarget(str(tmp_path)).publish([day(OF, at(0), "run 0", rows(2), says=3)])

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_a_killed_process_left_long_ago_is_removed(tmp_path: Path) -> None:
    target = CsvTarget(str(tmp_path))
    target.publish([day(OF, at(0), "run 0", rows(2))])
    old, new = (tmp_path / FILE).parent / ".2026-01-29.csv-0f", (tmp_path / FILE).parent / ".2026-01-30.csv-f0"
    old.touch()
    os.utime(old, (0, 0))
    new.touch()

    target.publish([day(OF, at(1), "run 1", rows(2))])

    assert (old.exists(), new.exists()) == (False, True)
    assert target.published(OF, date.min, date.max) == {at(0): "run 0", at(1): "run 1"}


@pytest.mark.parametrize("lake", ["..", ".", "s3://bucket/lake", "_lake", "a/../../b"])
def test_whatever_a_lake_is_called_its_files_stay_below_the_directory(tmp_path: Path, lake: str) -> None:
    target = CsvTarget(str(tmp_path / "out"))

    target.publish([day(series(lake), at(0), "run 0", rows(1))])

    assert target.published(series(lake), at(0), at(0)) == {at(0): "run 0"}
    (file,) = tmp_path.rglob("*.csv")
    assert file.parent.parent.parent.parent == tmp_path / "out"
    assert not file.parent.parent.parent.name.startswith((".", "_"))


def test_a_value_of_another_type_cannot_be_looked_up(tmp_path: Path) -> None:
    target = CsvTarget(str(tmp_path))
    target.publish([day(OF, at(0), "run 0", rows(1))])

    with pytest.raises(ConfigurationError) as refused:
        target.lookup(OF, {"customer": "a customer"})

    assert str(refused.value).startswith("look-up of an entity: wanted values of the columns' types; found ")


_NO_JSON = (
    "wanted a ledger; found JSONDecodeError: Expecting value: line 1 column 1 (char 0). Next: remove the file, then publish "
    "the day again"
)
_LATER = "wanted a ledger of format 1; found format 2. Next: read it with the Daystone that wrote it"


@pytest.mark.parametrize(("content", "said"), [(b"no json", _NO_JSON), (b'{"format": 2}', _LATER)])
def test_a_ledger_that_cannot_be_read_is_said(tmp_path: Path, content: bytes, said: str) -> None:
    target = CsvTarget(str(tmp_path))
    target.publish([day(OF, at(0), "run 0", rows(1))])
    (tmp_path / LEDGER).write_bytes(content)

    with pytest.raises((PublishError, LakeError)) as refused:
        target.published(OF, at(0), at(0))

    assert str(refused.value) == f"{tmp_path / LEDGER}: {said}"


def test_another_separator_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        CsvTarget(str(tmp_path), separator="\t")

    assert str(refused.value) == "separator of CSV: wanted one of ; ,; found '\\t'. Next: correct the target"


def test_a_directory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigurationError) as refused:
        CsvTarget(str(tmp_path / "file"))

    assert "wanted a directory; found a file" in str(refused.value)
