"""What verbs print and exit with where no process of their own is needed to see it."""

from __future__ import annotations

import errno
from datetime import date
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import tasks
from spark_lib.errors import BadData, LakeError
from tasks.cli import main, outcomes
from tasks.cli.options import StageOrDataset
from tasks.cli.run import Outcome
from tests.unit.stubs.stublake import FIRST_TRAINING, LOANS, build, prepare


def told(*arguments: object) -> list[str]:
    """What ``daystone`` prints, in this process."""
    result = CliRunner().invoke(main.main, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


@pytest.mark.parametrize(
    ("use_case", "name", "sample"),
    [
        (LOANS, LOANS, ""),
        (
            "product_category",
            "product_category",
            ", or try: daystone sample --lake-root {root} --use-case product_category",
        ),
    ],
)
def test_an_empty_lake_of_another_use_case_says_how_to_land_sample_days_of_it_where_there_are_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use_case: str, name: str, sample: str
) -> None:
    root = tmp_path / "lake"
    prepare(monkeypatch, root, use_case=use_case)

    assert told("status") == [
        f"{root} holds nothing of {name} yet: no raw day has landed, nothing is built",
        f"land raw days with their flags{sample.format(root=root)}",
    ]


def test_a_calendar_says_below_it_why_a_model_was_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = prepare(monkeypatch, tmp_path / "lake")
    lake.land(FIRST_TRAINING)
    lake.judge(FIRST_TRAINING, "gate", "area under ROC 0.55")
    build(tasks.Training(date=FIRST_TRAINING))

    lines = told("status")

    assert [line for line in lines if "area under ROC" in line] == [
        f"model of {FIRST_TRAINING} was rejected: gate: area under ROC 0.55"
    ]


def test_of_several_errors_the_first_is_the_reason_five_others_are_shown_and_the_rest_are_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    reason = LakeError("lake", "an answer", "none", "run again")
    further = [BadData(f"day {number}", "rows", "none\n at all", "land it") for number in range(7)]

    with pytest.raises(LakeError) as raised:
        outcomes.raise_if_failed(
            Outcome(tasks.Training(date=date(2026, 1, 12)), [], error=reason, further=list(further))
        )

    assert raised.value is reason
    assert capsys.readouterr().err.splitlines() == [
        *(f"also: day {number}: wanted rows; found none at all. Next: land it" for number in range(5)),
        "also: 2 errors more, in the log",
    ]


def test_a_reader_that_goes_away_ends_a_verb_without_a_reason_and_a_traceback() -> None:
    @click.group(cls=main.Verbs)
    def verbs() -> None:
        pass

    @verbs.command()
    def speak() -> None:
        raise OSError(errno.EPIPE, "Broken pipe")

    result = CliRunner().invoke(verbs, ["speak"])

    assert (result.exit_code, result.output) == (1, "")


def test_a_stage_is_meant_by_its_class_its_dataset_or_itself() -> None:
    names = ("Training", "model", tasks.Training)

    assert [StageOrDataset().convert(name, None, None) for name in names] == [tasks.Training] * 3
