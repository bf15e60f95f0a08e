"""Code that makes results asks neither for the time nor for chance: what comes out depends on what has landed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.support.processes import ROOT

#: Functions whose value is of the moment, or of chance.
OF_THE_MOMENT = {"today", "now", "utcnow", "time", "time_ns", "gmtime", "localtime", "strftime"} | {
    *("current_date", "current_timestamp", "curdate", "localtimestamp", "unix_timestamp", "current_timezone"),
    *("rand", "randn", "randstr", "uniform", "shuffle", "uuid", "monotonically_increasing_id", "spark_partition_id"),
    *("randomSplit", "sampleBy"),
}
#: By file and function: a date is made from midnight, the age of garbage (in a lake or at a target) is in no result, and a
#: trial of a use case moves the clock.
ALLOWED = {
    **{("clock.py", function): {"now"} for function in ("moved_today", "now", "utcnow", "today")},
    ("serving.py", "build"): {"time"},
    ("gc.py", "find"): {"now"},
    ("gc.py", "find_probes"): {"now"},
    ("csv.py", "_remove_abandoned"): {"now"},
    **{("record.py", function): {"now"} for function in ("record", "first")},  # when people were told
}


def test_no_code_that_makes_results_asks_for_the_time_or_for_chance() -> None:
    found = [f"{path.relative_to(ROOT)}: {place}" for path in sources() for place in of_the_moment(path)]

    assert not found


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
