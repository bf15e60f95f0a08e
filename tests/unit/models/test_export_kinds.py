"""The kinds that docs/design.md says can be exported are those that the code exports."""

from __future__ import annotations

import re

from spark_lib.models import export
from spark_lib.models.export import scikit_learn
from tests.support.checkout import ROOT


def listed(row: str) -> tuple[set[str], set[str]]:
    """The kinds in the row of the table, of Spark ML and of scikit-learn."""
    design = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    (line,) = [line for line in design.splitlines() if line.strip().startswith(f"| {row} |")]
    _, _, spark, sklearn, _ = line.split("|")
    return set(re.findall(r"[A-Z]\w+", spark)), set(re.findall(r"[A-Z]\w+", sklearn))


def test_the_documented_kinds_are_those_that_can_be_exported() -> None:
    assert listed("2 classes") == (set(export.CLASSIFIERS), set(scikit_learn.CLASSIFIERS))
    assert listed("3 classes or more") == (set(export.CLASSIFIERS) - {"GBTClassifier"}, set())
    assert listed("a number") == (set(export.REGRESSORS), set(scikit_learn.REGRESSORS))
    assert listed("transformers") == (set(export.BEFORE), set(scikit_learn.TRANSFORMERS))
