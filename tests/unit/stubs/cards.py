"""A use case of a table without days, as an adopter would write it: UCI's clients of a bank, by the file's own columns."""

from __future__ import annotations

from spark_lib import Feature, Feed, Label, UseCase

AMOUNTS = ["LIMIT_BAL", *(f"BILL_AMT{month}" for month in range(1, 7)), *(f"PAY_AMT{month}" for month in range(1, 7))]
CODES = ["GENDER", "EDUCATION", "MARRIAGE", "AGE", *(f"PAY_{month}" for month in (0, 2, 3, 4, 5, 6))]


class Cards(UseCase):
    """Whether a client defaults on the next payment."""

    feeds = {
        "clients": Feed(
            ", ".join(
                ["ID BIGINT", "at DATE", *(f"{name} DOUBLE" for name in AMOUNTS), *(f"{name} INT" for name in CODES)]
            ),
            key="ID",
        ),
        "outcomes": Feed("ID BIGINT, defaulted INT", key="ID"),
    }
    rows = "clients"
    entity = "ID"
    event_time = "at"
    label = Label(feed="outcomes", key="ID", column="defaulted", positive=1, allowed=(0, 1))
    features = {name: Feature("DOUBLE") for name in AMOUNTS} | {name: Feature("INT") for name in CODES}
    settings = {"pipeline.first_date": "2026-01-01"}
