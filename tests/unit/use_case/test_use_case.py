"""Finding a use case, and refusing one whose declarations cannot work."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import spark_lib
from spark_lib import lookups, use_case
from spark_lib.errors import ConfigurationError
from spark_lib.frames import reading, views
from spark_lib.use_case import Feature, Feed, Label
from tests.unit.stubs import cases
from tests.unit.stubs.stublake import LOANS

NEXT = (
    "Next: set [pipeline] use_case to one of credit_risk, product_category or to your own module:Class, on PYTHONPATH"
)
WANTED = "wanted a shipped use case or module:Class that Python can import; found"


def test_a_shipped_use_case_is_found_by_its_short_name() -> None:
    case = use_case.load("credit_risk")

    assert type(case).__name__ == "CreditRisk"
    assert (case.key, case.feature_feeds) == ("loan_id", ["applications"])


def test_every_name_of_the_library_is_the_one_of_the_module_that_defines_it() -> None:
    homes = {name: getattr(spark_lib, name) for name in spark_lib.__all__}

    assert homes == {
        "ClassLabel": use_case.ClassLabel,
        "Feature": use_case.Feature,
        "Feed": use_case.Feed,
        "Label": use_case.Label,
        "NumberLabel": use_case.NumberLabel,
        "UseCase": use_case.UseCase,
        "lookup": lookups.lookup,
        "read": reading.read,
        "read_arrow": reading.read_arrow,
        "read_pandas": reading.read_pandas,
        "views": views.views,
    }


def test_a_name_that_the_library_does_not_have_is_refused_as_of_any_module() -> None:
    with pytest.raises(AttributeError, match=r"^module 'spark_lib' has no attribute 'UseCse'$"):
        spark_lib.UseCse  # noqa: B018  (looking the name up is what is tested)


def test_an_adopters_use_case_is_found_by_module_and_class() -> None:
    assert isinstance(use_case.load(LOANS), cases.Loans)


@pytest.mark.parametrize("name", ["credit_risk", " credit_risk\n", "spark_lib.use_cases.credit_risk:CreditRisk"])
def test_a_shipped_use_case_has_one_spelling(name: str) -> None:
    assert use_case.normalise(name) == "credit_risk"


def test_a_use_case_of_ones_own_has_one_spelling_and_a_directory() -> None:
    assert use_case.normalise(f" {LOANS} ") == LOANS
    assert use_case.directory(LOANS) == "tests.unit.stubs.cases.Loans"
    assert use_case.directory("credit_risk") == "credit_risk"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "credit_risc",
            f"use case 'credit_risc': {WANTED} neither a shipped use case nor module:Class (did you mean 'credit_risk'?). {NEXT}",
        ),
        ("", f"use case '': {WANTED} neither a shipped use case nor module:Class. {NEXT}"),
        ("a:b:c", f"use case 'a:b:c': {WANTED} neither a shipped use case nor module:Class. {NEXT}"),
        ("../elsewhere", f"use case '../elsewhere': {WANTED} neither a shipped use case nor module:Class. {NEXT}"),
        ("no_such.thing:Case", f"use case 'no_such.thing:Case': {WANTED} no module 'no_such'. {NEXT}"),
        (
            "tests.unit.no_such:Case",
            f"use case 'tests.unit.no_such:Case': {WANTED} no module 'tests.unit.no_such'. {NEXT}",
        ),
        (
            "tests.unit.stubs.cases:Loan",
            f"use case 'tests.unit.stubs.cases:Loan': {WANTED} no subclass of UseCase named 'Loan' in "
            f"tests.unit.stubs.cases (did you mean 'Loans'?). {NEXT}",
        ),
        (
            "tests.unit.stubs.cases:Feature",
            f"use case 'tests.unit.stubs.cases:Feature': {WANTED} no subclass of UseCase named 'Feature' in "
            f"tests.unit.stubs.cases. {NEXT}",
        ),
    ],
)
def test_what_is_no_use_case_is_refused_with_the_nearest_one(name: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        use_case.load(name)

    assert str(caught.value) == message


def test_an_abstract_use_case_is_refused() -> None:
    with pytest.raises(ConfigurationError) as caught:
        use_case.load("tests.unit.stubs.cases:Unfinished")

    assert str(caught.value) == (
        "use case tests.unit.stubs.cases:Unfinished: wanted a class with every method of the protocol; found none for "
        "engineer. Next: correct the declarations of the use case"
    )


def test_what_a_use_case_cannot_import_is_told_by_its_own_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lacking_case.py").write_text("import no_such_library\n")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        use_case.load("lacking_case:Case")

    sys.modules.pop("lacking_case", None)


@pytest.mark.parametrize(
    ("attribute", "value", "complaint"),
    [
        ("rows", "event", "wanted `rows` to name one of the feeds ['events', 'outcomes']; found 'event'"),
        (
            "label",
            Label("outcome", "id", "outcome", "bad", ("bad", "good")),
            "wanted the label's feed to be one of ['events', 'outcomes']; found 'outcome'",
        ),
        (
            "label",
            Label("events", "id", "outcome", "bad", ("bad", "good")),
            "wanted the label's `column` among the columns of feed 'events': id, who, at, amount; found 'outcome'",
        ),
        (
            "label",
            Label("outcomes", "id", "outcome", "worse", ("bad", "good")),
            "wanted `positive` among ('bad', 'good'); found 'worse'",
        ),
        ("features", {}, "wanted at least one feature; found none"),
        *(
            (
                "features",
                {name: Feature("DOUBLE")},
                "wanted columns of other names than copy, date, features, label, landed, side, prediction, probability, "
                f"rawPrediction or _anything, which are Daystone's own; found {name!r}",
            )
            for name in ("label", "Copy", "_weight")
        ),
        (
            "features",
            {"who": Feature("BIGINT")},
            "wanted features that are none of key, entity and event time; found the entity 'who'",
        ),
        (
            "entity",
            "score",
            "wanted columns of other names than copy, date, features, label, landed, side, prediction, probability, "
            "rawPrediction, score, model_date, model_digest or _anything, which are Daystone's own; found 'score'",
        ),
        (
            "features",
            {"amount": Feature("DOUBLE"), "outcome": Feature("BOOLEAN")},
            "wanted feature 'outcome' to be known when its row is scored, and to have a name that says so; "
            "found 'outcome', the label's column",
        ),
        ("settings", {"cadence": "daily"}, "wanted settings named section.key; found 'cadence'"),
    ],
)
def test_declarations_that_contradict_each_other_are_refused(
    attribute: str, value: Any, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cases.Loans, attribute, value)

    with pytest.raises(ConfigurationError) as caught:
        use_case.load(LOANS)

    assert str(caught.value) == f"use case {LOANS}: {complaint}. Next: correct the declarations of the use case"


OUTCOMES = "id STRING, outcome STRING, `Days  late` INT, paid DECIMAL(10, 2), parts STRUCT<of: INT, to: INT> COMMENT 'a, b', amount DOUBLE"


def with_outcomes(monkeypatch: pytest.MonkeyPatch, *features: str) -> None:
    """Loans with these features, in whose label feed more lands than the outcome."""
    monkeypatch.setattr(cases.Loans, "feeds", dict(cases.Loans.feeds) | {"outcomes": Feed(OUTCOMES, key="id")})
    monkeypatch.setattr(cases.Loans, "features", dict.fromkeys(features, Feature("DOUBLE")))


@pytest.mark.parametrize("name", ["paid", "PAID", "days  late", "parts"])
def test_a_feature_with_the_name_of_what_lands_with_the_outcome_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_outcomes(monkeypatch, "amount", name)

    with pytest.raises(ConfigurationError) as caught:
        use_case.load(LOANS)

    assert str(caught.value) == (
        f"use case {LOANS}: wanted feature {name!r} to be known when its row is scored, and to have a name that says so; "
        f"found {name.lower()!r}, a column of the label's feed 'outcomes'. Next: correct the declarations of the use case"
    )


def test_what_lands_with_the_rows_too_may_be_a_feature(monkeypatch: pytest.MonkeyPatch) -> None:
    with_outcomes(monkeypatch, "amount", "to", "b")

    assert list(use_case.load(LOANS).features) == ["amount", "to", "b"]


@pytest.mark.parametrize("attribute", ["feeds", "rows", "label", "features"])
def test_a_declaration_that_is_left_out_is_named(attribute: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cases.Loans, attribute)

    with pytest.raises(ConfigurationError) as caught:
        use_case.load(LOANS)

    assert str(caught.value) == (
        f"use case {LOANS}: wanted an attribute {attribute!r}; found none. Next: correct the declarations of the use case"
    )


def test_a_feature_without_a_fill_has_none() -> None:
    assert Feature("DOUBLE").fill is None
