"""What the SuperLender example lands: each row on its day, by the rules that land.py states."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from examples.superlender import SuperLender
from examples.superlender.land import APPLICATIONS, FLAG, OUTCOMES, USE_CASE, land
from spark_lib.lake import RawFeed
from spark_lib.use_case import directory
from tests.support.shared_data import VARIABLE, shared_data

PEOPLE = "customerid,birthdate,bank_account_type"
PERF = (
    "customerid,systemloanid,loannumber,approveddate,creationdate,loanamount,totaldue,termdays,referredby,good_bad_flag"
)
PREV = (
    "customerid,systemloanid,loannumber,approveddate,creationdate,loanamount,totaldue,termdays,closeddate,referredby,"
    "firstduedate,firstrepaiddate"
)


def july_loan(loan: str, customer: str, approved: str, flag: str = "Good") -> str:
    return f"{customer},{loan},9,{approved},{approved},20000.0000,24500.0000,30,,{flag}"


def earlier_loan(loan: str, customer: str, approved: str, due: str, repaid: str, amount: str = "10000.0000") -> str:
    return f"{customer},{loan},1,{approved},{approved},{amount},11500.0000,15,{repaid},,{due},{repaid}"


def write(data: Path, july: list[str], earlier: list[str], people: list[str] | None = None) -> Path:
    """The three files, as they come."""
    data.mkdir()
    for name, lines in {
        "trainperf": [PERF, *july],
        "trainprevloans": [PREV, *earlier],
        "traindemographics": [PEOPLE, *(people or [])],
    }.items():
        (data / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return data


def rows(root: Path, feed: str) -> dict[str, list[dict]]:
    """The rows of each landed day that has any."""
    days = sorted((root / USE_CASE / "raw" / feed).iterdir())
    return {
        day.name.removeprefix("date="): pq.read_table(file).to_pylist()
        for day in days
        for file in day.glob("*.parquet")
    }


def flagged(root: Path, feed: str) -> list[str]:
    return sorted(flag.parent.name.removeprefix("date=") for flag in (root / USE_CASE / "raw" / feed).glob(f"*/{FLAG}"))


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake in which the real files have landed."""
    root = tmp_path_factory.mktemp("superlender")
    land(shared_data("superlender"), root)
    return root


JULY = [july_loan("9", "ann", "2017-07-30 08:00:00.250000", "Bad")]


def landed_outcome(tmp_path: Path, due: str, repaid: str) -> tuple[str, str]:
    """The day and status of the outcome of one loan."""
    loan = earlier_loan("1", "ann", "2017-07-01 09:00:00.000000", due, repaid)
    land(write(tmp_path / "data", JULY, [loan]), tmp_path / "lake")
    ((day, (row,)),) = rows(tmp_path / "lake", "outcomes").items()
    assert row["loan_id"] == "1"
    return day, row["status"]


def test_an_application_lands_on_the_day_of_its_approval_from_either_file(tmp_path):
    loan = earlier_loan("1", "ann", "2017-07-28 23:59:59.999999", "2017-07-29 00:00:00", "2017-07-29 10:00:00")
    people = ["ann,1973-10-10 00:00:00.000000,Savings"]
    land(write(tmp_path / "data", JULY, [loan], people), tmp_path / "lake")
    assert rows(tmp_path / "lake", "applications") == {
        "2017-07-28": [
            {
                "loan_id": "1",
                "customer_id": "ann",
                "birth_date": date(1973, 10, 10),
                "loan_amount": 10000.0,
                "term_days": 15,
                "approved_time": datetime(2017, 7, 28, 23, 59, 59, 999999, tzinfo=UTC),
            }
        ],
        "2017-07-30": [
            {
                "loan_id": "9",
                "customer_id": "ann",
                "birth_date": date(1973, 10, 10),
                "loan_amount": 20000.0,
                "term_days": 30,
                "approved_time": datetime(2017, 7, 30, 8, 0, 0, 250000, tzinfo=UTC),
            }
        ],
    }


def test_every_day_from_the_first_loan_to_the_end_of_the_last_ones_month_is_flagged(tmp_path):
    loan = earlier_loan("1", "ann", "2017-07-28 09:00:00", "2017-07-29 00:00:00", "2017-07-29 10:00:00")
    land(write(tmp_path / "data", JULY, [loan]), tmp_path / "lake")
    days = ["2017-07-28", "2017-07-29", "2017-07-30", "2017-07-31"]
    assert flagged(tmp_path / "lake", "applications") == flagged(tmp_path / "lake", "outcomes") == days


def test_a_loan_repaid_before_the_due_date_is_on_time_and_known_that_day(tmp_path):
    assert landed_outcome(tmp_path, "2017-07-16 00:00:00", "2017-07-12 18:00:00") == ("2017-07-12", "on_time")


def test_a_loan_repaid_on_the_due_date_at_any_time_of_day_is_on_time(tmp_path):
    assert landed_outcome(tmp_path, "2017-07-16 00:00:00", "2017-07-16 23:59:59") == ("2017-07-16", "on_time")


def test_a_loan_repaid_on_the_day_after_the_due_date_is_late_and_known_that_day(tmp_path):
    assert landed_outcome(tmp_path, "2017-07-16 00:00:00", "2017-07-17 00:00:00") == ("2017-07-17", "late")


def test_a_loan_repaid_long_after_the_due_date_is_known_to_be_late_on_the_day_after_it(tmp_path):
    assert landed_outcome(tmp_path, "2017-07-16 00:00:00", "2017-07-29 12:00:00") == ("2017-07-17", "late")


def test_of_several_rows_of_a_customer_the_last_with_a_birth_date_counts(tmp_path):
    july = [july_loan(str(n), customer, "2017-07-31 08:00:00") for n, customer in enumerate(("ann", "bob", "cyd"))]
    people = ["ann,1970-01-01,Other", "ann,1980-01-01,Savings", "ann,,Current", "bob,,Other"]
    loan = earlier_loan("9", "ann", "2017-07-31 07:00:00", "2017-08-15 00:00:00", "2017-07-31 10:00:00")
    land(write(tmp_path / "data", july, [loan], people), tmp_path / "lake")
    found = {row["customer_id"]: row["birth_date"] for row in rows(tmp_path / "lake", "applications")["2017-07-31"]}
    assert found == {"ann": date(1980, 1, 1), "bob": None, "cyd": None}


def test_landing_again_leaves_flagged_days_alone_and_finishes_the_others(tmp_path):
    loan = earlier_loan("1", "ann", "2017-07-28 09:00:00", "2017-07-29 00:00:00", "2017-07-29 10:00:00")
    data, lake = write(tmp_path / "data", JULY, [loan]), tmp_path / "lake"
    land(data, lake)
    applications = lake / USE_CASE / "raw" / "applications"
    kept, redone = applications / "date=2017-07-28", applications / "date=2017-07-30"
    before = (kept / "part-00000.parquet").stat()
    (redone / FLAG).unlink()
    (redone / "part-00000.parquet").write_bytes(b"half of a fi")
    land(data, lake)
    assert (kept / "part-00000.parquet").stat() == before
    assert [row["loan_id"] for row in rows(lake, "applications")["2017-07-30"]] == ["9"]
    assert (redone / FLAG).exists()


REPAID = ("2017-07-16 00:00:00", "2017-07-12 18:00:00")


@pytest.mark.parametrize(
    ("earlier", "refusal"),
    [
        (("9", "ann", "2017-07-01 09:00:00", *REPAID), "1 loans whose id another loan has"),
        (
            ("1", "ann", "", *REPAID),
            "1 loans that lack one of systemloanid, customerid, approveddate, loanamount, termdays",
        ),
        (("1", "", "2017-07-01 09:00:00", *REPAID), "1 loans that lack one of"),
        (("1", "ann", "2017-07-01 09:00:00", *REPAID, ""), "1 loans that lack one of"),
        (("1", "ann", "2017-07-01 09:00:00", "", REPAID[1]), "1 earlier loans without firstduedate or firstrepaiddate"),
        (("1", "ann", "2017-07-01 09:00:00", REPAID[0], ""), "1 earlier loans without firstduedate or firstrepaiddate"),
        (("1", "ann", "2017-07-13 09:00:00", *REPAID), "1 first repayments before the approval"),
    ],
)
def test_what_would_need_a_guess_is_refused_and_nothing_lands(tmp_path, earlier, refusal):
    data = write(tmp_path / "data", JULY, [earlier_loan(*earlier)])
    with pytest.raises(ValueError, match=refusal):
        land(data, tmp_path / "lake")
    assert not (tmp_path / "lake").exists()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"neither trainperf\.csv nor trainperf\.csv\.gz in"):
        land(tmp_path, tmp_path / "lake")


def test_the_feeds_land_where_the_use_case_looks_for_them_with_the_columns_it_declares(tmp_path):
    loan = earlier_loan("1", "ann", "2017-07-28 09:00:00", "2017-07-29 00:00:00", "2017-07-29 10:00:00")
    land(write(tmp_path / "data", JULY, [loan]), tmp_path / "lake")
    for feed, schema in {"applications": APPLICATIONS, "outcomes": OUTCOMES}.items():
        declared = [column.split()[0] for column in SuperLender.feeds[feed].schema.split(", ")]
        assert declared == schema.names
        assert RawFeed(feed, str(tmp_path / "lake"), directory("superlender:SuperLender")).has_landed(date(2017, 7, 31))


@pytest.mark.slow
def test_the_real_files_have_563_days_from_the_first_loan_to_the_last_of_which_53_have_none(real):
    days, applications = flagged(real, "applications"), rows(real, "applications")
    assert (min(applications), max(applications)) == ("2016-01-15", "2017-07-30")
    assert (len(days), len(applications)) == (563 + 1, 563 - 53)  # and the last of July, without a loan
    assert sum(map(len, applications.values())) == 4_368 + 18_183


@pytest.mark.slow
def test_the_real_outcomes_are_of_the_earlier_loans_alone_and_known_within_36_days(real):
    approved = {row["loan_id"]: day for day, rows in rows(real, "applications").items() for row in rows}
    known = {row["loan_id"]: (day, row["status"]) for day, rows in rows(real, "outcomes").items() for row in rows}
    delays = [(date.fromisoformat(day) - date.fromisoformat(approved[loan])).days for loan, (day, _) in known.items()]
    assert len(known) == 18_183
    assert sum(status == "late" for _, status in known.values()) == 3_161
    assert (min(delays), max(delays)) == (0, 36)
    assert SuperLender.settings["training.label_delay_days"] > max(delays)


@pytest.mark.slow
def test_no_column_that_lands_tells_what_became_of_a_loan_of_july():
    assert not {"good_bad_flag", "firstrepaiddate", "closeddate"} & {*APPLICATIONS.names, *OUTCOMES.names}


def test_without_the_shared_data_a_test_fails_in_ci_and_is_skipped_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="lacks the data set superlender: no directory"):
        shared_data("superlender")
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match=f"set {VARIABLE} to the directory that holds superlender"):
        shared_data("superlender")
