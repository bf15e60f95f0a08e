"""SuperLender's loans: after how many days will the first repayment come? A number, whose outcome lands later.

    export PYTHONPATH=examples LUIGI_CONFIG_PATH=examples/repayment_days.cfg
    python examples/repayment_days.py trainprevloans.csv.gz
    daystone land loans.csv --feed loans --by approveddate
    daystone land repayments.csv --feed repayments --by firstrepaiddate
    daystone run --date 2017-05-15

The second line cuts the table in two: a loan is known on the day of its approval, its first repayment on the day that it
comes. docs/adopting.md shows what is printed. The package ``superlender`` asks another question of the same loans.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from spark_lib import Feature, Feed, NumberLabel, UseCase

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

FIRST, LAST = "2017-03-01", "2017-05-15"
LANDS = {"loannumber": "INT", "loanamount": "DOUBLE", "totaldue": "DOUBLE", "termdays": "INT"}


class RepaymentDays(UseCase):
    """The days from a loan's approval to its first repayment, with an interval."""

    feeds = {
        "loans": Feed(
            "systemloanid STRING, customerid STRING, approveddate DATE, "
            + ", ".join(f"{name} {kind}" for name, kind in LANDS.items()),
            key="systemloanid",
        ),
        "repayments": Feed("systemloanid STRING, days INT", key="systemloanid", history=True),
    }
    rows = "loans"
    entity = "customerid"
    event_time = "approveddate"
    label = NumberLabel(feed="repayments", key="systemloanid", column="days", least=0)
    features = {
        **{name: Feature(kind) for name, kind in LANDS.items()},
        "days_before": Feature("DOUBLE", fill=-1.0),
    }
    settings = {
        "pipeline.first_date": FIRST,
        # One loan in a hundred is not repaid within 60 days: its outcome is not there yet.
        "training.label_delay_days": 60,
        "training.max_unlabelled": 0.03,
    }

    def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        """The columns of the loan, and after how many days the customer repaid earlier loans, on average."""
        from pyspark.sql import functions as F

        earlier = history["loans"].select("systemloanid", F.col("customerid").alias("customer"))
        repaid = history["repayments"].join(earlier, "systemloanid", "inner").groupBy("customer")
        known = repaid.agg(F.avg("days").alias("days_before"))
        return day.join(known, F.col("customerid") == F.col("customer"), "left").select("systemloanid", *self.features)


def main(file: str, into: Path = Path(), first: str = FIRST, last: str = LAST) -> None:
    """Write loans.csv and repayments.csv, with what was known from the first day to the last."""
    import pandas as pd

    table = pd.read_csv(file, dtype={"systemloanid": str})
    for name in ("approveddate", "firstrepaiddate"):
        table[name] = pd.to_datetime(table[name]).dt.normalize()
    table["days"] = (table["firstrepaiddate"] - table["approveddate"]).dt.days
    approved, repaid = (table[table[name].between(first, last)] for name in ("approveddate", "firstrepaiddate"))
    approved[["systemloanid", "customerid", "approveddate", *LANDS]].to_csv(into / "loans.csv", index=False)
    repaid[["systemloanid", "days", "firstrepaiddate"]].to_csv(into / "repayments.csv", index=False)


if __name__ == "__main__":
    main(sys.argv[1])
