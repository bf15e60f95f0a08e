"""The population stability index, and what chance gives for it."""

from __future__ import annotations

import numpy as np
import pytest

from spark_lib.release import psi


def test_the_index_is_that_of_the_formula() -> None:
    found = psi.psi([29_999.5, 69_999.5], [49_999.5, 49_999.5])

    assert found == pytest.approx((0.3 - 0.5) * np.log(0.3 / 0.5) + (0.7 - 0.5) * np.log(0.7 / 0.5))


def test_equal_shares_have_none_and_an_empty_bin_counts() -> None:
    assert psi.psi([10, 30], [10, 30]) == 0
    assert psi.psi([100, 900], [0, 1000]) > 0.2


@pytest.mark.parametrize(("rows", "of_rows"), [(40, 300), (400, 2_000)])
def test_chance_exceeds_its_bound_as_often_as_the_level_says(rows: int, of_rows: int) -> None:
    random, shares = np.random.default_rng(7), np.full(10, 0.1)
    draws = 4_000
    one, other = random.multinomial(rows, shares, draws), random.multinomial(of_rows, shares, draws)
    bound = psi.of_chance([rows // 10] * 10, [of_rows // 10] * 10, 0.01, below=0.0)

    above = sum(psi.psi(*pair) > bound for pair in zip(one, other, strict=True))

    assert 0.005 < above / draws < 0.017


def test_what_chance_is_drawn_for_is_the_same_index() -> None:
    drawn = psi._drawn((50, 300), np.full(10, 0.1), 2, 5)
    random = np.random.default_rng(0)
    one, other = (np.pad(random.multinomial(size, np.full(10, 0.1), 5), ((0, 0), (0, 2))) for size in (50, 300))

    assert drawn.tolist() == pytest.approx([psi.psi(*pair) for pair in zip(one, other, strict=True)], rel=1e-12)


def test_the_bound_is_the_same_each_time_and_smaller_for_more_rows() -> None:
    few = psi.of_chance([5] * 10, [30] * 10, 0.0001, below=0.2)
    many = psi.of_chance([500] * 10, [3_000] * 10, 0.0001, below=0.2)

    assert few == psi.of_chance([5] * 10, [30] * 10, 0.0001, below=0.2)
    assert many < 0.2 < few


def test_the_short_cut_is_above_the_bound_of_all_draws() -> None:
    quick = psi.of_chance([50] * 10, [300] * 10, 0.0001, below=10.0)

    assert quick > psi.of_chance([50] * 10, [300] * 10, 0.0001, below=0.0)


def test_a_difference_of_shares_is_bounded_by_chance() -> None:
    few, many = (psi.share_of_chance((size, 1_000), 0.1, 0.001) for size in (50, 50_000))

    assert 0.0 < many < 0.05 < few
