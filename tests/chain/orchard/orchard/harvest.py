"""The use cases, ``orchard.harvest:Harvest`` and ``orchard.harvest:Keeping``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orchard import units
from spark_lib import ClassLabel, Feature, Feed, NumberLabel, UseCase

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


COLUMNS = "crate STRING, weight STRING, note STRING, grade STRING, weeks INT"
SETTINGS = {
    "pipeline.first_date": "2026-01-01",
    "training.cadence": "daily",
    "training.label_delay_days": 0,
    "training.window_days": 2,
    "training.out_of_time": False,
    "training.bootstrap_replicates": 100,
}


class Harvest(UseCase):
    """The grade of a crate, by its weight and what was noted of it."""

    feeds = {"crates": Feed(COLUMNS, key="crate")}
    rows = "crates"
    label = ClassLabel(feed="crates", key="crate", column="grade", classes=("bruised", "sound", "spoilt"))
    features = {"kilos": Feature("DOUBLE"), "note": Feature("STRING", fill="", text=True)}
    settings = SETTINGS | {"training.max_calibration_error": 0.5}

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


class Keeping(UseCase):
    """For how many weeks a crate keeps, by its weight."""

    feeds = {"crates": Feed(COLUMNS, key="crate")}
    rows = "crates"
    label = NumberLabel(feed="crates", key="crate", column="weeks", least=0, most=30)
    features = {"kilos": Feature("DOUBLE")}
    settings = SETTINGS | {"training.trees": 5, "training.min_coverage": 0.5}

    def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        return day.mapInPandas(units.in_kilos, "crate STRING, kilos DOUBLE, note STRING").drop("note")
