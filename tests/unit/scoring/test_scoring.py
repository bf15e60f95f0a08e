"""Shares of files, and what a task reads, scores and writes of them; without Spark."""

from __future__ import annotations

import shutil
import struct
import sys
import zipfile
import zipimport
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_lib.errors import DamagedPartition
from spark_lib.lake import footers
from spark_lib.lake.manifest import File
from spark_lib.lake.stores import s3_client
from spark_lib.problems.binary import Probability
from spark_lib.scoring import partitions as scoring
from spark_lib.scoring.engine import Engine
from spark_lib.scoring.partitions import Job, Slice
from spark_lib.scoring.predictions import Scores
from spark_lib.use_case import Feature

IDENTITY = (("loan", "string"), ("made", "timestamp"))


class Halves(Engine):
    """Scores that are half of the first feature."""

    def scores(self, columns: np.ndarray) -> np.ndarray:
        return columns[0] / 2


class Sums(Engine):
    """Scores that are tenths of the sum of the features."""

    def scores(self, columns: np.ndarray) -> np.ndarray:
        return columns.sum(axis=0).astype(np.float64) / 10


def job(root: Path, rows_a_file: int = 1000) -> Job:
    features = {"x": Feature("double"), "y": Feature("int", fill=0)}
    return Job(
        str(root),
        s3_client.connection(),
        IDENTITY,
        features,
        Halves(b""),
        Probability({"kind": "none"}),
        date(2026, 1, 5),
        "d" * 64,
        str(root),
        "out",
        rows_a_file,
    )


def written(root: Path, name: str, values: list[float | None], row_group: int = 10) -> list[Slice]:
    """A file of loans in the lake, whole, as one slice."""
    rows = {
        "loan": pa.array([f"{name}-{number}" for number in range(len(values))], pa.string()),
        "made": pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * len(values), pa.timestamp("us", tz="UTC")),
        "x": pa.array(values, pa.float64()),
        "y": pa.array([None] * len(values), pa.int32()),
        "unused": ["-"] * len(values),
    }
    (root / "in").mkdir(exist_ok=True)
    pq.write_table(pa.table(rows), root / "in" / name, row_group_size=row_group)
    return [Slice(f"in/{name}", 0, (root / "in" / name).stat().st_size)]


def scored(root: Path) -> list[dict[str, Any]]:
    return [row for path in sorted((root / "out").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


@given(st.lists(st.integers(0, 1000), max_size=8), st.integers(1, 6))
def test_shares_are_all_bytes_once_and_as_equal_as_bytes_can_be(sizes: list[int], tasks: int) -> None:
    files = [File(f"run/{number}", size, "") for number, size in enumerate(sizes)]

    shares = scoring.shared(files, "p", tasks)

    parts = [(part.key, byte) for share in shares for part in share for byte in (part.start, part.stop)]
    for file in files:
        bounds = [byte for key, byte in parts if key == f"p/{file.path}"]
        assert bounds[:1] + bounds[-1:] == ([0, file.size] if file.size else [])
        assert bounds[1:-1:2] == bounds[2::2]
    of_each = [sum(part.stop - part.start for part in share) for share in shares]
    assert not of_each or max(of_each) <= -(-sum(sizes) // tasks)
    assert len(shares) <= tasks


@settings(deadline=None)
@given(st.integers(1, 7), st.integers(1, 40))
def test_each_row_group_is_in_exactly_one_share(
    tmp_path_factory: pytest.TempPathFactory, tasks: int, rows: int
) -> None:
    root = tmp_path_factory.mktemp("groups")
    (whole,) = written(root, "a.parquet", [0.5] * rows, row_group=3)
    metadata = pq.read_metadata(root / whole.key)
    shares = scoring.shared([File("a.parquet", whole.stop, "")], "in", tasks)

    groups = [number for share in shares for part in share for number in scoring._groups(metadata, part)]

    assert groups == list(range(metadata.num_row_groups))


def test_each_row_is_scored_with_its_identity(tmp_path: Path) -> None:
    share = written(tmp_path, "a.parquet", [0.25, 0.5]) + written(tmp_path, "b.parquet", [1.0])

    done = scoring.scored(job(tmp_path), share, 7)

    made = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
    constant = {"model_date": date(2026, 1, 5), "model_digest": "d" * 64}
    assert scored(tmp_path) == [
        {"loan": loan, "made": made, "score": score} | constant
        for loan, score in (("a.parquet-0", 0.125), ("a.parquet-1", 0.25), ("b.parquet-0", 0.5))
    ]
    ((name, rows),) = done.files.items()
    assert (name[:11], rows) == ("part-00007-", 3)
    schema = pq.read_schema(tmp_path / "out" / name)
    assert [str(field.type) for field in schema] == [
        "string",
        "timestamp[us, tz=UTC]",
        "double",
        "date32[day]",
        "string",
    ]


@pytest.mark.parametrize("use_dictionary", [True, False], ids=["dictionary pages", "plain pages"])
def test_categories_are_scored_by_their_places_however_their_texts_are_stored(
    tmp_path: Path, use_dictionary: bool
) -> None:
    """The category ``loan`` is also a part of the identity."""
    kinds = ["soup", None, "stew", "pie", "soup", ""]
    rows = {
        "loan": ["stew", "soup", "stew", "stew", "stew", "soup"],
        "made": pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * 6, pa.timestamp("us", tz="UTC")),
        "the.kind": pa.array(kinds, pa.string()),
    }
    (tmp_path / "in").mkdir()
    file = tmp_path / "in" / "a.parquet"
    pq.write_table(pa.table(rows), file, row_group_size=4, use_dictionary=use_dictionary)
    known = Feature("string", categories=("soup", "stew"))
    of_both = replace(job(tmp_path), features={"the.kind": known, "loan": known}, engine=Sums(b""))

    done = scoring.scored(of_both, [Slice("in/a.parquet", 0, file.stat().st_size)], 0)

    found = scored(tmp_path)
    assert [(row["loan"], row["score"]) for row in found] == list(
        zip(rows["loan"], [0.1, 0.3, 0.2, 0.3, 0.1, 0.2], strict=True)
    )
    assert done.unseen == {"the.kind": 2}


def test_files_and_row_groups_have_no_more_rows_than_they_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Halves, "rows_at_once", 7)
    monkeypatch.setattr(scoring, "_GROUP_ROWS", 20)
    share = written(tmp_path, "a.parquet", [number / 128 for number in range(95)])

    done = scoring.scored(job(tmp_path, rows_a_file=45), share, 0)

    assert list(done.files.values()) == [40, 40, 15]
    assert [row["score"] for row in scored(tmp_path)] == [number / 256 for number in range(95)]
    groups = [pq.read_metadata(tmp_path / "out" / name).row_group(0).num_rows for name in done.files]
    assert groups == [20, 20, 15]


def test_values_missing_without_a_fill_are_counted_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Halves, "rows_at_once", 2)
    share = written(tmp_path, "a.parquet", [0.5, 0.5, None, 0.5, float("nan"), None])

    assert scoring.scored(job(tmp_path), share, 0).missing == {"x": 3}


def test_no_rows_are_no_file(tmp_path: Path) -> None:
    done = scoring.scored(job(tmp_path), written(tmp_path, "a.parquet", []), 0)

    assert (done.files, done.scores.rows) == ({}, 0)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "Parquet file size is 0 bytes"),
        (
            b"PAR1 and no more",
            "Parquet magic bytes not found in footer. Either the file is corrupted or this is not a parquet file",
        ),
    ],
)
def test_a_file_that_is_none_is_damage(tmp_path: Path, content: bytes, found: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.parquet").write_bytes(content)

    with pytest.raises(DamagedPartition) as caught:
        scoring.scored(job(tmp_path), [Slice("in/a.parquet", 0, 16)], 0)

    assert damage(caught.value) == (str(tmp_path / "in/a.parquet"), "a Parquet file that can be read", found)
    assert scored(tmp_path) == []


def damage(error: DamagedPartition) -> tuple[str, str, str]:
    return error.where, error.wanted, error.found


@pytest.mark.parametrize(
    ("altered", "wanted", "found"),
    [
        (lambda rows: rows.drop_columns(["y"]), "'y' of type int32", "only loan, made, x, unused"),
        (lambda rows: rows.drop_columns(["loan"]), "'loan' of type string", "only made, x, y, unused"),
        (
            lambda rows: rows.rename_columns(["loan", "made", "x", "Y", "unused"]),
            "'y' of type int32",
            "only loan, made, x, Y, unused",
        ),
        (
            lambda rows: rows.append_column("x", rows["x"]),
            "'x' of type double",
            "only loan, made, x, y, unused, x",
        ),
        (lambda rows: rows.set_column(2, "x", pa.array([1], pa.int64())), "'x' of type double", "type int64"),
        (lambda rows: rows.set_column(0, "loan", pa.array([1], pa.int64())), "'loan' of type string", "type int64"),
    ],
    ids=["feature missing", "key missing", "renamed", "twice", "feature of another type", "key of another type"],
)
def test_a_file_without_a_column_of_its_manifest_is_damage(
    tmp_path: Path, altered: Callable[[pa.Table], pa.Table], wanted: str, found: str
) -> None:
    (share,) = written(tmp_path, "a.parquet", [0.5])
    pq.write_table(altered(pq.read_table(tmp_path / share.key)), tmp_path / share.key)

    with pytest.raises(DamagedPartition) as caught:
        scoring.scored(job(tmp_path), [share], 0)

    assert damage(caught.value) == (
        str(tmp_path / share.key),
        f"a column {wanted}, as its manifest says",
        found,
    )


def test_a_flipped_bit_in_a_page_is_damage_and_no_other_score(tmp_path: Path) -> None:
    (share,) = written(tmp_path, "a.parquet", [0.25, 0.5, 0.75])  # the one between them is in no statistics
    rows, path = pq.read_table(tmp_path / share.key), tmp_path / share.key
    pq.write_table(rows, path, write_page_checksum=True, compression="none", use_dictionary=False)
    content = path.read_bytes()
    assert content.count(struct.pack("<d", 0.5)) == 1
    path.write_bytes(content.replace(struct.pack("<d", 0.5), struct.pack("<d", 0.625)))

    with pytest.raises(DamagedPartition) as caught:
        scoring.scored(job(tmp_path), [share], 0)

    found = "could not verify page integrity, CRC checksum verification failed for page_ordinal 0"
    assert damage(caught.value) == (str(path), "a Parquet file that can be read", found)


def checksummed(root: Path, rows: pa.Table) -> Slice:
    """The rows as a file with checksums of its pages and its footer."""
    path = root / "in" / "a.parquet"
    path.parent.mkdir(exist_ok=True)
    pq.write_table(rows, path, write_page_checksum=True, use_dictionary=False, store_schema=False)
    return Slice("in/a.parquet", 0, path.stat().st_size, footer_of(path))


def footer_of(path: Path) -> str:
    with open(path, "rb") as opened:
        return footers.checksum(footers.read(opened))


def test_a_flipped_bit_in_the_footer_is_damage_and_no_other_score(tmp_path: Path) -> None:
    (share,) = written(tmp_path, "a.parquet", [0.25, 0.5, 0.75])
    share, path = checksummed(tmp_path, pq.read_table(tmp_path / share.key)), tmp_path / share.key
    content = bytearray(path.read_bytes())
    content[content.rindex(b"parquet-cpp")] ^= 1  # of who wrote it: nothing else would tell
    path.write_bytes(content)

    with pytest.raises(DamagedPartition) as caught:
        scoring.scored(job(tmp_path), [share], 0)

    assert damage(caught.value) == (str(path), f"the footer {share.footer}, as its manifest says", footer_of(path))


@pytest.mark.slow
def test_no_flipped_bit_makes_another_score(tmp_path: Path) -> None:
    (share,) = written(tmp_path, "a.parquet", [0.25, None, 0.5, 0.75, 0.125])
    rows = pq.read_table(tmp_path / share.key)
    share, path = checksummed(tmp_path, rows.slice(0, 5).filter(pc.is_valid(rows["x"]))), tmp_path / share.key
    scoring.scored(job(tmp_path), [share], 0)
    expected = scored(tmp_path)
    content = path.read_bytes()

    damaged = 0
    for place in range(len(content)):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        try:
            scoring.scored(job(tmp_path), [share], 0)
        except DamagedPartition:
            damaged += 1
        else:
            assert scored(tmp_path) == expected, f"byte {place} of {len(content)}"

    assert damaged > len(content) // 2


def test_nulls_of_the_identity_are_counted_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Halves, "rows_at_once", 2)
    (share,) = written(tmp_path, "a.parquet", [0.5] * 6)
    rows = pq.read_table(tmp_path / share.key)
    keys = pa.array(["a", "b", None, "c", None, None])
    pq.write_table(rows.set_column(0, "loan", keys), tmp_path / share.key)

    assert scoring.scored(job(tmp_path), [share], 0).nulls == {"loan": 3}


def test_scores_that_are_no_probabilities_are_counted_to_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Halves, "rows_at_once", 2)
    share = written(tmp_path, "a.parquet", [0.0, 2.0, 2.5, -0.5, float("inf"), 1.0])

    done = scoring.scored(job(tmp_path), share, 0)

    assert (done.senseless, sum(done.files.values())) == (3, 2)
    assert done.not_finite == {"x": 1}


@pytest.mark.parametrize(
    "back",
    [
        {"kind": "none"},
        {"kind": "prior", "odds": 0.1},
        {"kind": "platt", "slope": 1.0, "intercept": 0.0},
        {"kind": "isotonic", "x": [0.0, 1.0], "y": [0.1, 0.9]},
    ],
    ids=lambda back: back["kind"],
)
def test_no_calibration_makes_a_probability_of_a_score_that_is_none(tmp_path: Path, back: dict[str, Any]) -> None:
    share = written(tmp_path, "a.parquet", [3.0, -0.4, float("inf"), float("-inf"), 2.001, 2.0000002, 0.0, 2.0])

    done = scoring.scored(replace(job(tmp_path), predictions=Probability(back)), share, 0)

    assert (done.senseless, done.not_finite) == (5, {"x": 2})


def test_a_task_leaves_no_archive_for_the_next_one_to_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "modules.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("of_an_archive.py", "")
    monkeypatch.syspath_prepend(archive)
    __import__("of_an_archive")
    assert isinstance(sys.path_importer_cache[str(archive)], zipimport.zipimporter)

    scoring.attempted(job(tmp_path), written(tmp_path, "a", [0.5]), 0)

    assert not any(isinstance(importer, zipimport.zipimporter) for importer in sys.path_importer_cache.values())


def test_what_scores_add_up_to_does_not_depend_on_how_they_were_shared_out() -> None:
    scores = np.random.default_rng(0).random(1000)
    whole, parts = Scores(), Scores()
    whole.add({"score": scores})
    for part in np.array_split(scores[::-1], 7):
        parts.add({"score": part})

    assert whole.figures() == parts.figures()
    assert whole.figures()["mean"] == pytest.approx(scores.mean(), abs=1e-9)
    assert sum(whole.figures()["bins"]) == 1000
