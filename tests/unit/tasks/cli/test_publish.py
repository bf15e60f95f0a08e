"""``publish`` and ``withdraw``: which days reach their targets, what is said, and the code that is left. Real processes on
files of CSV; the stages need no Spark."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path

import pytest
from luigi.task_register import Register

from spark_lib.lake import Lake
from spark_lib.release import decision
from tests.support.processes import Result
from tests.unit.stubs.scored import rows, score
from tests.unit.stubs.stublake import LOANS, prepare
from tests.unit.verbs import Verbs, last_line

pytestmark = pytest.mark.processes

DAYS = [date(2026, 1, 14), date(2026, 1, 15), date(2026, 1, 16)]
DAY = DAYS[0]
WHY = "the source sent the rows of the day before"


class Publishing(Verbs):
    """Verbs on a lake of LOANS with predictions of three days, and two directories as targets."""

    def run(self, verb: str, *arguments: object) -> Result:
        return self.stubbed(verb, "--use-case", LOANS, *arguments, LUIGI_CONFIG_PATH=str(self.home / "luigi.cfg"))

    @property
    def of_loans(self) -> Lake:
        return Lake(str(self.root), LOANS.replace(":", "."))

    def configure(self, *targets: str, used: str = "files, copy") -> None:
        sections = "".join(f"[target.{name}]\nkind = csv\nroot = {self.home}/{name}\n" for name in targets)
        (self.home / "luigi.cfg").write_text(f"[publication]\ntargets = {used}\n{sections}")

    def rows(self, target: str, day: date) -> int:
        """The number of rows that a reader of a target's files sees of a day; 0 where there is no file."""
        return sum(len(file.read_text().splitlines()) - 1 for file in (self.home / target).rglob(f"{day}.csv"))


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory, _built: object) -> Path:
    """A lake of three days with 1, 2 and 3 rows. Checks hold none of them."""
    home = tmp_path_factory.mktemp("scored")
    shutil.copytree(_built(DAY, date(2026, 1, 31), LOANS), home / "lake")  # type: ignore[operator]  # the session's lake
    with pytest.MonkeyPatch.context() as patch:
        prepare(patch, home / "lake")
        for number, day in enumerate(DAYS, 1):
            score(patch, day, rows(number))
    Register.clear_instance_cache()
    return home / "lake"


@pytest.fixture
def daystone(scored: Path, tmp_path: Path) -> Publishing:
    shutil.copytree(scored, tmp_path / "lake")
    verbs = Publishing(tmp_path)
    verbs.configure("files", "copy")
    return verbs


def test_a_day_is_judged_and_published_to_all_configured_targets(daystone: Publishing) -> None:
    first = daystone.run("publish", "--date", DAY)
    again = daystone.run("publish", "--date", DAY)

    assert (first.code, again.code) == (0, 0), first.stderr + again.stderr
    assert first.stdout.splitlines() == [
        f"files: published predictions of {DAY} (1 row)",
        f"copy: published predictions of {DAY} (1 row)",
    ]
    assert again.stdout.splitlines() == [
        f"files: nothing to do, predictions of {DAY} was there",
        f"copy: nothing to do, predictions of {DAY} was there",
    ]
    assert (daystone.rows("files", DAY), daystone.rows("copy", DAY)) == (1, 1)


def test_many_days_are_published_at_once_and_only_those_that_are_missing(daystone: Publishing) -> None:
    daystone.run("publish", "--date", DAYS[1], "--target", "files")

    result = daystone.run("publish", "--from", "2026-01-01", "--to", DAYS[2], "--target", "files")

    assert result.code == 21, result.stderr  # two days before have a model and no predictions
    assert (
        result.stdout == f"files: published predictions of 2 days, {DAY} to {DAYS[2]} (4 rows); {DAYS[1]} was there\n"
    )
    assert last_line(result) == (
        "Error: predictions of 2026-01-12, 2026-01-13: wanted a published partition; found none. Next: build each (daystone "
        "run predictions --date 2026-01-12)"
    )
    assert [daystone.rows("files", day) for day in DAYS] == [1, 2, 3]
    assert daystone.rows("copy", DAYS[0]) == 0


def test_a_held_day_is_not_published_and_the_others_are(daystone: Publishing) -> None:
    daystone.run("hold", "--date", DAYS[1], "--why", WHY)

    result = daystone.run("publish", "--from", DAYS[0], "--to", DAYS[2], "--target", "files")

    assert result.code == 45
    assert result.stdout == f"files: published predictions of 2 days, {DAY} to {DAYS[2]} (4 rows)\n"
    assert last_line(result).startswith(
        f"Error: predictions of {DAYS[1]}: wanted a run of them that is in force; found held"
    )
    assert [daystone.rows("files", day) for day in DAYS] == [1, 0, 3]


def test_a_target_that_fails_does_not_keep_the_others_from_being_published(daystone: Publishing) -> None:
    (daystone.home / "copy").touch()

    result = daystone.run("publish", "--date", DAY, "--target", "copy", "--target", "files")

    assert result.code == 31
    assert result.stdout == f"files: published predictions of {DAY} (1 row)\n"
    assert f"lake root {daystone.home}/copy: wanted a directory; found a file" in last_line(result)


def test_a_day_without_predictions_is_not_published(daystone: Publishing) -> None:
    result = daystone.run("publish", "--date", "2026-01-20")

    assert (result.code, result.stdout) == (21, "")
    assert last_line(result).startswith(
        "Error: predictions of 2026-01-20: wanted a published partition; found none in "
    )


def test_a_day_is_withdrawn_and_stays_so(daystone: Publishing) -> None:
    daystone.run("publish", "--from", DAYS[0], "--to", DAYS[2])

    withdrawn = daystone.run("withdraw", "--date", DAYS[1], "--why", WHY)
    again = daystone.run("withdraw", "--date", DAYS[1], "--why", WHY)
    published = daystone.run("publish", "--date", DAYS[1])

    assert (withdrawn.code, again.code, published.code) == (0, 0, 45), withdrawn.stderr + again.stderr
    assert withdrawn.stdout.splitlines()[0].startswith(f"recorded: decision 1 on {DAYS[1]}: hold, by ")
    assert withdrawn.stdout.splitlines()[2:] == [
        f"files: predictions of {DAYS[1]} are not there any more",
        f"copy: predictions of {DAYS[1]} are not there any more",
    ]
    assert again.stdout.splitlines()[0] == f"{DAYS[1]} is held already, and nothing is in force"
    assert [daystone.rows("files", day) for day in DAYS] == [1, 0, 3]


def test_a_withdrawn_day_is_published_again_once_the_hold_is_revoked(daystone: Publishing) -> None:
    daystone.run("publish", "--date", DAY)
    daystone.run("withdraw", "--date", DAY, "--why", WHY)

    revoked = daystone.run("hold", "--date", DAY, "--revoke", "--why", "it was right")
    published = daystone.run("publish", "--date", DAY)

    assert (revoked.code, published.code) == (0, 0), revoked.stderr + published.stderr
    assert daystone.rows("files", DAY) == 1


def test_of_a_rebuilt_day_that_is_held_the_run_that_was_released_is_withdrawn_too(
    daystone: Publishing, monkeypatch: pytest.MonkeyPatch
) -> None:
    daystone.run("publish", "--date", DAY)
    prepare(monkeypatch, daystone.root)
    released = score(monkeypatch, DAY, rows(1))  # it takes the place of the run that is in force
    lake = daystone.of_loans
    in_force = json.loads((daystone.root / lake.prefix("release", DAY) / "_SUCCESS").read_bytes())["metrics"][
        "in_force"
    ]
    assert in_force["run"] != released

    result = daystone.run("withdraw", "--date", DAY, "--why", WHY)
    published = daystone.run("publish", "--date", DAY)

    assert (result.code, published.code) == (0, 45), result.stderr
    assert decision.read(lake, DAY).all[0].runs == (in_force["run"],)
    assert daystone.rows("files", DAY) == 0


def test_what_targets_hold_is_said_where_it_is_asked_for(daystone: Publishing) -> None:
    daystone.run("publish", "--from", DAYS[0], "--to", DAYS[1], "--target", "files")
    daystone.run("hold", "--date", DAYS[1], "--why", WHY)
    daystone.run("run", "release", "--date", DAYS[2])
    (daystone.home / "copy").touch()

    why = daystone.run("why", "publication", "--date", DAYS[0])
    document = json.loads(daystone.run("why", "publication", "--date", DAYS[1], "--target", "files", "--json").stdout)
    status = daystone.run("status", "--from", DAYS[0], "--to", DAYS[2], "--targets").stdout
    unasked = daystone.run("status", "--from", DAYS[0], "--to", DAYS[2]).stdout

    run = daystone.of_loans.published_run("predictions", DAYS[0])
    refused = f"lake root {daystone.home}/copy: wanted a directory; found a file"
    headings = [line[:26].rstrip() for line in why.stdout.splitlines()]
    assert headings == [f"predictions of {DAYS[0]}", "release", "in force", "files", "copy"]
    assert [line[27:] for line in why.stdout.splitlines()][:4] == [
        "published at files, unknown at copy",
        "released",
        f"run {run}",
        f"holds run {run}",
    ]
    assert refused in why.stdout.splitlines()[4]
    assert document["release"].startswith("held: hold by ") and document["in_force"] is None
    assert document["targets"]["files"]["run"] == daystone.of_loans.published_run("predictions", DAYS[1])
    line = (
        f"files holds the predictions in force of {DAYS[0]}; none of {DAYS[2]}; others than those in force of {DAYS[1]}"
    )
    assert line in status.splitlines()
    assert refused in status
    assert "files" not in unasked


def test_a_run_publishes_what_it_built(daystone: Publishing) -> None:
    result = daystone.run("run", "--date", DAY, "--publish")

    assert result.code == 0, result.stderr
    assert result.stdout.splitlines() == [
        f"nothing to do: predictions of {DAY} is complete",
        f"files: published predictions of {DAY} (1 row)",
        f"copy: published predictions of {DAY} (1 row)",
    ]


def test_a_run_that_cannot_be_published_anywhere_is_refused_before_it_builds(daystone: Publishing) -> None:
    daystone.configure("files", used="")

    nowhere = daystone.run("run", "--date", "2026-01-20", "--publish")
    training = daystone.run("run", "Training", "--date", "2026-01-19", "--publish")

    assert (nowhere.code, training.code) == (31, 2)
    assert last_line(nowhere) == (
        "Error: [publication] targets: wanted the names of targets to publish to; found none. Next: set it to some of files"
    )
    assert last_line(training) == (
        "Error: --publish: wanted one of BatchInference, Release, ServingFeatures; found Training"
    )
    assert not (daystone.root / daystone.of_loans.prefix("features", date(2026, 1, 20))).exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (
            ("--date", DAY, "--target", "file"),
            31,
            "target: wanted one of files, copy; found 'file' (did you mean 'files'?)",
        ),
        (("--date", DAY, "--from", DAY), 2, "wanted --date, or --from and --to"),
        (("--from", DAY), 2, "wanted --date, or --from and --to"),
        ((), 2, "wanted --date, or --from and --to"),
        (
            ("--from", DAYS[1], "--to", DAY),
            31,
            f"publish: wanted a first day that is not after the last; found {DAYS[1]} to",
        ),
    ],
)
def test_a_command_that_cannot_be_meant_is_refused(
    daystone: Publishing, arguments: tuple[object, ...], code: int, words: str
) -> None:
    result = daystone.run("publish", *arguments)

    assert (result.code, result.stdout) == (code, "")
    assert words in last_line(result)
