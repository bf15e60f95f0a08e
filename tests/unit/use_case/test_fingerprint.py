"""Which code made a result: a digest that reformatting leaves alone, and that every supported Python computes alike."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import spark_lib
import tasks
from spark_lib import use_case
from spark_lib.use_case import fingerprint
from tests.support.checkout import ROOT

#: Each construct that syntax trees have held differently in some Python from 3.11 on, and signs that a newer Unicode knows.
SAMPLE = r'''
"""A module."""
from __future__ import annotations
import asyncio, functools
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T", bound="Sample")
LIMIT: int | None = None
PLAIN, RAW, BYTES, BIG, FLOAT, IMAGINARY = u"text", r"\d", b"\x00\xff", 10**30, 1e-300, 2j
NEW_SIGNS = "\U0001fae8 \U0001f6dc \u2ffc é \x85 \u2028"
JOINED = "one " "two " f"three {LIMIT}" " four"
NESTED = f"{LIMIT!r:>{len(PLAIN)}} {LIMIT=} {{literal}} {PLAIN:%Y-%m-%d} {PLAIN:} {LIMIT:{1}{2}}" f"" ""
EMPTY = f"", f"" "", "" f"{LIMIT}" ""
MANY = f"""
  {
    PLAIN
  }
"""
SLICES = PLAIN[1:], PLAIN[::2], PLAIN[...:None] if False else ...
(WALRUS := [x for x in range(10) if (y := x % 3) and not y > 1])

@functools.lru_cache(maxsize=None)
def decorated(a, /, b: "int" = 1, *args: int, c=-0.0, **kwargs) -> None:
    """Only a docstring."""

@dataclass(frozen=True)
class Sample(Generic[T]):
    """Documented."""
    value: T
    other: list[T] = None

    async def run(self, *, key: str = "k") -> T:
        """Awaits."""
        async with self.lock as lock, lock:
            async for item in self:
                yield await item
        return

def matched(command):
    match command:
        case {"action": str() as action, **rest} if rest:
            return action
        case [1, 2.5 | -3, *_] | Sample(value=None, other=[]):
            return None
        case None | True:
            pass
        case _:
            raise ValueError(f"{command}") from None
    try:
        global LIMIT
        LIMIT += (lambda x, *y, z=1: x if y else z)(1)
    except* OSError as group:
        del LIMIT
    else:
        assert LIMIT, "message"
    finally:
        print(*command, sep="", **{**{}})
    while not LIMIT:
        continue
    with (open("a") as a, open("b") as b):
        return a < b <= a is not b not in a
'''

#: Computed by Python 3.11, and the same in 3.12 and 3.13. It may change with a release, and is then said in its notes:
#: every use case's fingerprint changes with it.
GOLDEN = "d2913eadc239fff8c6d6afbf82d4ae8856a659c29eb060f3b0d6aad7f1424ce1"


def test_the_digest_of_a_sample_is_the_same_on_every_supported_python() -> None:
    assert fingerprint.of_source(SAMPLE) == GOLDEN


BEFORE = '''
"""Module."""
import os


def engineer(day, history):
    """Return features."""
    return {"a": day + 1, "b": f"{history}"}  # why


class Case:
    """A case."""

    async def later(self): return 'x'
'''
REFORMATTED = """
# A new comment.
import os
def engineer(
    day,
    history,
):
    # another comment
    return {
        'a': (day + 1), 'b': f'{history}',
    }
class Case:
    async def later(self):
        '''Now documented.'''
        return "x"
"""


def test_comments_docstrings_and_layout_do_not_count() -> None:
    assert fingerprint.of_source(BEFORE) == fingerprint.of_source(REFORMATTED)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("day + 1", "day + 2"),
        ("day + 1", "day + 1.0"),
        ("day + 1", "day - 1"),
        ('{"a"', '{"A"'),
        ("(day, history)", "(history, day)"),
        ("async def", "def"),
        ("class Case:", "class Case(dict):"),
        ("import os", "import os.path"),
        ("return 'x'", "'x'"),
        ("return 'x'", "return b'x'"),
        ("return 'x'", "return None"),
        ("{history}", "{history!r}"),
        ("{history}", "{history:>3}"),
    ],
)
def test_a_change_of_code_counts(old: str, new: str) -> None:
    assert old in BEFORE

    assert fingerprint.of_source(BEFORE) != fingerprint.of_source(BEFORE.replace(old, new))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An adopter's package: ``case`` imports ``rules`` in one way and ``rates`` in another, which imports ``base``."""
    root = tmp_path / "adopters_own"
    (root / "rates").mkdir(parents=True)
    (root / "__init__.py").write_text("")
    (root / "case.py").write_text(
        "from __future__ import annotations\nimport json, spark_lib\nfrom adopters_own import rules\n"
        "def engineer():\n    from .rates.monthly import rate\n    return rules, rate\n"
    )
    (root / "rules.py").write_text("RULE = 1\n")
    (root / "rates" / "__init__.py").write_text("")
    (root / "rates" / "monthly.py").write_text("from ..base import START\nfrom .. import case\nrate = START\n")
    (root / "base.py").write_text("START = 1\n")
    (root / "unused.py").write_text("NOTHING = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield root
    for name in [name for name in sys.modules if name.partition(".")[0] == root.name]:
        del sys.modules[name]


@pytest.mark.parametrize("changed", ["case.py", "rules.py", "rates/monthly.py", "base.py"])
def test_a_change_in_what_the_module_imports_of_its_own_package_counts(package: Path, changed: str) -> None:
    before = fingerprint.of_module("adopters_own.case")

    with (package / changed).open("a") as file:
        file.write("MORE = 1\n")

    assert fingerprint.of_module("adopters_own.case") != before


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ("unused.py", "MORE = 1\n"),
        ("base.py", "# a comment\n"),
        ("rules.py", "\n\n"),
    ],
)
def test_a_change_that_no_result_depends_on_does_not_count(package: Path, changed: str, text: str) -> None:
    before = fingerprint.of_module("adopters_own.case")

    with (package / changed).open("a") as file:
        file.write(text)

    assert fingerprint.of_module("adopters_own.case") == before


def test_a_source_is_read_in_the_encoding_that_it_declares(package: Path) -> None:
    (package / "rules.py").write_bytes("# coding: latin-1\nRULE = 'é'\n".encode("latin-1"))
    declared = fingerprint.of_module("adopters_own.case")

    (package / "rules.py").write_bytes(b"\xef\xbb\xbf" + "RULE = 'é'\n".encode())

    assert fingerprint.of_module("adopters_own.case") == declared


def test_a_use_case_is_recorded_with_the_result_number_of_the_stage() -> None:
    assert fingerprint.code(use_case.load("credit_risk"), 3) == {
        "result": "3",
        "use_case": fingerprint.of_module("spark_lib.use_cases.credit_risk"),
    }


def test_the_fingerprint_of_a_shipped_use_case_ends_at_the_library() -> None:
    """Its own module imports others of spark_lib: an upgrade that changes those is said by ``RESULT`` alone."""
    collected: dict[str, str] = {}
    fingerprint._collect("spark_lib.use_cases.credit_risk", "spark_lib", collected)

    assert "spark_lib.use_case" in (ROOT / "spark_lib" / "use_cases" / "credit_risk" / "__init__.py").read_text()
    assert list(collected) == ["spark_lib.use_cases.credit_risk"]


@pytest.mark.parametrize("stage", tasks.Stage.__subclasses__(), ids=lambda stage: stage.__name__)
def test_every_stage_declares_a_result_number_of_its_own(stage: type[tasks.Stage]) -> None:
    assert isinstance(vars(stage)["RESULT"], int)


def test_versions_name_python_and_what_computes() -> None:
    found = fingerprint.versions()

    assert found["python"].startswith("3.")
    assert found["daystone"] == spark_lib.__version__
    libraries = {"pyspark", "pyarrow", "numpy", "scikit-learn", "onnx", "onnxmltools", "onnxruntime"}
    assert set(found) <= {"daystone", "python", *libraries}
