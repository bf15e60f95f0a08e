"""Every shipped use case and every example of one module from a table to predictions: land, check, and the whole chain, in
this process. ``superlender``, which is a package with programs of its own, is in ``tests/chain/test_superlender.py``."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType

import luigi
import pandas as pd
import pytest
from pyspark.sql import SparkSession

import tasks
from spark_lib.lake import Lake, days
from spark_lib.lake.tables import read_arrow
from spark_lib.models.training_set import TrainingSet
from spark_lib.rest import scorer
from spark_lib.stages import selection
from spark_lib.use_case import loading
from spark_lib.use_case.keys import names
from spark_lib.use_cases import credit_risk, product_category
from tasks.cli import check, land
from tasks.cli.place import configured
from tasks.graph import cadence
from tests.support.checkout import ROOT
from tests.support.shared_data import shared_data
from tests.unit.stubs.stublake import build, configure

EXAMPLES = ROOT / "examples"
#: Models that are made in a second, and pass whatever they have learnt of few rows.
SMALL = """
[training]
cadence = daily
window_days = 1
max_candidates = 1
train_validation_split_proportion = 0.6
calibration_proportion = 0.2
out_of_time = false
bootstrap_replicates = 40
trees = 3
depth = 3
min_positives = 1
min_labelled = 1
min_area_under_roc = 0
max_calibration_error = 1
min_accuracy = 0
max_unlabelled = 1
[spark]
shuffle_partitions = 2
[lake]
root = {root}
"""
NUMBERS = "[training]\nwindow_days = 4\nlabel_delay_days = 20\nmax_rmse = 1000\nmax_mae = 1000\nmin_r2 = -100\nmin_coverage = 0"
#: Rows of each landed day.
Landed = Mapping[date, int]


@dataclass(frozen=True)
class Case:
    """A use case, the day that is scored, how rows land up to it, and the columns of its predictions. ``config`` is a
    file beside the examples, and ``more`` settings of this test's."""

    name: str
    day: date
    land: Callable[[Path], Landed]
    columns: tuple[str, ...]
    config: str = ""
    more: str = ""


def sampled(module: ModuleType, name: str, count: int, rows: int) -> Callable[[Path], Landed]:
    """Lands the sample of a shipped use case from 2026-01-01 on, as ``daystone sample`` does."""

    def landing(home: Path) -> Landed:
        lake, first = home / "lake" / name, date(2026, 1, 1)
        sample = importlib.import_module(f"{module.__name__}.sample")
        sample.write(lambda feed, day: lake / "raw" / feed / f"date={day}", lake / "truth", first, count, rows, 0)
        return dict.fromkeys(days(first, first + timedelta(days=count - 1)), rows)

    return landing


def credit_cards(home: Path) -> Landed:
    table = pd.read_csv(shared_data("uci_credit_default") / "UCI_Credit_Card.csv.gz", dtype=str, nrows=900)
    table.to_csv(home / "clients.csv", index=False)
    return spread(home / "clients.csv", "clients", 2)


def german_credit(home: Path) -> Landed:
    lines = (shared_data("german_credit") / "german.data").read_text().splitlines()[:601]
    numbered = [f"{number or 'ID'} {line}\n" for number, line in enumerate(lines)]
    (home / "german.csv").write_text("".join(numbered))
    return spread(home / "german.csv", "applicants", 2)


def spread(file: Path, feed: str, count: int) -> Landed:
    first = date(2026, 1, 1)
    landed = land.spread([str(file)], feed, first, first + timedelta(days=count - 1), seed=0)
    return {day.date: day.rows for day in landed.days}


def repayment_days(home: Path) -> Landed:
    example = importlib.import_module("repayment_days")
    example.main(str(shared_data("superlender") / "trainprevloans.csv.gz"), home, "2017-03-01", "2017-04-05")
    land.by_column([str(home / "repayments.csv")], "repayments", "firstrepaiddate")
    landed = land.by_column([str(home / "loans.csv")], "loans", "approveddate")
    return {day.date: day.rows for day in landed.days}


CASES = [
    Case(
        "credit_risk",
        date(2026, 1, 23),
        sampled(credit_risk, "credit_risk", 23, 400),
        ("loan_id", "customer_id", "loan_time", "score", "model_date", "model_digest"),
    ),
    Case(
        "product_category",
        date(2026, 1, 2),
        sampled(product_category, "product_category", 2, 150),
        ("id_produto", "nome", "cadastro", "prediction", "score", "model_date", "model_digest"),
        "produtos.cfg",
    ),
    Case("credit_cards:CreditCards", date(2026, 1, 2), credit_cards, ("ID", "score", "model_date", "model_digest")),
    Case(
        "german_credit:GermanCredit",
        date(2026, 1, 2),
        german_credit,
        ("ID", "score", "model_date", "model_digest"),
        "german_credit.cfg",
    ),
    Case(
        "repayment_days:RepaymentDays",
        date(2017, 4, 5),
        repayment_days,
        (
            *("systemloanid", "customerid", "approveddate", "prediction", "lower", "upper"),
            *("model_date", "model_digest"),
        ),
        "repayment_days.cfg",
        NUMBERS,
    ),
]


@pytest.fixture
def numbers_of_partitions(spark: SparkSession) -> Iterator[None]:
    """A run sets the session's numbers of partitions, which other tests have found otherwise."""
    names = ("spark.sql.shuffle.partitions", "spark.sql.files.minPartitionNum", "spark.sql.files.openCostInBytes")
    before = {name: spark.conf.get(name, None) for name in names}
    # By Spark's own estimate of what opening a file costs, a history of small days would be read by as many tasks.
    spark.conf.set("spark.sql.files.openCostInBytes", "65536")
    yield
    for name, value in before.items():
        spark.conf.unset(name) if value is None else spark.conf.set(name, value)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.usefixtures("numbers_of_partitions")
def test_a_table_lands_is_checked_and_scored_and_a_second_run_builds_nothing(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    parser = configure(monkeypatch, (EXAMPLES / case.config).read_text() if case.config else "")
    parser.read_string(SMALL.format(root=tmp_path / "lake"))
    parser.read_string(case.more)
    parser.set("pipeline", "use_case", case.name)
    landed = case.land(tmp_path)

    tried = [(one.what, one.error) for one in check.examine()]
    built = build(tasks.BatchInference(case.day))
    again = build(tasks.BatchInference(case.day))

    assert [error for _, error in tried if error] == []
    assert {"use case", "engineer", "estimator"} < {what for what, _ in tried}
    assert (built.status, built.refused) == (luigi.LuigiStatusCode.SUCCESS, [])
    assert (again.status, again.ran) == (luigi.LuigiStatusCode.SUCCESS, [])
    settings = configured().settings
    lake = Lake(str(tmp_path / "lake"), loading.directory(case.name))
    values = settings.training
    window = days(*cadence.window(case.day, values.window_days, values.label_delay_days))
    (balanced,), (model,) = (lake.require(dataset, case.day) for dataset in ("balanced", "model"))
    counts = TrainingSet.of(balanced.manifest.metrics)
    assert counts.labelled + counts.unlabelled + counts.excluded == sum(landed[day] for day in window)
    assert model.manifest.metrics["verdict"]["approved"]
    for day in (*window, case.day):
        features = read_arrow(lake, "features", day)
        assert features.num_rows == landed[day]
        assert features.column_names == [*settings.case.identity, *settings.case.features, "date"]
    predictions = read_arrow(lake, "predictions", case.day)
    assert predictions.column_names == [*case.columns, "date"]
    assert predictions.num_rows == landed[case.day] > 0
    assert set(predictions["model_date"].to_pylist()) == {case.day}
    check_online(lake, case.day, names(settings.case.key))


def check_online(lake: Lake, day: date, key: tuple[str, ...]) -> None:
    """Raise AssertionError where rows of requests get other predictions than the batch has published."""
    made = scorer.of(selection.pinned(lake, lake.require("selection", day)[0]))
    features, published = (
        read_arrow(lake, dataset, day).sort_by([(name, "ascending") for name in key])
        for dataset in ("features", "predictions")
    )
    rows = features.select(list(made.columns.by_name)).to_pylist()
    as_json = json.loads(json.dumps(rows, default=str, allow_nan=False))

    found = made.score(made.columns.checked(as_json)).predictions

    columns = [name for name, _ in made.predicted]
    assert [list(row) for row in found] == [columns] * len(rows)
    for name in columns:
        expected = published[name].to_pylist()
        values = [row[name] for row in found]
        assert values == (pytest.approx(expected, rel=0, abs=1e-9) if isinstance(expected[0], float) else expected)
