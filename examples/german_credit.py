"""German credit: which of 1,000 applicants is a bad risk? A small table whose columns are mostly categories.

    export PYTHONPATH=examples LUIGI_CONFIG_PATH=examples/german_credit.cfg
    awk '{ print (NR == 1 ? "ID" : NR - 1), $0 }' german.data > german.csv
    daystone land german.csv --feed applicants --spread 2026-01-01..2026-01-06 --seed 0
    daystone run --date 2026-01-06

The table is UCI's "Statlog (German credit data)", with a line of names; it has no key, so that awk numbers the rows.
docs/adopting.md shows what is printed.
"""

from __future__ import annotations

from spark_lib import Feature, Feed, Label, UseCase

#: Codes such as A34: each is a category, and training learns which ones there are.
CODES = (
    *("STATUS_ACCOUNT", "CREDIT_HISTORY", "PURPOSE", "BONDS", "EMPLOYMENT", "PERSONAL_STATUS_AND_SEX", "OTHER_DEBTORS"),
    *("PROPERTY", "INSTALLMENT_PLANS", "HOUSING", "JOB", "TELEPHONE", "FOREIGN"),
)
NUMBERS = (
    *("DURATION_MONTHS", "AMOUNT", "INSTALLMENT_RATE", "PRESENT_RESIDENCE_SINCE", "AGE"),
    *("NUMBER_OF_CREDIT_CARDS", "LIABLE_PEOPLE"),
)


class GermanCredit(UseCase):
    """The probability that an applicant is a bad risk, which the table writes as 0."""

    feeds = {
        "applicants": Feed(
            "ID INT, "
            + "".join(f"{name} STRING, " for name in CODES)
            + "".join(f"{name} INT, " for name in NUMBERS)
            + "CLASSIFICATION INT",
            key="ID",
        )
    }
    rows = "applicants"
    label = Label(feed="applicants", key="ID", column="CLASSIFICATION", positive=0, allowed=(0, 1))
    features = {
        **{name: Feature("STRING") for name in CODES},
        **{name: Feature("INT") for name in NUMBERS},
    }
    settings = {
        "pipeline.first_date": "2026-01-01",
        "raw.applicants.format": "csv",
        "raw.applicants.separator": "space",
        "training.label_delay_days": 0,
    }
