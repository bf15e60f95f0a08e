"""The use case, ``orchard.harvest:Harvest``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orchard import units
from spark_lib import Feature, Feed, Label, UseCase

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class Harvest(UseCase):
    """The probability that a crate is spoilt, by its weight and what was noted of it."""

    feeds = {"crates": Feed("crate STRING, weight STRING, note STRING, spoilt INT", key="crate")}
    rows = "crates"
    label = Label(feed="crates", key="crate", column="spoilt", positive=1, allowed=(0, 1))
    features = {"kilos": Feature("DOUBLE"), "note": Feature("STRING", fill="", text=True)}
    settings = {
        "pipeline.first_date": "2026-01-01",
        "training.cadence": "daily",
        "training.label_delay_days": 0,
        "training.window_days": 2,
        "training.min_positives": 20,
        "training.out_of_time": False,
        "training.bootstrap_replicates": 100,
        "training.max_calibration_error": 0.5,
    }

    def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        return day.mapInPandas(units.in_kilos, "crate STRING, kilos DOUBLE, note STRING")

    def estimator(self, settings: Mapping[str, Any]) -> Any:
        from sklearn.compose import make_column_transformer
        from sklearn.feature_extraction.text import CountVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        counted = CountVectorizer(tokenizer=units.words, token_pattern=None)
        return make_pipeline(
            make_column_transformer((counted, "note"), ("passthrough", ["kilos"])), LogisticRegression()
        )
