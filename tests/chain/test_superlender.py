"""Real loans, day by day, through a use case that an adopter would write: examples/superlender."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import spark_lib
from spark_lib.lake import days
from tests.chain.chains import Chain
from tests.support.patience import PATIENCE
from tests.support.processes import ROOT
from tests.support.shared_data import shared_data

EXAMPLES = ROOT / "examples"
USE_CASE = "superlender:SuperLender"
FIRST_DAY, LAST_DAY = date(2016, 1, 15), date(2017, 7, 31)
JULY, LAST_DAYS = (date(2017, 7, 1), LAST_DAY), (date(2017, 7, 28), LAST_DAY)
#: The days of which the model of the end of July is made.
WINDOW = (date(2017, 5, 12), date(2017, 5, 24))
#: Two tasks read the 500 small files of a history; by Spark's own estimate of what opening one costs it would be 16.
SMALL_FILES = '{"spark.sql.files.openCostInBytes": "65536", "spark.ui.enabled": "false"}'
#: A model a month of 13 days of features, which are too few to pass its gates, and no older one beside it.
ONE_MODEL = (
    *("--training-cadence", "monthly", "--training-window-days", 13, "--training-max-candidates", 1),
    *("--training-champion-margin", 1, "--training-min-area-under-roc", 0.4, "--training-max-calibration-error", 0.2),
)
#: The same of June, whose window has fewer loans.
MODEL_OF_JUNE = (
    *("--training-cadence", "monthly", "--training-window-days", 13, "--training-max-candidates", 1),
    *("--training-champion-margin", 1, "--training-min-area-under-roc", 0, "--training-max-calibration-error", 1),
    *("--training-min-positives", 100),
)
#: Days whose outcomes have landed by the last day of July, 37 days later, and their evaluation.
JUNE = date(2017, 6, 20), date(2017, 6, 23)
EVALUATION = ("Evaluation", "--date", LAST_DAY, "--evaluation-window-days", 4)
FEW_CORES = ("--spark-shuffle-partitions", 2, "--spark-conf", SMALL_FILES)
FEATURES = [
    "nb_previous_loans",
    "avg_amount_loans_previous",
    "days_since_previous_loan",
    "age",
    "loan_amount",
    "term_days",
]


@pytest.fixture(scope="module")
def data() -> Path:
    return shared_data("superlender")


@pytest.fixture(scope="module")
def last_days(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """The last days of July 2017 are scored one by one by one model."""
    chain = landed(data, tmp_path_factory.mktemp("superlender"))
    build(chain, *every("BatchInference", *LAST_DAYS), *ONE_MODEL)
    return chain


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """The features of every day that landed, and July's scores with every setting of the use case: a training a week."""
    chain = landed(data, tmp_path_factory.mktemp("superlender-whole"))
    build(chain, *every("FeatureEngineering", FIRST_DAY, LAST_DAY))
    build(chain, *every("BatchInference", *JULY))
    return chain


@pytest.fixture(scope="module")
def together(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """The features of every day that landed, by one backfill."""
    chain = landed(data, tmp_path_factory.mktemp("superlender-together"))
    build(chain, *backfill("FeatureEngineering", FIRST_DAY, LAST_DAY))
    return chain


@pytest.fixture(scope="module")
def loans(data: Path) -> pd.DataFrame:
    """Every loan straight from the files, by id, with features and outcome computed by other means than Daystone's."""
    return expected(data)


def test_every_loan_of_the_last_days_is_scored_on_its_day_by_the_model_of_the_1st(last_days, loans):
    predictions = read(last_days, "predictions", *LAST_DAYS)
    assert len(predictions) == 444
    assert scored_as_landed(predictions, loans, LAST_DAYS[0])
    assert predictions["score"].between(0, 1).all()
    assert set(predictions["model_date"]) == {date(2017, 7, 1)}


def test_the_day_without_a_loan_has_an_empty_published_partition(last_days):
    assert last_days.lake.require("predictions", LAST_DAY)[0].manifest.rows() == 0


def test_the_features_of_the_last_days_and_of_their_models_window_equal_an_independent_computation_row_by_row(
    last_days, loans
):
    assert [compare_features(last_days, loans, *days) for days in (WINDOW, LAST_DAYS)] == [1_249, 444]


def test_the_training_set_holds_the_outcomes_of_the_files_and_no_customer_on_both_sides(last_days, loans):
    model_date = date(2017, 7, 1)
    train = read(last_days, "balanced", model_date, section="train")
    calibration = read(last_days, "balanced", model_date, section="calibration")
    validation = read(last_days, "balanced", model_date, section="validation/unbalanced")
    in_window = loans[loans["date"].between(*WINDOW)]
    label = pd.concat([train, calibration, validation]).set_index("loan_id")["label"]
    assert label.equals(in_window["late"].reindex(label.index).astype(label.dtype))
    counts = last_days.lake.require("balanced", model_date)[0].manifest.metrics
    assert counts["unlabelled"] == 0
    assert counts["labelled"] == len(in_window)
    assert sum(counts[side]["positive"] for side in ("train", "calibration", "validation")) == in_window["late"].sum()
    sides = [set(side["customer_id"]) for side in (train, calibration, validation)]
    assert sum(map(len, sides)) == len(set.union(*sides))


def test_the_report_measures_the_scores_on_the_outcomes_that_never_landed(last_days, data):
    printed = report(last_days, data)
    predictions = read(last_days, "predictions", *LAST_DAYS)
    flags = pd.read_csv(data / "trainperf.csv.gz", dtype=str).set_index("systemloanid")["good_bad_flag"]
    scored = predictions.set_index("loan_id")["score"]
    bad, good = (scored[scored.index.isin(flags.index[flags == value])].to_numpy() for value in ("Bad", "Good"))
    above = (bad[:, None] > good).mean() + (bad[:, None] == good).mean() / 2
    assert "444 predictions of 2017-07-28 to 2017-07-31, 443 of them with a good_bad_flag" in printed
    assert f"all           443  {len(bad) / 443:.1%}  {above:.3f} (" in printed
    assert above > 0.55


@pytest.fixture(scope="module")
def judged(data, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Four days of June are scored, and judged on the last day of July, when their outcomes have landed."""
    chain = landed(data, tmp_path_factory.mktemp("superlender-judged"))
    build(chain, *every("BatchInference", *JUNE), *MODEL_OF_JUNE)
    build(chain, *EVALUATION, *MODEL_OF_JUNE)
    return chain


def test_an_evaluation_equals_an_independent_computation_on_the_files(judged, loans):
    found = json.loads(judged.lake.require("evaluation", LAST_DAY)[0].document("evaluation.json"))

    wanted = (
        read(judged, "predictions", *JUNE).set_index("loan_id")[["score", "date", "model_date"]].join(loans[["late"]])
    )
    late, score = wanted["late"].astype(bool).to_numpy(), np.round(wanted["score"].to_numpy() * 2**20) / 2**20
    above, below = score[late][:, None], score[~late]
    assert (found["first"], found["last"]) == (str(JUNE[0]), str(JUNE[1]))
    assert [(day["rows"], day["labelled"], day["unlabelled"]) for day in found["days"]] == [
        (rows, rows, 0) for rows in wanted.groupby("date").size()
    ]
    metrics = found["whole"]["metrics"]
    assert found["whole"]["rows"] == len(wanted)
    assert metrics["area_under_roc"] == pytest.approx((above > below).mean() + (above == below).mean() / 2, abs=1e-9)
    assert metrics["brier"] == pytest.approx(((score - late) ** 2).mean(), abs=1e-9)
    assert metrics["calibration_in_the_large"] == pytest.approx(score.mean() - late.mean(), abs=1e-9)
    assert found["whole"]["base"]["brier"] == pytest.approx(late.mean() * (1 - late.mean()), abs=1e-9)
    low, high = metrics["intervals"]["area_under_roc"]
    assert low < metrics["area_under_roc"] < high
    assert [each["model"]["date"] for each in found["models"]] == ["2017-06-01"]


def test_outcomes_that_land_after_an_evaluation_leave_it_as_it_is(judged, tmp_path):
    shutil.copytree(judged.root, tmp_path / "lake")
    again = Chain(tmp_path / "lake", tmp_path / "scratch", judged.use_case)
    again.delete("evaluation", day=str(LAST_DAY))
    outcomes = tmp_path / "lake" / judged.use_case / "raw" / "outcomes"
    scored = read(judged, "predictions", *JUNE)["loan_id"]
    after = outcomes / f"date={LAST_DAY + timedelta(days=1)}"
    after.mkdir()
    pd.DataFrame({"loan_id": scored, "status": "late"}).to_parquet(after / "part-0.parquet")
    (after / "_SUCCESS").touch()

    build(again, *EVALUATION, *MODEL_OF_JUNE)

    assert again.contents("evaluation", str(LAST_DAY)) == judged.contents("evaluation", str(LAST_DAY))


def test_running_the_last_days_again_starts_no_jvm(last_days):
    before = last_days.sessions()
    build(last_days, *every("BatchInference", *LAST_DAYS), *ONE_MODEL)
    assert last_days.sessions() == before


def test_a_backfill_of_the_last_days_has_in_every_stage_what_the_days_alone_have(last_days, data, tmp_path):
    backfilled = landed(data, tmp_path)
    build(backfilled, *backfill("BatchInference", *LAST_DAYS), *ONE_MODEL)

    assert backfilled.published().keys() == last_days.published().keys()
    for dataset, day in last_days.published():
        says = Chain.card if dataset == "model" else lambda chain, day, dataset=dataset: chain.contents(dataset, day)
        assert says(backfilled, day) == says(last_days, day), (dataset, day)


@pytest.mark.full
def test_a_backfill_of_the_features_of_every_day_equals_an_independent_computation_row_by_row(together, loans):
    assert compare_features(together, loans, FIRST_DAY, LAST_DAY) == 22_551


@pytest.mark.full
def test_a_backfill_of_the_features_of_every_day_has_the_rows_of_each_day_alone(whole, together):
    alone, together = (chain.lake.require("features", FIRST_DAY, LAST_DAY) for chain in (whole, together))
    assert len(together) == (LAST_DAY - FIRST_DAY).days + 1
    assert [day.manifest.digest for day in together] == [day.manifest.digest for day in alone]


@pytest.mark.full
def test_the_features_of_every_day_equal_an_independent_computation_row_by_row(whole, loans):
    assert compare_features(whole, loans, FIRST_DAY, LAST_DAY) == 22_551


@pytest.mark.full
def test_each_day_of_july_is_scored_by_the_newest_approved_model_of_a_monday(whole, loans):
    mondays = [day for day in days(date(2017, 6, 26), LAST_DAY) if day.weekday() == 0]
    models = [whole.lake.require("model", monday)[0] for monday in mondays]
    approved = [model.date for model in models if model.manifest.metrics["verdict"]["approved"]]
    predictions = read(whole, "predictions", *JULY)
    assert len(predictions) == 4_368 + 356
    assert scored_as_landed(predictions, loans, JULY[0])
    for day, scored in predictions.groupby("date"):
        assert set(scored["model_date"]) == {max(monday for monday in approved if monday <= day)}


def landed(data: Path, home: Path) -> Chain:
    """A lake in which every day has landed, by the program that a person would run."""
    chain = Chain(home / "lake", home / "scratch", USE_CASE.replace(":", "."))
    script(chain, "land.py", data)
    return chain


def every(stage: str, first: date, last: date) -> tuple[object, ...]:
    """Luigi's range of a stage from ``first`` to ``last``, both included."""
    return "RangeDaily", "--of", stage, "--start", first, "--stop", last + timedelta(days=1)


def backfill(stage: str, first: date, last: date) -> tuple[object, ...]:
    """A backfill of a stage from ``first`` to ``last``, both included."""
    return "Backfill", "--of", stage, "--start", first, "--stop", last + timedelta(days=1)


def build(chain: Chain, *arguments: object) -> None:
    """Run ``luigi`` to its good end, with the example on Python's path and what few cores like."""
    path = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(EXAMPLES)])}
    settings = ("--pipeline-use-case", USE_CASE, *FEW_CORES)
    chain.succeeds(*arguments, *settings, env=path, timeout=7_200)


def scored_as_landed(predictions: pd.DataFrame, loans: pd.DataFrame, first: date) -> bool:
    """Whether the loans from ``first`` on are scored, each once and on its day."""
    landed_on = loans.loc[loans["date"] >= first, "date"].sort_index()
    return bool(predictions.set_index("loan_id")["date"].sort_index().equals(landed_on))


def report(chain: Chain, data: Path) -> str:
    return script(chain, "report.py", data, "--from", str(LAST_DAYS[0]), "--to", str(LAST_DAYS[1]))


def script(chain: Chain, name: str, data: Path, *options: str) -> str:
    """What a program of the example prints."""
    command = [
        sys.executable,
        str(EXAMPLES / "superlender" / name),
        "--data",
        str(data),
        "--lake-root",
        str(chain.root),
        *options,
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout


def read(chain: Chain, dataset: str, first: date, last: date | None = None, section: str = "") -> pd.DataFrame:
    return spark_lib.read_pandas(str(chain.root), USE_CASE, dataset, first, last, section)


def compare_features(chain: Chain, loans: pd.DataFrame, first: date, last: date) -> int:
    """How many rows were compared; each is equal, to the last bit."""
    found = read(chain, "features", first, last).set_index("loan_id").sort_index()
    wanted = loans[loans["date"].between(first, last)].sort_index()
    assert found.index.equals(wanted.index)
    assert (found["date"] == wanted["date"]).all()
    assert (found["customer_id"] == wanted["customer_id"]).all()
    assert (found["approved_time"] == wanted["approved"]).all()
    for name in FEATURES:
        pd.testing.assert_series_equal(
            found[name].astype("float64"), wanted[name].astype("float64"), check_exact=True, obj=name
        )
    return len(found)


def expected(data: Path) -> pd.DataFrame:
    """Each loan's features by a walk through its customer's loans in the order of their approval."""
    people = pd.read_csv(data / "traindemographics.csv.gz", dtype=str)
    born = {row.customerid: date.fromisoformat(row.birthdate[:10]) for row in people.itertuples()}
    files = [pd.read_csv(data / f"{name}.csv.gz", dtype=str) for name in ("trainperf", "trainprevloans")]
    raw = pd.concat(files).sort_values(["customerid", "approveddate"])
    rows = []
    for customer, of_customer in raw.groupby("customerid"):
        amounts: list[float] = []
        before = None
        for loan in of_customer.itertuples():
            on, birth = date.fromisoformat(loan.approveddate[:10]), born.get(customer)
            rows.append(
                {
                    "loan_id": loan.systemloanid,
                    "customer_id": customer,
                    "date": on,
                    "approved": pd.Timestamp(loan.approveddate, tz="UTC"),
                    "nb_previous_loans": len(amounts),
                    "avg_amount_loans_previous": sum(amounts) / len(amounts) if amounts else np.nan,
                    "days_since_previous_loan": (on - before).days if before else np.nan,
                    "age": on.year - birth.year - ((on.month, on.day) < (birth.month, birth.day)) if birth else np.nan,
                    "loan_amount": float(loan.loanamount),
                    "term_days": int(loan.termdays),
                    "late": str(loan.firstrepaiddate)[:10] > str(loan.firstduedate)[:10],
                }
            )
            amounts.append(float(loan.loanamount))
            before = on
    return pd.DataFrame(rows).set_index("loan_id")
