"""How well predictions, by default those of July 2017, order the loans by what became of them, ``good_bad_flag``, which
never landed.

    python examples/superlender/report.py --data ../shared/data/superlender --lake-root lake

The flag is another label than the one trained for: ``Bad`` is a verdict on a whole loan, ``late`` says how its first
instalment was paid. Loans without a flag (earlier loans of a customer's) are scored and not measured.
"""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

import spark_lib

FIRST, LAST = date(2017, 7, 1), date(2017, 7, 31)
RESAMPLES = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description="Area under ROC of predictions on good_bad_flag.")
    parser.add_argument("--data", type=Path, required=True, help="the directory of the CSV files")
    parser.add_argument("--lake-root", type=Path, required=True, help="the root of the lake")
    parser.add_argument("--from", dest="first", type=date.fromisoformat, default=FIRST, help="the first day")
    parser.add_argument("--to", dest="last", type=date.fromisoformat, default=LAST, help="the last day")
    arguments = parser.parse_args()
    days = arguments.first, arguments.last
    predictions = spark_lib.read_pandas(str(arguments.lake_root), "superlender:SuperLender", "predictions", *days)
    loans = predictions.merge(truth(arguments.data), on="loan_id", how="left", validate="one_to_one")
    print("\n".join(report(loans, *days)))


def truth(data: Path) -> pd.DataFrame:
    """``loan_id`` and ``bad`` (0 or 1) of the loans of trainperf."""
    (file,) = data.glob("trainperf.csv*")
    flags = pd.read_csv(file, dtype={"systemloanid": str})
    return pd.DataFrame({"loan_id": flags["systemloanid"], "bad": (flags["good_bad_flag"] == "Bad").astype(float)})


def report(loans: pd.DataFrame, first: date, last: date) -> list[str]:
    """Lines about all loans of these days, then about those of each model."""
    flagged = loans.dropna(subset=["bad"])
    lines = [f"{len(loans):,} predictions of {first} to {last}, {len(flagged):,} of them with a good_bad_flag"]
    lines.append("model of    loans    Bad    area under ROC (95 % of bootstrap resamples)")
    groups = [("all", flagged), *((str(day), of_model) for day, of_model in flagged.groupby("model_date"))]
    for name, group in groups:
        bad, score = group["bad"].to_numpy(), group["score"].to_numpy()
        area, (low, high) = area_under_roc(bad, score), interval(bad, score)
        lines.append(f"{name:10}  {len(group):5,}  {bad.mean():5.1%}  {area:.3f} ({low:.3f} to {high:.3f})")
    return lines


def area_under_roc(bad: np.ndarray, score: np.ndarray) -> float:
    """The probability that a bad loan scores above a good one, a tie counting half (Mann and Whitney's U, scaled)."""
    bads, goods = bad.sum(), len(bad) - bad.sum()
    ranks = pd.Series(score).rank().to_numpy()
    return float((ranks[bad == 1].sum() - bads * (bads + 1) / 2) / (bads * goods))


def interval(bad: np.ndarray, score: np.ndarray) -> tuple[float, float]:
    """The middle 95 % of the area over resamples of the loans, with replacement."""
    generator = np.random.default_rng(0)
    draws = (generator.integers(0, len(bad), len(bad)) for _ in range(RESAMPLES))
    low, high = np.percentile([area_under_roc(bad[draw], score[draw]) for draw in draws], [2.5, 97.5])
    return float(low), float(high)


if __name__ == "__main__":
    main()
