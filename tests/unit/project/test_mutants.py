"""The checks of the checks find what they take out, and say so where nothing sees that it is gone."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests import mutants
from tests.support.patience import PATIENCE

(SEEN,) = (mutant for mutant in mutants.MUTANTS if mutant.name == "a local first put overwrites")


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda mutant: mutant.name)
def test_a_safeguard_that_is_taken_out_is_there(mutant: mutants.Mutant) -> None:
    assert mutants.without(mutants.ROOT, mutant) != (mutants.ROOT / mutant.file).read_text()


def test_a_safeguard_that_is_not_there_is_an_error() -> None:
    with pytest.raises(SystemExit) as ended:
        mutants.without(mutants.ROOT, replace(SEEN, old="os.hope(prepared)"))

    assert str(ended.value) == (
        "a local first put overwrites: wanted this once in spark_lib/lake/stores/local.py: os.hope(prepared); found it 0 times. "
        "Next: say in tests/mutants.py what the safeguard looks like now"
    )


def test_two_mutants_are_tried_at_once_each_on_a_copy_of_its_own_and_said_in_their_order(tmp_path: Path) -> None:
    copies = mutants._Copies(tmp_path)
    at_once, second_is_done = threading.Barrier(2, timeout=PATIENCE), threading.Event()

    def tried(copy: Path, number: int) -> tuple[Path, int]:
        if number < 2:
            at_once.wait()
        if number == 0:
            second_is_done.wait(PATIENCE)
        if number == 1:
            second_is_done.set()
        return copy, number

    found = list(copies.each(tried, range(5)))

    assert [number for _, number in found] == [0, 1, 2, 3, 4]
    assert {copy for copy, _ in found[:2]} == {tmp_path / "0", tmp_path / "1"}
    for copy in (tmp_path / "0", tmp_path / "1"):
        assert (copy / SEEN.file).read_text() == (mutants.ROOT / SEEN.file).read_text()


@pytest.mark.processes
def test_a_mutant_that_no_test_sees_survives_and_fails_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unseen = replace(SEEN, name="nothing", new=SEEN.old + "  # as it was")
    broken = replace(SEEN, name="no Python", new="((")
    monkeypatch.setattr(mutants, "MUTANTS", (SEEN, unseen, broken))

    with pytest.raises(SystemExit) as ended:
        mutants.main()

    *_, last = said = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in said if line.startswith(("nothing  ", "no Python"))] == [
        "SURVIVES",
        "SURVIVES",
    ]
    assert [line[:50].strip() for line in said if " s  " in line[50:] or "passes" in line] == [
        "nothing taken out",
        "a local first put overwrites",
        "nothing",
        "no Python",
    ]
    assert (last, ended.value.code) == ("3 mutants, 1 killed", 1)


@pytest.mark.processes
def test_tests_of_another_copy_than_the_mutants_are_an_error(tmp_path: Path) -> None:
    mutants.copy_to(tmp_path)
    (tmp_path / "setup.cfg").write_text(
        (tmp_path / "setup.cfg").read_text().replace("pythonpath = .", f"pythonpath = {mutants.ROOT}")
    )

    done = mutants.run_tests(tmp_path, [SEEN.test])

    assert done.code == pytest.ExitCode.INTERNAL_ERROR
    assert f"was imported from {mutants.ROOT}" in done.output
