"""Sketches are counts: they merge in any order, and bins are cut where the reference has its rows."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from spark_lib.release import counting
from spark_lib.release.sketch import Apart, Column, Cut, Reference, Sketch, Sketches

NUMBERS = arrays.arrays(np.float32, st.integers(0, 60), elements=st.floats(width=32, allow_nan=True))


@given(NUMBERS, NUMBERS)
def test_every_number_lies_in_one_bin_and_nan_in_none(reference: np.ndarray, day: np.ndarray) -> None:
    cut = counting.cut_numbers(reference)

    counts = counting.count_numbers(cut, day)

    assert len(counts) == cut.bins
    assert counts.sum() == np.count_nonzero(~np.isnan(day))


@given(NUMBERS, NUMBERS, NUMBERS)
def test_parts_merge_to_the_sketch_of_the_whole(reference: np.ndarray, one: np.ndarray, other: np.ndarray) -> None:
    cut = counting.cut_numbers(reference)

    merged = of(cut, one).merged(of(cut, other))

    assert merged == of(cut, other).merged(of(cut, one)) == of(cut, np.concatenate([one, other]))


def of(cut: Cut, values: np.ndarray) -> Sketch:
    return counting.sketch(counting.count_numbers(cut, values))


def test_bins_hold_about_equal_numbers_of_rows_of_the_reference() -> None:
    values = np.random.default_rng(1).beta(0.5, 60, 10_000)  # scores of a rare outcome

    counts = counting.count_numbers(counting.cut_numbers(values), values)

    assert counts[0] == 0 and counts[-1] == 0  # below the least and above the greatest
    assert counts[1:-1] == pytest.approx(np.full(10, 1_000), abs=1)


def test_values_outside_of_the_reference_have_bins_of_their_own() -> None:
    cut = counting.cut_numbers(np.full(100, 3.0, np.float32))

    assert counting.count_numbers(cut, np.array([1, 3, 3, 4], np.float32)).tolist() == [1, 2, 1]


def test_a_category_counts_its_known_values_and_all_others_in_one() -> None:
    cut = Cut(values=("car", "house"), is_category=True)

    assert counting.count_places(cut, np.array([0, 0, 1, 2, 3], np.float32)).tolist() == [2, 1, 1]  # 3 is a null
    assert counting.count_texts(cut, ["house", "boat", None, "plane"]).tolist() == [0, 1, 2]


def test_sketches_of_parts_merge_by_column() -> None:
    one = Sketches({"score": Sketch((1, 2), 0, 3)}, {"amount": Sketch((1, 0), 1, 2)})
    other = Sketches({"score": Sketch((4, 5), 0, 9)}, segments={"region north": Sketch((1, 0), 0, 1)})

    merged = one.merged(other)

    expected = Sketches({"score": Sketch((5, 7), 0, 12)}, {"amount": Sketch((1, 0), 1, 2)}, other.segments)
    assert merged == expected


def test_sketches_of_different_cuts_are_not_merged() -> None:
    with pytest.raises(ValueError, match="argument 2"):
        Sketch((1, 2)).merged(Sketch((1, 2, 3)))


def test_documents_come_back_as_they_were() -> None:
    reference = Reference(
        {"score": Column(Cut((0.1, 0.5)), Sketch((1, 2, 3), 0, 6), 0.3, 0.2)},
        {"purpose": Column(Cut(values=("car",), is_category=True), Sketch((4, 0), 2, 6), trend=(0.01, -0.01))},
        date(2026, 1, 15),
        (Apart("region", None, Column(Cut((0.5,)), Sketch((1, 2), 0, 3))),),
    )
    sketches = Sketches(
        {"score": Sketch((1, 2), 0, 3)}, {"amount": Sketch((1, 0), 1, 2)}, {"region null": Sketch((3, 0))}
    )

    assert Reference.of(reference.document()) == reference
    assert Sketches.of(sketches.document()) == sketches


def test_a_reference_and_sketches_of_a_daystone_without_trends_and_segments_are_read() -> None:
    column, sketch = {"edges": [0.5], "counts": [1, 2], "nulls": 0, "rows": 3}, {"counts": [1, 2]}

    found = Reference.of({"scores": {"score": column}, "features": {}})

    assert (found.middle, found.segments, found.scores["score"].trend) == (None, (), ())
    assert Sketches.of({"scores": {"score": sketch}, "features": {}}).segments == {}
