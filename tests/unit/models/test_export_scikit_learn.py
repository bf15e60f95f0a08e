"""The exported model is scikit-learn's on float32 rows, for every kind that can be carried, and always the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import onnx
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from spark_lib.models import export, model
from tests.support.refusals import MADE_OF_THESE, refusal

K = 6
ROWS = 10_000

forest = partial(RandomForestClassifier, n_estimators=20, max_depth=6, random_state=0)
boosted = partial(GradientBoostingClassifier, n_estimators=20, random_state=0)
histograms = partial(HistGradientBoostingClassifier, max_iter=20, random_state=0)

KINDS: dict[str, Callable[[], Any]] = {
    "logistic": LogisticRegression,
    "tree": partial(DecisionTreeClassifier, max_depth=6, random_state=0),
    "forest": forest,
    "forest of many": partial(forest, n_estimators=101, max_depth=3),
    "extra trees": partial(ExtraTreesClassifier, n_estimators=20, max_depth=6, random_state=0),
    "boosted": boosted,
    "boosted by the exponential loss, from nothing": partial(boosted, loss="exponential", init="zero"),
    "histograms": histograms,
    "standard, logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    "standard, forest": lambda: make_pipeline(StandardScaler(), forest()),
    "min-max, histograms": lambda: make_pipeline(MinMaxScaler(), histograms()),
    "min-max within its range, tree": lambda: make_pipeline(
        MinMaxScaler(feature_range=(-1, 2), clip=True), DecisionTreeClassifier(max_depth=6, random_state=0)
    ),
    "imputer, nothing, pipeline within": lambda: make_pipeline(
        SimpleImputer(strategy="median"), "passthrough", make_pipeline(StandardScaler(with_mean=False), boosted())
    ),
}
#: Those that take NaN: the rows that they are tried on have some.
TAKE_NAN = ("forest", "tree", "extra trees", "histograms", "imputer, nothing, pipeline within")


def training_rows(nan: bool) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    matrix = np.round(random.random((2_000, K)), 3).astype(np.float32)
    matrix[:, 0] = matrix[:, 0] > 0.5
    matrix[:, 2] *= 1e4
    matrix[:, -1] = 3
    labels = (matrix[:, 1] + np.arange(2_000) % 7 / 10 > 0.8).astype(int)
    if nan:
        matrix[random.random(matrix.shape) < 0.05] = np.nan
    return matrix, labels


def splits(fitted: Any) -> tuple[np.ndarray, np.ndarray]:
    """The feature and the threshold of every split of the trees."""
    found: list[tuple[int, float]] = []
    for predictors in getattr(fitted, "_predictors", []):
        inner = predictors[0].nodes[predictors[0].nodes["is_leaf"] == 0]
        found += zip(inner["feature_idx"].tolist(), inner["num_threshold"].tolist(), strict=True)
    members = np.ravel(getattr(fitted, "estimators_", [])).tolist() or [fitted]
    for tree in [member.tree_ for member in members if hasattr(member, "tree_")]:
        inner = tree.children_left >= 0
        found += zip(tree.feature[inner].tolist(), tree.threshold[inner].tolist(), strict=True)
    finite = [split for split in found if np.isfinite(split[1])][:1_000]
    return np.array([k for k, _ in finite], int), np.array([t for _, t in finite])


def hard_rows(fitted: Any, nan: bool) -> np.ndarray:
    """10,000 rows: real ones; both zeros, least and great numbers, NaN; and those that meet a split of a tree exactly,
    or one float32 step beside it."""
    random = np.random.default_rng(1)
    matrix = random.random((ROWS, K), dtype=np.float32) * 1.2 - np.float32(0.1)
    matrix[:2_000] = training_rows(nan)[0]
    matrix[np.arange(2_000, 4_000), random.integers(0, K, 2_000)] = random.choice(
        np.array([0.0, -0.0, 1e-42, -1e-45, 1e9, -1e9, np.nan if nan else 0.0], np.float32), 2_000
    )
    features, thresholds = splits(fitted)
    on = thresholds.astype(np.float32)
    below, above = np.nextafter(on, np.float32(-np.inf)), np.nextafter(on, np.float32(np.inf))
    placed = np.concatenate([below, on, above])
    matrix[4_000 : 4_000 + len(placed)][np.arange(len(placed)), np.tile(features, 3)] = placed
    return matrix


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.slow
def test_hard_rows_get_the_probabilities_of_scikit_learn(kind: str) -> None:
    export.check_estimator(KINDS[kind]())
    matrix, labels = training_rows(nan=kind in TAKE_NAN)
    fitted = KINDS[kind]().fit(matrix, labels)

    exported = export.export_sklearn(fitted, K)

    matrix = hard_rows(fitted, nan=kind in TAKE_NAN)
    wanted = fitted.predict_proba(matrix)[:, 1]
    assert np.ptp(wanted) > 0.1
    np.testing.assert_allclose(model.score(model.load(exported), matrix), wanted, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trees", "nodes"), [(100, ["TreeEnsembleClassifier"]), (101, ["Cast", "TreeEnsembleClassifier"])]
)
def test_more_than_100_votes_are_added_up_in_doubles(trees: int, nodes: list[str]) -> None:
    fitted = forest(n_estimators=trees, max_depth=1).fit(*training_rows(nan=False))
    found = onnx.load_from_string(export.export_sklearn(fitted, K)).graph
    assert [node.op_type for node in found.node] == nodes


def test_rows_that_meet_a_threshold_behind_a_scaler_go_where_scikit_learn_sends_them() -> None:
    matrix, labels = training_rows(nan=False)
    scaler, tree = StandardScaler().fit(matrix), DecisionTreeClassifier(max_depth=6, random_state=0)
    fitted = make_pipeline(scaler, tree).fit(matrix, labels)
    features, thresholds = splits(tree)
    near = (thresholds * scaler.scale_[features] + scaler.mean_[features]).astype(np.float32)
    steps = np.arange(-40, 41, dtype=np.float32)[:, None] * np.spacing(near)
    beside = np.repeat(matrix[:1], steps.size, axis=0)
    beside[np.arange(steps.size), np.tile(features, len(steps))] = (near + steps).ravel()
    wanted = fitted.predict_proba(beside)[:, 1]
    assert len(np.unique(wanted)) > 1

    found = model.score(model.load(export.export_sklearn(fitted, K)), beside)

    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


def test_training_on_the_same_rows_twice_gives_the_same_bytes() -> None:
    matrix, labels = training_rows(nan=False)
    first, second = (
        export.export_sklearn(make_pipeline(MinMaxScaler(), boosted()).fit(matrix, labels), K) for _ in range(2)
    )
    assert first == second


CARRIED = (
    "a classifier of scikit-learn that ONNX can carry (DecisionTreeClassifier, ExtraTreesClassifier, "
    "GradientBoostingClassifier, HistGradientBoostingClassifier, LogisticRegression or RandomForestClassifier), alone or "
    "as the last step of a Pipeline after transformers that it can carry (MinMaxScaler, SimpleImputer or StandardScaler)"
)


@pytest.mark.parametrize(
    ("estimator", "found"),
    [
        (GaussianNB(), "GaussianNB"),
        (StandardScaler(), "StandardScaler"),
        (Pipeline([("nothing", "passthrough")]), "Pipeline"),
        (make_pipeline(StandardScaler(), DummyClassifier()), "DummyClassifier as step 2 of 2"),
        (make_pipeline(OneHotEncoder(), forest()), "OneHotEncoder as step 1 of 2"),
        (make_pipeline(ColumnTransformer([]), forest()), "ColumnTransformer as step 1 of 2"),
    ],
)
def test_an_estimator_that_onnx_cannot_carry_is_refused_before_it_is_trained(estimator: Any, found: str) -> None:
    assert refusal(export.check_estimator, estimator) == (
        CARRIED,
        found,
        MADE_OF_THESE,
    )


@pytest.mark.parametrize(
    ("step", "wanted", "found"),
    [
        (
            SimpleImputer(missing_values=-1, add_indicator=True),
            "a SimpleImputer of NaN, without indicators",
            "missing_values=-1, add_indicator=True",
        ),
        (boosted(init=LogisticRegression()), "init None or 'zero'", "init=LogisticRegression"),
        (histograms(categorical_features=[0]), "splits of continuous features only", "categorical_features"),
    ],
)
def test_a_setting_that_onnx_cannot_carry_is_refused_before_training(step: Any, wanted: str, found: str) -> None:
    pipeline = make_pipeline(step, forest()) if isinstance(step, SimpleImputer) else step
    assert refusal(export.check_estimator, pipeline)[:2] == (wanted, found)


@pytest.mark.filterwarnings("ignore:Skipping features without any observed values")
def test_a_feature_that_was_never_seen_is_refused() -> None:
    matrix, labels = training_rows(nan=False)
    matrix[:, 1] = np.nan
    fitted = make_pipeline(SimpleImputer(), forest()).fit(matrix, labels)
    assert refusal(export.export_sklearn, fitted, K) == (
        "a value to put in for each feature",
        "a feature that has none in training",
        "leave the feature out",
    )


def test_other_than_two_classes_or_another_number_of_features_are_refused() -> None:
    matrix, labels = training_rows(nan=False)
    assert refusal(export.export_sklearn, forest().fit(matrix, np.arange(2_000) % 3), K) == (
        "two classes",
        "3",
        "let the training rows hold labels 0 and 1, both of them",
    )
    assert refusal(export.export_sklearn, make_pipeline(StandardScaler(), forest()).fit(matrix, labels), K + 1) == (
        "7 features for StandardScaler",
        "6",
        "train on the features that the use case declares",
    )
