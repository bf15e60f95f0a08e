"""A use case as somebody else writes it: its own feeds, columns, names and times, landed as CSV."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from spark_lib import Feature, Feed, Label, UseCase

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class Churn(UseCase):
    """Whether a member leaves after a visit, from the visit's length and how many came before."""

    feeds = {
        "visits": Feed("visit BIGINT, member STRING, at TIMESTAMP, minutes DOUBLE", key="visit"),
        "farewells": Feed("visit BIGINT, left STRING", key="visit"),
    }
    rows = "visits"
    entity = "member"
    event_time = "at"
    label = Label(feed="farewells", key="visit", column="left", positive="yes", allowed=("yes", "no"))
    features = {"minutes": Feature("DOUBLE", fill=0.0), "earlier_visits": Feature("BIGINT")}
    settings = {
        "pipeline.first_date": "2026-01-18",
        "training.window_days": 4,
        "training.label_delay_days": 2,
        "training.min_positives": 20,
        "training.trees": 5,
        "training.depth": 3,
    }

    def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        from pyspark.sql import functions as F

        visits = history["visits"].select(F.col("member").alias("who"), F.col("at").alias("then"))
        before = (F.col("who") == F.col("member")) & (F.col("then") < F.col("at"))
        return (
            day.join(visits, on=before, how="left")
            .groupBy("visit")
            .agg(F.first("minutes").alias("minutes"), F.count("who").alias("earlier_visits"))
        )
