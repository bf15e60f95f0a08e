"""``run``: what it builds, what it says, and the code it leaves with. Real processes; the stages need no Spark."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from spark_lib.session import interrupts
from tests.support.patience import PATIENCE
from tests.support.processes import Commands, Result
from tests.support.s3 import free_port, listens
from tests.unit.verbs import SHORT, STUBBED, Verbs, last_line

pytestmark = pytest.mark.processes

#: The first Monday with a training window, and the next day, whose model is Monday's.
MONDAY, TUESDAY = "2026-01-12", "2026-01-13"


@pytest.fixture
def daystone(tmp_path: Path) -> Verbs:
    """Verbs on a lake whose raw days have landed up to Tuesday."""
    verbs = Verbs(tmp_path)
    verbs.land("2026-01-01", 13)
    return verbs


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Verbs, Result]:
    """A lake with predictions of Tuesday, and what the run that built them said."""
    verbs = Verbs(tmp_path_factory.mktemp("built"))
    verbs.land("2026-01-01", 13)
    return verbs, verbs.stubbed("run", "--date", TUESDAY, *SHORT)


@pytest.fixture
def built(first_run: tuple[Verbs, Result], tmp_path: Path) -> Verbs:
    """Verbs on a copy of that lake."""
    shutil.copytree(first_run[0].root, tmp_path / "lake")
    return Verbs(tmp_path)


def test_a_run_says_what_it_built_and_where(first_run: tuple[Verbs, Result]) -> None:
    daystone, result = first_run

    assert result.code == 0, result.stderr
    first, second = result.stdout.splitlines()
    assert re.fullmatch(r"built 12 partitions in \d+ s", first)  # 8 features, balanced, model, selection, predictions
    assert second.startswith(f"predictions of {TUESDAY}: ")
    assert second.endswith(f", in {daystone.root}/credit_risk/predictions/date={TUESDAY}")
    assert daystone.lake.is_published("predictions", date.fromisoformat(TUESDAY))


def test_a_pipe_gets_a_plain_line_for_each_stage_and_the_place_of_the_log(first_run: tuple[Verbs, Result]) -> None:
    lines = first_run[1].stderr.splitlines()

    log = re.fullmatch(r"log: (.*)", lines[0])
    assert log
    assert "Luigi Execution Summary" in Path(log[1]).read_text()
    assert len(lines) == 1 + 12
    assert f"  model 1 of 1            {MONDAY}  1,200 rows, area under ROC 0.71 " in "\n".join(lines)


def test_a_line_says_the_day_and_its_place_and_days_come_in_order(first_run: tuple[Verbs, Result]) -> None:
    lines = first_run[1].stderr.splitlines()[1:]

    features = [line.split("  ")[1:3] for line in lines if line.startswith("  features")]

    days = [f"2026-01-{number:02}" for number in (3, 4, 5, 6, 7, 8, 9, 13)]
    assert [what for what, _ in features] == [f"features {place} of 8" for place in range(1, 9)]
    assert [line.split()[4] for line in lines if line.startswith("  features")] == days
    assert re.fullmatch(r"  features 1 of 8         2026-01-03  .*\(\d+\.\d s\)", lines[0])
    assert all(", about 1 s left" in line for line in lines[1:7])
    assert all(" left" not in line for line in lines[7:])


def test_a_second_run_has_nothing_to_do_needs_no_java_and_writes_nothing(built: Verbs) -> None:
    before = built.contents()

    result = built("run", "--date", TUESDAY, *SHORT, JAVA_HOME="/nowhere")

    assert (result.code, result.stderr) == (0, "")
    assert result.stdout == f"nothing to do: predictions of {TUESDAY} is complete\n"
    assert built.contents() == before


def test_a_run_with_nothing_to_do_imports_no_heavy_library(built: Verbs) -> None:
    source = """
import sys, run
try:
    run.main(sys.argv[1:])
except SystemExit as end:
    heavy = {"pyspark", "numpy", "pandas", "pyarrow", "onnxruntime", "sklearn"} & set(sys.modules)
    print(end.code, sorted(heavy))
"""

    result = Commands(built.home).python(source, "run", "--date", TUESDAY, "--lake-root", built.root)

    assert result.stdout.splitlines()[-1] == "0 []"


@pytest.mark.parametrize("name", ["FeatureEngineering", "features"])
def test_a_stage_may_be_named_by_its_class_or_by_its_dataset(daystone: Verbs, name: str) -> None:
    result = daystone.stubbed("run", name, "--date", "2026-01-05")

    assert result.code == 0
    assert result.stdout.splitlines()[1].startswith("features of 2026-01-05: ")


def test_a_raw_day_without_its_flag_exits_with_20_and_names_it(daystone: Verbs) -> None:
    result = daystone.stubbed("run", "features", "--date", "2026-01-14")

    flag = f"{daystone.root}/credit_risk/raw/applications/date=2026-01-14/_SUCCESS"
    assert (result.code, last_line(result)) == (
        20,
        f"Error: raw feed applications of 2026-01-14: wanted the flag {flag}; found none yet. "
        "Next: land the day's files, then its flag, and run again",
    )


def test_outcomes_that_a_training_awaits_exit_with_20(daystone: Verbs) -> None:
    os.unlink(f"{daystone.root}/credit_risk/raw/outcomes/date={MONDAY}/_SUCCESS")

    result = daystone.stubbed("run", "--date", TUESDAY, *SHORT)

    assert result.code == 20
    assert last_line(result).startswith(f"Error: raw feed outcomes of {MONDAY}: ")


def test_a_hole_in_earlier_history_exits_with_32_and_names_the_day(daystone: Verbs) -> None:
    os.unlink(f"{daystone.root}/credit_risk/raw/applications/date=2026-01-03/_SUCCESS")

    result = daystone.stubbed("run", "features", "--date", "2026-01-05")

    assert result.code == 32
    assert "no flag '_SUCCESS' on 2026-01-03" in last_line(result)


def test_a_file_that_one_stage_was_refused_for_ends_the_others_at_once_and_the_reason_counts_them(
    daystone: Verbs,
) -> None:
    file = daystone.root / "credit_risk" / "raw" / "applications" / "date=2026-01-05" / "unreadable"
    file.touch()

    result = daystone.stubbed("run", "--date", TUESDAY, *SHORT)

    assert result.code == 33
    assert last_line(result) == (
        f"Error: {file}: wanted a file that can be read; found none (6 stages of this run need the file). Next: land it again"
    )
    assert result.stderr.count("not done: BadData") == 1
    built = {path.name for path in daystone.root.glob("credit_risk/features/*")}
    assert built == {"date=2026-01-03", "date=2026-01-04"}


def test_no_approved_model_exits_with_34_and_names_the_first_day_with_one(daystone: Verbs) -> None:
    result = daystone.stubbed("run", "--date", "2026-01-05", *SHORT)

    assert result.code == 34
    assert "found nothing to train on before" in last_line(result)


@pytest.mark.parametrize("dataset", ["predictions", "selection"])
def test_a_damaged_partition_exits_with_35_and_names_its_file(built: Verbs, dataset: str) -> None:
    (file,) = built.root.glob(f"credit_risk/{dataset}/date={TUESDAY}/run=*/*")
    file.write_bytes(b"")
    if dataset != "predictions":
        os.unlink(f"{built.root}/credit_risk/predictions/date={TUESDAY}/_SUCCESS")

    result = built.stubbed("run", "--date", TUESDAY, *SHORT)

    assert result.code == 35
    assert last_line(result).startswith(f"Error: {dataset} of {TUESDAY}: {file}: wanted ")


def test_no_java_exits_with_40_and_says_how_to_install_it(daystone: Verbs) -> None:
    result = daystone("run", "features", "--date", "2026-01-01", JAVA_HOME="/nowhere")

    assert result.code == 40
    assert last_line(result).startswith(
        "Error: Spark: wanted Java 17 or 21; found no /nowhere/bin/java. Next: install it"
    )


def test_a_scheduler_that_does_not_answer_exits_with_41_at_once(daystone: Verbs) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        url = f"http://somebody:secret@127.0.0.1:{taken.getsockname()[1]}/"

        result = daystone.stubbed(
            "run", "features", "--date", "2026-01-01",
            "--set", "core.local_scheduler=false", "--set", f"core.default-scheduler-url={url}",
        )  # fmt: skip

    assert result.code == 41
    assert "Connection refused" in last_line(result)
    assert "secret" not in result.stderr + daystone.log


def test_a_day_that_another_process_builds_exits_with_10(daystone: Verbs, luigid: str) -> None:
    through_luigid = ("--set", "core.local_scheduler=false", "--set", f"core.default-scheduler-url={luigid}")
    begun, go_on = daystone.home / "begun", daystone.home / "go-on"
    body = f"open({str(begun)!r}, 'w'); import os, time; [time.sleep(0.05) for _ in range(900) if not os.path.exists({str(go_on)!r})]"
    command = _with_features(daystone, body, *through_luigid)
    environment = Commands(daystone.home).environment(env=daystone.environment)
    with subprocess.Popen(command, cwd=daystone.home, env=environment, stderr=subprocess.DEVNULL) as other:
        try:
            _wait_until(begun.exists)

            result = daystone.stubbed("run", "features", "--date", "2026-01-01", *through_luigid)
        finally:
            go_on.touch()
            other.kill()

    assert result.code == 10
    assert "found another process building FeatureEngineering of 2026-01-01" in last_line(result)


def test_what_a_use_case_raises_exits_with_30_and_does_not_flood(daystone: Verbs) -> None:
    result = _run_with_features(daystone, "print('chatter'); 1 / 0")

    assert result.returncode == 30
    assert "ZeroDivisionError: division by zero" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert "chatter" not in result.stdout + result.stderr
    assert "Traceback" in daystone.log
    assert "chatter" in daystone.log


def test_ctrl_c_exits_with_130_and_leaves_no_run_behind(daystone: Verbs) -> None:
    result = _run_with_features(
        daystone, "import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(20)"
    )

    assert result.returncode == 130
    assert result.stderr.splitlines()[-1].startswith("Error: stopped; ")
    assert not list(daystone.root.glob("credit_risk/features/*/run=*"))


def test_a_library_that_is_being_started_cannot_take_ctrl_c() -> None:
    before, other = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGUSR2)
    try:
        with interrupts.kept():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGUSR2, signal.SIG_IGN)

        assert signal.getsignal(signal.SIGINT) == before
        assert signal.getsignal(signal.SIGUSR2) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGUSR2, other)


@pytest.fixture
def luigid(tmp_path: Path) -> Iterator[str]:
    """The url of a scheduler."""
    port = free_port()
    program = [str(Path(sysconfig.get_path("scripts"), "luigid")), "--address", "127.0.0.1", "--port", str(port)]
    places = ["--state-path", str(tmp_path / "luigid.state"), "--logdir", str(tmp_path)]
    with subprocess.Popen([*program, *places], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_until(lambda: listens(port))
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.kill()


def _wait_until(reached: Callable[[], bool], seconds: float = 45.0) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, f"not reached in {seconds:g} s"
        time.sleep(0.05)


def _with_features(daystone: Verbs, body: str, *options: str) -> list[str]:
    """A command whose features are built by the statements ``body``."""
    source = STUBBED.replace(
        "import run", "import spark_lib.stages.features; spark_lib.stages.features.build = build; import run", 1
    )
    program = [sys.executable, "-c", f"def build(*given):\n    {body}\n{source}"]
    return [*program, "run", "features", "--date", "2026-01-01", "--lake-root", str(daystone.root), *options]


def _run_with_features(daystone: Verbs, body: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _with_features(daystone, body),
        cwd=daystone.home,
        env=Commands(daystone.home).environment(env=daystone.environment),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
