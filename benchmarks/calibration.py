"""Measures which calibration ``[training] calibration = auto`` chooses, and what the choice is worth, on public data.

    python -m benchmarks.calibration --data ../shared/data

For each of 20 splits by entity a forest of scikit-learn is trained on as many rows of each class, as ``undersample``
draws them. The product's own code calibrates it on the calibration rows by each kind and by the choice of ``auto``,
and measures it on the validation rows. There is no Spark. The tables are Markdown.

Two goals are set for ``auto``: the mean difference of mean score and prevalence is within two of its standard errors
over the splits, which count the errors of the calibration rows and of the validation rows; and the log loss is at most
0.001 above that of the best kind. The third data set are the card clients with fewer positives. Beside ``auto`` stand
other numbers of standard errors that a simpler kind may be behind the best one.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from examples.superlender import land
from spark_lib.problems import calibration_fit, metrics
from spark_lib.problems.metrics import Scored, counted
from spark_lib.problems.options import calibration_kinds
from spark_lib.problems.problem import GROUPS

SPLITS, TREES, DEPTH = 20, 20, 5
#: The places of the split: below the first trains, from the second on validates.
TRAINED, VALIDATED = 0.7, 0.8
KINDS = calibration_kinds("auto", "undersample")
ALLOWED_LOSS, ALLOWED_ERRORS = 0.001, 2.0
#: The numbers of standard errors that are compared with that of ``auto``.
RULES = (0.0, 1.0)
#: Of the positive card clients this share is kept for the data set of low prevalence.
KEPT = 0.255


@dataclass(frozen=True)
class Data:
    """Features [n, k], labels [n] of 0 and 1 and the numbers of entities [n], from 0."""

    features: np.ndarray
    labels: np.ndarray
    entities: np.ndarray


@dataclass(frozen=True)
class Split:
    """The scores of the calibration and of the validation rows, and the rows of each class that were trained from and
    on."""

    calibration: Scored
    validation: Scored
    natural: dict[str, float]
    trained: dict[str, float]


@dataclass(frozen=True)
class Outcome:
    """The validation rows of a split under a calibration of the ``kind``."""

    kind: str
    log_loss: float
    difference: float
    error: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the directory of the two data sets")
    data = parser.parse_args().data
    cards, loans = credit_cards(data), superlender(data)
    for name, rows in (
        ("uci_credit_default", cards),
        ("superlender", loans),
        ("uci_credit_default, fewer positives", fewer_positives(cards)),
    ):
        print("\n".join(table(name, [split(rows, seed) for seed in range(SPLITS)])), flush=True)


def credit_cards(data: Path) -> Data:
    """UCI's default of credit card clients, one row a client."""
    found = pd.read_csv(next((data / "uci_credit_default").glob("*.csv*")))
    labels = found["default.payment.next.month"].to_numpy()
    columns = found.drop(columns=["ID", "default.payment.next.month"])
    return Data(columns.to_numpy(np.float32), labels, np.arange(len(found)))


def fewer_positives(of: Data) -> Data:
    """All negative rows and a share of the positive ones."""
    kept = (of.labels == 0) | (np.random.default_rng(0).random(len(of.labels)) < KEPT)
    return Data(of.features[kept], of.labels[kept], np.arange(kept.sum()))


def superlender(data: Path) -> Data:
    """SuperLender's loans that have an outcome, with the features of the example, by the time of approval."""
    loans = land.read_loans(data / "superlender", "trainprevloans")
    rows = land.applications(loans, land.birth_dates(data / "superlender"))
    rows = rows.sort_values(["customer_id", "approved_time", "loan_id"]).reset_index(drop=True)
    of_customer = rows.groupby("customer_id")
    previous = of_customer.cumcount()
    amounts = of_customer["loan_amount"].cumsum() - rows["loan_amount"]
    approved = rows["approved_time"].dt.normalize()
    features = np.column_stack(
        [
            previous,
            (amounts / previous.where(previous > 0)).fillna(0.0),
            (approved - approved.groupby(rows["customer_id"]).shift()).dt.days.fillna(-1),
            ((approved.dt.tz_localize(None) - pd.to_datetime(rows["birth_date"])).dt.days // 365.25).fillna(-1),
            rows["loan_amount"],
            rows["term_days"],
        ]
    )
    status = rows["loan_id"].map(land.outcomes(loans).set_index("loan_id")["status"])
    return Data(features.astype(np.float32), (status == "late").to_numpy(int), rows["customer_id"].factorize()[0])


def split(of: Data, seed: int) -> Split:
    """Train on as many rows of each class, and score the rows of the two other sides."""
    from sklearn.ensemble import RandomForestClassifier

    random = np.random.default_rng(seed)
    entities = int(of.entities.max()) + 1
    place, groups = random.random(entities)[of.entities], random.integers(0, GROUPS, entities)[of.entities]
    training = np.flatnonzero(place < TRAINED)
    positives, negatives = (training[of.labels[training] == label] for label in (1, 0))
    drawn = np.concatenate([positives, random.choice(negatives, len(positives), replace=False)])
    forest = RandomForestClassifier(TREES, max_depth=DEPTH, random_state=seed)
    forest.fit(of.features[drawn], of.labels[drawn])

    def scored(rows: np.ndarray) -> Scored:
        return counted(forest.predict_proba(of.features[rows])[:, 1], of.labels[rows], groups[rows])

    return Split(
        scored((place >= TRAINED) & (place < VALIDATED)),
        scored(place >= VALIDATED),
        {"positive": len(positives), "negative": len(negatives)},
        {"positive": len(positives), "negative": len(positives)},
    )


def outcome(of: Split, kind: str) -> Outcome:
    """Calibrate by the kind, and measure on the validation rows."""
    back = calibration_fit.fitted(kind, of.calibration, of.natural, of.trained)
    found = metrics.measured(calibration_fit.calibrated(back, of.validation))
    return Outcome(kind, found["log_loss"], found["calibration_in_the_large"], found["calibration_error"])


def table(name: str, splits: list[Split]) -> Iterator[str]:
    rows, positives = (
        float(np.mean([getattr(of.calibration, side).sum() for of in splits])) for side in ("rows", "positives")
    )
    yield f"\n{name}: {rows:,.0f} calibration rows on average, {positives / rows:.1%} positive\n"
    yield "| calibration | log loss | mean score less prevalence | its standard error | calibration error | chosen |"
    yield "|---|---|---|---|---|---|"
    measured = [{kind: outcome(of, kind) for kind in KINDS} for of in splits]
    tried = [calibration_fit.tried_out(KINDS, of.calibration, of.natural, of.trained) for of in splits]

    def chosen(errors: float) -> list[Outcome]:
        picked = [calibration_fit.simplest(each, errors) for each in tried]
        return [found[kind] for found, kind in zip(measured, picked, strict=True)]

    alone = {kind: [found[kind] for found in measured] for kind in KINDS}
    auto = chosen(calibration_fit.ERRORS)
    others = {f"{errors:g} standard errors": chosen(errors) for errors in RULES}
    for words, found in {**alone, "`auto`": auto, **others}.items():
        taken = [each.kind for each in found]
        times = ", ".join(f"{kind} {taken.count(kind)}" for kind in KINDS if kind in taken)
        difference, error = mean_and_error(found)
        yield (
            f"| {words} | {mean_loss(found):.5f} | {difference:+.5f} | {error:.5f} "
            f"| {np.mean([each.error for each in found]):.4f} | {'' if words in KINDS else times} |"
        )
    difference, error = mean_and_error(auto)
    more = mean_loss(auto) - min(map(mean_loss, alone.values()))
    yield (
        f"\n`auto`: mean score less prevalence within {ALLOWED_ERRORS:g} standard errors of 0 "
        f"({difference / error:+.1f}): {'holds' if abs(difference) <= ALLOWED_ERRORS * error else 'MISSED'}; log loss above "
        f"the best kind's by at most {ALLOWED_LOSS} ({more:+.5f}): {'holds' if more <= ALLOWED_LOSS else 'MISSED'}"
    )


def mean_loss(found: list[Outcome]) -> float:
    return float(np.mean([each.log_loss for each in found]))


def mean_and_error(found: list[Outcome]) -> tuple[float, float]:
    """The mean difference of mean score and prevalence over the splits, and its standard error."""
    differences = np.array([each.difference for each in found])
    return float(differences.mean()), float(differences.std(ddof=1) / np.sqrt(len(differences)))


if __name__ == "__main__":
    main()
