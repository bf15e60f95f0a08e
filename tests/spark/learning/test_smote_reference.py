"""Our synthetic rows against imbalanced-learn's, on the credit card clients of UCI: no test tells them apart, and the same
tests tell wrong ones apart. Both have the same neighbours to choose among and three rows of each base row, so that given
the real rows both are as many independent draws from what must be one distribution."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from imblearn.over_sampling import SMOTENC
from pyspark.sql import SparkSession
from scipy.stats import chi2_contingency, ks_2samp
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict

from spark_lib.learning import smote
from spark_lib.learning.neighbours import EXACT_UP_TO
from spark_lib.use_case import Feature
from tests.support.shared_data import shared_data

KEY, LABEL = "ID", "default.payment.next.month"
NOMINAL = ["GENDER", "EDUCATION", "MARRIAGE"]
INTEGER = ["AGE", "PAY_0", "PAY_2", "PAY_3", "PAY_4", "PAY_5", "PAY_6"]
AMOUNTS = ["LIMIT_BAL", *(f"{kind}_AMT{month}" for kind in ("BILL", "PAY") for month in range(1, 7))]
FEATURES = (
    {name: Feature("DOUBLE") for name in AMOUNTS}
    | {name: Feature("INT") for name in INTEGER}
    | {name: Feature("INT", nominal=True) for name in NOMINAL}
)
TYPES: dict[str, Any] = dict.fromkeys(AMOUNTS, np.float64) | dict.fromkeys(INTEGER + NOMINAL, np.int32)
EACH = 3  # synthetic rows of a base row that are compared
LEVEL = 0.01  # of all columns' tests together


class Recorded(SMOTENC):
    """imbalanced-learn's, which says what base row each synthetic row is made from."""

    def _generate_samples(self, X: Any, nn_data: Any, nn_num: Any, rows: Any, *more: Any, **named: Any) -> Any:
        self.bases = rows
        return super()._generate_samples(X, nn_data, nn_num, rows, *more, **named)


@pytest.fixture(scope="module")
def clients() -> pd.DataFrame:
    return pd.read_csv(shared_data("uci_credit_default") / "UCI_Credit_Card.csv.gz").astype(TYPES)


@pytest.fixture(scope="module")
def train(clients: pd.DataFrame) -> pd.DataFrame:
    return clients[~validates(clients)]


@pytest.fixture(scope="module")
def minority(train: pd.DataFrame) -> pd.DataFrame:
    return train.loc[train[LABEL] == 1, [KEY, *FEATURES]].reset_index(drop=True)


@pytest.fixture(scope="module")
def theirs(minority: pd.DataFrame) -> pd.DataFrame:
    return by_imbalanced_learn(minority, 3 * EACH * len(minority), seed=0)


@pytest.fixture(scope="module")
def ours(spark: SparkSession, minority: pd.DataFrame) -> pd.DataFrame:
    frame = spark.createDataFrame(pa.Table.from_pandas(minority, preserve_index=False))
    return smote.synthesised(frame, KEY, FEATURES, EACH * len(minority), seed=1).toPandas()


def validates(frame: pd.DataFrame) -> pd.Series:
    digests = (hashlib.sha256(f"uci:{client}".encode()).hexdigest() for client in frame[KEY])
    return pd.Series([int(digest[:13], 16) >= 0.8 * 2**52 for digest in digests], index=frame.index)


def by_imbalanced_learn(minority: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """On columns divided by their standard deviation, then multiplied again; integers rounded."""
    numbers = AMOUNTS + INTEGER
    scale = minority[numbers].std(ddof=0)
    matrix = pd.concat([minority[numbers] / scale, minority[NOMINAL]], axis=1).to_numpy()
    two = np.vstack([matrix, matrix[:10]])  # a second class, which it needs
    labels = np.r_[np.ones(len(matrix)), np.zeros(10)]
    sampler = Recorded(
        categorical_features=list(range(len(numbers), len(FEATURES))),
        sampling_strategy={1: len(matrix) + count},
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "After over-sampling", UserWarning)
        made = sampler.fit_resample(two, labels)[0][len(two) :]
    frame = pd.DataFrame(made, columns=[*numbers, *NOMINAL])
    frame[numbers] *= scale
    frame[INTEGER] = np.rint(frame[INTEGER].astype(np.float64))
    return frame.astype(TYPES).assign(**{KEY: minority[KEY].to_numpy()[sampler.bases]})


def by_the_core(minority: pd.DataFrame) -> pd.DataFrame:
    """Ours without Spark."""
    table = pa.RecordBatch.from_pandas(minority.sort_values(KEY), preserve_index=False)
    found = smote.synthesise(table, FEATURES, EACH * len(minority), 1, 5, EXACT_UP_TO, range(len(minority)))
    return pa.Table.from_batches(list(found)).to_pandas()


def matched(ours: pd.DataFrame, theirs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """As many rows of each base row that has so many in both."""
    picked = [frame[frame.groupby(KEY).cumcount() < EACH] for frame in (ours, theirs)]
    sizes = [frame.groupby(KEY).size() for frame in picked]
    both = set.intersection(*(set(size.index[size == EACH]) for size in sizes))
    # To the cent: what was divided and multiplied again differs in its last digit, which a classifier finds.
    mine, other = (frame[frame[KEY].isin(both)].sort_values(KEY).round(2).reset_index(drop=True) for frame in picked)
    assert len(mine) == len(other) > 15_000
    return mine, other


def told_apart_by_a_column(ours: pd.DataFrame, theirs: pd.DataFrame) -> dict[str, float]:
    """The columns whose two-sample test refuses, at a level of LEVEL for all together, and its p."""
    found = {name: ks_2samp(ours[name], theirs[name]).pvalue for name in [*AMOUNTS, "AGE"]}
    for name in [*NOMINAL, *INTEGER[1:]]:
        values, place = np.unique(np.r_[ours[name], theirs[name]], return_inverse=True)
        both = np.stack([np.bincount(side, minlength=len(values)) for side in np.split(place, [len(ours)])])
        often = both.sum(axis=0) >= 10
        rare = both[:, ~often].sum(axis=1, keepdims=True)  # as one value
        found[name] = chi2_contingency(np.hstack([both[:, often], rare[:, : int(rare.any())]])).pvalue
    return {name: p for name, p in found.items() if p < LEVEL / len(found)}


def told_apart_by_a_classifier(ours: pd.DataFrame, theirs: pd.DataFrame) -> tuple[float, float, float]:
    """The AUC of a classifier that is to tell them apart, on base rows that it has not seen, and its 99 % interval."""
    rows = pd.concat([ours, theirs])
    side = np.r_[np.zeros(len(ours)), np.ones(len(theirs))]
    model = HistGradientBoostingClassifier(max_iter=60, random_state=0)
    folds = GroupKFold(3)
    scores = cross_val_predict(
        model, rows[[*FEATURES]].to_numpy(), side, groups=rows[KEY].to_numpy(), cv=folds, method="predict_proba"
    )[:, 1]
    auc = roc_auc_score(side, scores)
    # Of bootstrap samples of base rows, whose rows come together.
    mine, other = (part.reshape(-1, EACH) for part in (scores[: len(ours)], scores[len(ours) :]))
    random = np.random.default_rng(0)
    drawn = [random.integers(len(mine), size=len(mine)) for _ in range(200)]
    aucs = [roc_auc_score(side, np.r_[mine[rows].ravel(), other[rows].ravel()]) for rows in drawn]
    error = np.std(aucs)
    return auc, auc - 2.58 * error, auc + 2.58 * error


def test_no_column_and_no_classifier_tells_ours_from_theirs(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    mine, other = matched(ours, theirs)
    assert told_apart_by_a_column(mine, other) == {}
    auc, low, high = told_apart_by_a_classifier(mine, other)
    assert low <= 0.5 <= high, f"{auc:.4f} ({low:.4f} to {high:.4f})"
    assert high < 0.52


BETWEEN = smote._between


def unscaled(table: pa.RecordBatch, features: Any, kinds: Any) -> np.ndarray:
    return np.array([smote._numbers(table[name]) for name in features], np.float32).T


def of_the_nearest(codes: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return codes[:, 0]


def most_frequent_and_smallest(codes: np.ndarray, random: np.random.Generator) -> np.ndarray:
    votes = (codes[:, :, None] == codes[:, None, :]).sum(axis=2)
    return np.where(votes == votes.max(axis=1, keepdims=True), codes, codes.max()).min(axis=1)


def truncated(own: np.ndarray, other: np.ndarray, gap: np.ndarray) -> np.ndarray:
    return np.floor(own + gap * (other - own)).astype(np.int64)


WRONG: dict[str, tuple[str, Callable[..., Any]]] = {
    "squared gaps": ("_between", lambda own, other, gap: BETWEEN(own, other, gap**2)),
    "rows that are copies": ("_between", lambda own, other, gap: own),
    "neighbours by columns in their own units": ("_points", unscaled),
    "nominal values of the nearest": ("_voted", of_the_nearest),
    "the smallest of equally frequent values": ("_voted", most_frequent_and_smallest),
    "integers cut off": ("_between_integers", truncated),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_the_same_tests_tell_wrong_ones_apart(
    minority: pd.DataFrame, theirs: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    monkeypatch.setattr(smote, *WRONG[wrong])
    mine, other = matched(by_the_core(minority), theirs)
    assert told_apart_by_a_column(mine, other) or told_apart_by_a_classifier(mine, other)[1] > 0.5


def test_a_model_trained_on_either_is_as_good(
    clients: pd.DataFrame, train: pd.DataFrame, minority: pd.DataFrame, ours: pd.DataFrame, theirs: pd.DataFrame
) -> None:
    """On as many rows of both classes."""
    lacking = int((train[LABEL] == 0).sum()) - len(minority)
    validation = clients[validates(clients)]

    def area(synthetic: pd.DataFrame) -> float:
        rows = pd.concat([train, synthetic.sample(lacking, random_state=0).assign(**{LABEL: 1})])
        model = RandomForestClassifier(60, min_samples_leaf=20, max_samples=0.5, random_state=0, n_jobs=2)
        model.fit(rows[[*FEATURES]].to_numpy(), rows[LABEL])
        scores = model.predict_proba(validation[[*FEATURES]].to_numpy())[:, 1]
        return float(roc_auc_score(validation[LABEL], scores))

    mine, other = area(ours), area(theirs)
    assert abs(mine - other) <= 0.005, (mine, other)
    assert min(mine, other) > 0.75
