"""``status``: each day of each feed and dataset in a word, by listings and manifests alone."""

from __future__ import annotations

import json
import os
import re
from datetime import date
from pathlib import Path

import pytest

from spark_lib.lake import Documents, Lake, RawFeed
from spark_lib.lake.feeds import landed
from spark_lib.use_case import loading
from tasks.cli.place import Place
from tasks.cli.status import Report, State, report
from tasks.config.settings import Settings
from tests.unit.lakes import open_attempt, publish
from tests.unit.verbs import Verbs, last_line

pytestmark = pytest.mark.processes

#: By default: weekly, from 2026-01-01 on, on a window of 28 days and a delay of 21.
FIRST_MONDAY = date(2026, 2, 23)


@pytest.fixture
def daystone(tmp_path: Path) -> Verbs:
    return Verbs(tmp_path)


def test_a_published_day_shows_its_rows_and_a_missing_one_its_absence(daystone: Verbs) -> None:
    daystone.land("2026-01-01", 3)
    publish(daystone.lake, [1, 2, 3], date(2026, 1, 2))

    assert column(look(daystone), "features")[-3:] == ["missing", "3", "missing"]


def test_models_are_due_on_the_cadence_only_and_nothing_is_due_before_the_first_of_them(daystone: Verbs) -> None:
    daystone.land("2026-02-21", 5)

    found = look(daystone, date(2026, 2, 21), date(2026, 2, 25))

    assert column(found, "balanced") == ["–", "–", "hole", "–", "–"]
    assert column(found, "model") == ["–", "–", "blocked", "–", "–"]
    assert column(found, "predictions") == column(found, "selection") == ["–", "–", *["blocked"] * 3]
    assert column(found, "serving") == ["–"] * 5


def test_a_model_shows_its_verdict_and_why_it_was_rejected(daystone: Verbs) -> None:
    verdicts = [{"approved": True}, {"approved": False, "reason": "gate", "detail": "area under ROC 0.55"}]
    for day, verdict in zip((FIRST_MONDAY, date(2026, 3, 2)), verdicts, strict=True):
        with open_attempt(daystone.lake, day, "model") as attempt:
            attempt.commit(Documents({"card.json": b"{}"}, {"verdict": verdict}))

    found = look(daystone)

    assert (found.cells[FIRST_MONDAY]["model"].text, found.cells[date(2026, 3, 2)]["model"].text) == (
        "approved",
        "rejected",
    )
    assert found.rejections == ["model of 2026-03-02 was rejected: gate: area under ROC 0.55"]


def test_raw_days_are_landed_waited_for_or_holes(daystone: Verbs) -> None:
    daystone.land("2026-01-01", 1)
    daystone.land("2026-01-03", 1)

    found = look(daystone, date(2025, 12, 31), date(2026, 1, 4))

    assert column(found, "applications") == ["–", "landed", "hole", "landed", "waiting"]


def test_a_hole_is_one_also_where_the_days_shown_end_with_it(daystone: Verbs) -> None:
    daystone.land("2026-01-01", 2)
    daystone.land("2026-01-05", 1)

    found = look(daystone, date(2026, 1, 2), date(2026, 1, 4))

    assert column(found, "applications") == ["landed", "hole", "hole"]


def test_fourteen_days_are_shown_up_to_the_newest_partition_or_raw_day_whatever_the_clock_says(daystone: Verbs) -> None:
    publish(daystone.lake, [1], date(2017, 7, 1))
    daystone.land("2017-07-20", 1, ["outcomes"])

    assert list(look(daystone).cells)[:: len(look(daystone).cells) - 1] == [date(2017, 7, 7), date(2017, 7, 20)]


def test_features_that_were_lost_behind_their_predictions_show_as_a_hole(daystone: Verbs) -> None:
    publish(daystone.lake, [1], date(2026, 3, 1), "predictions")

    cells = look(daystone).cells[date(2026, 3, 1)]

    assert (cells["features"].state, cells["predictions"].state) == (State.WAITING, State.PUBLISHED)


def test_what_is_stale_is_named_under_the_calendar_and_has_its_reasons_as_json(daystone: Verbs) -> None:
    with open_attempt(daystone.lake, FIRST_MONDAY, "model", settings={"trees": 3}) as attempt:
        attempt.commit(Documents({"card.json": b"{}"}, {"verdict": {"approved": True}}))

    shown, as_json = daystone("status"), daystone("status", "--json")

    assert (shown.code, as_json.code) == (0, 0)
    assert "stale: model of 2026-02-23 (daystone why model --date 2026-02-23)" in shown.stdout.splitlines()
    found = json.loads(as_json.stdout)
    assert found["days"]["2026-02-23"]["model"] == {
        "state": "stale",
        "text": "stale",
        "reasons": [{"reason": "settings", "name": "trees", "then": 3, "now": 20}],
    }
    assert found["days"]["2026-02-22"]["model"] == {"state": "not due", "text": "–"}


def test_the_calendar_is_plain_and_within_80_columns_where_it_is_piped(daystone: Verbs) -> None:
    daystone.land("2026-02-10", 14)
    publish(daystone.lake, range(1000), date(2026, 2, 20), "predictions")
    publish(daystone.lake, range(1000), date(2026, 2, 20))

    table = [line for line in daystone("status").stdout.splitlines() if line.startswith(("date", "2026-"))]

    assert len(table) == 15
    assert max(map(len, table)) <= 80
    assert "\x1b" not in "".join(table)


def test_the_calendar_is_within_80_columns_with_snapshots_as_well(daystone: Verbs) -> None:
    daystone.land("2026-02-10", 14)
    for dataset in ("snapshots", "predictions", "features"):
        publish(daystone.lake, range(1000), date(2026, 2, 16), dataset)

    shown = daystone("status", "--set", "features.snapshot=weekly").stdout.splitlines()

    heading = next(number for number, line in enumerate(shown) if line.startswith("date"))
    calendar = shown[heading - 1 : heading + 16]
    assert calendar[0].split() == ["snap-", "predic-"]
    assert calendar[1].split()[::2] == ["date", "shots", "serving", "model", "tions"]
    assert calendar[-1].startswith("2026-02-23")
    assert max(map(len, calendar)) <= 80


def test_damaged_partitions_are_named_under_the_table_and_exit_with_35(daystone: Verbs) -> None:
    for day in (date(2026, 1, 1), date(2026, 1, 2)):
        publish(daystone.lake, [1], day)
    (file,) = daystone.root.glob("credit_risk/features/date=2026-01-01/run=*/*")
    size = file.stat().st_size
    os.unlink(file)

    result = daystone("status")

    assert result.code == 35
    assert f"features of 2026-01-01: {file}: wanted {size} bytes; found no file." in result.stdout
    assert re.search(r"^2026-01-01 .* damaged ", result.stdout, flags=re.MULTILINE)
    assert last_line(result) == (
        f"Error: lake {daystone.root}: wanted every published partition to be whole; found 1 damaged: features of "
        "2026-01-01. Next: restore the file, or build the day anew (daystone rebuild features --date 2026-01-01)"
    )


def test_an_empty_lake_says_so_what_to_do_and_stays_as_it_is(daystone: Verbs) -> None:
    result = daystone("status", JAVA_HOME="/nowhere")

    assert (result.code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        f"{daystone.root} holds nothing of credit_risk yet: no raw day has landed, nothing is built",
        f"land raw days with their flags, or try: daystone sample --lake-root {daystone.root}",
    ]
    assert not daystone.root.exists()


@pytest.mark.parametrize(
    "path",
    [
        "{root}/{use_case}/raw/{feed}/date={date:%Y-%m-%d}",
        "{root}/landing/{feed}/{date:%Y}/{date:%m}/{date:%d}",
        "{root}/{feed}/{date:%d.%m.%Y}",
        "{root}/by-day/{date:%Y%m%d}/{feed}",
        "{root}/{date:%Y}/of-{date:%Y-%m-%d}/{feed}",
    ],
)
@pytest.mark.parametrize("after", [None, date(2025, 12, 31)])
def test_the_newest_landed_day_is_found_wherever_a_feed_lands(tmp_path: Path, path: str, after: date | None) -> None:
    feed = RawFeed("events", str(tmp_path), "case", path)
    for day in (date(2025, 12, 31), date(2026, 1, 30), date(2026, 2, 1)):
        Path(feed.directory(day)).mkdir(parents=True)
        Path(feed.flag_url(day)).touch()
    unfinished = Path(feed.directory(date(2026, 2, 2)))
    unfinished.mkdir(parents=True)
    (unfinished / "part-0.parquet").touch()

    assert landed.newest(feed, after) == date(2026, 2, 1)


def test_a_feed_of_which_nothing_has_landed_has_no_newest_day(tmp_path: Path) -> None:
    assert landed.newest(RawFeed("events", str(tmp_path), "case")) is None


def look(daystone: Verbs, first: date | None = None, last: date | None = None) -> Report:
    case = loading.load("credit_risk")
    return report(
        Place("credit_risk", case, Settings("credit_risk", case), Lake(str(daystone.root), "credit_risk")), first, last
    )


def column(found: Report, name: str) -> list[str]:
    return [cells[name].text for cells in found.cells.values()]
