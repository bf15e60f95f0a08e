"""What comes out depends on what has landed: not on the clock, the time zone, the cores or the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chain.chains import MONDAY, Chain
from tests.chain.conftest import LATER
from tests.chain.observed import Observed


@pytest.mark.parametrize("dataset", ["features", "serving", "balanced", "model", "selection", "predictions"])
def test_far_apart_in_place_and_time_the_same_data_give_equal_rows_and_the_same_model(
    on_disk: Chain, observed: Observed, dataset: str
) -> None:
    """The places differ in time zone, clock, cores, numbers of partitions and store: none of it may matter."""
    here, there = (
        {day: chain.contents(dataset, day) for day in days(chain, dataset)} for chain in (on_disk, observed.chain)
    )

    assert here == there
    assert MONDAY in here


def test_the_later_clock_is_later(tmp_path: Path) -> None:
    """Otherwise the test above would prove nothing."""
    here = Chain(tmp_path / "lake", tmp_path)
    source = "import datetime as d, time; print(time.time(), d.datetime.now().timestamp(), d.date.today().toordinal())"

    now, later = (map(float, here.python(source, env=env).split()) for env in ({}, {"PYTHONPATH": str(LATER)}))

    assert [there - here for here, there in zip(now, later, strict=True)] == [
        pytest.approx(400 * 86_400, abs=60),
        pytest.approx(400 * 86_400, abs=60),
        pytest.approx(400, abs=1),
    ]


def days(chain: Chain, dataset: str) -> list[str]:
    return [day for name, day in chain.published() if name == dataset]
