"""The document of a release, and the decisions of people in it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from spark_lib.errors import LakeError
from spark_lib.lake import Manifest
from spark_lib.release import document
from spark_lib.release.check import Check, Outcome, unchecked
from spark_lib.release.decision import HOLD, RELEASE, REVOKE_HOLD, REVOKE_RELEASE, Decision, Decisions
from spark_lib.release.document import Release, Summary
from tests.unit.release.drawn import MONDAY

RUN = Manifest("a" * 16, "BatchInference", (), metrics={"model_digest": "m", "scores": {"mean": 0.1, "bins": [1]}})
PASSED = Check("number of rows", Outcome.PASSED, "as usual", 5.0, 4.0)
FAILED = Check("psi of feature a", Outcome.FAILED, "PSI 0.9", 0.9, 0.2)
CHECKS = (PASSED, FAILED, unchecked("psi of score", "no card"))


def decision(action: str, number: int = 1, *reasons: str) -> Decision:
    return Decision(action, "the source was moved", "ada", "2026-03-03T08:00:00+00:00", reasons, number)


def release(*decisions: Decision, checks: tuple[Check, ...] = CHECKS) -> Release:
    return Release(MONDAY, RUN.run, checks, Decisions(decisions), RUN)


def test_a_failed_check_holds_the_day() -> None:
    held = release()

    assert (held.verdict, held.reasons) == ("held", (FAILED,))


def test_a_day_without_a_failed_check_is_released() -> None:
    assert release(checks=(PASSED,)).verdict == "released"


def test_a_release_covers_the_reasons_that_it_names_and_no_others() -> None:
    covered = release(decision(RELEASE, 1, FAILED.name))
    another = release(decision(RELEASE, 1, "mean score"))

    assert (covered.verdict, covered.excused) == ("released", (FAILED.name,))
    assert another.verdict == "held"


def test_a_hold_outranks_everything_until_it_is_revoked() -> None:
    hold = decision(HOLD, 2)

    held = release(decision(RELEASE, 1, FAILED.name), hold)
    revoked = release(decision(RELEASE, 1, FAILED.name), hold, decision(REVOKE_HOLD, 3))

    assert [(check.name, check.words) for check in held.reasons] == [("hold by ada", "the source was moved")]
    assert revoked.verdict == "released"


def test_a_release_that_is_revoked_covers_nothing() -> None:
    assert release(decision(RELEASE, 1, FAILED.name), decision(REVOKE_RELEASE, 2)).verdict == "held"


def test_the_document_comes_back_as_it_was_with_the_whole_manifest() -> None:
    written = release(decision(RELEASE, 1, FAILED.name))

    found = document.parse(written.to_json())

    assert found == written
    assert found.in_force == RUN


def test_the_manifest_says_what_later_days_need() -> None:
    summary = Summary.of(release().figures())

    assert (summary.verdict, summary.judged, summary.reasons) == ("held", RUN.run, (FAILED,))
    assert summary.unchecked == ("psi of score",)
    assert summary.in_force is not None
    assert (summary.in_force.run, summary.in_force.model) == (RUN.run, "m")
    assert "psi of feature a: PSI 0.9; run aaaaaaaaaaaaaaaa, which was released before, stays in force" in str(summary)


def test_a_day_with_nothing_in_force_says_so() -> None:
    held = replace(release(), in_force=None)

    assert str(Summary.of(held.figures())).endswith("; nothing is in force")
    assert document.parse(held.to_json()) == held


def test_unknown_fields_are_ignored_and_a_later_format_is_refused() -> None:
    known = json.loads(release().to_json())

    assert Release.of(known | {"new": 1}) == release()
    with pytest.raises(LakeError) as refused:
        Release.of(known | {"format": 3}, "release.json of 2026-03-02")
    assert str(refused.value) == (
        "release.json of 2026-03-02: wanted a release of format 2; found format 3. "
        "Next: read it with the Daystone that wrote it"
    )


def test_a_decision_of_a_later_format_is_refused() -> None:
    with pytest.raises(LakeError, match="wanted a decision of format 1; found format 2"):
        Decision.of(decision(HOLD).document() | {"format": 2}, "0001.json")
