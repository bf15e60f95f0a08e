"""Orders of a kitchen, whose feed declares rules: is a plate sent back?"""

from spark_lib import Feature, Feed, Label, UseCase


class Kitchen(UseCase):
    """Features as they land, of clean days."""

    feeds = {
        "plates": Feed(
            "plate STRING, guest STRING, served TIMESTAMP, price DOUBLE",
            key="plate",
            rules={"price is positive": "price > 0"},
            duplicates="newest",
            unique_days=2,
        ),
        "returned": Feed("plate STRING, returned STRING", key="plate"),
    }
    rows = "plates"
    entity = "guest"
    event_time = "served"
    label = Label(feed="returned", key="plate", column="returned", positive="yes", allowed=("yes", "no"))
    features = {"price": Feature("DOUBLE")}
    settings = {"pipeline.first_date": "2026-01-01", "raw.plates.format": "csv"}
