"""Which entities a canary scores."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from spark_lib.scoring.share import Share

NAMES = [f"customer {number}" for number in range(20_000)]


def rows(**columns: pa.Array) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(columns)


def drawn(share: float, salt: str = "2026-02-01/0001", inside: bool = True) -> np.ndarray:
    return Share(("who",), salt, share, inside).mask(rows(who=pa.array(NAMES)))


@pytest.mark.parametrize("share", [0.05, 0.25, 0.5])
def test_the_share_is_that_of_the_entities(share: float) -> None:
    deviation = (share * (1 - share) / len(NAMES)) ** 0.5

    assert abs(drawn(share).mean() - share) < 4 * deviation


def test_an_entity_that_is_drawn_stays_drawn_while_the_share_grows() -> None:
    assert not (drawn(0.05) & ~drawn(0.25)).any()
    assert drawn(1.0).all() and not drawn(0.0).any()


def test_the_others_are_the_rest() -> None:
    assert (drawn(0.25) ^ drawn(0.25, inside=False)).all()


def test_another_promotion_draws_other_entities() -> None:
    both = drawn(0.25) & drawn(0.25, salt="2026-03-01/0001")

    assert 0.05 < both.mean() < 0.075, "a quarter of a quarter, as chance has it"


def test_the_rows_of_an_entity_go_together_in_their_order() -> None:
    batch = rows(who=pa.array(["a", "b", "a", "c"] * 5), place=pa.array(range(20)))

    for inside in (True, False):
        share = Share(("who",), "salt", 0.5, inside)
        kept = share.of(batch)
        wanted = [row for row in batch.to_pylist() if share.holds([row["who"]])]
        assert kept.to_pylist() == wanted


def test_an_entity_of_several_columns_of_any_type_is_drawn_by_all_of_them() -> None:
    batch = rows(
        bank=pa.array([1, 1, 2], pa.int64()),
        since=pa.array([date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 1)]),
    )
    share = Share(("bank", "since"), "salt", 0.5)

    values = [tuple(row.values()) for row in batch.to_pylist()]
    assert share.mask(batch).tolist() == [share.holds(value) for value in values]
    assert len({share.holds((bank, day)) for bank in range(20) for day in range(3)}) == 2


def test_the_drawing_is_the_same_everywhere_and_for_good() -> None:
    assert "".join("1" if found else "0" for found in drawn(0.25)[:32]) == DRAWN


#: As this version draws; another one that drew otherwise would move entities between models.
DRAWN = "00011001110001001000000100111000"
