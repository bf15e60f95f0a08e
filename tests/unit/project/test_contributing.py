"""CONTRIBUTING.md: every file that it sends somebody to is there, and it leaves out none that is touched in the code."""

from __future__ import annotations

import re

import pytest

from tests.support.checkout import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
#: What is Python, or tells Python's tools, and is no test.
CODE = [*sorted((ROOT / "spark_lib").rglob("*.py")), *sorted((ROOT / "tasks").rglob("*.py")), ROOT / "run.py"]
TOPS = r"(?:CHANGELOG|README)\.md|MANIFEST\.in|constraints\.txt|run\.py|setup\.cfg"
#: A path of this checkout; a part of its name may stand in angle brackets.
PATH = re.compile(
    rf"(?<![\w./])((?:\.ci|benchmarks|docs|examples|scripts|spark_lib|tasks|tests)/[\w./<>-]*[\w/]|{TOPS})(?![\w<])"
)


def section(title: str) -> str:
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_every_path_that_is_named_exists() -> None:
    paths = set(PATH.findall(TEXT))

    assert len(paths) > 50
    assert [path for path in paths if "<" not in path and not (ROOT / path).exists()] == []
    assert [path for path in paths if "<" in path and not (ROOT / path).parent.is_dir()] == []


def test_every_target_of_make_that_is_named_exists() -> None:
    targets = re.findall(r"`make ([\w-]+)", TEXT) + re.findall(r"^    make ([\w-]+)", TEXT, re.MULTILINE)
    there = re.findall(r"^([\w-]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert {"check", "test", "demo"} <= set(targets)
    assert set(targets) - set(there) == set()


@pytest.mark.parametrize(
    ("title", "example", "placeholders"),
    [
        ("Add a strategy of balancing", r"\b(oversample|synthesised)\b", {"<name>": "smote"}),
        ("Add a stage", r"\bServingFeatures\b|\bspark_lib\.stages import serving\b|\"serving\"", {"<noun>": "serving"}),
        ("Add a store", r"\b(S3Store|LocalStore)\b", {"<name>": "s3"}),
        ("Add a verb", r"\btasks\.cli import gc\b", {"<verb>": "gc"}),
    ],
)
def test_each_module_that_knows_one_that_is_there_is_named_where_another_is_added(
    title: str, example: str, placeholders: dict[str, str]
) -> None:
    words = section(title)
    for placeholder, name in placeholders.items():
        words = words.replace(placeholder, name)
    named = set(PATH.findall(words))

    knowing = {str(file.relative_to(ROOT)) for file in CODE if re.search(example, file.read_text(encoding="utf-8"))}

    assert knowing
    assert knowing - named == set()


def test_the_readme_sends_contributors_here() -> None:
    assert "(CONTRIBUTING.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
