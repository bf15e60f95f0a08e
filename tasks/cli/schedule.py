"""Writes what cron or systemd needs to run a day of this configuration by itself."""

from __future__ import annotations

import os
import shlex
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import tasks
from spark_lib.errors import ScheduleError
from tasks.cli.moments import Moments
from tasks.cli.options import YESTERDAY
from tasks.cli.place import Place
from tasks.config import resolve
from tasks.config.shown import holds_password, may_be_shown

#: Variables that a run needs as they are here, and that hold no secret. Cron and systemd set next to none.
PASSED_ON = (
    *("PATH", "JAVA_HOME", "PYTHONPATH", "LUIGI_CONFIG_PATH", "XDG_STATE_HOME", "XDG_CACHE_HOME", "SPARK_HOME"),
    *("SPARK_LOCAL_IP", "S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION"),
    *("AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE", "PGPASSFILE", "PGSERVICEFILE"),
)
#: Variables that may hold a secret, and so are written nowhere.
SECRET = (
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "PGPASSWORD", "REDISCLI_AUTH"),
    *("DAYSTONE_NOTIFY_URLS", "DAYSTONE_SERVE_TOKEN", "DAYSTONE_REGISTRY_USER", "DAYSTONE_REGISTRY_PASSWORD"),
    *("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "HTTPS_PROXY", "HTTP_PROXY"),
)
#: The most characters of a line that every cron takes.
_LONGEST_LINE = 998
_MARK = "# Written by daystone schedule."


@dataclass(frozen=True)
class Job:
    """A command that is run again and again: its words, the directory and the environment that it is run in, a private file
    with more of that (empty for none), and the file that takes what it prints."""

    name: str
    words: Sequence[str]
    directory: str
    environment: dict[str, str]
    file: str
    log: str


def daily_command(place: Place) -> list[str]:
    """What a schedule runs: the landing day before the moment, UTC, and its publication where targets are configured."""
    publish = ["--publish"] if place.settings.targets else []
    return ["run", "--date", YESTERDAY, *publish]


def job(place: Place, file: str) -> Job:
    """The daily command of a place, as it means the same from everywhere. Raises ScheduleError for what cannot be written
    down: a secret, or a line break in a path; and for a ``file`` of the environment that others may read."""
    of_lake = ["--lake-root", place.partitions.root, "--use-case", place.use_case]
    log = resolve.log_file().with_name(f"schedule-{place.partitions.use_case}.log")
    made = Job(
        f"daystone-{place.partitions.use_case}",
        [*_program(), *daily_command(place), *of_lake, *_settings()],
        os.getcwd(),
        _environment(),
        _private(file),
        str(log),
    )
    for text in (*made.words, made.directory, *made.environment.values(), made.file, made.log):
        if not text.isprintable():
            raise ScheduleError("the schedule", "paths and values of one line", repr(text), "use another name")
    return made


def left_out() -> list[str]:
    """The variables that are set here and may hold a secret, and that no schedule has."""
    return [name for name in SECRET if os.environ.get(name)]


def crontab(job: Job, moments: Moments) -> Iterator[str]:
    """The lines for ``crontab -e``. Raises ScheduleError for a line that is too long."""
    words = [f"{name}={value}" for name, value in job.environment.items()] + [*job.words]
    source = f"set -a && . {shlex.quote(job.file)} && set +a && " if job.file else ""
    command = f"cd {shlex.quote(job.directory)} && {source}env {shlex.join(words)} >> {shlex.quote(job.log)} 2>&1"
    # cron takes a bare % for the end of the command, inside of quotes as well.
    line = f"{moments.expression} {command}".replace("%", "\\%")
    if len(line) > _LONGEST_LINE:
        found = f"{len(line):,} characters"
        next_step = "shorten PATH or PYTHONPATH for this command, or use --systemd"
        raise ScheduleError("the line for cron", f"at most {_LONGEST_LINE}, as every cron takes", found, next_step)
    yield f"{_MARK} It builds the landing day before the moment, UTC."
    yield "# CRON_TZ holds for all lines below it, so let these be the last. Debian's cron takes no notice of it, and goes by"
    yield "# the machine's time zone."
    yield f"CRON_TZ={moments.zone}"
    yield line


def units(job: Job, moments: Moments) -> dict[str, str]:
    """The files for systemd by their names: a service and its timer."""
    program, *arguments = job.words
    service = [
        f"{_MARK} It builds the landing day before the moment, UTC.",
        "[Unit]",
        f"Description={_percent(job.name)}: the landing day before this moment",
        "",
        "[Service]",
        "Type=oneshot",
        f"WorkingDirectory={_percent(job.directory)}",
        *(f"Environment={_quoted(f'{name}={value}')}" for name, value in job.environment.items()),
        *([f"EnvironmentFile={_percent(job.file)}"] if job.file else []),
        # A dollar sign would be a variable in the arguments, and nowhere else.
        f"ExecStart={' '.join([_quoted(program), *(_quoted(word).replace('$', '$$') for word in arguments)])}",
    ]
    timer = [
        _MARK,
        "[Unit]",
        f"Description=When {_percent(job.name)} runs",
        "",
        "[Timer]",
        *(f"OnCalendar={calendar}" for calendar in moments.calendars),
        "# A moment that is missed, because the machine is off, is made up for.",
        "Persistent=true",
        "",
        "[Install]",
        "WantedBy=timers.target",
    ]
    return {f"{job.name}.service": "\n".join(service) + "\n", f"{job.name}.timer": "\n".join(timer) + "\n"}


def write(directory: Path, files: dict[str, str]) -> list[Path]:
    """Write files, in place of older ones of ours. Raises ScheduleError for one that somebody else has written, and where
    none can be written."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name in files:
            if (directory / name).exists() and not (directory / name).read_text().startswith(_MARK):
                found = "one that was written by hand"
                raise ScheduleError(
                    str(directory / name), "no file, or one of daystone schedule", found, "move it away"
                )
        for name, text in files.items():
            (directory / name).write_text(text)
    except OSError as error:
        wanted = "a directory that can be written to"
        raise ScheduleError(str(directory), wanted, error.strerror or str(error), "name another") from error
    return [directory / name for name in files]


def _program() -> list[str]:
    """``daystone`` by its absolute path: the script beside this Python, or run.py of the checkout."""
    script = Path(sys.executable).with_name("daystone")
    if script.is_file():
        return [str(script)]
    return [sys.executable, str(Path(tasks.__file__).resolve().parents[1] / "run.py")]


def _settings() -> list[str]:
    """The options ``--set`` of this command line."""
    found: list[str] = []
    for (section, key), value in resolve.all_given().items():
        if (section, key) in (("lake", "root"), ("pipeline", "use_case")):
            continue
        if not may_be_shown(section, key) or holds_password(key, value):
            place, wanted = f"--set {section}.{key}", "a value that may stand in a file that others can read"
            raise ScheduleError(place, wanted, "one that may be a secret", "put it into luigi.cfg")
        found += ["--set", f"{section}.{key}={value}"]
    return found


def _environment() -> dict[str, str]:
    """The variables that are passed on, with an absolute path of the configuration."""
    found = {name: os.environ[name] for name in PASSED_ON if os.environ.get(name)}
    for name, value in found.items():
        if holds_password(name, value):
            wanted, next_step = "a value without a password", "unset it, and put it into a file for --environment"
            raise ScheduleError(name, wanted, "one that is not shown", next_step)
    if "LUIGI_CONFIG_PATH" in found:
        found["LUIGI_CONFIG_PATH"] = os.path.abspath(found["LUIGI_CONFIG_PATH"])
    return found


def _private(file: str) -> str:
    """The absolute path of a file with secrets."""
    if not file:
        return ""
    path, wanted = os.path.abspath(file), "a file that its owner alone may read (chmod 600)"
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
    except OSError as error:
        raise ScheduleError("--environment", wanted, f"{path}: {error.strerror}", "correct it") from error
    if mode & 0o077:
        raise ScheduleError("--environment", wanted, f"{path} with mode {mode:03o}", f"chmod 600 {path}")
    return path


def _percent(text: str) -> str:
    """A text in which systemd finds no specifier."""
    return text.replace("%", "%%")


def _quoted(word: str) -> str:
    """A word as systemd reads it from a list of words."""
    escaped = _percent(word).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
