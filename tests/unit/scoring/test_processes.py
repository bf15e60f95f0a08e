"""A small partition is scored by processes of the driver: as a task would, and without a word or a process left over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from spark_lib.errors import DamagedPartition, DaystoneError
from spark_lib.lake.manifest import File
from spark_lib.scoring import partitions, processes
from spark_lib.scoring.engine import Engine
from spark_lib.scoring.partitions import Job
from spark_lib.session.environment import cores
from tests.support.checkout import ROOT
from tests.support.patience import until
from tests.unit.scoring.test_scoring import job, scored, written

pytestmark = pytest.mark.processes


@dataclass(frozen=True)
class Fails(Engine):
    """Scores that are never made: the process says how it went."""

    how: str = ""

    def scores(self, columns: np.ndarray) -> np.ndarray:
        if self.how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "prints":
            print("what a library has to say")
            return columns[0] / 2
        raise LookupError("no scores")


@pytest.fixture(scope="module", autouse=True)
def none_is_left() -> Iterator[None]:
    yield
    processes.end()


def files(root: Path, **rows: int) -> list[File]:
    """Files below ``in`` with so many rows of 0.5."""
    return [File(name, written(root, name, [0.5] * count)[0].stop, "") for name, count in rows.items()]


def at_once(given: Job, of: list[File]) -> partitions.Done:
    return processes.run(2, given, of, "in")


def test_two_processes_write_what_two_tasks_write(tmp_path: Path) -> None:
    of = files(tmp_path, a=25, b=10, c=5)

    found = at_once(job(tmp_path), of)

    tasks = partitions.shared(of, "in", 2)
    expected = partitions.Done(job(tmp_path).predictions.distribution())
    for number, share in enumerate(tasks):
        expected.merge(partitions.scored(replace(job(tmp_path), prefix="expected"), share, number))
    assert sorted(name[:10] for name in found.files) == ["part-00000", "part-00001"]
    assert sorted(found.files.values()) == sorted(expected.files.values())
    assert found.scores.figures() == expected.scores.figures()
    assert sorted(row["loan"] for row in scored(tmp_path)) == sorted(
        f"{name}-{row}" for name, rows in {"a": 25, "b": 10, "c": 5}.items() for row in range(rows)
    )


def test_a_second_day_is_scored_by_the_same_processes(tmp_path: Path) -> None:
    of = files(tmp_path, a=25, b=10)
    at_once(job(tmp_path), of)
    first = [worker.process.pid for worker in processes._workers[os.getpid()]]

    at_once(job(tmp_path), of)

    assert [worker.process.pid for worker in processes._workers[os.getpid()]] == first
    assert len(first) == 2


def test_a_day_without_files_starts_no_process(tmp_path: Path) -> None:
    processes.end()

    assert at_once(job(tmp_path), []).files == {}
    assert processes._workers[os.getpid()] == []


def test_an_error_of_ours_is_raised_as_it_was_and_the_next_day_is_scored(tmp_path: Path) -> None:
    of = files(tmp_path, a=25, b=10)
    whole = (tmp_path / "in" / "b").read_bytes()
    (tmp_path / "in" / "b").write_bytes(bytes(len(whole)))

    with pytest.raises(DamagedPartition, match="b: wanted"):
        at_once(job(tmp_path), of)

    (tmp_path / "in" / "b").write_bytes(whole)
    assert sum(at_once(job(tmp_path), of).files.values()) == 35


def test_any_other_error_is_told_with_its_name_and_where_it_was(tmp_path: Path) -> None:
    with pytest.raises(DaystoneError) as error:
        at_once(replace(job(tmp_path), engine=Fails(b"")), files(tmp_path, a=25))

    assert str(error.value) == (
        "a process that scores: wanted no exception; found LookupError: no scores. Next: read the traceback in the log of "
        "the run"
    )
    assert "in scores\n" in error.value.__notes__[0]


def test_a_process_that_was_ended_is_said_and_the_next_day_is_scored(tmp_path: Path) -> None:
    of = files(tmp_path, a=25, b=10)

    with pytest.raises(DaystoneError) as error:
        at_once(replace(job(tmp_path), engine=Fails(b"", how="killed")), of)

    assert str(error.value) == (
        "scoring of in: wanted processes of the driver that go on to their end; found one that was ended from outside, as "
        "the system does where memory is short. Next: run again; with [spark] scores_from_mb = 0 Spark scores such a day; "
        "nothing was published"
    )
    assert sum(at_once(job(tmp_path), of).files.values()) == 35


def test_what_a_library_prints_is_no_answer(tmp_path: Path) -> None:
    of = files(tmp_path, a=25)

    assert sum(at_once(replace(job(tmp_path), engine=Fails(b"", how="prints")), of).files.values()) == 25


def test_the_processes_end_with_a_driver_that_was_killed(tmp_path: Path) -> None:
    source = (
        "import os, sys; from pathlib import Path; from tests.unit.scoring import test_processes as t; "
        "root = Path(sys.argv[1]); t.at_once(t.job(root), t.files(root, a=25, b=10)); "
        "print(*(w.process.pid for w in t.processes._workers[os.getpid()]), flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", source, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as driver:
        assert driver.stdout is not None
        workers = [int(pid) for pid in driver.stdout.readline().split()]
        driver.kill()
    assert len(workers) == 2
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


def test_a_master_says_how_many_tasks_run_at_once() -> None:
    machine = os.cpu_count() or 1

    assert [cores(master) for master in ("local", "local[3]", "local[4,2]", "local[*]", "yarn")] == [
        1,
        3,
        4,
        machine,
        machine,
    ]
