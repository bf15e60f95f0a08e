"""A backfill on real Spark and real stores: every stage of many days is what each day is alone."""

from __future__ import annotations

from datetime import date

from spark_lib.lake import days
from tests.chain.chains import MONDAY, Chain

#: The days that the model of MONDAY is made of.
WINDOW = [str(day) for day in days(date(2026, 1, 1), date(2026, 1, 4))]


def test_days_by_one_job_on_s3_are_what_each_is_on_a_disk_and_a_second_backfill_starts_no_jvm(
    on_disk: Chain, on_s3: Chain
) -> None:
    asked = ("Backfill", "--start", MONDAY, "--stop", date.fromisoformat(MONDAY) + date.resolution)

    on_s3.succeeds(*asked, "--of", "BatchInference", "--order", "newest")

    runs = {day: run for (dataset, day), run in on_s3.published().items() if dataset == "features"}
    assert len(runs) == len(WINDOW) + 1
    assert len({runs[day] for day in WINDOW}) == 1, "the window's days were not built together"
    for dataset, day in [("features", day) for day in runs] + [
        ("balanced", MONDAY),
        ("selection", MONDAY),
        ("predictions", MONDAY),
    ]:
        assert on_s3.contents(dataset, day) == on_disk.contents(dataset, day), (dataset, day)
    assert on_s3.card(MONDAY) == on_disk.card(MONDAY)
    assert on_s3.sessions() == 1

    on_s3.succeeds(*asked, "--of", "BatchInference")

    assert on_s3.sessions() == 1
