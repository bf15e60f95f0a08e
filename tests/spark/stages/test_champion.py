"""A new model against the one before it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from pyspark.sql import SparkSession
from sklearn.metrics import roc_auc_score

from spark_lib.lake.tables import read_arrow
from spark_lib.models import matrix
from spark_lib.models.calibration import apply
from spark_lib.models.model import digest, load, score
from spark_lib.models.selection import Challenge
from spark_lib.stages import champion, selection
from spark_lib.stages.selection import Pinned
from spark_lib.use_case import Feature
from tests.spark.lakes import BEFORE, DAY, SETTINGS, Chain, Parcels
from tests.support.onnx_models import linear

KEY = "parcel"


def compare(spark: SparkSession, chain: Chain, new: Pinned, old: Pinned, margin: float = 0.02) -> dict[str, Any]:
    settings = dict(SETTINGS) | {"champion_margin": margin, "bootstrap_replicates": 200}
    return champion.compare_models(lambda: spark, KEY, new, old, chain.balanced, settings)


@pytest.fixture(scope="module")
def good(chain: Chain) -> Pinned:
    return chain.pinned


@pytest.fixture(scope="module")
def knows_nothing(good: Pinned) -> Pinned:
    """A model that gives everybody the same."""
    width = len(Parcels.features)
    made = linear(
        inputs=[helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, width])],
        initializer=[numpy_helper.from_array(np.zeros((width, 2), np.float32), "weights")],
    ).SerializeToString()
    return replace(good, model=made, digest=digest(made), date=BEFORE)


def test_the_difference_is_that_of_the_two_areas_on_the_same_rows(
    spark: SparkSession, chain: Chain, good: Pinned, knows_nothing: Pinned
) -> None:
    found = compare(spark, chain, good, knows_nothing)

    rows = read_arrow(chain.lake, "balanced", DAY, section="validation/unbalanced")
    scores = apply(good.card.calibration, score(load(good.model), matrix.from_arrow(rows, Parcels.features)))
    area = roc_auc_score(rows["label"].to_numpy(), scores)
    assert found.difference == pytest.approx(area - 0.5, abs=1e-5)
    assert found.interval[0] < found.difference < found.interval[1]
    assert (found.loses, found.challenger, found.champion) == (False, DAY, BEFORE)


def test_a_model_that_loses_by_more_than_the_margin_says_by_how_much(
    spark: SparkSession, chain: Chain, good: Pinned, knows_nothing: Pinned
) -> None:
    found = compare(spark, chain, knows_nothing, good)

    low, high = found.interval
    assert found.loses
    assert found.detail == (
        f"area under ROC {found.difference:+.4f} against the model of {good.date} ({low:+.4f} to {high:+.4f}), "
        "champion_margin 0.02"
    )
    assert not compare(spark, chain, knows_nothing, good, margin=0.5).loses


def test_a_model_does_not_lose_to_itself(spark: SparkSession, chain: Chain, good: Pinned) -> None:
    found = compare(spark, chain, good, replace(good, date=BEFORE), margin=0.0)

    assert (found.difference, found.interval, found.loses) == (0.0, (0.0, 0.0), False)


def with_settings(model: Pinned, **settings: Any) -> Pinned:
    return with_card(model, settings={**model.card.settings, **settings})


@pytest.mark.parametrize(
    ("name", "was"), [("train_validation_split_proportion", 0.75), ("calibration_proportion", 0.2), ("split", "time")]
)
def test_a_champion_of_another_split_is_not_compared_and_the_reason_is_said(
    spark: SparkSession, chain: Chain, good: Pinned, knows_nothing: Pinned, name: str, was: Any
) -> None:
    found = compare(spark, chain, knows_nothing, with_settings(good, **{name: was}))

    assert (found.loses, found.difference) == (False, None)
    assert found.detail == (
        f"not compared with the model of {good.date}: [training] {name} was {was} and is {SETTINGS[name]}, "
        "so that it was trained on rows that now validate"
    )


def test_models_of_a_split_by_time_are_not_compared(spark: SparkSession, chain: Chain, good: Pinned) -> None:
    by_time = with_settings(good, split="time")

    assert "the rows are split by time" in compare(spark, chain, by_time, by_time).detail


def test_a_champion_whose_features_are_gone_is_not_compared(spark: SparkSession, chain: Chain, good: Pinned) -> None:
    old = with_card(good, features={**good.card.features, "height": Feature("DOUBLE")})

    assert compare(spark, chain, good, old).detail == (
        f"not compared with the model of {good.date}: it needs a feature 'height' of type double, which the rows no longer have"
    )


def with_card(model: Pinned, **changed: Any) -> Pinned:
    return replace(model, card=replace(model.card, **changed))


def test_a_champion_of_another_entity_or_outcome_is_not_compared(
    spark: SparkSession, chain: Chain, good: Pinned
) -> None:
    assert compare(spark, chain, good, with_card(good, entity="parcel")).detail == (
        f"not compared with the model of {good.date}: the use case's entity was parcel and is sender"
    )
    pair = with_card(good, entity=("sender", "parcel"))
    assert compare(spark, chain, pair, good).detail.endswith("the use case's entity was sender and is sender, parcel")
    turned = {"classes": {"positive": "in time", "negative": ["late"]}}
    assert (
        "the use case's classes were 'in time' against 'late' and are 'late' against 'in time'"
        in compare(spark, chain, good, with_card(good, outcome=turned)).detail
    )


def test_a_champion_that_cannot_do_without_a_value_is_not_compared_where_it_is_null(
    spark: SparkSession, chain: Chain, good: Pinned
) -> None:
    without_fill = {name: Feature(feature.type) for name, feature in good.card.features.items()}

    found = compare(spark, chain, good, with_card(good, features=without_fill))

    assert not found.loses
    assert found.detail.startswith(f"not compared with the model of {good.date}: null or NaN: ")


def test_rows_that_were_rebuilt_since_the_training_compare_nothing_and_start_no_spark(chain: Chain) -> None:
    def never() -> SparkSession:
        raise AssertionError("Spark was started")

    settings = dict(SETTINGS) | {"champion_margin": 0.02}
    found = champion.compare(never, chain.case, chain.lake, chain.model, chain.model, chain.balanced, settings)

    assert found == Challenge(
        DAY,
        DAY,
        loses=False,
        detail=f"not compared with the model of {DAY}: the balanced rows were rebuilt after the newer model was trained; "
        "rebuild that training, too",
    )


def test_a_model_is_compared_on_the_rows_that_it_was_trained_beside(spark: SparkSession, chain: Chain) -> None:
    trained = replace(chain.model, manifest=replace(chain.model.manifest, inputs=(chain.balanced.input,)))

    settings = dict(SETTINGS) | {"champion_margin": 0.02}
    found = champion.compare(lambda: spark, chain.case, chain.lake, trained, trained, chain.balanced, settings)

    assert (found.difference, found.loses) == (0.0, False)


def test_of_many_rows_a_sample_is_compared(
    spark: SparkSession, chain: Chain, good: Pinned, knows_nothing: Pinned, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_all = compare(spark, chain, good, knows_nothing)
    monkeypatch.setattr(champion, "ROWS", 100)

    of_few = compare(spark, chain, good, knows_nothing)

    assert np.ptp(of_few.interval) > 1.2 * np.ptp(of_all.interval)
    assert compare(spark, chain, good, knows_nothing) == of_few


def test_the_model_of_a_training_is_the_one_that_a_selection_pins(chain: Chain) -> None:
    found = selection.approved_model(chain.lake, chain.model)

    assert found == chain.pinned
    assert found.date + timedelta(days=1) == chain.selection.date
