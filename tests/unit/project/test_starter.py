"""A command that is started by a fork is a process as any other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkout import ROOT
from tests.support.patience import PATIENCE
from tests.support.starter import READ_AT_START, starter

pytestmark = pytest.mark.processes

SCRIPT = """
import atexit, os, signal, sys, tempfile, threading, time
how = sys.argv[1]
print(how, __name__, os.getcwd(), sorted(os.environ), time.strftime("%Z"), tempfile.gettempdir(), sys.path[0], sys.stdin.read())
atexit.register(print, "at exit")
if how == "thread":
    threading.Thread(target=lambda: (time.sleep(0.1), print("thread"))).start()
if how == "exit":
    sys.exit(20)
if how == "message":
    sys.exit("a message")
if how == "raise":
    raise ValueError("no such thing")
if how == "signal":
    os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    (tmp_path / "script.py").write_text(SCRIPT)
    return tmp_path / "script.py"


def environment(directory: Path) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if name.startswith(READ_AT_START)}
    return ours | {"PYTHONPATH": str(ROOT), "TZ": "Asia/Tokyo", "TMPDIR": str(directory)}


@pytest.mark.parametrize("how", ["end", "exit", "message", "raise", "signal", "thread"])
def test_its_output_its_code_and_what_it_sees_are_those_of_a_process_of_its_own(script: Path, how: str) -> None:
    command, given = [sys.executable, str(script), how], environment(script.parent)
    alone = subprocess.run(
        command,
        cwd=script.parent,
        env=given,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )

    forked = starter().run(command, script.parent, given, timeout=PATIENCE)

    assert starter().runs(command, given)
    assert (forked.returncode, forked.stdout) == (alone.returncode, alone.stdout)
    assert forked.stderr.splitlines()[-1:] == alone.stderr.splitlines()[-1:]


def test_it_is_killed_when_its_time_is_up(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(60)")

    with pytest.raises(subprocess.TimeoutExpired):
        starter().run([sys.executable, str(tmp_path / "script.py")], tmp_path, environment(tmp_path), timeout=0.5)

    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(
    ("command", "more"),
    [
        (["git", "status"], {}),
        ([sys.executable, "-c", "pass"], {}),
        ([sys.executable, "run.py"], {"PYTHONPATH": "elsewhere"}),
        ([sys.executable, "run.py"], {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests/chain/later'}"}),
        ([sys.executable, "run.py"], {"LC_ALL": "tr_TR.UTF-8"}),
        ([sys.executable, "run.py"], {"PYTHONHASHSEED": "7"}),
        ([sys.executable, "run.py"], {"COVERAGE_PROCESS_START": "config"}),
    ],
)
def test_what_a_fork_would_change_is_started_as_any_process(
    command: list[str], more: dict[str, str], tmp_path: Path
) -> None:
    assert not starter().runs(command, environment(tmp_path) | more)
