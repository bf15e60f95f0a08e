"""docs/evaluation.md on the sample, as it stands: what it shows is printed, and its figures are those of an independent computation
on the raw files."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

import spark_lib
from spark_lib.lake import Lake
from tests.support.patience import PATIENCE
from tests.support.processes import ROOT, Commands, Result

PAGE = ROOT / "docs" / "evaluation.md"
DAY, DELAY, WINDOW = date(2026, 3, 1), 21, 7
GRID = 2**20


@dataclass(frozen=True)
class Walk:
    """What the commands of the page have left in the lake, and what each has printed."""

    home: Path
    printed: Mapping[str, Result]

    @property
    def lake(self) -> Lake:
        return Lake(str(self.home / "lake"), "credit_risk")

    def document(self, day: date = DAY) -> bytes:
        return self.lake.require("evaluation", day)[0].document("evaluation.json")


def example() -> str:
    """The part of the page with the example."""
    return PAGE.read_text(encoding="utf-8").partition("\n## An example\n")[2].partition("\n## ")[0]


def blocks() -> list[str]:
    found = re.finditer(r"(?m)(?:^ {4}.*\n|^\n(?= {4}\[))+", example())
    return [re.sub(r"(?m)^ {4}", "", block[0]).strip("\n") for block in found]


def commands() -> list[str]:
    return [line for block in blocks() for line in block.splitlines() if line.startswith("daystone ")]


def shown_below(command: str) -> list[str]:
    """The lines that the page shows as printed by a command."""
    found = blocks()
    place = next(number for number, block in enumerate(found) if block.splitlines()[-1] == command)
    return found[place + 1].splitlines()


def daystone(home: Path, command: str) -> Result:
    settings = next(block for block in blocks() if block.startswith("["))
    arguments = shlex.split(command)[1:]
    program = [sys.executable, str(ROOT / "run.py"), *arguments]
    return Commands(home).run(program, config=settings, timeout=PATIENCE)


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    home = tmp_path_factory.mktemp("evaluation")
    return Walk(home, {command: daystone(home, command) for command in commands()})


def test_every_command_of_the_example_ends_as_the_page_says(walk: Walk) -> None:
    codes = {command: result.code for command, result in walk.printed.items()}

    last = commands()[-1]
    assert codes == {command: 55 if command == last else 0 for command in codes}, walk.printed[last].stderr
    assert len(codes) == 6


@pytest.mark.parametrize("place", [2, 3, 5])
def test_what_the_page_shows_is_what_is_printed(walk: Walk, place: int) -> None:
    command = commands()[place]
    result = walk.printed[command]

    shown = shown_below(command)

    printed = result.stdout.splitlines() + [line for line in result.stderr.splitlines() if line.startswith("Error")]
    if "why" in command:  # what was judged; what it was built from is named by runs, which differ
        begin = next(number for number, line in enumerate(printed) if line.startswith("judged"))
        printed = printed[begin : begin + len(shown)]
    assert [line.rstrip() for line in printed] == [line.rstrip() for line in shown]


def landed(walk: Walk, feed: str, first: date, last: date) -> pd.DataFrame:
    """The raw rows of days, straight from their files, with the day on which they landed."""
    found = []
    day = first
    while day <= last:
        files = sorted((walk.home / "lake" / "credit_risk" / "raw" / feed / f"date={day}").glob("*.parquet"))
        found += [pq.read_table(file, partitioning=None).to_pandas().assign(landed=day) for file in files]
        day += timedelta(days=1)
    return pd.concat(found)


def expected(walk: Walk, day: date = DAY) -> pd.DataFrame:
    """Each prediction of the window with its outcome by then, by pandas alone."""
    first, last = day - timedelta(days=DELAY + WINDOW), day - timedelta(days=DELAY + 1)
    predictions = spark_lib.read_pandas(str(walk.home / "lake"), "credit_risk", "predictions", first, last)
    outcomes = landed(walk, "outcomes", first, day).sort_values("landed").drop_duplicates("loan_id", keep="last")
    return predictions.merge(outcomes[["loan_id", "status"]], on="loan_id", how="left", validate="one_to_one")


def measured(rows: pd.DataFrame) -> dict[str, Any]:
    """The metrics of scikit-learn and numpy, of scores on the grid that metrics are measured on."""
    late, score = (rows["status"] == "default").to_numpy(), np.round(rows["score"].to_numpy() * GRID) / GRID
    return {
        "area_under_roc": roc_auc_score(late, score),
        "area_under_pr": average_precision_score(late, score),
        "brier": brier_score_loss(late, score),
        "log_loss": log_loss(late, score),
        "mean_score": score.mean(),
        "prevalence": late.mean(),
        "calibration_in_the_large": score.mean() - late.mean(),
    }


def test_the_figures_equal_an_independent_computation_on_the_raw_files(walk: Walk) -> None:
    found = json.loads(walk.document())
    rows = expected(walk)
    known = rows.dropna(subset=["status"])
    by_day = {str(day): part for day, part in rows.groupby("date")}
    judged = [day for day, part in by_day.items() if part["status"].isna().mean() <= 0.01]

    assert {day["date"]: (day["rows"], day["unlabelled"]) for day in found["days"]} == {
        day: (len(part), part["status"].isna().sum()) for day, part in by_day.items()
    }
    assert [day["date"] for day in found["days"] if not day["reason"]] == judged
    known = known[known["date"].astype(str).isin(judged)]
    wanted = measured(known)
    assert {name: found["whole"]["metrics"][name] for name in wanted} == pytest.approx(wanted, abs=1e-9)
    assert found["whole"]["base"]["brier"] == pytest.approx(wanted["prevalence"] * (1 - wanted["prevalence"]))
    assert found["whole"]["levels"] == pytest.approx(
        np.quantile(known["score"], [0.05, 0.25, 0.5, 0.75, 0.95]).tolist()
    )
    by_model = {str(day): measured(part) for day, part in known.groupby("model_date")}
    assert {each["model"]["date"]: each["part"]["metrics"]["brier"] for each in found["models"]} == pytest.approx(
        {day: figures["brier"] for day, figures in by_model.items()}, abs=1e-9
    )
    for day in found["days"]:
        if not day["reason"]:
            part = by_day[day["date"]].dropna(subset=["status"])
            assert day["part"]["metrics"]["area_under_roc"] == pytest.approx(measured(part)["area_under_roc"], abs=1e-9)


def test_outcomes_that_land_after_its_day_leave_an_evaluation_as_it_is(walk: Walk, tmp_path: Path) -> None:
    shutil.copytree(walk.home / "lake", tmp_path / "lake")
    later = Walk(tmp_path, {})
    after = tmp_path / "lake" / "credit_risk" / "raw" / "outcomes" / f"date={DAY + timedelta(days=1)}"
    after.mkdir()
    rows = landed(walk, "outcomes", DAY - timedelta(days=DELAY), DAY)
    flipped = rows.assign(status=np.where(rows["status"] == "default", "repaid", "default")).drop(columns="landed")
    flipped.to_parquet(after / "part-0.parquet")
    (after / "_SUCCESS").touch()

    again = next(command for command in commands() if command.startswith("daystone rebuild"))
    assert daystone(tmp_path, again).code == 0

    assert later.document() == walk.document()
    assert later.lake.require("evaluation", DAY)[0].manifest.run != walk.lake.require("evaluation", DAY)[0].manifest.run
