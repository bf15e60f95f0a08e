"""What of Luigi's own configuration a run can have: the same words and codes as without it, or a refusal by name."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from luigi.interface import core
from luigi.parameter import UnconsumedParameterWarning

from spark_lib.errors import ConfigurationError
from tasks.config import luigi_settings
from tests.support.processes import Commands, Result
from tests.unit.stubs.stages import Leaf
from tests.unit.stubs.stublake import LOANS, StubLake, configure
from tests.unit.verbs import SHORT, Verbs, last_line

LOST = "the reason of a failure would be lost"
TIMEOUT = (
    f"wanted 0: with a timeout Luigi runs each stage in a process of its own, and {LOST}; found 3600. "
    "Next: leave it out, and limit the whole command: timeout 3600 daystone run ..."
)
FORCED = f"wanted false: Luigi would run each stage in a process of its own, and {LOST}; found true. Next: leave it out"
NO_CODE = (
    "wanted an exit code from 1 to 255: any other would let a failure pass as success; found {found}. "
    "Next: correct it, or leave it out"
)


@contextlib.contextmanager
def a_warning_of_core(monkeypatch: pytest.MonkeyPatch, *keys: str) -> Iterator[None]:
    """Expect that Luigi warns of these keys of [core], which its class for that section does not read, and of no others."""
    # Luigi warns of a key once in a process, so that it would depend on earlier tests.
    monkeypatch.setattr(core, "_unconsumed_params", set(), raising=False)
    with pytest.warns(UnconsumedParameterWarning) as caught:
        yield
    found = [str(warning.message) for warning in caught if warning.category is UnconsumedParameterWarning]
    assert [message.split("'")[1] for message in found] == list(keys)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Luigi's, of its own older names
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[worker]\ntimeout = 3600", f"[worker] timeout: {TIMEOUT}"),
        ("[worker]\nforce_multiprocessing = true", f"[worker] force_multiprocessing: {FORCED}"),
        ("[worker]\nforce-multiprocessing = true", f"[worker] force_multiprocessing: {FORCED}"),
        (
            "[core]\nparallel_scheduling = true",
            f"[core] parallel_scheduling: wanted false: Luigi would ask in other processes what is complete, and {LOST}; "
            "found true. Next: leave it out: many days are looked up by one listing",
        ),
        (
            "[core]\nassistant = true",
            "[core] assistant: wanted false: an assistant builds what others have asked for; found true. "
            "Next: leave it out, and run the same command on every machine against luigid",
        ),
        (
            "[core]\nworkers = 0",
            "[core] workers: wanted 1: the stages of a process share one Spark session, which does not survive Luigi's "
            "fork; found 0. Next: leave --workers out and give Spark more cores ([spark] master), or run several processes "
            "against luigid",
        ),
        (
            "[worker]\ncheck_complete_on_run = false",
            "[worker] check_complete_on_run: wanted true: a stage is done once it is published, not when its run() ends; "
            "found false. Next: leave it out",
        ),
        (
            "[worker]\ncache_task_completion = true",
            "[worker] cache_task_completion: wanted false: what was complete may be damaged, or built anew, during the run; "
            "found true. Next: leave it out",
        ),
        (
            "[worker]\nretry_external_tasks = true",
            "[worker] retry_external_tasks: wanted false: a raw day that has not landed would be taken for a failure; "
            "found true. Next: leave it out, and run again later",
        ),
        (
            "[worker]\nkeep_alive = true",
            "[worker] keep_alive: wanted false without luigid: a run would wait for ever for what failed, or has not "
            "landed; found true. Next: leave it out, and run again later",
        ),
        (
            "[worker]\ntask_limit = 3",
            "[worker] task_limit: wanted no limit: it would leave a part of the chain out, without a reason; found 3. "
            "Next: leave it out, and ask for fewer days",
        ),
        ("[worker]\nwait_interval = 0", "[worker] wait_interval: wanted a value above 0; found 0. Next: correct it"),
        (
            "[worker]\nwait_jitter = -1",
            "[worker] wait_jitter: wanted a value of at least 0; found -1. Next: correct it",
        ),
        ("[worker]\nping_interval = 0", "[worker] ping_interval: wanted a value above 0; found 0. Next: correct it"),
        (
            "[worker]\ntask_process_context = no_such.Thing",
            "[worker] task_process_context: wanted module.Class that Python can import; found 'no_such.Thing': "
            "ModuleNotFoundError: No module named 'no_such'. Next: correct it, or leave it out",
        ),
        ("[retcode]\ntask_failed = 0", f"[retcode] task_failed: {NO_CODE.format(found='0')}"),
        ("[retcode]\nnot_run = 256", f"[retcode] not_run: {NO_CODE.format(found='256')}"),
        (
            "[core]\nlog_level = info",
            "[core] log_level: wanted one of CRITICAL, DEBUG, ERROR, INFO, NOTSET, WARNING; found 'info'. Next: correct it",
        ),
        (
            "[core]\nlocal_scheduler = yes",
            "[core] local_scheduler: wanted a value of type bool; found 'yes'. Next: correct it",
        ),
        (
            '[core]\nlocal_scheduler = "true"',
            "[core] local_scheduler: wanted a value without quotes around it; found '\"true\"'. Next: write it without quotes",
        ),
        (
            "[core]\ndefault-scheduler-url = http://me:secret@host:8082  # ours",
            "[core] default-scheduler-url: wanted a value without a comment behind it; "
            "found 'http://host:8082  # ours'. Next: put the comment on its own line",
        ),
        (
            "[worker]\nwait_interval = 5 ; seconds",
            "[worker] wait_interval: wanted a value without a comment behind it; found '5 ; seconds'. "
            "Next: put the comment on its own line",
        ),
        (
            "[RangeDaily]\ntask_limit = '5'",
            "[RangeDaily] task_limit: wanted a value without quotes around it; found \"'5'\". Next: write it without quotes",
        ),
        (
            "[scheduler]\nretry_delay = 50%",
            "[scheduler] retry_delay: wanted a value that Luigi can read; found '%' must be followed by '%' or '(', found: "
            "'%'. Next: write %% for a percent sign, and ${NAME} only for a variable of the environment that is set",
        ),
        (
            "[core]\nlogging_conf_file = /nowhere.cfg",
            "[core] logging_conf_file: wanted a file; found /nowhere.cfg, which is not there. Next: correct it, or leave it out",
        ),
    ],
    ids=lambda value: "" if "wanted" in value else value.replace("\n", " ").partition(" =")[0],
)
def test_what_a_run_cannot_have_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    configure(monkeypatch, text)

    assert [str(error) for error in luigi_settings.refusals()] == [message]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Luigi's, of its own older names
def test_a_timeout_by_its_older_name_is_refused_by_that_name(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, "[core]\nworker-timeout = 3600")

    with a_warning_of_core(monkeypatch, "worker_timeout"):
        found = [str(error) for error in luigi_settings.refusals()]

    assert found == [f"[core] worker-timeout: {TIMEOUT}"]


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (
            None,
            "[core] logging_conf_file: {path}: wanted a configuration file that can be read; found a directory. "
            "Next: put a file there, or remove it",
        ),
        (
            b"\xff",
            "[core] logging_conf_file: {path}: wanted a configuration file that can be read; found the byte 0xff in line 1, "
            "which is no UTF-8. Next: save it as UTF-8",
        ),
        (
            b"[loggers]\nkeys = root\n",
            "[core] logging_conf_file: wanted a file that Python's logging can read (logging.config.fileConfig); found no "
            "[handlers], [formatters] in {path}. Next: correct it, or leave it out",
        ),
    ],
    ids=["directory", "no text", "no logging"],
)
def test_a_logging_file_that_cannot_be_used_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, body: bytes | None, wanted: str
) -> None:
    path = tmp_path / "logging.cfg"
    if body is None:
        path.mkdir()
    else:
        path.write_bytes(body)
    configure(monkeypatch, f"[core]\nlogging_conf_file = {path}\n")

    assert [str(error) for error in luigi_settings.refusals()] == [wanted.format(path=path)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[worker]\ntimeout = 0\nforce_multiprocessing = false",
        "[worker]\nkeep_alive = true\n[core]\nlocal_scheduler = false",
        "[retcode]\nmissing_data = 77",
        "[worker]\ntask_process_context = contextlib.nullcontext",
    ],
)
def test_what_a_run_can_have_is_not_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    configure(monkeypatch, text)

    assert list(luigi_settings.refusals()) == []


@pytest.mark.parametrize(
    ("text", "place", "meant"),
    [
        ("[worker]\ntimeot = 3", "[worker] timeot", " (did you mean 'timeout'?)"),
        ("[scheduler]\ncolour = red", "[scheduler] colour", ""),
        ("[retcode]\nmissing-dates = 3", "[retcode] missing-dates", " (did you mean 'missing_data'?)"),
        ("[core]\nworkerz = 1", "[core] workerz", " (did you mean 'workers'?)"),
    ],
)
@pytest.mark.filterwarnings("ignore")  # Luigi's, of the same keys
def test_a_key_that_luigi_does_not_have_is_refused(
    monkeypatch: pytest.MonkeyPatch, text: str, place: str, meant: str
) -> None:
    configure(monkeypatch, text)

    (error,) = luigi_settings.refusals()

    section = text.partition("\n")[0]
    assert str(error) == (
        f"{place}: wanted a key of Luigi's section {section}; found an unknown key{meant}. Next: correct or remove it"
    )


@pytest.mark.parametrize(
    "text",
    [
        "[worker]\nkeep-alive = false",
        "[scheduler]\nretry-delay = 3",
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Luigi's, of keys with dashes
def test_a_key_that_luigi_reads_by_whatever_name_may_be(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    configure(monkeypatch, text)

    assert list(luigi_settings.refusals()) == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Luigi's, of keys with dashes
def test_a_key_of_a_module_that_reads_core_by_itself_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, "[core]\ndefault-scheduler-host = x\nsmtp_host = y\nhdfs-tmp-dir = /tmp")

    with a_warning_of_core(monkeypatch, "default_scheduler_host", "smtp_host", "hdfs_tmp_dir"):
        found = list(luigi_settings.refusals())

    assert found == []


def test_everything_that_is_wrong_is_found_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, "[worker]\ntimeout = 3600\nkeep_alive = true\n[retcode]\ntask_failed = 0\n")

    assert [error.where for error in luigi_settings.refusals()] == [
        "[worker] timeout",
        "[worker] keep_alive",
        "[retcode] task_failed",
    ]


def test_a_stage_with_a_timeout_of_its_own_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    configure(monkeypatch)
    monkeypatch.setattr(Leaf, "worker_timeout", 60)

    with pytest.raises(ConfigurationError) as caught:
        Leaf(date=date(2026, 1, 1), use_case=LOANS, lake=str(tmp_path))

    assert (
        str(caught.value)
        == f"Leaf.worker_timeout: {TIMEOUT.replace('wanted 0', 'wanted None').replace('found 3600', 'found 60')}"
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Luigi's, of keys with dashes
@pytest.mark.parametrize("key", ["use_case", "use-case"])
def test_a_use_case_of_one_class_alone_is_refused_also_where_a_task_brings_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, key: str
) -> None:
    configure(monkeypatch, f"[Leaf]\n{key} = credit_risk\n")

    with pytest.raises(ConfigurationError) as caught:
        Leaf(date=date(2026, 1, 1), use_case=LOANS, lake=str(tmp_path))

    assert str(caught.value) == (
        "[Leaf] use_case: wanted one use case for all tasks of a run; found 'credit_risk' for Leaf alone. "
        "Next: set [pipeline] use_case (--pipeline-use-case) in its place"
    )


# As a user sees it


@pytest.mark.parametrize(
    ("stage", "arguments", "config", "place", "family"),
    [
        ("BatchInference", ["--BatchInference-lake", "other"], "", "--BatchInference-lake", "BatchInference"),
        ("BatchInference", ["--Training-lake", "other", "--lake", "lake"], "", "--Training-lake", "Training"),
        ("RangeDaily", ["--BatchInference-lake", "other"], "", "--BatchInference-lake", "BatchInference"),
        ("BatchInference", [], "[BatchInference]\nlake = other\n", "[BatchInference] lake", "BatchInference"),
    ],
    ids=["option", "option of another stage", "option of a range", "file"],
)
def test_a_lake_of_one_class_alone_is_refused_with_30(
    tmp_path: Path, stage: str, arguments: list[str], config: str, place: str, family: str
) -> None:
    days = ["--of", "BatchInference", "--start", "2026-01-14", "--stop", "2026-01-15"]
    lake = StubLake(tmp_path / "lake")
    lake.land(date(2026, 1, 14))
    asked = days if stage == "RangeDaily" else ["--date", "2026-01-14"]

    result = Commands(tmp_path).luigi(
        "--module", "tests.unit.stubs.quick", stage, "--pipeline-use-case", LOANS, *asked, *arguments, config=config
    )

    assert (result.code, result.last_error.partition(" of 2026-01-14: ")[2] or result.last_error) == (
        30,
        f"{place}: wanted one lake for all tasks of a run; found 'other' for {family} alone. "
        "Next: set [lake] root (--lake-root) in its place",
    )
    assert lake.published("predictions") == {}


def test_daystone_refuses_a_lake_of_one_class_alone_with_31(tmp_path: Path) -> None:
    result = Verbs(tmp_path)("run", "--date", "2026-01-14", "--set", "BatchInference.lake=other")

    assert (result.code, last_line(result)) == (
        31,
        "Error: --set BatchInference.lake: wanted one lake for all tasks of a run; found 'other' for BatchInference alone. "
        "Next: set [lake] root (--lake-root) in its place",
    )


#: Everything of Luigi's that changes how it runs, and may.
HARMLESS = """
[core]
lock_size = 2
no_lock = true
rpc-retry-attempts = 1
parallel_scheduling_processes = 3
[worker]
id = mine
ping_interval = 0.5
count_uniques = true
count_last_scheduled = true
wait_jitter = 0
max_keep_alive_idle_duration = 1 minute
max_reschedules = 0
no_install_shutdown_handler = true
check_unfulfilled_deps = false
task_process_context = contextlib.nullcontext
[scheduler]
retry_count = 1
retry_delay = 0
disable_window = 1
record_task_history = true
pause_enabled = false
batch_emails = true
[task_history]
db_connection = sqlite:////nowhere/at.all
[batch_notifier]
email_interval_minutes = 0
[execution_summary]
summary_length = 0
[email]
receiver = somebody@example.org
force_send = true
[smtp]
host = 127.0.0.1
port = 9
"""
#: Sent at once, by what is no program.
MAIL = "[email]\nmethod = sendgrid\nreceiver = somebody@example.org\nforce_send = true\n"


@pytest.fixture
def daystone(tmp_path: Path) -> Verbs:
    """Verbs on a lake whose raw days have landed up to Tuesday, 2026-01-13, with a hole."""
    verbs = Verbs(tmp_path)
    verbs.land("2026-01-01", 13)
    hole(verbs).unlink()
    return verbs


def hole(daystone: Verbs) -> Path:
    return daystone.root / "credit_risk/raw/applications/date=2026-01-02/_SUCCESS"


def reason(daystone: Verbs) -> str:
    return (
        "raw feed applications: wanted every day from 2026-01-01 to 2026-01-13; "
        f"found no flag '_SUCCESS' on 2026-01-02, as in {hole(daystone).parent}. Next: land the missing days (a flagged day "
        "may be empty), or set [pipeline] first_date to the first day that exists"
    )


def run(daystone: Verbs, users_own: str, *options: str) -> Result:
    return daystone.stubbed("run", "features", "--date", "2026-01-13", *SHORT, *options, **of(daystone, users_own))


def luigi(daystone: Verbs, users_own: str, *options: str) -> Result:
    asked = ["FeatureEngineering", "--date", "2026-01-13", "--lake-root", daystone.root, *options]
    return Commands(daystone.home).luigi("--module", "tests.unit.stubs.quick", *asked, env=of(daystone, users_own))


def of(daystone: Verbs, users_own: str) -> dict[str, str]:
    file = daystone.home / "mine.cfg"
    file.write_text(users_own)
    return {"LUIGI_CONFIG_PATH": str(file)}


@pytest.mark.processes
@pytest.mark.parametrize("users_own", ["", HARMLESS, MAIL], ids=["none", "all that may be", "mail"])
def test_a_failure_and_a_success_have_the_same_words_and_codes(daystone: Verbs, users_own: str) -> None:
    refused, refused_by_luigi = run(daystone, users_own), luigi(daystone, users_own)
    hole(daystone).touch()
    built, built_by_luigi = run(daystone, users_own), luigi(daystone, users_own)

    assert (refused.code, last_line(refused)) == (32, f"Error: {reason(daystone)}")
    assert (refused_by_luigi.code, refused_by_luigi.last_error) == (
        30,
        f"FeatureEngineering of 2026-01-13: {reason(daystone)}",
    )
    assert built.code == 0
    assert re.fullmatch(r"built 1 partition in \d+ s", built.stdout.splitlines()[0])
    assert (built_by_luigi.code, built_by_luigi.last_error) == (0, "")


@pytest.mark.processes
@pytest.mark.parametrize(
    ("users_own", "message"),
    [
        ("[worker]\ntimeout = 3600\n", f"[worker] timeout: {TIMEOUT}"),
        ("[worker]\nforce_multiprocessing = true\n", f"[worker] force_multiprocessing: {FORCED}"),
        ("[retcode]\ntask_failed = 0\n", f"[retcode] task_failed: {NO_CODE.format(found=repr('0'))}"),
        (
            "[retcode]\ntask_failed = 30 # mend it\n",
            "[retcode] task_failed: wanted a value without a comment behind it; found '30 # mend it'. "
            "Next: put the comment on its own line",
        ),
        (
            "[core]\nlocal_scheduler = true # none\n",
            "[core] local_scheduler: wanted a value without a comment behind it; found 'true # none'. "
            "Next: put the comment on its own line",
        ),
        (
            "[core]\nlogging_conf_file = /nowhere.cfg\n",
            "[core] logging_conf_file: wanted a file; found /nowhere.cfg, which is not there. Next: correct it, or leave it out",
        ),
    ],
    ids=lambda value: "" if "wanted" in value else value.replace("\n", " ").partition(" =")[0],
)
def test_each_command_refuses_it_by_name(daystone: Verbs, users_own: str, message: str) -> None:
    refused, refused_by_luigi = run(daystone, users_own), luigi(daystone, users_own)
    doctor = daystone("doctor", **of(daystone, users_own))

    assert (refused.code, refused.stdout, last_line(refused)) == (31, "", f"Error: {message}")
    assert (refused_by_luigi.code, refused_by_luigi.last_error) == (30, message)
    assert "Traceback" not in refused.stderr + refused_by_luigi.stderr + doctor.stderr
    assert [line for line in doctor.stdout.splitlines() if "configuration" in line and line.startswith("!!")] == [
        f"!! configuration    {message}"
    ]
    assert doctor.code == 1
    assert not (daystone.root / "credit_risk" / "features").exists()


@pytest.mark.processes
def test_run_py_refuses_what_an_option_sets(daystone: Verbs) -> None:
    result = run(daystone, "", "--set", "worker.timeout=3600")

    assert (result.code, last_line(result)) == (31, f"Error: --set worker.timeout: {TIMEOUT}")


@pytest.mark.processes
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--worker-timeout", "3600"], f"--worker-timeout: {TIMEOUT}"),
        (["--worker-force-multiprocessing"], f"--worker-force-multiprocessing: {FORCED.replace('true', 'True')}"),
        (
            ["--parallel-scheduling"],
            f"--parallel-scheduling: wanted false: Luigi would ask in other processes what is complete, and {LOST}; "
            "found True. Next: leave it out: many days are looked up by one listing",
        ),
        (["--retcode-task-failed", "0"], f"--retcode-task-failed: {NO_CODE.format(found='0')}"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_luigis_command_refuses_what_its_options_set(daystone: Verbs, options: list[str], message: str) -> None:
    result = luigi(daystone, "", *options)

    assert (result.code, result.last_error) == (30, message)
    assert "Traceback" not in result.stderr


@pytest.mark.processes
@pytest.mark.parametrize(
    ("users_own", "message"),
    [
        (
            "[RangeDaily]\ntask_limit = 5  # tasks\n",
            "[RangeDaily] task_limit: wanted a value without a comment behind it; found '5  # tasks'. "
            "Next: put the comment on its own line",
        ),
        (
            "[RangeDaily]\ntask_limit = many\n",
            "[RangeDaily] task_limit: wanted a value of type int; found 'many'. Next: correct it",
        ),
        ("[worker]\ntimeout = 3600\n", f"[worker] timeout: {TIMEOUT}"),
    ],
    ids=["comment", "type", "timeout"],
)
def test_a_range_refuses_it_by_name(daystone: Verbs, users_own: str, message: str) -> None:
    asked = ["RangeDaily", "--of", "FeatureEngineering", "--start", "2026-01-01", "--stop", "2026-01-03"]

    result = Commands(daystone.home).luigi("--module", "tests.unit.stubs.quick", *asked, env=of(daystone, users_own))

    assert (result.code, result.last_error) == (30, message)
    assert "Traceback" not in result.stderr


@pytest.mark.processes
@pytest.mark.parametrize("verb", [["status"], ["gc"], ["files", "features", "--date", "2026-01-01"]])
def test_every_verb_that_reads_the_configuration_refuses_it_by_name(daystone: Verbs, verb: list[str]) -> None:
    result = daystone(*verb, **of(daystone, "[worker]\ntimeout = 3600\n"))

    assert (result.code, result.stdout, last_line(result)) == (31, "", f"Error: [worker] timeout: {TIMEOUT}")


@pytest.mark.processes
def test_luigis_command_refuses_a_logging_file_of_which_logging_makes_nothing(daystone: Verbs) -> None:
    path = daystone.home / "logging.cfg"
    path.write_text(
        "[loggers]\nkeys = root\n[handlers]\nkeys = none\n[formatters]\nkeys =\n[logger_root]\nhandlers = none\n"
    )

    result = luigi(daystone, f"[core]\nlogging_conf_file = {path}\n")

    assert (result.code, result.last_error) == (
        30,
        "[core] logging_conf_file: wanted a file that Python's logging can read (logging.config.fileConfig); "
        f"found {path}: KeyError: 'handler_none'. Next: correct it, or leave it out",
    )
    assert "Traceback" not in result.stderr


@pytest.mark.processes
def test_luigis_command_refuses_a_place_for_its_locks_that_cannot_be_made(daystone: Verbs) -> None:
    result = luigi(daystone, f"[core]\nlock_pid_dir = {daystone.home}/no/such/place\n")

    assert (result.code, result.last_error) == (
        30,
        "[core] lock_pid_dir: wanted a directory that this user can write to; "
        f"found {daystone.home}/no/such/place: No such file or directory. "
        "Next: set it to a directory of your own, or give --no-lock",
    )
    assert "Traceback" not in result.stderr


@pytest.mark.processes
def test_a_mail_that_cannot_be_sent_is_a_warning(daystone: Verbs) -> None:
    result = luigi(daystone, MAIL)

    assert "WARNING: Luigi's mail could not be sent: " in result.stderr
    assert (result.code, result.last_error) == (30, f"FeatureEngineering of 2026-01-13: {reason(daystone)}")
