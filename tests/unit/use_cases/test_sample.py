"""Sample data: its counts, its flags, what makes it equal or different, and whether its truth is one."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tracemalloc
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_lib.errors import ConfigurationError, LakeError
from spark_lib.lake.feeds import samples
from spark_lib.use_cases.credit_risk import CreditRisk, sample

FIRST = date(2026, 1, 1)
DDL_TYPES = {
    pa.string(): "STRING",
    pa.date32(): "DATE",
    pa.bool_(): "BOOLEAN",
    pa.float64(): "DOUBLE",
    pa.timestamp("us", tz="UTC"): "TIMESTAMP",
}


def write(root: Path, days: int = 3, rows_per_day: int = 100, seed: int = 0, first: date = FIRST, **more) -> Path:
    sample.write(
        lambda feed, day: root / "raw" / feed / f"date={day}", root / "truth", first, days, rows_per_day, seed, **more
    )
    return root


def rows(directory: Path) -> pd.DataFrame:
    """All days below a directory, with the day as a column."""
    days = [
        pq.ParquetFile(path).read().to_pandas().assign(day=date.fromisoformat(path.parent.name.removeprefix("date=")))
        for path in sorted(directory.rglob("part-*.parquet"))
    ]
    return pd.concat(days, ignore_index=True)


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def area_under_roc(positive: pd.Series, score: pd.Series) -> float:
    """The Mann-Whitney statistic of the scores' ranks."""
    n = positive.sum()
    return (score.rank()[positive].sum() - n * (n + 1) / 2) / (n * (len(positive) - n))


@pytest.fixture(scope="module")
def sixty_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("sample"), days=60, rows_per_day=500)


@pytest.fixture(scope="module")
def applications(sixty_days: Path) -> pd.DataFrame:
    return rows(sixty_days / "raw" / "applications")


@pytest.fixture(scope="module")
def outcomes(sixty_days: Path) -> pd.DataFrame:
    return rows(sixty_days / "raw" / "outcomes")


@pytest.fixture(scope="module")
def truth(sixty_days: Path) -> pd.DataFrame:
    return rows(sixty_days / "truth")


@pytest.mark.slow
def test_every_day_has_exactly_the_rows_asked_for(applications: pd.DataFrame, truth: pd.DataFrame):
    assert applications.groupby("day").size().tolist() == [500] * 60
    assert applications["loan_id"].is_unique
    assert truth["loan_id"].tolist() == applications["loan_id"].tolist()


def test_loans_are_applied_for_on_the_utc_day_that_they_land(applications: pd.DataFrame):
    assert (applications["loan_time"].dt.date == applications["day"]).all()


@pytest.mark.parametrize(("feed", "schema"), [("applications", sample.APPLICATIONS), ("outcomes", sample.OUTCOMES)])
def test_files_have_the_columns_that_the_use_case_declares(sixty_days: Path, feed: str, schema: pa.Schema):
    assert ", ".join(f"{field.name} {DDL_TYPES[field.type]}" for field in schema) == CreditRisk.feeds[feed].schema
    for path in (sixty_days / "raw" / feed).rglob("part-*.parquet"):
        assert pq.read_schema(path).equals(schema)


def test_every_day_of_both_feeds_has_its_flag_and_nothing_unfinished(sixty_days: Path):
    assert len(list(sixty_days.rglob("_SUCCESS"))) == 120
    assert all(path.stat().st_size == 0 for path in sixty_days.rglob("_SUCCESS"))
    assert not list(sixty_days.rglob("*.tmp"))


def test_outcomes_of_the_first_week_are_flagged_days_without_files(sixty_days: Path):
    for n in range(7):
        day = sixty_days / "raw" / "outcomes" / f"date={FIRST + timedelta(days=n)}"
        assert [path.name for path in day.iterdir()] == ["_SUCCESS"]


def test_outcomes_land_after_7_to_20_days_and_under_1_percent_later(applications: pd.DataFrame, outcomes: pd.DataFrame):
    assert outcomes["loan_id"].is_unique
    both = applications.merge(outcomes, on="loan_id", suffixes=("", "_known"), how="left")
    old_enough = both[both["day"] < FIRST + timedelta(days=14)]  # every outcome lands within the sixty days
    delay = (pd.to_datetime(old_enough["day_known"]) - pd.to_datetime(old_enough["day"])).dt.days
    assert set(range(7, 21)) <= set(delay) <= set(range(7, 46))
    assert 0 < (delay > 20).mean() < 0.01


def test_outcomes_say_what_the_truth_says(outcomes: pd.DataFrame, truth: pd.DataFrame):
    both = outcomes.merge(truth, on="loan_id", how="inner")
    assert len(both) == len(outcomes)
    assert (both["status"] == both["defaulted"].map({True: "default", False: "repaid"})).all()


def test_about_one_percent_of_the_dates_are_unknown(applications: pd.DataFrame):
    unknown = applications.isna().mean()
    assert 0.005 < unknown["birth_date"] < 0.015
    assert 0.005 < unknown["job_start_date"] < 0.015
    assert (unknown.drop(["birth_date", "job_start_date"]) == 0).all()


def test_customers_return_and_stay_who_they_are(applications: pd.DataFrame):
    customers = applications.groupby("customer_id")
    assert (customers.size() > 1).mean() > 0.3
    assert (customers[["birth_date", "job_start_date", "flag_own_car"]].nunique(dropna=False) == 1).all().all()


def test_some_customers_apply_twice_a_day_and_some_at_one_instant(applications: pd.DataFrame):
    twice = applications[applications.duplicated(["customer_id", "day"], keep=False)]
    at_once = applications[applications.duplicated(["customer_id", "loan_time"], keep=False)]
    assert len(twice) == 60 * 2 * 15  # of 500 slots, 15 repeat their neighbour's customer
    assert 0.4 < len(at_once) / len(twice) < 0.6


def test_defaults_are_15_to_20_percent_and_can_be_told_apart(truth: pd.DataFrame):
    assert 0.15 < truth["defaulted"].mean() < 0.20
    assert 0.75 < area_under_roc(truth["defaulted"], truth["probability"]) < 0.80


def test_defaults_are_as_frequent_as_their_probability_says(truth: pd.DataFrame):
    for _, part in truth.groupby(pd.qcut(truth["probability"], 10), observed=True):
        spread = np.sqrt((part["probability"] * (1 - part["probability"])).sum()) / len(part)
        assert abs(part["defaulted"].mean() - part["probability"].mean()) < 4 * spread


def test_the_true_probability_follows_the_features_of_the_landed_loans(applications: pd.DataFrame, truth: pd.DataFrame):
    loans = applications.reset_index().rename(columns={"index": "row"})
    pairs = loans.merge(loans, on="customer_id", suffixes=("", "_before"))
    pairs = pairs[pairs["loan_time_before"] < pairs["loan_time"]]
    amounts = pairs.groupby("row")["loan_amount_before"].agg(["size", "mean"]).reindex(loans["row"])

    def years(since: pd.Series) -> np.ndarray:
        return np.array(
            [
                -1 if pd.isna(a) else b.year - a.year - ((b.month, b.day) < (a.month, a.day))
                for a, b in zip(since, loans["day"], strict=True)
            ]
        )

    expected = sample.true_probability(
        amounts["size"].fillna(0).to_numpy(),
        amounts["mean"].fillna(0).to_numpy(),
        years(loans["birth_date"]),
        years(loans["job_start_date"]),
        loans["flag_own_car"].to_numpy(),
    )
    np.testing.assert_allclose(truth["probability"], expected, rtol=1e-12)


def test_the_same_seed_gives_equal_bytes_and_another_seed_other_rows(tmp_path: Path):
    one, again, other = (write(tmp_path / name, days=12, seed=s) for name, s in (("a", 7), ("b", 7), ("c", 8)))
    assert contents(one) == contents(again)
    for feed in ("applications", "outcomes"):
        mine, others = rows(one / "raw" / feed), rows(other / "raw" / feed)
        assert not mine.equals(others)


def test_rows_do_not_depend_on_the_size_of_a_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    whole = write(tmp_path / "whole", days=12)
    monkeypatch.setattr(sample, "CHUNK", 37)
    pieces = write(tmp_path / "pieces", days=12)
    assert len(list((pieces / "raw" / "applications" / f"date={FIRST}").glob("part-*"))) == 3
    for part in ("raw/applications", "raw/outcomes", "truth"):
        pd.testing.assert_frame_equal(rows(whole / part), rows(pieces / part))


def test_a_short_sample_goes_on_as_a_longer_one_would(tmp_path: Path):
    at_once, in_steps = write(tmp_path / "a", days=12), write(tmp_path / "b", days=9)
    assert contents(write(in_steps, days=12)) == contents(at_once)


def test_a_crash_leaves_its_day_without_a_flag_and_the_next_call_finishes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sample, "CHUNK", 40)
    expected = contents(write(tmp_path / "whole"))
    written = iter(range(9))  # two files, truth and rows, for each of three chunks: the second day's last rows
    rename = os.rename

    def crash(source: str, target: str) -> None:
        if next(written, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", crash)
        with pytest.raises(LakeError, match="No space left on device"):
            write(tmp_path / "crashed")
    flagged = {path.parent.name for path in (tmp_path / "crashed" / "raw" / "applications").rglob("_SUCCESS")}
    assert flagged == {"date=2026-01-01"}
    assert contents(write(tmp_path / "crashed")) == expected


def test_days_that_have_their_flag_are_not_written_again(tmp_path: Path):
    root = write(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    write(root)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_no_rows_a_day_gives_flagged_empty_days(tmp_path: Path):
    root = write(tmp_path, rows_per_day=0)
    assert len(list((root / "raw").rglob("_SUCCESS"))) == 6
    assert not list(root.rglob("*.parquet"))


def test_progress_is_told_after_each_day(tmp_path: Path):
    told: list[date] = []
    write(tmp_path, days=2, on_day=told.append)
    assert told == [date(2026, 1, 1), date(2026, 1, 2)]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [({"days": 0}, "0"), ({"rows_per_day": -1}, "-1"), ({"first": date(1999, 12, 31)}, "1999-12-31")],
)
def test_arguments_out_of_range_are_refused_before_anything_is_written(tmp_path: Path, arguments: dict, found: str):
    with pytest.raises(ConfigurationError) as refused:
        write(tmp_path, **arguments)
    assert refused.value.found == found
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("other", [{"seed": 1}, {"rows_per_day": 50}, {"first": date(2026, 1, 2)}])
def test_another_sample_is_not_written_over_the_first(tmp_path: Path, other: dict):
    before = contents(write(tmp_path))
    with pytest.raises(ConfigurationError, match=str(tmp_path / "truth")):
        write(tmp_path, **other)
    assert contents(tmp_path) == before


def test_a_sample_never_mixes_with_data_that_others_landed(tmp_path: Path):
    landed = tmp_path / "raw" / "outcomes" / "date=2026-01-02"
    landed.mkdir(parents=True)
    (landed / "part-00000.parquet").write_bytes(b"theirs")
    with pytest.raises(ConfigurationError, match=str(landed)):
        write(tmp_path)
    assert contents(tmp_path) == {"raw/outcomes/date=2026-01-02/part-00000.parquet": b"theirs"}


def test_a_document_of_somebody_elses_in_the_place_of_the_samples_is_refused(tmp_path: Path):
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / samples.IDENTITY).write_bytes(b"theirs")
    with pytest.raises(ConfigurationError, match="found the sample b'theirs'"):
        write(tmp_path)


def test_memory_does_not_grow_with_the_rows_of_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sample, "CHUNK", 5_000)

    def peak(rows_per_day: int) -> int:
        tracemalloc.start()
        write(tmp_path / str(rows_per_day), days=1, rows_per_day=rows_per_day)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(5_000)  # what is imported and cached once does not count
    assert peak(50_000) < 1.3 * peak(10_000)


def test_sample_data_needs_no_spark():
    code = "import sys, spark_lib.use_cases.credit_risk.sample; sys.exit('pyspark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
