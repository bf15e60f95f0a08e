"""What comes out depends on what has landed: not on the clock, the time zone, the cores or the run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chain.chains import MONDAY, Chain
from tests.chain.conftest import LATER
from tests.chain.observed import Observed
from tests.support.processes import ROOT


@pytest.mark.parametrize("dataset", ["features", "serving", "balanced", "model", "selection", "predictions"])
def test_far_apart_in_place_and_time_the_same_data_give_equal_rows_and_the_same_model(
    on_disk: Chain, observed: Observed, dataset: str
) -> None:
    """The places differ in time zone, clock, cores, numbers of partitions and store: none of it may matter."""
    here, there = (
        {day: chain.contents(dataset, day) for day in days(chain, dataset)} for chain in (on_disk, observed.chain)
    )

    assert here == there
    assert MONDAY in here


def test_the_later_clock_is_later(tmp_path: Path) -> None:
    """Otherwise the test above would prove nothing."""
    here = Chain(tmp_path / "lake", tmp_path)
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
#: By file and function: a date is made from midnight, the age of garbage is in no result, and a trial of a use case moves the
#: clock.
ALLOWED = {
    **{("clock.py", function): {"now"} for function in ("moved_today", "now", "utcnow", "today")},
    ("serving.py", "build"): {"time"},
    ("gc.py", "find"): {"now"},
    ("gc.py", "find_probes"): {"now"},
}


def test_no_code_that_makes_results_asks_for_the_time_or_for_chance() -> None:
    found = [f"{path.relative_to(ROOT)}: {place}" for path in sources() for place in of_the_moment(path)]

    assert not found


def days(chain: Chain, dataset: str) -> list[str]:
    return [day for name, day in chain.published() if name == dataset]


def sources() -> Iterator[Path]:
    for directory in ("spark_lib", "examples"):
        yield from (ROOT / directory).rglob("*.py")


def of_the_moment(path: Path) -> Iterator[str]:
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                called = node.func if isinstance(node, ast.Call) else None
                name = getattr(called, "attr", getattr(called, "id", ""))
                if name in OF_THE_MOMENT - ALLOWED.get((path.name, function.name), set()):
                    yield f"{function.name} calls {name}"
