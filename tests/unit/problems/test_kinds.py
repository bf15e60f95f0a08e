"""Outside of the problems, and of the labels that name them, nothing asks which kind of problem it is."""

from __future__ import annotations

import ast
from pathlib import Path

from spark_lib import problems
from tests.support.processes import ROOT

KINDS = set(problems._KINDS)
CLASSES = {"Binary", "Multiclass", "Regression", "ClassLabel", "NumberLabel"}
#: The names that one kind has for its outcomes, alone and as rows are counted by them. Classes are named by a use case,
#: and ``rows``, the name of numbers, is an everyday word.
OUTCOMES = {"positive", "negative", "positives", "negatives"}
#: Where the kinds are declared, the parts of a report that belong to one of them, and where they are made known to
#: adopters by name.
THEIRS = (
    "spark_lib/problems/",
    "spark_lib/use_case/labels.py",
    "spark_lib/report/scores.py",
    "spark_lib/report/curves.py",
)
NAMED = ("spark_lib/__init__.py", "spark_lib/use_case/__init__.py", "spark_lib/use_case/protocol.py")


def sources() -> list[Path]:
    return [
        path
        for folder in ("spark_lib", "tasks")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not str(path.relative_to(ROOT)).startswith((*THEIRS, *NAMED))
    ]


def asked(code: str) -> list[str]:
    """Each test of the code that compares with the name of a kind, or asks for the class of one, and each place that
    looks for an outcome by the name that one kind has for it."""
    found: list[str] = []
    if not any(word in code for word in KINDS | CLASSES | OUTCOMES):  # most modules name none, and parsing takes long
        return found
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, (ast.Compare, ast.Match)):
            found += [
                value.value for value in ast.walk(node) if isinstance(value, ast.Constant) and value.value in KINDS
            ]
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("isinstance", "issubclass"):
            names = [getattr(name, "id", getattr(name, "attr", "")) for name in ast.walk(node)]
            found += [name for name in names if name in CLASSES]
        found += [value for value in looked_for(node) if value in OUTCOMES]
    return found


def looked_for(node: ast.AST) -> list[object]:
    """The texts by which a part of the code looks something up: ``rows["x"]``, ``rows.get("x")``, ``"x" in rows``, and
    ``rows.x``."""
    if isinstance(node, ast.Attribute):
        return [node.attr]
    keys: list[ast.expr] = []
    if isinstance(node, ast.Subscript):
        keys = [node.slice]
    elif isinstance(node, ast.Compare):
        keys = [node.left, *node.comparators]
    elif isinstance(node, ast.Call):
        named = getattr(node.func, "attr", getattr(node.func, "id", ""))
        keys = {"get": node.args[:1], "pop": node.args[:1], "getattr": node.args[1:2], "hasattr": node.args[1:2]}.get(
            named, []
        )
    return [key.value for key in keys if isinstance(key, ast.Constant)]


def test_no_module_asks_which_kind_of_problem_it_is() -> None:
    searched = {str(path.relative_to(ROOT)): asked(path.read_text(encoding="utf-8")) for path in sources()}

    assert len(searched) > 100
    assert {path: found for path, found in searched.items() if found} == {}


def test_the_search_finds_what_it_looks_for() -> None:
    assert asked("if card.problem == 'binary': pass") == ["binary"]
    assert asked("isinstance(label, labels.ClassLabel)") == ["ClassLabel"]
    assert asked("found = {'rows': 3, 'positives': of_class['judge']['positive']}") == ["positive"]
    assert asked("if 'positive' in rows: share = rows.get('negative', 0)") == ["positive", "negative"]
    assert asked("hasattr(label, 'positive') and label.positive") == ["positive", "positive"]
    assert asked("counted.alias('positives')") == []
