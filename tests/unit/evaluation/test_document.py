"""The document of an evaluation, and what its manifest says of it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import pytest

from spark_lib.errors import LakeError
from spark_lib.evaluation.document import (
    BELOW,
    JUDGED,
    NO_PREDICTIONS,
    NOTHING,
    UNJUDGED,
    WITHIN,
    Day,
    Evaluation,
    Gate,
    Model,
    OfModel,
    OfSegment,
    Part,
    Shadow,
    Summary,
    parse,
)

FIRST, LAST, DAY = date(2026, 3, 4), date(2026, 3, 5), date(2026, 3, 10)
MODEL = Model(date(2026, 3, 1), "digest")
PART = Part(
    90,
    {"prevalence": 0.1},
    {"area_under_roc": 0.7, "intervals": {"area_under_roc": [0.6, 0.8]}},
    {"brier": 0.09},
    (0.1, 0.2, 0.3, 0.4, 0.5),
)
MET = Gate("min_area_under_roc", "area under ROC", 0.7, 0.6, 0.55, True)
MISSED = Gate("max_calibration_error", "calibration error", 0.1, 0.2, 0.15, False, 'place "a"')
FOUND = Evaluation(
    DAY,
    FIRST,
    LAST,
    "binary",
    (Day(FIRST, "run", 100, 90, 10, 0, (MODEL,), PART), Day(LAST, reason=NO_PREDICTIONS)),
    PART,
    (OfModel(MODEL, PART),),
    (OfSegment("place", "a", PART), OfSegment("place", None, PART, 3)),
    (OfModel(MODEL, PART),),
    (Shadow(MODEL, PART, PART, 0.01, (-0.02, 0.04), "area under ROC +0.0100"), Shadow(MODEL, NOTHING, NOTHING)),
    (MET, MISSED),
    80,
)


def plain(found: object) -> object:
    """The same, as JSON has it."""
    return json.loads(json.dumps(found, default=list))


def test_what_is_written_is_read_again() -> None:
    assert parse(FOUND.to_json()).to_json() == FOUND.to_json()
    assert parse(FOUND.to_json()).days[0].part.interval("area_under_roc") == (0.6, 0.8)


def test_a_document_of_a_later_format_is_refused_by_its_name() -> None:
    later = json.loads(FOUND.to_json()) | {"format": 2}

    with pytest.raises(LakeError) as refused:
        Evaluation.of(later, "evaluation.json of 2026-03-10")

    assert str(refused.value) == (
        "evaluation.json of 2026-03-10: wanted an evaluation of format 1; found format 2. Next: read it with the Daystone "
        "that wrote it"
    )


def test_fields_that_are_not_known_are_ignored() -> None:
    later = json.loads(FOUND.to_json()) | {"weather": "fine"}
    later["gates"][0]["colour"] = "red"

    assert Evaluation.of(later).to_json() == FOUND.to_json()


@pytest.mark.parametrize(
    ("found", "verdict", "words"),
    [
        (FOUND, BELOW, 'below: calibration error of place "a" 0.1000, upper end 0.2000 above 0.1500'),
        (replace(FOUND, gates=(MET,)), WITHIN, "within bounds"),
        (replace(FOUND, gates=()), JUDGED, "judged"),
        (replace(FOUND, gates=(), whole=NOTHING), UNJUDGED, "not judged: no row with an outcome is judged"),
    ],
)
def test_the_verdict_is_that_of_the_bounds(found: Evaluation, verdict: str, words: str) -> None:
    assert (found.verdict, str(found.summary())) == (verdict, words)


def test_a_manifest_says_what_a_table_needs() -> None:
    read = Summary.of(json.loads(json.dumps(FOUND.summary().document())))

    assert plain(read.document()) == plain(FOUND.summary().document())
    assert (read.rows, read.unlabelled, read.judged_days, read.without_predictions) == (100, 10, 1, (LAST,))
    assert read.models == (MODEL,)


def test_a_bound_that_is_met_says_so() -> None:
    assert str(MET) == "area under ROC 0.7000, lower end 0.6000 at least 0.5500"
