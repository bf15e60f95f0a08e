"""``land``: raw days where the chain looks for them, made from tables, and what it says of them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.support import s3
from tests.support.fault_proxy import fault_proxy
from tests.support.shared_data import shared_data
from tests.unit.verbs import Verbs, last_line

pytestmark = pytest.mark.processes

OUTCOMES = "loan_id,status\nL1,default\nL2,repaid\nL3,repaid\n"


@pytest.fixture
def daystone(tmp_path: Path) -> Verbs:
    return Verbs(tmp_path)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    file = tmp_path / "outcomes.csv"
    file.write_text(OUTCOMES)
    return file


def spread(last: str = "2026-01-05") -> list[str]:
    return ["--feed", "outcomes", "--spread", f"2026-01-01..{last}", "--seed", "1"]


def test_a_landing_says_what_has_landed_and_a_second_one_that_there_is_nothing_to_do(
    daystone: Verbs, table: Path
) -> None:
    first = daystone("land", "outcomes.csv", *spread())
    again = daystone("land", table, *spread())

    raw = daystone.root / "credit_risk" / "raw" / "outcomes"
    assert (first.code, first.stderr) == (0, "")
    assert first.stdout.splitlines() == [
        f"3 rows of outcomes on 5 days from 2026-01-01 to 2026-01-05 have landed, first in {raw}/date=2026-01-01",
        "without a row: 2 days, 2026-01-01, 2026-01-02",
    ]
    assert len(list(raw.glob("date=*/_SUCCESS"))) == 5
    assert again.code == 0
    assert again.stdout.splitlines() == [
        "nothing was written",
        "left alone, as the flag was there: 5 days, 2026-01-01, 2026-01-02, 2026-01-03, 2026-01-04, 2026-01-05",
    ]


def test_days_that_have_landed_before_are_reported(daystone: Verbs, table: Path) -> None:
    daystone.land("2026-01-02", 2)

    result = daystone("land", table, *spread())

    assert result.code == 0
    assert result.stdout.splitlines()[-2:] == [
        "left alone, as the flag was there: 2 days, 2026-01-02, 2026-01-03",
        "of these with other rows than the files: 1 day, 2026-01-03; 1 row of the files did not land",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["--feed", "outcomes"], 2, "Error: wanted one of --by and --spread; found none"),
        ([*spread(), "--by", "status"], 2, "Error: wanted one of --by and --spread; found both"),
        (spread()[:-2], 2, "Error: wanted --seed N with --spread, by which the days are drawn; found none"),
        (
            ["--feed", "outcomes", "--by", "status", "--seed", "1"],
            2,
            "Error: wanted --seed with --spread alone; found it with --by",
        ),
        (
            ["--feed", "outcomes", "--spread", "2026-01-01", "--seed", "1"],
            2,
            "Error: Invalid value for '--spread': wanted two days like 2026-01-01..2026-03-31; found '2026-01-01'",
        ),
        (
            ["--feed", "outcomes", "--spread", "2026-01-01..2026-02-30", "--seed", "1"],
            2,
            "Error: Invalid value for '--spread': wanted a day like 2026-11-20; found '2026-02-30'",
        ),
        (
            ["--feed", "outcomes", "--spread", "2026-01-02..2026-01-01", "--seed", "1"],
            31,
            "Error: --spread 2026-01-02..2026-01-01: wanted a first day that is not after the last; found 2026-01-02 after "
            "2026-01-01. Next: swap them",
        ),
        (
            ["--feed", "outcome", "--by", "status"],
            31,
            "Error: feed 'outcome': wanted one of applications, outcomes; found no such feed in the use case credit_risk "
            "(did you mean 'outcomes'?). Next: correct it",
        ),
        (["nowhere.csv", *spread()], 2, "Error: Invalid value for 'FILE...': File 'nowhere.csv' does not exist."),
    ],
    ids=["neither", "both", "no seed", "seed with by", "one day", "no day", "swapped", "feed", "file"],
)
def test_what_cannot_land_is_refused_with_its_exit_code(
    daystone: Verbs, table: Path, arguments: list[str], code: int, reason: str
) -> None:
    result = daystone("land", table, *arguments)

    assert (result.code, last_line(result), result.stdout) == (code, reason, "")
    assert not daystone.root.exists()


def test_bad_rows_exit_with_33_and_their_place(daystone: Verbs, table: Path) -> None:
    table.write_text(OUTCOMES + "L2,default\n")

    result = daystone("land", table, *spread())

    assert result.code == 33
    assert last_line(result) == (
        f"Error: raw feed outcomes: {table}, row 4: wanted each 'loan_id' once a day; found 'L2' on 2026-01-05, which is in "
        f"{table}, row 2 too. Next: correct the file; nothing was landed"
    )
    assert not daystone.root.exists()


def test_a_landing_on_s3_is_the_one_of_a_directory(daystone: Verbs, table: Path, versitygw: s3.Server) -> None:
    bucket = versitygw.new_bucket()
    daystone("land", table, *spread())
    on_disk = {
        str(path.relative_to(daystone.root)): path.read_bytes() for path in daystone.root.rglob("*") if path.is_file()
    }

    result = daystone("land", table, *spread(), "--lake-root", f"s3://{bucket}/a lake", **versitygw.environment)

    assert (result.code, result.stderr) == (0, "")
    client = versitygw.client()
    listed = client.list_objects_v2(Bucket=bucket)["Contents"]
    found = {item["Key"]: client.get_object(Bucket=bucket, Key=item["Key"])["Body"].read() for item in listed}
    assert {key.removeprefix("a lake/"): body for key, body in found.items()} == on_disk


def test_a_landing_on_s3_that_was_interrupted_goes_on_where_it_stopped(
    daystone: Verbs, table: Path, versitygw: s3.Server
) -> None:
    root = f"s3://{versitygw.new_bucket()}/lake"
    days = f"{root.removeprefix('s3://')}/credit_risk/raw/outcomes/date=2026-01-0"
    with fault_proxy(versitygw) as proxy:
        proxy.add("answer", kind="PUT", key="date=2026-01-03/_SUCCESS", status=403, code="AccessDenied")
        stopped = daystone("land", table, *spread(), "--lake-root", root, **proxy.server.environment)
        puts = [key for kind, key in proxy.log if kind == "PUT"]

    result = daystone("land", table, *spread(), "--lake-root", root, **versitygw.environment)

    assert stopped.code == 36
    wanted = [f"{days}{day}/{name}" for day in (1, 2, 3) for name in ("landed.parquet", "_SUCCESS")]
    assert [key.lstrip("/") for key in puts] == wanted
    assert result.stdout.splitlines()[0] == (
        f"3 rows of outcomes on 3 days from 2026-01-03 to 2026-01-05 have landed, first in {root}/credit_risk/raw/outcomes/"
        "date=2026-01-03"
    )


def test_real_clients_without_days_land_with_their_outcomes_three_weeks_later(daystone: Verbs) -> None:
    """The same seed and as many days: the hash draws the same place among them for a client and its outcome."""
    clients = pd.read_csv(shared_data("uci_credit_default") / "UCI_Credit_Card.csv.gz")
    outcomes = clients[["ID"]].assign(defaulted=clients.pop("default.payment.next.month"))
    clients.assign(at="2005-09-30").to_csv(daystone.home / "clients.csv", index=False)
    outcomes.astype({"defaulted": "int32"}).to_parquet(daystone.home / "outcomes.parquet", index=False)
    given = ["--seed", 3, "--use-case", "tests.unit.stubs.cards:Cards"]

    one = daystone("land", "clients.csv", "--feed", "clients", "--spread", "2026-01-01..2026-01-28", *given)
    other = daystone("land", "outcomes.parquet", "--feed", "outcomes", "--spread", "2026-01-22..2026-02-18", *given)

    raw = daystone.root / "tests.unit.stubs.cards.Cards" / "raw"
    assert (one.code, other.code) == (0, 0), one.stderr + other.stderr
    assert one.stdout == (
        "30,000 rows of clients on 28 days from 2026-01-01 to 2026-01-28 have landed, first in "
        f"{raw}/clients/date=2026-01-01\n"
    )
    found, known = landed(raw / "clients"), landed(raw / "outcomes")
    joined = found.merge(known, on="ID", suffixes=("", " known"))
    assert ((joined["day known"] - joined["day"]).dt.days == 21).all()
    assert found.groupby("day").size().between(900, 1_250).all()
    whole = found.sort_values("ID", ignore_index=True)[clients.columns]
    pd.testing.assert_frame_equal(whole, clients, check_dtype=False)
    assert joined["defaulted"].sum() == 6_636


def landed(feed: Path) -> pd.DataFrame:
    """The rows of all days of a feed, each with its ``day``."""
    days = [
        pd.read_parquet(file).assign(day=pd.Timestamp(file.parent.name.removeprefix("date=")))
        for file in sorted(feed.glob("date=*/*.parquet"))
    ]
    return pd.concat(days)
