"""A shop whose feeds lie on a server of their own: orders as Parquet, visits as CSV; and the features of a day in every lake
that a run may mix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import luigi

from spark_lib import Feature, Feed, Label, UseCase
from tasks import FeatureEngineering

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class Orders(UseCase):
    """Whether an order comes back, from its amount and how often its customer looked before."""

    feeds = {
        "orders": Feed("order BIGINT, customer STRING, at TIMESTAMP, amount DOUBLE", key="order"),
        "visits": Feed("visit BIGINT, visitor STRING, then TIMESTAMP", key="visit"),
        "returns": Feed("order BIGINT, returned STRING", key="order"),
    }
    rows = "orders"
    entity = "customer"
    event_time = "at"
    label = Label(feed="returns", key="order", column="returned", positive="yes", allowed=("yes", "no"))
    features = {"amount": Feature("DOUBLE", fill=0.0), "looked": Feature("BIGINT")}
    settings = {"pipeline.first_date": "2026-01-18"}

    def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        from pyspark.sql import functions as F

        before = (F.col("visitor") == F.col("customer")) & (F.col("then") < F.col("at"))
        return (
            day.join(history["visits"], on=before, how="left")
            .groupBy("order")
            .agg(F.first("amount").alias("amount"), F.count("visitor").alias("looked"))
        )


class Elsewhere(Orders):
    """The same, with orders in another bucket, of which Spark may hear when its session has begun, and visits on this disk."""


class Mixed(luigi.WrapperTask):
    """Features of a day in the lake of the configuration, of both use cases, and in a local lake."""

    date = luigi.DateParameter()
    local = luigi.Parameter()

    def requires(self) -> list[luigi.Task]:
        return [
            FeatureEngineering(date=self.date, use_case="shop:Orders"),
            FeatureEngineering(date=self.date, use_case="shop:Orders", lake=self.local),
            FeatureEngineering(date=self.date, use_case="shop:Elsewhere"),
        ]
