"""``check``: how what was tried is shown, and the exit code. What is tried has its tests where Spark is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from spark_lib.errors import BadData, UseCaseError
from spark_lib.stages.trial import Tried
from tasks.cli import check
from tasks.cli.main import main
from tests.unit.verbs import Verbs, last_line

BAD_DATA = BadData("raw feed loans", "each 'loan' once", "one twice", "land it again")
BAD_CODE = UseCaseError("engineer of Loans", "features", "none", "correct it")


def shown(monkeypatch: pytest.MonkeyPatch, *tried: Tried) -> tuple[int, list[str], str]:
    def examine(reference: str | None) -> Iterator[Tried]:
        assert reference == "my_company.loans:Loans"
        yield from tried

    monkeypatch.setattr(check, "examine", examine)
    result = CliRunner().invoke(main, ["check", "my_company.loans:Loans"])
    return result.exit_code, result.stdout.splitlines(), result.stderr


def test_a_use_case_that_passes_has_a_line_for_each_check(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, Tried("raw loans", "3 rows"), Tried("estimator", "a forest")) == (
        0,
        ["ok raw loans        3 rows", "ok estimator        a forest"],
        "",
    )


def test_every_fault_is_shown_and_the_first_one_decides_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    faults = [Tried("raw loans", str(BAD_DATA), BAD_DATA), Tried("engineer", str(BAD_CODE), BAD_CODE)]

    code, lines, said = shown(monkeypatch, *faults, Tried("estimator", "not tried", skipped=True))

    assert (code, said) == (33, "2 things to mend, marked !!\n")
    assert lines == [
        f"!! raw loans        {BAD_DATA}",
        f"!! engineer         {BAD_CODE}",
        "-- estimator        not tried",
    ]


@pytest.mark.processes
def test_a_use_case_that_is_not_there_exits_with_31(tmp_path: Path) -> None:
    result = Verbs(tmp_path)("check", "my_company.loans:Loans")

    assert (result.code, result.stdout) == (31, "")
    assert last_line(result).startswith("Error: use case 'my_company.loans:Loans': wanted a shipped use case")
