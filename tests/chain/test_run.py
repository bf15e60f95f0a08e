"""run.py over the real chain: what it builds, what it says last, and one exit code a cause."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from spark_lib.lake.stores.cache import user_directory
from tests.chain.chains import MONDAY, Chain, listing
from tests.chain.conftest import DAY
from tests.support.patience import PATIENCE
from tests.support.processes import ROOT, Commands, Result

NEXT_DAY = "2026-02-02"
NOT_LANDED = "2026-02-06"


def test_a_run_builds_what_is_missing_and_a_second_one_starts_no_jvm_and_writes_nothing(chain: Chain) -> None:
    rows = chain.rows("predictions", DAY)
    chain.delete("predictions", day=DAY)

    first = daystone(chain, "run", "--date", DAY)

    assert first.code == 0, first.stderr
    assert first.stdout.startswith("built 1 partition in ")
    assert first.stdout.splitlines()[1].startswith(f"predictions of {DAY}: 500 rows by the model of {MONDAY}, in ")
    place_of_log, line = first.stderr.splitlines()
    assert place_of_log == f"log: {log(chain)}"
    assert line.split()[:5] == ["predictions", "1", "of", "1", DAY]
    assert chain.rows("predictions", DAY) == rows
    calls, before = chain.java_calls(), listing(chain.root)

    second = daystone(chain, "run", "--date", DAY)

    assert (second.code, second.stdout, second.stderr) == (0, f"nothing to do: predictions of {DAY} is complete\n", "")
    assert chain.java_calls() == calls
    assert listing(chain.root) == before


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["run", "features", "--date", NOT_LANDED], 20, f"raw feed applications of {NOT_LANDED}: wanted the flag "),
        (
            ["files", "predictions", "--date", NOT_LANDED],
            21,
            f"predictions of {NOT_LANDED}: wanted a published partition",
        ),
        (
            ["run", "--date", DAY, "--set", "training.trees=0"],
            31,
            "--set training.trees: wanted a value of at least 1; found 0",
        ),
        (["run", "selection", "--date", "2026-01-11"], 34, "model for 2026-01-11: wanted a weekly training date"),
        (["run", "predictionz", "--date", DAY], 2, "(did you mean 'predictions'?)"),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
def test_each_cause_has_a_code_and_a_reason_on_the_last_line_and_needs_no_jvm(
    chain: Chain, arguments: list[str], code: int, said: str
) -> None:
    result = daystone(chain, *arguments)

    assert result.code == code, result.stderr
    assert said in reason(result)
    assert chain.sessions() == 0


def test_a_hole_in_history_exits_with_32(chain: Chain) -> None:
    os.unlink(chain.root / "credit_risk" / "raw" / "applications" / "date=2026-01-20" / "_SUCCESS")

    result = daystone(chain, "run", "features", "--date", NEXT_DAY)

    assert result.code == 32
    assert reason(result).startswith(
        "Error: raw feed applications: wanted every day from 2026-01-01 to 2026-02-02; found"
    )


def test_a_damaged_partition_exits_with_35_from_run_and_status_until_it_is_removed(chain: Chain) -> None:
    (file,) = [path for path in chain.day("features", DAY).glob("run=*/*.parquet") if path.stat().st_size][:1]
    file.write_bytes(b"short")

    run, status = daystone(chain, "run", "features", "--date", DAY), daystone(chain, "status", "--to", DAY)

    assert (run.code, status.code) == (35, 35)
    assert reason(run).startswith(f"Error: features of {DAY}: {file}: wanted ")
    assert str(file) in status.stdout
    os.unlink(chain.day("features", DAY) / "_SUCCESS")
    assert daystone(chain, "status", "--to", DAY).code == 0


def test_status_shows_what_the_chain_has_built(sample_lake: Chain) -> None:
    table = daystone(sample_lake, "status", "--to", DAY).stdout

    cells = {line.split()[0]: line.split()[1:] for line in table.splitlines() if line.startswith("2026-")}
    assert cells[DAY] == ["landed", "500", "–", "–", "–", MONDAY, "500"]
    assert cells[MONDAY][4] == "approved"
    assert next(iter(cells)) == "2026-01-19"


def daystone(chain: Chain, *arguments: str) -> Result:
    """run.py on the chain's lake, with the chain's Java and places for logs."""
    environment = {
        "JAVA_HOME": str(chain.scratch / "java"),
        "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",  # a short life needs no better compiler
        "HOME": str(chain.scratch / "home"),
        "XDG_STATE_HOME": str(chain.scratch / "state"),
        "XDG_CACHE_HOME": str(user_directory().parent),  # as tests/chain/chains.py has it
    }
    done = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), *arguments, "--lake-root", str(chain.root)],
        cwd=chain.scratch / "work",
        env=Commands(chain.scratch / "work").environment(chain.own, environment),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def reason(result: Result) -> str:
    return result.stderr.splitlines()[-1]


def log(chain: Chain) -> str:
    (file,) = Path(chain.scratch / "state").rglob("*.log")
    return str(file)
