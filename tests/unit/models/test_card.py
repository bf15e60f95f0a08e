"""The card of a model as a document: written, read by later versions, and refused where it is of a later format."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from types import MappingProxyType

import pytest

from spark_lib.errors import LakeError
from spark_lib.models import card
from spark_lib.models.card import APPROVED, Card, ModelFile, Verdict, rejected
from spark_lib.models.segments import Segment
from spark_lib.models.training_set import TrainingSet
from spark_lib.release.sketch import Column, Cut, Reference, Sketch
from spark_lib.use_case import Feature

SOME = Card(
    features={"age": Feature("INT", fill=-1.0), "branch": Feature("INT", nominal=True)},
    outcome={"classes": {"positive": "default", "negative": ["repaid", "sold"]}},
    entity="customer",
    calibration={"kind": "prior", "odds": 0.1},
    rows=TrainingSet(labelled=12),
    settings={"trees": 20},
    versions={"python": "3.11.7"},
    verdict=rejected("gate", "area under ROC 0.5"),
    warnings=("age is 3 in all 12 rows",),
    metrics={"area_under_roc": 0.5},
    gates=({"name": "area_under_roc", "passed": False},),
    calibrations_tried=({"kind": "prior", "log_loss": 0.2, "behind": 0.0, "standard_error": 0.0},),
    importance={"age": 1.0, "branch": 0.0},
    decision={"threshold": 0.4},
    segments=(
        Segment(
            "branch", 7, 300, outcomes={"prevalence": 0.06}, metrics={"brier": 0.05, "intervals": {"brier": [0, 1]}}
        ),
        Segment("branch", None, 12, others=3, reason="too few"),
    ),
    reference=Reference({"score": Column(Cut((0.1, 0.4)), Sketch((0, 9, 3), 0, 12), 0.2, 0.1)}),
    model=ModelFile("model.onnx", "ab", 12),
)


@pytest.mark.parametrize(
    "some", [SOME, replace(SOME, model=None, verdict=APPROVED), replace(SOME, entity=("shop", "receipt"))]
)
def test_a_card_survives_json(some: Card) -> None:
    assert card.parse(some.to_json()) == some


def test_a_card_of_the_first_version_has_neither_number_nor_warnings() -> None:
    document = {name: value for name, value in SOME.document().items() if name not in ("format", "warnings")}

    assert Card.of(document) == replace(SOME, warnings=())


def test_a_card_of_before_releases_has_no_reference() -> None:
    document = {name: value for name, value in SOME.document().items() if name != "reference"}

    assert Card.of(document) == replace(SOME, reference=None)


def test_fields_of_a_later_version_are_ignored_wherever_they_stand() -> None:
    document = json.loads(SOME.to_json()) | {"drift": []}
    document["features"][0]["vocabulary"] = ["a"]
    document["verdict"]["by"] = "somebody"
    document["segments"][0]["drift"] = 0.1
    document["model"]["flavour"] = "onnx"

    assert Card.of(document) == SOME


def test_a_card_of_a_later_format_is_left_to_the_version_that_wrote_it() -> None:
    with pytest.raises(LakeError) as caught:
        Card.of(SOME.document() | {"format": 3}, "card.json of the model of 2026-02-23")

    assert str(caught.value) == (
        "card.json of the model of 2026-02-23: wanted a card of format 2; found format 3. "
        "Next: read it with the Daystone that wrote it"
    )


@pytest.mark.parametrize(
    ("verdict", "words"), [(APPROVED, "approved"), (rejected("gate", "it missed one"), "gate: it missed one")]
)
def test_a_verdict_is_said_in_words_and_survives_json(verdict: Verdict, words: str) -> None:
    assert str(verdict) == words
    assert Verdict.of(verdict.document()) == verdict


def test_a_model_that_joblib_pickled_is_told_by_its_file() -> None:
    assert not SOME.is_pickled
    assert replace(SOME, model=ModelFile("model.joblib", "ab", 12)).is_pickled


def test_a_card_takes_any_mapping_as_a_use_case_may_declare_it() -> None:
    frozen = replace(SOME, features=MappingProxyType(dict(SOME.features)), settings=MappingProxyType({"trees": 20}))

    assert card.parse(frozen.to_json()).features == SOME.features


def test_a_card_has_every_field_in_its_document() -> None:
    assert SOME.document().keys() == {field.name for field in fields(SOME)} - {"outcome"} | {"classes"}
