"""This checkout: where it is, and a copy of it in which nothing lies that was built."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: What lies at the top of a checkout and is tracked by git. Only these are copied, so that nothing built earlier gets in.
TRACKED = (
    *("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "MANIFEST.in", "Makefile", "README.md", "constraints.txt"),
    *("pyproject.toml", "run.py", "ruff.toml", "setup.cfg"),
    *("benchmarks", "config", "docs", "examples", "scripts", "spark_lib", "tasks", "tests"),
)


def copy(into: Path) -> Path:
    """Copy what is tracked into a new directory, and return the directory."""
    into.mkdir()
    for name in TRACKED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, into / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, into)
    return into
