"""The exported model of several classes or of a number says what scikit-learn says on float32 rows, for every kind."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import ElasticNet, HuberRegressor, Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from spark_lib.models import export, model
from spark_lib.scoring import engine
from tests.support.refusals import MADE_OF_THESE, refusal

K, CLASSES = 6, 4
ROWS = 10_000

CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    "tree": partial(DecisionTreeClassifier, max_depth=6, random_state=0),
    "forest": partial(RandomForestClassifier, n_estimators=20, max_depth=6, random_state=0),
    "forest of many": partial(RandomForestClassifier, n_estimators=101, max_depth=3, random_state=0),
    "extra trees": partial(ExtraTreesClassifier, n_estimators=20, max_depth=6, random_state=0),
    "boosted": partial(GradientBoostingClassifier, n_estimators=10, random_state=0),
    "boosted from nothing": partial(GradientBoostingClassifier, n_estimators=3, init="zero", random_state=0),
    "histograms": partial(HistGradientBoostingClassifier, max_iter=10, random_state=0),
}
REGRESSORS: dict[str, Callable[[], Any]] = {
    "linear": LinearRegression,
    "ridge": lambda: make_pipeline(StandardScaler(), Ridge()),
    "lasso": lambda: make_pipeline(StandardScaler(), Lasso(alpha=1e3)),
    "elastic net": lambda: make_pipeline(MinMaxScaler(), ElasticNet()),
    "tree": partial(DecisionTreeRegressor, max_depth=6, random_state=0),
    "forest": partial(RandomForestRegressor, n_estimators=20, max_depth=6, random_state=0),
    "extra trees": partial(ExtraTreesRegressor, n_estimators=20, max_depth=6, random_state=0),
    "boosted": partial(GradientBoostingRegressor, n_estimators=20, random_state=0),
    "boosted from nothing": partial(GradientBoostingRegressor, n_estimators=20, init="zero", random_state=0),
    "histograms": partial(HistGradientBoostingRegressor, max_iter=20, random_state=0),
    "standard, forest": lambda: make_pipeline(StandardScaler(), RandomForestRegressor(10, max_depth=4, random_state=0)),
}


def training_rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, labels, and numbers around a million of which some are near 0."""
    random = np.random.default_rng(0)
    matrix = np.round(random.random((1_000, K)), 3).astype(np.float32)
    matrix[:, 0] = matrix[:, 0] > 0.5
    matrix[:, 2] *= 1e4
    matrix[:, -1] = 3
    noisy = matrix[:, 1] + np.arange(1_000) % 7 / 10
    return matrix, np.minimum(noisy * 3, CLASSES - 1).astype(int), np.where(noisy > 0.3, noisy * 1e6, 0)


def thresholds_of(fitted: Any) -> np.ndarray:
    """Some of the thresholds of the trees, by feature."""
    members = np.ravel(getattr(fitted, "estimators_", [])).tolist() or [fitted]
    found = [tree.tree_.threshold[tree.tree_.children_left >= 0] for tree in members if hasattr(tree, "tree_")]
    found += [
        predictor.nodes["num_threshold"][predictor.nodes["is_leaf"] == 0]
        for predictors in getattr(fitted, "_predictors", [])
        for predictor in predictors
    ]
    return np.concatenate([*found, [0.0]])[:1_000]


def hard_rows(fitted: Any) -> np.ndarray:
    """Real rows, and those that meet a threshold exactly, or one float32 step beside it."""
    random = np.random.default_rng(1)
    matrix = random.random((ROWS, K), dtype=np.float32) * 1.2 - np.float32(0.1)
    matrix[:1_000] = training_rows()[0]
    on = thresholds_of(fitted).astype(np.float32)
    beside = [np.nextafter(on, np.float32(to)) for to in (-np.inf, np.inf)]
    placed = np.concatenate([on, *beside])
    matrix[1_000 : 1_000 + len(placed)] = placed[:, None]
    matrix[5_000:7_000] = random.choice(placed, (2_000, K))
    return matrix


@pytest.mark.parametrize("kind", CLASSIFIERS)
@pytest.mark.slow
def test_hard_rows_get_the_probabilities_of_all_classes(kind: str) -> None:
    export.check_estimator(CLASSIFIERS[kind](), CLASSES)
    matrix, labels, _ = training_rows()
    fitted = CLASSIFIERS[kind]().fit(matrix, labels)

    exported = export.export_sklearn(fitted, K, CLASSES)

    matrix = hard_rows(fitted)
    wanted = fitted.predict_proba(matrix)
    assert (np.ptp(wanted, axis=0) > 0.1).all()
    found = model.score(model.load(exported), matrix)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(engine.of(exported).scores(np.ascontiguousarray(matrix.T)), found)


@pytest.mark.parametrize("kind", REGRESSORS)
@pytest.mark.slow
def test_hard_rows_get_the_numbers_of_scikit_learn(kind: str) -> None:
    export.check_estimator(REGRESSORS[kind](), 0)
    matrix, _, numbers = training_rows()
    fitted = REGRESSORS[kind]().fit(matrix, numbers)

    exported = export.export_sklearn(fitted, K, 0)

    matrix = hard_rows(fitted)
    wanted = export.said_by_sklearn(fitted, matrix, 0)
    assert np.ptp(wanted) > 1e5
    np.testing.assert_allclose(wanted, fitted.predict(matrix), rtol=1e-5)
    model.check_parity(exported, matrix, wanted)
    found = model.score(model.load(exported), matrix)
    np.testing.assert_array_equal(engine.of(exported).scores(np.ascontiguousarray(matrix.T)), found)


@pytest.mark.parametrize("make", [LinearRegression, Ridge])
def test_a_linear_model_whose_great_terms_cancel_out_is_as_exact_as_in_doubles(make: Callable[[], Any]) -> None:
    """scikit-learn computes in float32 on a float32 matrix, and is off by more than the prediction here."""
    matrix = (1e4 + np.random.default_rng(0).standard_normal((500, 3))).astype(np.float32)
    fitted = make().fit(matrix, 1e3 * (matrix.astype(np.float64) - 1e4).sum(axis=1))

    said = export.said_by_sklearn(fitted, matrix, 0)

    np.testing.assert_array_equal(said, fitted.predict(matrix.astype(np.float64)))
    model.check_parity(export.export_sklearn(fitted, 3, 0), matrix, said)


@pytest.mark.parametrize("classes", [2, 3])
def test_what_scikit_learn_says_of_classes_has_the_shape_of_scores(classes: int) -> None:
    matrix, labels, _ = training_rows()
    fitted = make_pipeline(StandardScaler(), DecisionTreeClassifier(max_depth=3)).fit(matrix, labels % classes)
    all_classes = fitted.predict_proba(matrix)

    said = export.said_by_sklearn(fitted, matrix, classes)

    np.testing.assert_array_equal(said, all_classes[:, 1] if classes == 2 else all_classes)


# -- what is refused


CARRIED_CLASSES = (
    "a classifier of scikit-learn that ONNX can carry for 4 classes (DecisionTreeClassifier, ExtraTreesClassifier, "
    "GradientBoostingClassifier, HistGradientBoostingClassifier, LogisticRegression or RandomForestClassifier), alone or "
    "as the last step of a Pipeline after transformers that it can carry (MinMaxScaler, SimpleImputer or StandardScaler)"
)
CARRIED_NUMBERS = (
    "a regressor of scikit-learn that ONNX can carry (DecisionTreeRegressor, ElasticNet, ExtraTreesRegressor, "
    "GradientBoostingRegressor, HistGradientBoostingRegressor, Lasso, LinearRegression, RandomForestRegressor or Ridge), "
    "alone or as the last step of a Pipeline after transformers that it can carry (MinMaxScaler, SimpleImputer or "
    "StandardScaler)"
)


@pytest.mark.parametrize(
    ("estimator", "classes", "wanted", "found"),
    [
        (GaussianNB(), CLASSES, CARRIED_CLASSES, "GaussianNB"),
        (RandomForestRegressor(), CLASSES, CARRIED_CLASSES, "RandomForestRegressor"),
        (HuberRegressor(), 0, CARRIED_NUMBERS, "HuberRegressor"),
        (LogisticRegression(), 0, CARRIED_NUMBERS, "LogisticRegression"),
        (make_pipeline(StandardScaler(), GaussianNB()), 0, CARRIED_NUMBERS, "GaussianNB as step 2 of 2"),
    ],
)
def test_another_kind_than_wanted_is_refused_before_it_is_trained(
    estimator: Any, classes: int, wanted: str, found: str
) -> None:
    assert refusal(export.check_estimator, estimator, classes) == (wanted, found, MADE_OF_THESE)


def test_a_regressor_is_refused_where_two_classes_are_wanted() -> None:
    wanted, found, next_step = refusal(export.check_estimator, Ridge())
    assert wanted.startswith("a classifier of scikit-learn that ONNX can carry (DecisionTreeClassifier, ")
    assert (found, next_step) == ("Ridge", MADE_OF_THESE)


@pytest.mark.parametrize(
    ("estimator", "wanted", "found", "next_step"),
    [
        (
            GradientBoostingRegressor(loss="huber"),
            "the loss 'squared_error'",
            "loss='huber'",
            "leave loss as it is by default",
        ),
        (
            HistGradientBoostingRegressor(loss="poisson"),
            "the loss 'squared_error'",
            "loss='poisson'",
            "leave loss as it is by default",
        ),
        (
            GradientBoostingRegressor(init=Ridge()),
            "init None or 'zero'",
            "init=Ridge",
            "leave init as it is by default",
        ),
        (
            HistGradientBoostingRegressor(categorical_features=[0]),
            "splits of continuous features only",
            "categorical_features",
            "encode these features as 0/1 columns",
        ),
    ],
)
def test_a_setting_of_a_regressor_that_onnx_cannot_carry_is_refused_before_training(
    estimator: Any, wanted: str, found: str, next_step: str
) -> None:
    assert refusal(export.check_estimator, estimator, 0) == (wanted, found, next_step)


def test_another_number_of_classes_than_wanted_is_refused() -> None:
    matrix, labels, _ = training_rows()
    fitted = DecisionTreeClassifier(max_depth=2).fit(matrix, labels)
    assert refusal(export.export_sklearn, fitted, K, 5) == (
        "5 classes",
        "4",
        "let the training rows hold the labels 0 to 4, each of them",
    )
    assert refusal(export.export_sklearn, fitted, K) == (
        "two classes",
        "4",
        "let the training rows hold labels 0 and 1, both of them",
    )


def test_other_labels_than_0_to_3_are_refused() -> None:
    matrix, labels, _ = training_rows()
    fitted = DecisionTreeClassifier(max_depth=2).fit(matrix, np.array([0, 1, 2, 9])[labels])
    assert refusal(export.export_sklearn, fitted, K, CLASSES) == (
        "the labels 0 to 3",
        "0, 1, 2, 9",
        "let the training rows hold the labels 0 to 3, each of them",
    )


@pytest.mark.parametrize(
    ("estimator", "classes"),
    [(DecisionTreeClassifier(max_depth=2), 2), (LinearRegression(), 0), (DecisionTreeRegressor(), 0)],
)
def test_a_model_that_says_two_things_of_a_row_is_refused(estimator: Any, classes: int) -> None:
    matrix, labels, _ = training_rows()
    fitted = estimator.fit(matrix, np.stack([labels, labels % 2], axis=1))
    assert refusal(export.export_sklearn, fitted, K, classes) == (
        "one label for each row",
        "2",
        "train on labels [n] in place of [n, m]",
    )
