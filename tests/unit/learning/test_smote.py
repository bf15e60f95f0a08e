"""SMOTE-NC without Spark: where synthetic values lie, what is never mixed, and which rows they are made from."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_lib.learning import neighbours, smote
from spark_lib.learning.neighbours import EXACT_UP_TO, nearest
from spark_lib.use_case import Feature

DOUBLE = Feature("DOUBLE")
NAN, INF = float("nan"), float("inf")
INT64 = st.integers(-(2**63), 2**63 - 1)


def made(
    columns: Mapping[str, Any],
    features: Mapping[str, Feature],
    count: int,
    seed: int = 0,
    neighbours: int = 5,
    chunks: Iterable[int] = range(9),
) -> pa.Table:
    """Synthetic rows of a table with these columns, and with a ``row`` 0, 1, ... that is no feature."""
    rows = len(next(iter(columns.values())))
    table = pa.RecordBatch.from_pydict({"row": range(rows), **columns})
    found = smote.synthesise(table, features, count, seed, neighbours, EXACT_UP_TO, chunks)
    return pa.Table.from_batches(list(found), table.schema.append(pa.field("copy", pa.int32())))


# -- numbers


def test_a_number_lies_between_a_row_and_one_of_its_nearest_at_one_gap_for_all_columns() -> None:
    x = np.arange(40.0) ** 2
    found = made({"x": x, "y": 3 - 2 * x}, {"x": DOUBLE, "y": DOUBLE}, 4000, neighbours=2)
    np.testing.assert_allclose(found["y"].to_numpy(), 3 - 2 * found["x"].to_numpy(), atol=1e-9)
    for row in range(3, 39):  # from 3 on, the two nearest squares are those beside it
        mine = found["x"].to_numpy()[found["row"].to_numpy() == row]
        assert len(mine) == 100
        assert x[row - 1] <= mine.min() < x[row] < mine.max() <= x[row + 1]


def test_gaps_and_neighbours_are_uniform() -> None:
    found = made({"x": [0.0, 1.0, 100.0]}, {"x": DOUBLE}, 30_000, neighbours=2)
    first = found["x"].to_numpy()[found["row"].to_numpy() == 0]
    far = first[first > 1]
    assert abs(len(far) / 9900 * 1e2 - 50) < 2.5
    np.testing.assert_allclose(np.quantile(far, [0.25, 0.5, 0.75]), [25.75, 50.5, 75.25], atol=2)


def test_columns_count_by_their_standard_deviation_and_a_constant_one_does_not() -> None:
    random = np.random.default_rng(0)
    x, y = random.standard_normal((2, 500))
    features = {"x": DOUBLE, "y": DOUBLE}
    found = made({"x": x, "y": y}, features, 2000)
    scaled = made({"x": x * 1e6 + 1e12, "y": y, "z": np.full(500, 0.1)}, {**features, "z": DOUBLE}, 2000)
    np.testing.assert_allclose(scaled["x"].to_numpy(), found["x"].to_numpy() * 1e6 + 1e12, rtol=1e-14)
    np.testing.assert_array_equal(scaled["y"].to_numpy(), found["y"].to_numpy())
    assert set(scaled["z"].to_pylist()) == {0.1}


def test_integers_stay_integers_and_are_rounded_to_the_nearest() -> None:
    columns = {"small": pa.array([0, 3] * 3, pa.int8()), "large": pa.array([-7, 2**40] * 3)}
    found = made(columns, {"small": Feature("TINYINT"), "large": Feature("BIGINT")}, 60_000)
    assert found.schema.field("small").type == pa.int8()
    assert found.schema.field("large").type == pa.int64()
    mixed = [
        small for small, large in zip(*(found[name].to_pylist() for name in columns), strict=True) if -7 < large < 2**40
    ]
    counts = Counter(mixed)
    for value, share in {0: 1 / 6, 1: 1 / 3, 2: 1 / 3, 3: 1 / 6}.items():
        assert abs(counts[value] / len(mixed) - share) < 0.01, counts


@given(INT64, INT64, st.floats(0, 1, exclude_max=True))
def test_an_integer_of_any_size_lies_between_two_others_where_the_gap_says(own: int, other: int, gap: float) -> None:
    (found,) = smote._between_integers(np.array([own]), np.array([other]), np.array([gap])).tolist()
    assert min(own, other) <= found <= max(own, other)
    error = abs(found - (own + Fraction(gap) * (other - own)))
    assert error <= Fraction(1, 2) + Fraction(abs(other - own), 2**52)


def test_a_bigint_that_no_double_holds_is_kept_whole() -> None:
    value = 2**53 + 1
    found = made({"x": [value] * 4}, {"x": Feature("BIGINT")}, 50)
    assert set(found["x"].to_pylist()) == {value}


@pytest.mark.parametrize("kind", [pa.decimal128(5, 2), pa.decimal128(20, 4), pa.decimal128(38, 10)])
def test_decimals_keep_their_type_and_every_digit_of_equal_ends(kind: pa.DataType) -> None:
    largest = Decimal("9" * (kind.precision - kind.scale) + "." + "9" * kind.scale)
    least = largest.copy_negate()
    ends = [largest, largest, least, least]
    found = made({"x": pa.array(ends, kind)}, {"x": Feature("DECIMAL")}, 400, neighbours=3)
    assert found.schema.field("x").type == kind
    values = found["x"].to_pylist()
    assert {largest, least} <= set(values)
    assert len(set(values)) > 100
    assert min(values) == least and max(values) == largest


def test_floats_far_apart_do_not_overflow() -> None:
    found = made(
        {"x": [-1.7e308, 1.7e308], "y": pa.array([1, 2], pa.float32())}, {"x": DOUBLE, "y": Feature("FLOAT")}, 99
    )
    assert np.isfinite(found["x"].to_numpy()).all()
    assert found.schema.field("y").type == pa.float32()


# -- codes, booleans and gaps


def test_a_nominal_value_is_the_most_frequent_of_the_neighbours() -> None:
    x = [0.0, 0.01, 0.02, 0.03, 9.0, 9.01, 9.02, 9.03]
    columns = {"x": x, "kind": [7, 1, 1, 1, 1, 4, 4, 4], "owns": [False, True, True, True, True, False, False, False]}
    features = {"x": DOUBLE, "kind": Feature("INT", nominal=True), "owns": Feature("BOOLEAN")}
    found = made(columns, features, 800, neighbours=3)
    for row in found.to_pylist():
        assert (row["kind"], row["owns"]) == ((1, True) if row["row"] < 4 else (4, False)), row


def test_ties_of_nominal_values_are_drawn() -> None:
    found = made({"x": [0.0] * 5, "kind": [9, 1, 1, 2, 2]}, {"x": DOUBLE, "kind": Feature("INT", nominal=True)}, 5000)
    counts = Counter(row["kind"] for row in found.to_pylist() if row["row"] == 0)
    assert set(counts) == {1, 2}
    assert abs(counts[1] - 500) < 70


def test_two_nominal_values_are_a_standard_deviation_apart() -> None:
    columns = {"two": [True, False, True], "three": [5, 6, 7], "missing": [None, 1, 1]}
    nominal = Feature("INT", nominal=True)
    for name, apart in {"two": [1, 0, 1], "three": [1, 1, 1], "missing": [1, 1, 0]}.items():
        table = pa.RecordBatch.from_pydict({name: columns[name]})
        points = smote._points(table, {name: nominal}, {name: smote._kinds(table[name])})
        between = [math.dist(points[a], points[b]) for a, b in ((0, 1), (0, 2), (1, 2))]
        np.testing.assert_allclose(between, apart, atol=1e-6)


def test_null_nan_and_infinity_are_taken_whole_and_never_mixed() -> None:
    for gap, kind in ((None, pa.float64()), (NAN, pa.float64()), (INF, pa.float64()), (None, pa.int64())):
        found = made({"x": pa.array([gap, 4, 8] * 2, kind)}, {"x": Feature("ANY", fill=6)}, 6000)
        values = found["x"].to_pylist()
        assert sum(1500 < count < 2500 for count in [sum(map(repr(gap).__eq__, map(repr, values)))]) == 1
        assert all(value is None or not np.isfinite(value) or 4 <= value <= 8 for value in values)


def test_what_is_taken_whole_is_the_rows_own_as_often_as_the_neighbours() -> None:
    found = made({"x": [None, 1.0]}, {"x": DOUBLE}, 2000).to_pylist()
    for row in (0, 1):
        assert abs(sum(one["x"] is None for one in found if one["row"] == row) - 500) < 80


def test_where_a_number_is_missing_a_row_lies_at_the_fill_or_at_the_mean() -> None:
    table = pa.RecordBatch.from_pydict({"x": [0.0, 2.0, None, NAN, INF]})
    for fill, place in ((None, 1.0), (2.0, 2.0)):
        (points,) = smote._points(table, {"x": Feature("DOUBLE", fill=fill)}, {}).T
        assert points[2] == points[3] == points[4]
        assert math.isclose((points[2] - points[0]) / (points[1] - points[0]), place / 2, rel_tol=1e-6)


def test_a_column_without_one_value_stays_so() -> None:
    found = made({"x": pa.array([None] * 4, pa.float64()), "y": [1.0, 2, 3, 4]}, {"x": DOUBLE, "y": DOUBLE}, 9)
    assert found["x"].null_count == 9


# -- which rows


def test_every_row_makes_as_many_or_one_more_and_its_copies_are_numbered() -> None:
    found = made({"x": np.arange(7.0)}, {"x": DOUBLE}, 25)
    copies: dict[int, list[int]] = {}
    for row in found.to_pylist():
        copies.setdefault(row["row"], []).append(row["copy"])
    assert sorted(len(numbers) for numbers in copies.values()) == [3, 3, 3, 4, 4, 4, 4]
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in copies.values())


def test_fewer_than_one_of_each_row_are_of_rows_that_are_drawn() -> None:
    drawn = [frozenset(made({"x": np.arange(50.0)}, {"x": DOUBLE}, 10, seed)["row"].to_pylist()) for seed in range(3)]
    assert [len(rows) for rows in drawn] == [10] * 3
    assert len(set(drawn)) == 3


def test_an_only_row_makes_copies_of_itself_and_two_make_what_lies_between_them() -> None:
    columns = {"x": [1.5], "n": [2**53 + 1], "owns": [True]}
    features = {"x": DOUBLE, "n": Feature("BIGINT"), "owns": Feature("BOOLEAN")}
    assert made(columns, features, 3).to_pylist() == [
        {"row": 0, "x": 1.5, "n": 2**53 + 1, "owns": True, "copy": copy} for copy in (1, 2, 3)
    ]
    two = made({"x": [0.0, 1.0]}, {"x": DOUBLE}, 1000)["x"].to_numpy()
    assert 0 <= two.min() < 0.01 and 0.99 < two.max() <= 1


def test_chunks_make_the_same_rows_alone_as_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smote, "_CHUNK", 64)
    monkeypatch.setattr(smote, "_BATCH", 100)
    random = np.random.default_rng(0)
    columns = {"x": random.random(300), "kind": random.integers(3, size=300)}
    features = {"x": DOUBLE, "kind": Feature("INT", nominal=True)}
    together = made(columns, features, 1000, chunks=range(99))
    gaps = np.abs(made({"x": np.arange(300.0)}, {"x": DOUBLE}, 300, neighbours=1)["x"].to_numpy() - np.arange(300))
    assert len(np.unique(gaps.round(9))) == 300, "each chunk has draws of its own"
    alone = pa.concat_tables(made(columns, features, 1000, chunks=[chunk]) for chunk in range(5))
    assert together.num_rows == 1000
    assert together.combine_chunks().equals(alone.combine_chunks())
    assert not together.equals(made(columns, features, 1000, seed=1))


# -- neighbours


def by_hand(points: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
    squares = ((points[rows, None, :].astype(float) - points[None]) ** 2).sum(axis=2)
    squares[np.arange(len(rows)), rows] = INF
    return np.argsort(squares, axis=1)[:, :k]


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    random = np.random.default_rng(0)
    return (random.standard_normal((6000, 3)) @ random.standard_normal((3, 8))).astype(np.float32)


def test_exact_neighbours_are_the_nearest_but_for_the_row_itself(points: np.ndarray) -> None:
    rows = np.array([5, 17, 5999])
    found = nearest(points, 5, EXACT_UP_TO)(rows)
    assert np.sort(found).tolist() == np.sort(by_hand(points, rows, 5)).tolist()


def test_no_row_is_its_own_neighbour_among_equal_ones() -> None:
    for exact_up_to in (0, EXACT_UP_TO):
        rows = np.arange(300)
        found = nearest(np.zeros((300, 2), np.float32), 5, exact_up_to)(rows)
        assert found.shape == (300, 5)
        assert not (found == rows[:, None]).any()
        assert found.min() >= 0 and found.max() < 300


@pytest.mark.slow
def test_approximate_neighbours_are_nearly_all_of_the_nearest_whatever_is_searched_together(
    points: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.arange(0, 6000, 20)
    search = nearest(points, 5, 0)
    found = search(rows)
    assert recall(found, by_hand(points, rows, 5)) > 0.99
    np.testing.assert_array_equal(np.vstack([search(part) for part in np.split(rows, 3)]), found)
    np.testing.assert_array_equal(nearest(points, 5, 0)(rows), found)
    monkeypatch.setattr(neighbours, "PROBES", 1)
    assert recall(nearest(points, 5, 0)(rows), by_hand(points, rows, 5)) < 0.9


def recall(found: np.ndarray, exact: np.ndarray) -> float:
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found, exact, strict=True)]))


def test_neighbours_that_are_not_in_the_lists_that_are_searched_are_searched_everywhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(neighbours, "PROBES", 1)
    random = np.random.default_rng(0)
    few = random.standard_normal((100, 2)).astype(np.float32)  # 40 lists of fewer than 6
    found = nearest(few, 5, 0)(np.arange(100))
    assert found.min() >= 0
    assert recall(found, by_hand(few, np.arange(100), 5)) > 0.9


THREADS = """
import numpy, sys
from spark_lib.learning.neighbours import nearest
search = nearest(numpy.zeros((300, 2), numpy.float32), 5, int(sys.argv[1]))
import threadpoolctl
from {module} import {kind} as watched
real, seen = watched.{method}, set()
def search_seen(*given, **named):
    seen.update(library["num_threads"] for library in threadpoolctl.threadpool_info())
    return real(*given, **named)
watched.{method} = search_seen
search(numpy.arange(9))
sys.exit(f"{{seen}}" if seen != {{1}} else 0)
"""


@pytest.mark.processes
@pytest.mark.parametrize(
    ("exact_up_to", "module", "kind", "method"),
    [(300, "sklearn.neighbors", "NearestNeighbors", "kneighbors"), (0, "faiss", "IndexIVFFlat", "search")],
)
def test_a_new_process_searches_on_one_thread(exact_up_to: int, module: str, kind: str, method: str) -> None:
    code = THREADS.format(module=module, kind=kind, method=method)
    ran = subprocess.run([sys.executable, "-c", code, str(exact_up_to)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
