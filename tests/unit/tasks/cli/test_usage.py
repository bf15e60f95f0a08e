"""What run.py says to a person who types something else than it understands."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from spark_lib import errors
from tasks.cli import exits
from tests.support.processes import Commands
from tests.unit.verbs import RUN_PY, Verbs, last_line

pytestmark = pytest.mark.processes


@pytest.fixture
def daystone(tmp_path: Path) -> Verbs:
    return Verbs(tmp_path)


@pytest.mark.parametrize(
    "verb",
    [
        "run",
        "sample",
        "land",
        "status",
        "files",
        "doctor",
        "check",
        "plan",
        "why",
        "lineage",
        "clean",
        "backfill",
        "release",
        "hold",
        "sql",
        "serve",
        "publish",
        "withdraw",
        "lookup",
        "evaluate",
        "image",
        "track",
        "notify",
        "schedule",
        "promote",
        "demote",
        "rollback",
        "models",
    ],
)
def test_the_help_of_a_verb_shows_an_example(daystone: Verbs, verb: str) -> None:
    result = daystone(verb, "--help")

    assert result.code == 0
    assert re.search(rf"Example:\n +daystone {verb} ", result.stdout)


def test_the_help_has_a_line_for_each_exit_code(daystone: Verbs) -> None:
    shown = Commands(daystone.home).run([sys.executable, RUN_PY, "--help"]).stdout.partition("Exit codes:\n")[2]

    codes = {int(code) for code in re.findall(r"^ +(\d+)  ", shown, flags=re.MULTILINE)}

    assert codes == exits.table().keys()


def test_each_cause_has_an_exit_code_of_its_own() -> None:
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.DaystoneError)
    ]
    kinds += [exits.RunByAnother, exits.NotRun, exits.SchedulerUnreachable]

    codes = [kind.exit_code for kind in kinds]

    assert len(set(codes)) == len(codes)
    assert not {0, exits.NOT_ALL_WELL, exits.USAGE, exits.INTERRUPTED} & set(codes)
    assert set(codes) <= exits.table().keys()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["runn"], "Error: No such verb 'runn' (did you mean 'run'?)."),
        (["run"], "Error: Missing option '--date'."),
        (["run", "--date", "tomorrow"], "wanted a day like 2026-11-20; found 'tomorrow'"),
        (
            ["run", "Traning", "--date", "2026-01-01"],
            "no stage or dataset 'Traning' (did you mean 'Training'?); there are",
        ),
        (
            ["files", "predction", "--date", "2026-01-01"],
            "no stage or dataset 'predction' (did you mean 'predictions'?)",
        ),
        (["run", "--date", "2026-01-01", "--set", "cadence"], "wanted section.key=value, as in training.cadence=daily"),
        (
            ["run", "--date", "2026-01-01", "--set", 'spark.conf:{"a.key":"hush"}'],
            "wanted section.key=value, as in training.cadence=daily; found 'spark.conf:'",
        ),
        (["sample", "--days", "0"], "Invalid value for '--days': 0 is not in the range 1<=x<=36500."),
        (
            ["sample", "--from", "9999-12-30"],
            "Invalid value for '--from': wanted a day from 1900-01-01 to 2199-12-31; found '9999-12-30'",
        ),
        (
            ["status", "--to", "0001-01-05"],
            "Invalid value for '--to': wanted a day from 1900-01-01 to 2199-12-31; found '0001-01-05'",
        ),
        (["status", "--form", "2026-01-01"], "No such option '--form'."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_slip_of_usage_exits_with_2_and_says_what_was_meant(
    daystone: Verbs, arguments: list[str], reason: str
) -> None:
    result = daystone(*arguments)

    assert (result.code, result.stdout) == (2, "")
    assert reason in last_line(result)
    assert not daystone.root.exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--set", "training.cadense=daily"], "an unknown key (did you mean 'cadence'?)"),
        (["--set", "trainin.cadence=daily"], "an unknown one (did you mean 'training'?)"),
        (["--set", "training.cadence=dayly"], "found 'dayly' (did you mean 'daily'?)"),
        (["--set", "training.trees=many"], "--set training.trees: wanted a value of type int; found 'many'"),
        (["--use-case", "credit_rsk"], "use case 'credit_rsk': wanted a shipped use case"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_configuration_exits_with_31_and_one_line(daystone: Verbs, options: list[str], reason: str) -> None:
    result = daystone("run", "--date", "2026-01-01", *options)

    assert (result.code, result.stdout) == (31, "")
    assert reason in last_line(result)
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("verb", [["run", "--date", "2026-01-01"], ["status"], ["sample"]])
def test_a_lake_root_that_is_a_file_exits_with_31(daystone: Verbs, verb: list[str]) -> None:
    daystone.root.touch()

    result = daystone(*verb)

    assert (result.code, last_line(result)) == (
        31,
        f"Error: lake root {daystone.root}: wanted a directory; found a file. "
        "Next: set [lake] root (--lake-root) to another place",
    )


@pytest.mark.parametrize("verb", [["status"], ["files", "model", "--date", "2026-01-01"]])
def test_every_verb_checks_the_configuration(daystone: Verbs, verb: list[str]) -> None:
    result = daystone(*verb, "--set", "training.depth=0")

    assert (result.code, last_line(result)) == (
        31,
        "Error: --set training.depth: wanted a value of at least 1; found 0. Next: correct it",
    )


def test_options_outrank_the_sections_of_a_use_case_and_of_a_feed(daystone: Verbs) -> None:
    config = daystone.home / "luigi.cfg"
    config.write_text("[training.credit_risk]\ncadence = monthly\n[raw.outcomes]\nflag = _OTHER\n")

    good = daystone("status", LUIGI_CONFIG_PATH=str(config))
    bad = daystone("status", "--set", "training.cadence=x", LUIGI_CONFIG_PATH=str(config))
    other_feed = daystone("status", "--set", "raw.outcomes.min_rows=x", LUIGI_CONFIG_PATH=str(config))

    assert (good.code, bad.code, other_feed.code) == (0, 31, 31)
    assert "found 'x'" in last_line(bad)
    assert last_line(other_feed).startswith("Error: --set raw.outcomes.min_rows: wanted a value of type int")


def test_a_configuration_file_that_luigi_cannot_read_is_named(daystone: Verbs) -> None:
    config = daystone.home / "broken.cfg"
    config.write_text("[lake\nroot = here\n")

    result = daystone("status", LUIGI_CONFIG_PATH=str(config))

    assert result.code == errors.ConfigurationError.exit_code
    assert last_line(result) == (
        f"Error: {config}: wanted a configuration file that can be read; found no section header before "
        "line 1. Next: correct it"
    )


def test_an_exception_that_nobody_expected_exits_with_30_and_its_traceback_is_in_the_log(daystone: Verbs) -> None:
    (daystone.home / "broken.py").write_text("1 / 0\n")

    result = daystone("run", "--date", "2026-01-01", "--use-case", "broken:Case", PYTHONPATH=str(daystone.home))

    assert (result.code, last_line(result)) == (30, "Error: ZeroDivisionError: division by zero")
    assert "traceback: " in result.stderr
    assert "broken.py" in daystone.log


def test_a_traceback_that_cannot_be_logged_is_shown_with_the_reason(daystone: Verbs) -> None:
    (daystone.home / "broken.py").write_text("1 / 0\n")
    arguments = ["run", "--date", "2026-01-01", "--use-case", "broken:Case", "--set", "log.directory=/proc/nope"]

    result = daystone(*arguments, PYTHONPATH=str(daystone.home))

    assert (result.code, last_line(result)) == (30, "Error: ZeroDivisionError: division by zero")
    assert 'broken.py", line 1' in result.stderr
    assert result.stderr.splitlines()[-2] == (
        "no log: [log] directory: wanted a directory that can be made; found /proc/nope: No such file or directory. "
        "Next: set it to a directory that this user can write to"
    )
