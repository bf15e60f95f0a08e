"""Outside of the problems, and of the labels that name them, nothing asks which kind of problem it is."""

from __future__ import annotations

import ast
from pathlib import Path

from spark_lib import problems
from tests.support.processes import ROOT

KINDS = set(problems._KINDS)
CLASSES = {"Binary", "Multiclass", "Regression", "ClassLabel", "NumberLabel"}
#: Where the kinds are declared, and where they are made known to adopters by name.
THEIRS = ("spark_lib/problems/", "spark_lib/use_case/labels.py")
NAMED = ("spark_lib/__init__.py", "spark_lib/use_case/__init__.py", "spark_lib/use_case/protocol.py")


def sources() -> list[Path]:
    return [
        path
        for folder in ("spark_lib", "tasks")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not str(path.relative_to(ROOT)).startswith((*THEIRS, *NAMED))
    ]


def asked(code: str) -> list[str]:
    """Each test of the code that compares with the name of a kind, or asks for the class of one."""
    found: list[str] = []
    if not any(word in code for word in KINDS | CLASSES):  # most modules name none, and parsing takes long
        return found
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, (ast.Compare, ast.Match)):
            found += [
                value.value for value in ast.walk(node) if isinstance(value, ast.Constant) and value.value in KINDS
            ]
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("isinstance", "issubclass"):
            names = [getattr(name, "id", getattr(name, "attr", "")) for name in ast.walk(node)]
            found += [name for name in names if name in CLASSES]
    return found


def test_no_module_asks_which_kind_of_problem_it_is() -> None:
    searched = {str(path.relative_to(ROOT)): asked(path.read_text(encoding="utf-8")) for path in sources()}

    assert len(searched) > 100
    assert {path: found for path, found in searched.items() if found} == {}


def test_the_search_finds_what_it_looks_for() -> None:
    assert asked("if card.problem == 'binary': pass") == ["binary"]
    assert asked("isinstance(label, labels.ClassLabel)") == ["ClassLabel"]
