"""``daystone schedule``: what it writes is read and run as cron and systemd do."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.processes import Result
from tests.unit.verbs import Verbs, last_line

pytestmark = pytest.mark.processes

TRICKY = """a %d'quoted" $HOME \\ lake"""


@pytest.fixture
def daystone(tmp_path: Path) -> Verbs:
    return Verbs(tmp_path)


def schedule(daystone: Verbs, *arguments: object, **environment: str) -> Result:
    return daystone("schedule", *arguments, **{"PATH": "/usr/bin:/bin", **environment})


def run_by_cron(line: str, home: Path) -> subprocess.CompletedProcess[str]:
    """What cron does with a line: it takes the five fields away, ends the command at a bare %, and gives the rest to a
    shell with next to no environment."""
    command = line.split(maxsplit=5)[5]
    text, escaped = "", False
    for sign in command:
        if sign == "%" and not escaped:
            break
        text = text[:-1] + sign if sign == "%" else text + sign
        escaped = sign == "\\"
    environment = {"HOME": str(home), "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}
    return subprocess.run(["/bin/sh", "-c", text], env=environment, capture_output=True, text=True)


def test_the_lines_for_cron_have_the_moment_the_zone_and_the_whole_command(daystone: Verbs) -> None:
    result = schedule(daystone, "--cron", "--at", "06:30", "--timezone", "Europe/Berlin")

    *comments, zone, line = result.stdout.splitlines()
    assert result.code == 0
    assert all(comment.startswith("# ") for comment in comments)
    assert zone == "CRON_TZ=Europe/Berlin"
    assert line.startswith(f"30 6 * * * cd {daystone.home} && env PATH=/usr/bin:/bin ")
    assert f" run --date yesterday --lake-root {daystone.root} --use-case credit_risk >> " in line
    assert line.endswith("schedule-credit_risk.log 2>&1")
    program = next(word for word in shlex.split(line) if word.endswith(("/daystone", "/run.py")))
    assert os.path.isabs(program)


def test_what_cron_runs_is_the_landing_day_before_the_moment_of_a_lake_with_a_tricky_name(tmp_path: Path) -> None:
    daystone = Verbs(tmp_path / TRICKY)
    daystone.home.mkdir()
    line = schedule(daystone, "--cron").stdout.splitlines()[-1]
    before = datetime.now(UTC).date() - timedelta(days=1)

    done = run_by_cron(line, tmp_path)

    after = datetime.now(UTC).date() - timedelta(days=1)
    (log,) = (daystone.home / "state" / "daystone").glob("schedule-*.log")
    said = log.read_text()
    assert (done.returncode, done.stdout, done.stderr) == (20, "", "")
    assert str(daystone.root) in said
    assert f"date={before}" in said or f"date={after}" in said


def test_the_units_are_whole_for_systemd(tmp_path: Path) -> None:
    daystone = Verbs(tmp_path / TRICKY)
    daystone.home.mkdir()
    units = tmp_path / "units"

    result = schedule(daystone, "--systemd", units, "--at", "0 5 1 * mon", "--timezone", "Asia/Kolkata")

    program = shutil.which("systemd-analyze")
    assert program, "no systemd-analyze. Debian: sudo apt-get install systemd"
    names = ["daystone-credit_risk.service", "daystone-credit_risk.timer"]
    checked = subprocess.run([program, "verify", *(units / name for name in names)], capture_output=True, text=True)
    assert result.stdout.splitlines() == [f"written: {units / name}" for name in names]
    assert (checked.returncode, checked.stderr) == (0, "")
    timer = (units / names[1]).read_text()
    assert "\nOnCalendar=Mon *-*-* 05:00:00 Asia/Kolkata\nOnCalendar=*-*-01 05:00:00 Asia/Kolkata\n" in timer
    assert "\nPersistent=true\n" in timer
    service = (units / names[0]).read_text()
    escaped = str(daystone.root).replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    assert f'"run" "--date" "yesterday" "--lake-root" "{escaped}" "--use-case" "credit_risk"\n' in service
    assert 'Environment="PATH=/usr/bin:/bin"\n' in service


def test_a_day_is_published_where_targets_are_configured(daystone: Verbs) -> None:
    config = daystone.home / "my.cfg"
    config.write_text(f"[publication]\ntargets = files\n[target.files]\nkind = csv\nroot = {daystone.home}/files\n")

    result = schedule(daystone, "--cron", "--set", "training.cadence=daily", LUIGI_CONFIG_PATH="my.cfg")

    line = result.stdout.splitlines()[-1]
    assert " run --date yesterday --publish --lake-root " in line
    assert " --set training.cadence=daily >> " in line
    assert f" LUIGI_CONFIG_PATH={config} " in line


def test_secrets_are_named_and_not_written(daystone: Verbs) -> None:
    result = schedule(daystone, "--cron", AWS_SECRET_ACCESS_KEY="hush", DAYSTONE_NOTIFY_URLS="slack://hush")

    assert "hush" not in result.stdout + result.stderr
    assert last_line(result) == (
        "note: a scheduled run will not have AWS_SECRET_ACCESS_KEY, DAYSTONE_NOTIFY_URLS: put them into a file for "
        "--environment"
    )


def test_a_private_file_brings_them_in(daystone: Verbs) -> None:
    file = daystone.home / "secrets"
    file.write_text("DAYSTONE_NOTIFY_URLS=slack://hush\n")
    file.chmod(0o600)

    line = schedule(daystone, "--cron", "--environment", file).stdout.splitlines()[-1]
    schedule(daystone, "--systemd", daystone.home / "units", "--environment", file)

    assert f"&& set -a && . {file} && set +a && env " in line
    assert f"\nEnvironmentFile={file}\n" in (daystone.home / "units" / "daystone-credit_risk.service").read_text()


def test_summer_time_is_named_where_the_time_is_one_that_it_moves(daystone: Verbs) -> None:
    result = schedule(daystone, "--cron", "--at", "02:30", "--timezone", "Europe/Berlin")

    assert "has no 02:30 in Europe/Berlin; " in last_line(result)
    assert last_line(result).endswith("; another time of day comes once each day")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "Error: wanted either --cron or --systemd DIR"),
        (["--cron", "--systemd", "units"], 2, "Error: wanted either --cron or --systemd DIR"),
        (
            ["--cron", "--set", "spark.conf={}"],
            59,
            "Error: --set spark.conf: wanted a value that may stand in a file that others can read; found one that may be a "
            "secret. Next: put it into luigi.cfg",
        ),
        (
            ["--cron", "--environment", "open"],
            59,
            "Error: --environment: wanted a file that its owner alone may read (chmod 600); found {home}/open with mode 644. "
            "Next: chmod 600 {home}/open",
        ),
        (
            ["--cron", "--environment", "nowhere"],
            59,
            "Error: --environment: wanted a file that its owner alone may read (chmod 600); found {home}/nowhere: No such "
            "file or directory. Next: correct it",
        ),
        (
            ["--systemd", "byhand"],
            59,
            "Error: byhand/daystone-credit_risk.timer: wanted no file, or one of daystone schedule; found one that was "
            "written by hand. Next: move it away",
        ),
        (
            ["--systemd", "open"],
            59,
            "Error: open: wanted a directory that can be written to; found File exists. Next: name another",
        ),
    ],
)
def test_what_cannot_be_scheduled_is_refused(daystone: Verbs, arguments: list[str], code: int, message: str) -> None:
    (daystone.home / "open").touch(mode=0o644)
    (daystone.home / "byhand").mkdir()
    (daystone.home / "byhand" / "daystone-credit_risk.timer").write_text("[Timer]\n")

    result = schedule(daystone, *arguments)

    assert (result.code, last_line(result)) == (code, message.format(home=daystone.home))
    assert not (daystone.home / "byhand" / "daystone-credit_risk.service").exists()


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        (
            "AWS_ENDPOINT_URL",
            "http://ada:hush@there",
            "Error: AWS_ENDPOINT_URL: wanted a value without a password; found one that is not shown. Next: unset it, and put "
            "it into a file for --environment",
        ),
        (
            "SPARK_LOCAL_IP",
            "a\nb",
            "Error: the schedule: wanted paths and values of one line; found 'a\\nb'. Next: use another name",
        ),
        (
            "PGSERVICEFILE",
            "/" + "x" * 1_000,
            "Next: shorten PATH or PYTHONPATH for this command, or use --systemd",
        ),
    ],
)
def test_an_environment_that_cannot_be_written_down_is_refused(
    daystone: Verbs, variable: str, value: str, message: str
) -> None:
    result = schedule(daystone, "--cron", **{variable: value})

    assert result.code in (31, 59)
    assert message in last_line(result)
    assert "hush" not in result.stderr
