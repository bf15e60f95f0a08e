"""The layers that import-linter cannot see: run.py, which is a module, column names, and what an import costs.

The others are contracts in setup.cfg, which ``make check`` holds.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from spark_lib.use_case import loading
from tests.support.checkout import ROOT
from tests.support.patience import PATIENCE

COMMAND_LINE = ROOT / "run.py"
ABOVE_DATA = [COMMAND_LINE, *sorted((ROOT / "tasks").rglob("*.py"))]
HEAVY = ("pyspark", "numpy", "pandas", "pyarrow", "onnxruntime", "sklearn", "apprise")


def test_run_py_imports_click_and_tasks_only() -> None:
    allowed = {"click", "tasks"} | sys.stdlib_module_names

    imported = set(_imports(COMMAND_LINE))

    assert imported - allowed == set()


@pytest.mark.parametrize("module", ABOVE_DATA, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_column_is_named_above_spark_lib(module: Path) -> None:
    words = set(re.findall(r"\w+", module.read_text()))

    assert words & _columns() == set()


@pytest.mark.parametrize("module", ["spark_lib", "spark_lib.lake", "spark_lib.use_case", "tasks", "run"])
def test_an_import_brings_no_heavy_library(module: str) -> None:
    source = f"import sys, {module}; print(*sorted(set({HEAVY}) & set(sys.modules)))"

    result = subprocess.run([sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)

    assert (result.returncode, result.stdout.strip()) == (0, ""), result.stderr


def test_what_builds_images_is_not_imported_before_an_image_is_built() -> None:
    source = "import sys, tasks; print(*(name for name in sys.modules if name.startswith('spark_lib.registry.image')))"

    result = subprocess.run([sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)

    assert (result.returncode, result.stdout.strip()) == (0, ""), result.stderr


@pytest.mark.parametrize("names", ["UseCase, Feed, Label, Feature", "UseCase"])
def test_a_use_case_is_written_with_imports_from_the_top_that_bring_no_heavy_library(names: str) -> None:
    source = f"import sys; from spark_lib import {names}; print(*sorted(set({HEAVY}) & set(sys.modules)))"

    result = subprocess.run([sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)

    assert (result.returncode, result.stdout.strip()) == (0, ""), result.stderr


def _imports(module: Path) -> Iterator[str]:
    """The top-level names that a module imports, inside functions as well."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def _columns() -> set[str]:
    """Columns of the shipped use cases that no other word can be mistaken for: those of several words."""
    found: set[str] = set()
    for name in loading.shipped():
        case = loading.load(name)
        found |= set(case.features)
        for feed in case.feeds.values():
            found |= {column.split()[0] for column in feed.schema.split(",")}
    assert found
    return {column for column in found if "_" in column}
