"""``daystone clean``: it shows what goes and what that takes away, asks, and removes manifests first."""

from __future__ import annotations

from datetime import date

import pytest
from click.testing import CliRunner, Result

import tasks
from spark_lib.lake import clean
from tasks.cli import main
from tasks.planning import consent
from tests.unit.stubs.stublake import FIRST_TRAINING, WINDOW, StubLake, build
from tests.unit.tasks.conftest import Predicted

DAY = date(2026, 1, 14)
MONDAY = str(FIRST_TRAINING)


@pytest.fixture
def lake(predicted: Predicted) -> StubLake:
    return predicted(DAY, landed=date(2026, 1, 16))


def cleaned(stage: str, first: object, last: object, *more: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(main.main, ["clean", stage, "--from", str(first), "--to", str(last), *more], input=answer)


def size(lake: StubLake, dataset: str, *of: date) -> str:
    files = [path for day in of for path in lake.partition(dataset, day).rglob("*") if path.is_file()]
    return f"{len(files)} file{'s' if files[1:] else ''}, {sum(path.stat().st_size for path in files):,} bytes"


def there(lake: StubLake) -> set[str]:
    datasets = ("features", "balanced", "model", "selection", "predictions")
    return {f"{dataset} {day}" for dataset in datasets for day in lake.published(dataset)}


def test_without_a_terminal_it_shows_everything_and_removes_nothing(lake: StubLake) -> None:
    before = lake.written()

    result = cleaned("features", "2026-01-08", DAY)

    assert result.stdout.splitlines() == [
        f"to remove: features of 2026-01-08, 2026-01-09, 2026-01-14: {size(lake, 'features', *WINDOW[-2:], DAY)}",
        "to stay: balanced of 2026-01-12, built from what is removed (--downstream removes it, too)",
        "to stay: model of 2026-01-12, built from what is removed (--downstream removes it, too)",
        "to stay: selection of 2026-01-14, built from what is removed (--downstream removes it, too)",
        "to stay: predictions of 2026-01-14, built from what is removed (--downstream removes it, too)",
        "then: features of 2026-01-08, 2026-01-09, 2026-01-14: missing",
    ]
    assert (result.exit_code, result.stderr) == (
        43,
        "Error: clean features: wanted a yes to removing 3 days; found no terminal to ask on. Next: run it again, with --yes "
        "where nobody can be asked; nothing was removed\n",
    )
    assert lake.written() == before


def test_with_yes_it_removes_the_days_and_no_others_and_they_can_be_built_again(lake: StubLake) -> None:
    raw = {path for path in lake.written() if "/raw/" in path}
    before = there(lake)

    result = cleaned("predictions", DAY, DAY, "--yes")

    assert result.exit_code == 0
    assert result.stdout.splitlines()[-2:] == ["removed predictions of 2026-01-14", "1 day removed"]
    assert there(lake) == before - {f"predictions {DAY}"}
    assert not lake.partition("predictions", DAY).exists()
    assert {path for path in lake.written() if "/raw/" in path} == raw
    assert build(tasks.BatchInference(date=DAY)).ended == [f"BatchInference {DAY}"]


def test_what_can_not_be_built_again_is_said_before(lake: StubLake) -> None:
    lake.flag("events", date(2026, 1, 6)).unlink()

    result = cleaned("features", DAY, DAY)

    assert result.stdout.splitlines()[-1] == "then: features of 2026-01-14: hole: raw/events of 2026-01-06"


def test_days_that_wait_for_what_is_removed_are_said_too(lake: StubLake) -> None:
    build(tasks.FeatureEngineering(date=date(2026, 1, 15)))
    lake.delete("predictions", DAY)
    lake.flag("events", DAY).unlink()

    result = cleaned("features", DAY, DAY)

    assert "then: predictions of 2026-01-14: blocked by features of 2026-01-14" in result.stdout.splitlines()


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 43), ("", 43)])
def test_on_a_terminal_it_asks(lake: StubLake, monkeypatch: pytest.MonkeyPatch, answer: str, code: int) -> None:
    monkeypatch.setattr(consent, "at_a_terminal", lambda: True)

    result = cleaned("predictions", DAY, DAY, answer=answer)

    assert result.exit_code == code
    assert result.stderr.startswith("Remove 1 day? [y/N] ")
    assert (DAY in lake.published("predictions")) == bool(code)
    if code:
        assert "found another answer. Next: " in result.stderr


def test_what_has_changed_while_it_asked_is_not_removed(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consent, "at_a_terminal", lambda: True)

    def rebuilt_meanwhile(question: str) -> bool:
        day = tasks.BatchInference(date=DAY)
        day.force = True
        build(day)
        return True

    monkeypatch.setattr(consent, "confirmed", rebuilt_meanwhile)

    result = cleaned("predictions", DAY, DAY)

    assert (result.exit_code, DAY in lake.published("predictions")) == (36, True)
    assert result.stderr.endswith(
        "Error: clean: wanted what was shown a moment ago; found something else. Next: run it again; nothing was removed\n"
    )


def test_a_model_that_a_selection_was_made_from_is_refused_with_the_reason(lake: StubLake) -> None:
    run, before = lake.published("model")[FIRST_TRAINING], lake.written()

    result = cleaned("model", MONDAY, MONDAY, "--yes")

    assert (result.exit_code, result.stdout) == (31, "")
    assert result.stderr == (
        f"Error: clean model of 2026-01-12: wanted a run that nothing published was made from; found run {run}, which selection "
        "of 2026-01-14 was made from. Next: add --downstream, which removes that and what was built from it, too\n"
    )
    assert lake.written() == before


def test_with_downstream_it_goes_with_all_that_was_built_from_it(lake: StubLake) -> None:
    before = there(lake)

    result = cleaned("model", MONDAY, MONDAY, "--downstream", "--yes")

    assert result.exit_code == 0
    assert result.stdout.splitlines()[-4:] == [
        "removed predictions of 2026-01-14",
        "removed selection of 2026-01-14",
        "removed model of 2026-01-12",
        "3 days removed",
    ]
    assert there(lake) == before - {f"model {MONDAY}", f"selection {DAY}", f"predictions {DAY}"}


def test_an_older_run_that_a_selection_was_made_from_stays(lake: StubLake) -> None:
    old = lake.published("model")[FIRST_TRAINING]
    again = tasks.Training(date=FIRST_TRAINING)
    again.force = True
    build(again)

    result = cleaned("model", MONDAY, MONDAY, "--yes")

    assert result.exit_code == 0
    assert f"to keep: run {old} of model of 2026-01-12, which selection of 2026-01-14 was made from" in result.stdout
    assert (lake.published("model"), lake.runs("model")) == ({}, [f"run={old}"])
    assert tasks.ModelSelection(date=DAY).complete()
    assert cleaned("model", MONDAY, MONDAY, "--yes").stdout == (
        "nothing to remove: there is nothing of model from 2026-01-12 to 2026-01-12\n"
    )


def test_what_was_interrupted_goes_on(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    real = clean.remove

    def cut_off(*given: object) -> None:
        real(*given)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(clean, "remove", cut_off)
        first = cleaned("balanced", MONDAY, MONDAY, "--downstream", "--yes")

    second = cleaned("balanced", MONDAY, MONDAY, "--downstream", "--yes")

    assert (first.exit_code, second.exit_code) == (130, 0)
    assert there(lake) == {f"features {day}" for day in [*WINDOW, DAY]}
    assert second.stdout.splitlines()[-1] == "3 days removed"


def test_leftovers_without_a_manifest_are_removed_too(lake: StubLake) -> None:
    (lake.partition("features", DAY) / "_SUCCESS").unlink()

    result = cleaned("features", DAY, DAY, "--yes")

    assert result.stdout.splitlines()[-1] == "1 day removed"
    assert not lake.partition("features", DAY).exists()


def test_a_damaged_day_can_be_removed(lake: StubLake) -> None:
    lake.damage("predictions", DAY)

    result = cleaned("predictions", DAY, DAY, "--yes")

    assert (result.exit_code, result.stdout.splitlines()[-2]) == (0, "removed predictions of 2026-01-14")


def test_where_there_is_nothing_it_says_so(lake: StubLake) -> None:
    result = cleaned("features", "2026-01-01", "2026-01-02")

    assert (result.exit_code, result.stdout) == (
        0,
        "nothing to remove: there is nothing of features from 2026-01-01 to 2026-01-02\n",
    )


def test_a_range_that_ends_before_it_begins_is_refused(lake: StubLake) -> None:
    result = cleaned("features", "2026-01-02", "2026-01-01")

    assert (result.exit_code, result.stderr) == (
        31,
        "Error: clean: wanted a first day that is not after the last; found 2026-01-02 to 2026-01-01. Next: correct --from, --to\n",
    )
