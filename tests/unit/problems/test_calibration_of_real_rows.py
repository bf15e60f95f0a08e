"""Calibrated probabilities of real rows, against those of scikit-learn over the same model and calibration rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss

from spark_lib.models.calibration import apply
from spark_lib.problems import calibration_fit
from spark_lib.problems.metrics import counted
from tests.support.shared_data import shared_data

#: Rows of the 30,000 clients; the others judge.
TRAIN, CALIBRATE = 15_000, 3_000
SPLITS = 5
#: Our kinds by scikit-learn's names.
KINDS = {"sigmoid": "platt", "isotonic": "isotonic"}


@pytest.fixture(scope="module")
def more() -> dict[str, list[float]]:
    """The log loss of our probabilities less that of scikit-learn's, for each split, by scikit-learn's name of the
    calibration. The forest is trained on as many clients who default as others, as after undersampling."""
    clients = pd.read_csv(shared_data("uci_credit_default") / "UCI_Credit_Card.csv.gz")
    x = clients.drop(columns=["ID", "default.payment.next.month"]).to_numpy(np.float32)
    y = clients["default.payment.next.month"].to_numpy()
    found: dict[str, list[float]] = {method: [] for method in KINDS}
    for seed in range(SPLITS):
        train, calibrate, judge = np.split(np.random.default_rng(seed).permutation(len(y)), [TRAIN, TRAIN + CALIBRATE])
        positives, negatives = (train[y[train] == label] for label in (1, 0))
        balanced = np.r_[positives, negatives[: len(positives)]]
        model = RandomForestClassifier(n_estimators=20, max_depth=8, random_state=seed).fit(x[balanced], y[balanced])
        on, scores = (model.predict_proba(x[rows])[:, 1] for rows in (calibrate, judge))
        for method, kind in KINDS.items():
            ours = apply(calibration_fit.fitted(kind, counted(on, y[calibrate]), {}, {}), scores)
            theirs = CalibratedClassifierCV(FrozenEstimator(model), method=method).fit(x[calibrate], y[calibrate])
            found[method].append(log_loss(y[judge], ours) - log_loss(y[judge], theirs.predict_proba(x[judge])[:, 1]))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("method", KINDS)
def test_calibrated_probabilities_lose_no_more_than_those_of_scikit_learn(
    more: dict[str, list[float]], method: str
) -> None:
    """One split differs from the next by about 0.0005, so that the mean over several is looked at."""
    assert np.mean(more[method]) < 0.001
