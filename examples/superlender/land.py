"""Lands the SuperLender loans day by day, as two feeds of Parquet files with flags. No Spark.

    python examples/superlender/land.py --data ../shared/data/superlender --lake-root lake

``applications``, every loan, lands on the day of its approval with the customer's birth date; ``outcomes`` on the day
that the outcome was known. Both land every calendar day from the first loan to the end of the month of the last one; a
day without rows is a flag and no file. A day that has its flag is left alone.

The files and the rules by which they are read:

- ``trainprevloans``: earlier loans, which have an outcome. ``trainperf``: one loan a customer in July 2017. It has none,
  and its ``good_bad_flag`` never lands: ``report.py`` measures by it.
- Times are taken for UTC as they are given.
- A loan is ``late`` when its first repayment falls on a later *date* than the first due date, else ``on_time``. Due dates
  have no time of day (all are 00:00:00), so that comparing times would call late whoever paid on the due date itself.
- An outcome is known on the day of the first repayment or, where that has not come, on the day after the due date.
- ``traindemographics`` says nothing of when it was true. The birth date alone cannot have changed, so it alone is joined:
  of several rows of a customer the last that has one; null where there is none.
- What would need a guess is refused: a loan id twice, a missing value, a repayment before its approval.
"""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

#: The directory of ``superlender:SuperLender`` in a lake.
USE_CASE = "superlender.SuperLender"
FLAG = "_SUCCESS"

APPLICATIONS = pa.schema(
    [
        ("loan_id", pa.string()),
        ("customer_id", pa.string()),
        ("birth_date", pa.date32()),
        ("loan_amount", pa.float64()),
        ("term_days", pa.int32()),
        ("approved_time", pa.timestamp("us", tz="UTC")),
    ]
)
OUTCOMES = pa.schema([("loan_id", pa.string()), ("status", pa.string())])


def main() -> None:
    parser = argparse.ArgumentParser(description="Land the SuperLender loans day by day.")
    parser.add_argument("--data", type=Path, required=True, help="the directory of the three CSV files")
    parser.add_argument("--lake-root", type=Path, required=True, help="the root of the lake")
    arguments = parser.parse_args()
    land(arguments.data, arguments.lake_root)


def land(data: Path, lake_root: Path) -> None:
    """Land every day that has not landed. Raises ValueError for data that breaks a rule above."""
    july, earlier = read_loans(data, "trainperf"), read_loans(data, "trainprevloans")
    loans = pd.concat([july, earlier], ignore_index=True)
    check(loans, earlier)
    feeds = {
        "applications": (applications(loans, birth_dates(data)), APPLICATIONS),
        "outcomes": (outcomes(earlier), OUTCOMES),
    }
    calendar = days_of(loans)
    for feed, (rows, schema) in feeds.items():
        by_day = dict(list(rows.groupby("landed")))
        for day in calendar:
            land_day(lake_root / USE_CASE / "raw" / feed / f"date={day}", by_day.get(day), schema)
        span = f"{len(calendar)} days, {calendar[0]} to {calendar[-1]}"
        print(f"{feed}: {len(rows):,} rows on {span}, {len(calendar) - len(by_day)} of them empty")


def read_loans(data: Path, name: str) -> pd.DataFrame:
    """One of the two files of loans: ids as text, times as timestamps."""
    loans = read_csv(data, name, {"systemloanid": str, "customerid": str})
    for column in ("approveddate", "firstduedate", "firstrepaiddate"):
        if column in loans:
            loans[column] = pd.to_datetime(loans[column], utc=True)
    return loans


def birth_dates(data: Path) -> pd.Series:
    """The birth date of each customer who has one, by customer."""
    people = read_csv(data, "traindemographics", {"customerid": str}).dropna(subset=["birthdate"])
    return pd.to_datetime(people.drop_duplicates("customerid", keep="last").set_index("customerid")["birthdate"])


def check(loans: pd.DataFrame, earlier: pd.DataFrame) -> None:
    """Raise ValueError for what would need a guess."""
    columns = ["systemloanid", "customerid", "approveddate", "loanamount", "termdays"]
    dates = ["firstduedate", "firstrepaiddate"]
    refused = {
        "loans whose id another loan has": loans["systemloanid"].duplicated(),
        "loans that lack one of " + ", ".join(columns): loans[columns].isna().any(axis=1),
        "earlier loans without " + " or ".join(dates): earlier[dates].isna().any(axis=1),
        "first repayments before the approval": earlier["firstrepaiddate"] < earlier["approveddate"],
    }
    for words, rows in refused.items():
        if rows.any():
            raise ValueError(f"{rows.sum():,} {words}")


def applications(loans: pd.DataFrame, birth_date: pd.Series) -> pd.DataFrame:
    """The rows of the feed, with the day on which each ``landed``."""
    return pd.DataFrame(
        {
            "landed": loans["approveddate"].dt.date,
            "loan_id": loans["systemloanid"],
            "customer_id": loans["customerid"],
            "birth_date": loans["customerid"].map(birth_date).dt.date,
            "loan_amount": loans["loanamount"].astype(float),
            "term_days": loans["termdays"],
            "approved_time": loans["approveddate"],
        }
    )


def outcomes(loans: pd.DataFrame) -> pd.DataFrame:
    """The rows of the feed, with the day on which each ``landed``."""
    due, repaid = loans["firstduedate"].dt.normalize(), loans["firstrepaiddate"].dt.normalize()
    late = repaid > due
    return pd.DataFrame(
        {
            "landed": repaid.mask(late, due + pd.Timedelta(days=1)).dt.date,
            "loan_id": loans["systemloanid"],
            "status": late.map({True: "late", False: "on_time"}),
        }
    )


def days_of(loans: pd.DataFrame) -> list[date]:
    """Every day from the first loan to the end of the last loan's month."""
    last = loans["approveddate"].max().normalize() + pd.offsets.MonthEnd(0)
    return [day.date() for day in pd.date_range(loans["approveddate"].min().normalize(), last)]


def land_day(directory: Path, rows: pd.DataFrame | None, schema: pa.Schema) -> None:
    """One day of a feed: its file where it has rows, then its flag."""
    if (directory / FLAG).exists():
        return
    directory.mkdir(parents=True, exist_ok=True)
    if rows is not None:
        table = pa.Table.from_pandas(rows.sort_values("loan_id"), schema, preserve_index=False)
        pq.write_table(table, directory / "part-00000.parquet")
    (directory / FLAG).touch()


def read_csv(data: Path, name: str, types: dict[str, type]) -> pd.DataFrame:
    """A file of the data, as it is or compressed. Raises FileNotFoundError where it is neither."""
    found = sorted(data.glob(f"{name}.csv*"))
    if not found:
        raise FileNotFoundError(f"neither {name}.csv nor {name}.csv.gz in {data}")
    return pd.read_csv(found[0], dtype=types)


if __name__ == "__main__":
    main()
