"""UCI's default of credit card clients as a use case. Its columns are taken as they are; codes are declared nominal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from spark_lib.use_case import Feature, Feed, Label, UseCase

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_AMOUNTS = ["LIMIT_BAL", *(f"BILL_AMT{month}" for month in range(1, 7)), *(f"PAY_AMT{month}" for month in range(1, 7))]
_CODES = ["GENDER", "EDUCATION", "MARRIAGE"]
_COUNTS = ["AGE", *(f"PAY_{month}" for month in (0, 2, 3, 4, 5, 6))]


class CreditCards(UseCase):
    """The probability that a client defaults on the next payment."""

    feeds = {
        "clients": Feed(
            ", ".join(
                [
                    "client STRING",
                    *(f"{name} DOUBLE" for name in _AMOUNTS),
                    *(f"{name} INT" for name in [*_CODES, *_COUNTS]),
                    "at TIMESTAMP",
                ]
            ),
            key="client",
        ),
        "outcomes": Feed("client STRING, status STRING", key="client"),
    }
    rows = "clients"
    entity = "client"
    event_time = "at"
    label = Label(feed="outcomes", key="client", column="status", positive="default", allowed=("default", "paid"))
    features = {
        **{name: Feature("DOUBLE") for name in _AMOUNTS},
        **{name: Feature("INT", nominal=True) for name in _CODES},
        **{name: Feature("INT") for name in _COUNTS},
    }

    def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        """The columns as they landed."""
        return day.select("client", *self.features)
