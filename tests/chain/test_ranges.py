"""A backfill by Luigi's own RangeDaily: killed half-way, it is run again and goes on."""

from __future__ import annotations

from datetime import date, timedelta

import spark_lib
from tests.chain.chains import Chain, ended, listing
from tests.chain.conftest import DAY
from tests.support.patience import until

START, STOP = "2026-01-29", "2026-02-04"  # Luigi's stop is exclusive
DAYS = [str(date(2026, 1, 29) + timedelta(days=n)) for n in range(6)]
RANGE = ["RangeDaily", "--of", "BatchInference", "--start", START, "--stop", STOP]


def test_a_range_that_was_killed_half_way_goes_on_where_it_stopped_and_then_has_nothing_to_do(
    chain: Chain, sample_lake: Chain
) -> None:
    chain.delete("features", "selection", "predictions", day=DAY)
    killed = chain.start(*RANGE)
    with ended(killed):
        killed.wait_until("credit_risk/predictions/*/_SUCCESS", chain.root, times=2)
        killed.kill()
    until(lambda: not chain.processes())
    half_way = chain.published()
    built = [day for dataset, day in half_way if dataset == "predictions"]
    assert 2 <= len(built) < 6, built

    chain.succeeds(*RANGE)

    assert half_way.items() <= chain.published().items(), "a day was published a second time"
    assert [day for dataset, day in chain.published() if dataset == "predictions"] == DAYS
    assert chain.sessions() == 2
    for dataset in ("features", "selection", "predictions"):
        assert chain.contents(dataset, DAY) == sample_lake.contents(dataset, DAY), (
            "a single run built the day otherwise"
        )
    predictions = spark_lib.read_pandas(
        str(chain.root), "credit_risk", "predictions", date.fromisoformat(DAYS[0]), date.fromisoformat(DAYS[-1])
    )
    by_day = predictions.groupby("date")
    assert (by_day["loan_id"].nunique() == 500).all()
    assert (by_day.size() == 500).all()
    models = by_day["model_date"].unique().map(list)
    assert models.tolist() == [[date(2026, 1, 26)]] * 4 + [[date(2026, 2, 2)]] * 2, "not the model in force on the day"

    before = listing(chain.root)
    again = chain.succeeds(*RANGE)

    assert "Did not run any tasks" in again.stderr
    assert chain.sessions() == 2
    assert listing(chain.root) == before
