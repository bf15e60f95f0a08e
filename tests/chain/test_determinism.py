"""What comes out depends on what has landed: not on the clock, the time zone, the cores or the run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chain.chains import USE_CASES, Chain, write_sample
from tests.processes import ROOT

MONDAY = "2026-01-26"  # the first with 4 days of window and 21 of delay behind it
SMALL = ["--training-window-days", 4, "--training-min-positives", 100]
LATER = Path(__file__).parent / "later"

#: Environments and options that must not matter. The clock of `later` is Python's, in the driver and its workers; what
#: Spark's own could do is ruled out by the last test of this module, since the JVM's clock cannot be set from here.
ELSEWHERE = {
    "east": ({"TZ": "Pacific/Kiritimati"}, []),
    "west, 400 days later, on one core": (
        {"TZ": "America/Los_Angeles", "PYTHONPATH": f"{LATER}:{ROOT}:{USE_CASES}"},
        ["--spark-master", "local[1]", "--spark-shuffle-partitions", "3"],
    ),
}


def built(home: Path, raw: Path, env: dict[str, str] | None = None, options: list[str] | None = None) -> Chain:
    """Every dataset of MONDAY, from raw days that several lakes share."""
    chain = Chain(home / "lake", home / "scratch")
    feeds = f"[raw]\npath = {raw}/credit_risk/raw/{{feed}}/date={{date:%%Y-%%m-%%d}}\n"
    task = ["Everything", "--date", MONDAY, *SMALL, *(options or [])]
    chain.succeeds(*task, module="everything", config=feeds, env=env)
    return chain


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("raw")
    write_sample(root, days=26, rows_per_day=500)
    return root


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, raw: Path) -> Chain:
    return built(tmp_path_factory.mktemp("here"), raw)


@pytest.mark.parametrize("where", ELSEWHERE)
def test_another_run_into_another_lake_gives_equal_rows_and_the_same_model(
    here: Chain, raw: Path, tmp_path: Path, where: str
) -> None:
    there = built(tmp_path, raw, *ELSEWHERE[where])

    days = sorted(here.published())
    assert sorted(there.published()) == days
    assert {dataset for dataset, _ in days} == {"features", "serving", "balanced", "model", "selection", "predictions"}
    for dataset, day in days:
        assert there.contents(dataset, day) == here.contents(dataset, day), f"{dataset} of {day}"


def test_the_later_clock_is_later(here: Chain) -> None:
    """Otherwise the test above would prove nothing."""
    source = "import datetime as d, time; print(time.time(), d.datetime.now().timestamp(), d.date.today().toordinal())"

    now, later = (map(float, here.python(source, env=env).split()) for env in ({}, {"PYTHONPATH": str(LATER)}))

    assert [there - here for here, there in zip(now, later, strict=True)] == [
        pytest.approx(400 * 86_400, abs=60),
        pytest.approx(400 * 86_400, abs=60),
        pytest.approx(400, abs=1),
    ]


#: Functions whose value is of the moment, or of chance.
OF_THE_MOMENT = {"today", "now", "utcnow", "time", "time_ns", "gmtime", "localtime", "strftime"} | {
    *("current_date", "current_timestamp", "curdate", "localtimestamp", "unix_timestamp", "current_timezone"),
    *("rand", "randn", "randstr", "uniform", "shuffle", "uuid", "monotonically_increasing_id", "spark_partition_id"),
    *("randomSplit", "sampleBy"),
}
#: Log files and run ids are of their moment, and in no result; a date is made from midnight, the sample from its seed.
ALLOWED = {
    "log_file": {"now"},
    "build": {"time"},  # spark_lib/serving.py: datetime.time(), midnight
}


def test_no_code_that_makes_results_asks_for_the_time_or_for_chance() -> None:
    found = [f"{path.relative_to(ROOT)}: {place}" for path in sources() for place in of_the_moment(path)]

    assert not found


def sources() -> Iterator[Path]:
    yield from (ROOT / "spark_lib").rglob("*.py")


def of_the_moment(path: Path) -> Iterator[str]:
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                called = node.func if isinstance(node, ast.Call) else None
                name = getattr(called, "attr", getattr(called, "id", ""))
                if name in OF_THE_MOMENT - ALLOWED.get(function.name, set()):
                    yield f"{function.name} calls {name}"
