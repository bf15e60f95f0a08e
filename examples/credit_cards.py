"""Credit card clients of one table: who will not pay next month? The label lands with the row, and the table has no dates.

    PYTHONPATH=examples daystone land UCI_Credit_Card.csv --feed clients --spread 2026-01-01..2026-01-05 --seed 0 \
        --use-case credit_cards:CreditCards --lake-root lake
    PYTHONPATH=examples daystone run --date 2026-01-05 --use-case credit_cards:CreditCards --lake-root lake

The table is UCI's "default of credit card clients". docs/adopting.md goes through it step by step.
"""

from __future__ import annotations

from spark_lib import Feature, Feed, Label, UseCase

MONTHS = ("0", "2", "3", "4", "5", "6")  # as the table counts them: September 2005 is 0, April is 6
AMOUNTS = ("LIMIT_BAL", *(f"{kind}{n}" for kind in ("BILL_AMT", "PAY_AMT") for n in range(1, 7)))
CODES = ("GENDER", "EDUCATION", "MARRIAGE")
LATE = tuple(f"PAY_{month}" for month in MONTHS)


class CreditCards(UseCase):
    """The probability that a client defaults on the next payment. Each client is one row, so there is no entity, and
    the day on which the row lands is its time."""

    feeds = {
        "clients": Feed(
            "ID INT, LIMIT_BAL DOUBLE, GENDER INT, EDUCATION INT, MARRIAGE INT, AGE INT, "
            + "".join(f"{name} INT, " for name in LATE)
            + "".join(f"{name} DOUBLE, " for name in AMOUNTS[1:])
            + "`default.payment.next.month` INT",
            key="ID",
        )
    }
    rows = "clients"
    label = Label(feed="clients", key="ID", column="default.payment.next.month", positive=1, allowed=(0, 1))
    features = {
        **{name: Feature("DOUBLE") for name in AMOUNTS},
        **{name: Feature("INT", nominal=True) for name in CODES},
        **{name: Feature("INT") for name in ("AGE", *LATE)},
    }
    settings = {
        "pipeline.first_date": "2026-01-01",
        "raw.clients.format": "csv",
        "training.label_delay_days": 0,
        "training.window_days": 4,
    }
