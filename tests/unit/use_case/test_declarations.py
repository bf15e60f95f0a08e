"""Declarations of a use case that cannot work: each is refused by name, in words, before anything runs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from spark_lib import use_case
from spark_lib.errors import ConfigurationError
from spark_lib.use_case import ClassLabel, Feature, Feed, Label, NumberLabel
from tests.unit.stubs import cases
from tests.unit.stubs.stublake import LOANS

LANDED = "tests.unit.stubs.cases:Landed"
LABEL = cases.Loans.label
CLASSES = partial(ClassLabel, LABEL.feed, LABEL.key, LABEL.column)
NUMBERS = partial(NumberLabel, LABEL.feed, LABEL.key, LABEL.column)
EVENTS = cases.Loans.feeds["events"].schema
SCHEMA = "wanted the schema of feed 'events' as DDL text, such as 'loan_id STRING, `job-start` DATE'; found"
OUTCOME_NAMES = "wanted outcomes of the label as text, or as whole numbers; found"
PLAIN = (
    "boolean, tinyint, smallint, int, bigint, float, double, decimal, string, date, timestamp, timestamp_ntz, binary"
)
FIT = (
    "wanted columns of keys, the entity, the event time and features without a dot or a backtick in their names; found"
)


def complaint(name: str = LOANS) -> str:
    """What is wrong with a use case, without the words that every complaint begins and ends with."""
    with pytest.raises(ConfigurationError) as caught:
        use_case.load(name)
    begin, end = f"use case {name}: ", ". Next: correct the declarations of the use case"
    said = str(caught.value)
    assert said.startswith(begin) and said.endswith(end)
    assert caught.value.exit_code == 31
    return said.removeprefix(begin).removesuffix(end)


def events(schema: str, key: str = "id") -> dict[str, Feed]:
    """The feeds of Loans, with another one of events."""
    return dict(cases.Loans.feeds) | {"events": Feed(schema, key)}


def outcomes(schema: str, key: str = "id") -> dict[str, Feed]:
    return dict(cases.Loans.feeds) | {"outcomes": Feed(schema, key)}


@pytest.mark.parametrize(
    ("attribute", "value", "said"),
    [
        # whose sides do not fit
        ("feeds", outcomes("id INT, outcome STRING"), "wanted the label's key 'id' of the type of the key 'id': string; found int"),
        ("update_state", lambda self, state: None, "wanted a method `update_state(self, state, recent)`; found too many positional arguments"),
        ("update_state", lambda self, state, recent: None, "wanted both engineer_from_state and update_state, or neither; found update_state alone"),
        ("engineer", lambda self: None, "wanted a method `engineer(self, day, history)`; found too many positional arguments"),
        ("estimator", lambda self: None, "wanted a method `estimator(self, settings)`; found too many positional arguments"),
        # of another kind
        ("feeds", None, "wanted `feeds` as a mapping of names to Feed(schema, key); found None"),
        ("feeds", {}, "wanted `feeds` as a mapping of names to Feed(schema, key); found a value of type dict"),
        ("feeds", [Feed("id STRING", "id")], "wanted `feeds` as a mapping of names to Feed(schema, key); found a value of type list"),
        ("feeds", {"events": EVENTS}, f"wanted feed 'events' as a Feed(schema, key); found {EVENTS!r}"),
        ("feeds", {"events": Feed}, "wanted feed 'events' as a Feed(schema, key); found the class Feed"),
        ("feeds", {"events": None}, "wanted feed 'events' as a Feed(schema, key); found None"),
        ("feeds", {1: Feed(EVENTS, "id")}, "wanted names of feeds that are text without a slash; found 1"),
        ("feeds", {"a/b": Feed(EVENTS, "id")}, "wanted names of feeds that are text without a slash; found 'a/b'"),
        ("feeds", {"events": Feed(EVENTS, None)}, "wanted the key of feed 'events' as the name of a column, or as a tuple of several; found None"),
        ("rows", None, "wanted `rows` as the name of a feed; found None"),
        ("rows", ["events"], "wanted `rows` as the name of a feed; found a value of type list"),
        ("entity", 7, "wanted `entity` as the name of a column; found 7"),
        ("entity", " ", "wanted `entity` as the name of a column; found ' '"),
        ("event_time", 7, "wanted `event_time` as the name of a column; found 7"),
        ("label", None, "wanted `label` as a Label(feed, key, column, positive, allowed), a ClassLabel or a NumberLabel; found None"),
        ("label", Label, "wanted `label` as a Label(feed, key, column, positive, allowed), a ClassLabel or a NumberLabel; found the class Label"),
        ("label", "outcome", "wanted `label` as a Label(feed, key, column, positive, allowed), a ClassLabel or a NumberLabel; found 'outcome'"),
        ("label", replace(LABEL, feed=None), "wanted the label's `feed` as the name of a feed; found None"),
        ("label", replace(LABEL, key=3), "wanted the label's `key` as the name of a column, or as a tuple of several; found 3"),
        # keys of several columns
        ("feeds", events(EVENTS, ["id", "who"]), "wanted the key of feed 'events' as the name of a column, or as a tuple of several; found a value of type list"),
        ("feeds", events(EVENTS, ("id",)), "wanted the key of feed 'events' as the name of a column, or as a tuple of several; found a tuple of 1"),
        ("feeds", events(EVENTS, ("id", 3)), "wanted the key of feed 'events' as a tuple of names of columns; found 3"),
        ("feeds", events(EVENTS, ("id", "ID")), "wanted each column of the key of feed 'events' once, in upper or lower case; found 'id' and 'ID'"),
        ("feeds", events(EVENTS, ("id", "whom")), "wanted the key of feed 'events' among the columns of feed 'events': id, who, at, amount; found 'whom' (did you mean 'who'?)"),
        ("feeds", events(EVENTS, ("id", "amount")), "wanted features that are none of key, entity and event time; found the key 'amount'"),
        ("feeds", events(EVENTS, ("id", "who")), "wanted the label's `key` of as many columns as the key ('id', 'who') of feed 'events'; found 'id'"),
        ("label", replace(LABEL, key=("id", "outcome")), "wanted the label's `key` of as many columns as the key 'id' of feed 'events'; found ('id', 'outcome')"),
        ("label", replace(LABEL, column=""), "wanted the label's `column` as the name of a column; found ''"),
        ("label", replace(LABEL, allowed=None), "wanted the label's `allowed` as the values that its column may hold, such as ('default', 'repaid'); found None"),
        ("label", replace(LABEL, allowed="bad"), "wanted the label's `allowed` as the values that its column may hold, such as ('default', 'repaid'); found 'bad'"),
        ("label", replace(LABEL, allowed=("bad", 0.5)), f"{OUTCOME_NAMES} 0.5"),
        ("label", replace(LABEL, positive=True, allowed=(True, False)), f"{OUTCOME_NAMES} True"),
        ("label", replace(LABEL, positive=None), f"{OUTCOME_NAMES} None"),
        ("label", CLASSES("abc"), "wanted the label's `classes` as the values that its column may hold, such as ('bread', 'fruit', 'other'); found 'abc'"),
        ("label", CLASSES(()), "wanted the label's `classes` as the values that its column may hold, such as ('bread', 'fruit', 'other'); found a value of type tuple"),
        ("label", CLASSES(("a", "b")), "wanted three classes or more, or a Label(positive, allowed) for two; found 2"),
        ("label", CLASSES(("a", "b", "a")), "wanted each of the label's `classes` once; found 'a', 'b', 'a'"),
        ("label", CLASSES(("a", "b", 0.5)), f"{OUTCOME_NAMES} 0.5"),
        ("label", CLASSES((1, 2, 3)), "wanted outcomes that the label's column 'outcome' of type string can hold; found 1"),
        ("label", NUMBERS(), "wanted the label's column 'outcome' of a numeric type; found string"),
        ("label", NUMBERS(least="0"), "wanted the label's `least` as a finite number, or None; found '0'"),
        ("label", NUMBERS(most=float("inf")), "wanted the label's `most` as a finite number, or None; found inf"),
        ("label", NUMBERS(least=1.0, most=1.0), "wanted the label's `least` below its `most`; found 1 and 1"),
        ("features", None, "wanted `features` as a mapping of names to Feature(type); found None"),
        ("features", ["amount"], "wanted `features` as a mapping of names to Feature(type); found a value of type list"),
        ("features", {"amount": "DOUBLE"}, "wanted feature 'amount' as a Feature, such as Feature('DOUBLE'); found 'DOUBLE'"),
        ("features", {"amount": Feature}, "wanted feature 'amount' as a Feature, such as Feature('DOUBLE'); found the class Feature"),
        ("features", {5: Feature("DOUBLE")}, "wanted names of features that are text; found 5"),
        ("features", {"amount": Feature(float)}, "wanted the type of feature 'amount' as text, such as 'DOUBLE'; found the class float"),
        ("features", {"amount": Feature("DOUBLE", fill="0")}, "wanted the `fill` of feature 'amount' as a finite number, or None; found '0'"),
        ("features", {"amount": Feature("DOUBLE", fill=float("nan"))}, "wanted the `fill` of feature 'amount' as a finite number, or None; found nan"),
        ("features", {"amount": Feature("DOUBLE", nominal="yes")}, "wanted `nominal` of feature 'amount' as True or False; found 'yes'"),
        ("features", {"amount": Feature("INT(5)")}, "wanted feature 'amount' of one of the types boolean, tinyint, smallint, int, bigint, float, double, decimal, string; found 'INT(5)'"),
        ("features", {"amount": Feature("DATE")}, "wanted feature 'amount' of one of the types boolean, tinyint, smallint, int, bigint, float, double, decimal, string; found 'DATE'"),
        ("features", {"amount": Feature("STRING", fill=0)}, "wanted the `fill` of feature 'amount' as a text, or None; found 0"),
        ("features", {"amount": Feature("DOUBLE", text=True)}, "wanted feature 'amount' of type STRING, as it is a `text`; found DOUBLE"),
        ("features", {"amount": Feature("STRING", text="yes")}, "wanted `text` of feature 'amount' as True or False; found 'yes'"),
        ("features", {"amount": Feature("STRING", categories="red")}, "wanted the `categories` of feature 'amount' as texts, such as ('red', 'blue'); found 'red'"),
        ("features", {"amount": Feature("DOUBLE", categories=("red",))}, "wanted `categories` only of a STRING that is no `text`: feature 'amount'; found some"),
        ("settings", None, "wanted `settings` as a mapping of section.key to a value, such as {'training.cadence': 'daily'}; found None"),
        ("settings", ["training.cadence"], "wanted `settings` as a mapping of section.key to a value, such as {'training.cadence': 'daily'}; found a value of type list"),
        ("settings", {1: "daily"}, "wanted settings named section.key; found 1"),
        ("settings", {"training": {"cadence": "daily"}}, "wanted settings named section.key; found 'training'"),
        ("engineer", None, "wanted a method `engineer`; found None"),
        ("estimator", "forest", "wanted a method `estimator`; found 'forest'"),
        # schemas
        ("feeds", events(""), f"{SCHEMA} an empty text"),
        ("feeds", events(None), f"{SCHEMA} None"),
        ("feeds", events("id STRING, job-start DATE"), f"{SCHEMA} - after 'job'"),
        ("feeds", events("id STRNG"), f"{SCHEMA} the type STRNG of the column 'id' (did you mean 'STRING'?)"),
        ("feeds", events("id, who, at"), f"{SCHEMA} no type of the column 'id'"),
        # names
        *(
            ("feeds", events(f"{EVENTS}, {name} INT"), "wanted columns of feed 'events' of other names than landed, _metadata, _rank, which Daystone adds to raw rows; "
             f"found {name!r}")
            for name in ("landed", "Landed", "_metadata", "_rank")
        ),
        ("feeds", outcomes("id STRING, outcome STRING, landed DATE"), "wanted columns of feed 'outcomes' of other names than landed, _metadata, _rank, which Daystone adds to raw rows; found 'landed'"),
        ("feeds", events(f"{EVENTS}, amount INT"), "wanted each column of feed 'events' once, in upper or lower case; found 'amount' twice"),
        ("feeds", events(f"{EVENTS}, comment STRING, Comment STRING"), "wanted each column of feed 'events' once, in upper or lower case; found 'comment' and 'Comment'"),
        ("feeds", events(f"{EVENTS}, `` STRING"), "wanted names of all columns of feed 'events'; found an empty one"),
        ("features", {"amount": Feature("DOUBLE"), "Amount": Feature("DOUBLE")}, "wanted each feature once, in upper or lower case; found 'amount' and 'Amount'"),
        ("features", {"WHO": Feature("BIGINT")}, "wanted features that are none of key, entity and event time; found the entity 'who'"),
        ("features", {"a.b": Feature("DOUBLE")}, f"{FIT} 'a.b'"),
        # columns that are judged apart
        ("segments", "amount", "wanted `segments` as a tuple of names of features, such as ('region',); found 'amount'"),
        ("segments", (7,), "wanted `segments` as a tuple of names of features, such as ('region',); found 7"),
        ("segments", ("Amount",), "wanted segment 'Amount' among the features: amount; found 'Amount' (did you mean 'amount'?)"),
        ("segments", ("who",), "wanted segment 'who' among the features: amount; found 'who'"),
        ("segments", ("amount",), "wanted segment 'amount' of one of the types boolean, tinyint, smallint, int, bigint, string, whose values can be counted; found DOUBLE"),
        ("features", {"a`b": Feature("DOUBLE")}, f"{FIT} 'a`b'"),
        ("entity", "who.id", f"{FIT} 'who.id'"),
        ("label", replace(LABEL, column="out`come"), "wanted a label's column without a backtick in its name; found 'out`come'"),
        ("label", replace(LABEL, key="i.d"), f"{FIT} 'i.d'"),
        # columns that nobody declares
        ("feeds", events(EVENTS, "idd"), "wanted the key of feed 'events' among the columns of feed 'events': id, who, at, amount; found 'idd' (did you mean 'id'?)"),
        ("feeds", events(EVENTS, "ID"), "wanted the key of feed 'events' among the columns of feed 'events': id, who, at, amount; found 'ID' (did you mean 'id'?)"),
        ("feeds", outcomes("id STRING, outcome STRING", "key"), "wanted the key of feed 'outcomes' among the columns of feed 'outcomes': id, outcome; found 'key'"),
        ("entity", "whom", "wanted `entity` among the columns of feed 'events': id, who, at, amount; found 'whom' (did you mean 'who'?)"),
        ("event_time", "AT", "wanted `event_time` among the columns of feed 'events': id, who, at, amount; found 'AT' (did you mean 'at'?)"),
        ("label", replace(LABEL, key="loan"), "wanted the label's `key` among the columns of feed 'outcomes': id, outcome; found 'loan'"),
        ("label", replace(LABEL, column="outcom"), "wanted the label's `column` among the columns of feed 'outcomes': id, outcome; found 'outcom' (did you mean 'outcome'?)"),
        # types
        ("feeds", events("id STRING, who STRING, at STRING, amount DOUBLE"), "wanted `event_time` of one of the types timestamp, timestamp_ntz, date; found 'at' of type string"),
        ("feeds", events("id ARRAY<STRING>, who STRING, at DATE, amount DOUBLE"), f"wanted the key of feed 'events' of one of the types {PLAIN}; found 'id' of type array"),
        ("feeds", outcomes("id STRING, outcome STRUCT<x: INT>"), f"wanted the label's `column` of one of the types {PLAIN}; found 'outcome' of type struct"),
        ("feeds", outcomes("id STRING, outcome INT"), "wanted outcomes that the label's column 'outcome' of type int can hold; found 'bad'"),
        ("feeds", outcomes("id STRING, outcome BOOLEAN"), "wanted outcomes that the label's column 'outcome' of type boolean can hold; found 'bad'"),
        ("feeds", outcomes("id STRING, outcome DOUBLE"), "wanted outcomes that the label's column 'outcome' of type double can hold; found 'bad'"),
        ("label", replace(LABEL, positive=1, allowed=(0, 1)), "wanted outcomes that the label's column 'outcome' of type string can hold; found 0"),
    ],
)  # fmt: skip
def test_a_declaration_that_cannot_work_is_refused_by_name(
    attribute: str, value: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cases.Loans, attribute, value)

    assert complaint() == said


def test_without_an_entity_it_is_the_key_and_without_an_event_time_there_is_no_column_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cases.Loans, "feeds", events("id STRING, amount DOUBLE"))
    for attribute in ("entity", "event_time"):
        monkeypatch.delattr(cases.Loans, attribute)

    case = use_case.load(LOANS)

    assert (case.entity_or_key, case.identity) == ("id", ("id",))


def test_a_key_of_several_columns_is_the_entity_and_the_label_refers_to_each_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pair = events("shop INT, receipt BIGINT, amount DOUBLE", ("shop", "receipt"))
    told = {"outcomes": Feed("till SMALLINT, number STRING, outcome STRING", ("till", "number"))}
    monkeypatch.setattr(cases.Loans, "feeds", pair | told)
    monkeypatch.setattr(cases.Loans, "label", replace(LABEL, key=("till", "number")))
    for attribute in ("entity", "event_time"):
        monkeypatch.delattr(cases.Loans, attribute)

    assert complaint() == "wanted the label's key 'number' of the type of the key 'receipt': bigint; found string"

    told = {"outcomes": Feed("till SMALLINT, number BIGINT, outcome STRING", ("till", "number"))}
    monkeypatch.setattr(cases.Loans, "feeds", pair | told)
    case = use_case.load(LOANS)
    assert case.key == case.entity_or_key == case.identity == ("shop", "receipt")


def test_a_class_that_asks_for_arguments_is_refused() -> None:
    assert complaint("tests.unit.stubs.cases:Asking") == (
        "wanted a class that is made without arguments; found missing a required argument: 'country'"
    )


# Outcomes that land with the rows, later, or are looked back on

KNOWN, CORRECTED, REMEMBERED = (f"tests.unit.stubs.cases:{name}" for name in ("Known", "Corrected", "Remembered"))
KNOWN_LABEL, CORRECTED_LABEL = cases.Known.label, cases.Corrected.label


def corrections(schema: str) -> dict[str, Feed]:
    return dict(cases.Corrected.feeds) | {"corrections": Feed(schema, "id")}


def test_a_label_may_be_a_column_of_the_scored_feed() -> None:
    case = use_case.load(KNOWN)

    assert case.label_lands_with_rows
    assert (case.feature_feeds, case.outcome_feeds, case.past_outcome_feeds) == (["events"], ["events"], [])


def test_a_label_may_have_a_feed_for_what_becomes_known_later_which_features_may_look_back_on() -> None:
    case = use_case.load(CORRECTED)

    assert (case.feature_feeds, case.outcome_feeds) == (["events"], ["events", "corrections"])
    assert case.past_outcome_feeds == ["corrections"]


@pytest.mark.parametrize(
    "label",
    [
        ClassLabel("events", "id", "outcome", ("bad", "good", "fair"), later="corrections"),
        NumberLabel("events", "id", "lost", later="corrections"),
    ],
)
def test_every_kind_of_label_may_land_with_the_rows_and_later(label: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    schema = f"{cases.Known.feeds['events'].schema}, lost DOUBLE"
    monkeypatch.setattr(cases.Corrected, "feeds", {name: Feed(schema, "id") for name in ("events", "corrections")})
    monkeypatch.setattr(cases.Corrected, "label", label)

    case = use_case.load(CORRECTED)

    assert (case.feature_feeds, case.outcome_feeds) == (["events"], ["events", "corrections"])


def test_a_feed_of_outcomes_that_features_look_back_on_is_none_of_their_other_feeds() -> None:
    case = use_case.load(REMEMBERED)

    assert not case.label_lands_with_rows
    assert (case.feature_feeds, case.past_outcome_feeds) == (["events"], ["outcomes"])


def test_rows_with_their_outcomes_may_have_been_named_by_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A feed of the name under which outcomes would be in history is refused only where they are."""
    monkeypatch.setattr(cases.Known, "feeds", dict(cases.Known.feeds) | {"events.outcome": Feed(EVENTS, "id")})

    assert use_case.load(KNOWN).rows_outcomes == "events.outcome"


@pytest.mark.parametrize("column", ["who", "at", "amount"])
def test_columns_that_land_with_the_outcome_in_the_row_may_be_features_as_they_were_before(
    column: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cases.Known, "entity", "id")
    monkeypatch.setattr(cases.Known, "event_time", "seen")
    monkeypatch.setattr(
        cases.Known, "feeds", {"events": Feed(f"{cases.Known.feeds['events'].schema}, seen DATE", key="id")}
    )
    monkeypatch.setattr(cases.Known, "features", {column: Feature("DOUBLE")})

    assert list(use_case.load(KNOWN).features) == [column]


@pytest.mark.parametrize(
    ("name", "attribute", "value", "said"),
    [
        (REMEMBERED, "feeds", outcomes("id STRING, outcome STRING") | {"outcomes": Feed("id STRING, outcome STRING", "id", "yes")},
         "wanted `history` of feed 'outcomes' as True or False; found 'yes'"),
        (REMEMBERED, "feeds", dict(cases.Loans.feeds) | {"events": Feed(EVENTS, "id", history=True)},
         "wanted `history` of a feed in which outcomes land: outcomes; found it of 'events', which is in `history` in any case"),
        (REMEMBERED, "label", replace(LABEL, later="events"),
         "wanted the label's `later` only where the label is a column of the scored feed 'events'; found the label in feed 'outcomes', where later outcomes land as well"),
        (KNOWN, "label", replace(KNOWN_LABEL, key="who"),
         "wanted the label's `key` to be the key of the scored feed 'events', of which it is a column: 'id'; found 'who'"),
        (KNOWN, "entity", "outcome", "wanted the label's `column` to be none of key, entity and event time; found the entity 'outcome'"),
        (KNOWN, "label", replace(KNOWN_LABEL, column="ID"), "wanted the label's `column` to be none of key, entity and event time; found the key 'ID'"),
        (KNOWN, "label", replace(KNOWN_LABEL, column="outcom"),
         "wanted the label's `column` among the columns of feed 'events': id, who, at, amount, outcome; found 'outcom' (did you mean 'outcome'?)"),
        (KNOWN, "features", {"Outcome": Feature("BOOLEAN")},
         "wanted feature 'Outcome' to be known when its row is scored, and to have a name that says so; found 'outcome', the label's column"),
        (KNOWN, "feeds", {"events": Feed(cases.Known.feeds["events"].schema, "id", history=True), "events.outcome": Feed(EVENTS, "id")},
         "wanted no feed of the name 'events.outcome', which the outcomes in `history` have; found one"),
        (CORRECTED, "label", replace(CORRECTED_LABEL, later=3), "wanted the label's `later` as the name of a feed, or None; found 3"),
        (CORRECTED, "label", replace(CORRECTED_LABEL, later="correction"), "wanted the label's `later` to be one of ['corrections', 'events']; found 'correction'"),
        (CORRECTED, "label", replace(CORRECTED_LABEL, later="events"), "wanted the label's `later` to be another feed than the rows'; found 'events'"),
        (CORRECTED, "features", {"by": Feature("BOOLEAN")},
         "wanted feature 'by' to be known when its row is scored, and to have a name that says so; found 'by', a column of the label's feed 'corrections'"),
        (CORRECTED, "feeds", corrections("id STRING, state STRING"),
         "wanted the label's `column` among the columns of feed 'corrections': id, state; found 'outcome'"),
        (CORRECTED, "feeds", dict(cases.Corrected.feeds) | {"corrections": Feed("number STRING, outcome STRING", "number")},
         "wanted the label's `key` among the columns of feed 'corrections': number, outcome; found 'id'"),
        (CORRECTED, "feeds", corrections("id INT, outcome STRING"), "wanted the label's key 'id' of the type of the key 'id': string; found int"),
        (CORRECTED, "feeds", corrections("id STRING, outcome BOOLEAN"),
         "wanted the label's column 'outcome' of one type in feeds 'events' and 'corrections'; found string and boolean"),
    ],
)  # fmt: skip
def test_outcomes_that_cannot_be_kept_apart_from_features_are_refused_by_name(
    name: str, attribute: str, value: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(getattr(cases, name.partition(":")[2]), attribute, value)

    assert complaint(name) == said


def test_without_an_engineer_the_outcome_in_the_row_is_no_feature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases.Known, "engineer", use_case.UseCase.engineer)
    monkeypatch.setattr(cases.Known, "features", {"outcome": Feature("BOOLEAN")})

    assert complaint(KNOWN) == (
        "wanted feature 'outcome' to be known when its row is scored, and to have a name that says so; "
        "found 'outcome', the label's column"
    )


# Features as they land


def test_a_use_case_without_an_engineer_takes_the_columns_of_the_scored_feed() -> None:
    assert list(use_case.load(LANDED).features) == ["amount"]


@pytest.mark.parametrize(
    ("features", "said"),
    [
        (
            {"amuont": Feature("DOUBLE")},
            "wanted feature 'amuont' among the columns of feed 'events', as the use case has no `engineer`: id, who, at, amount; "
            "found 'amuont' (did you mean 'amount'?)",
        ),
        (
            {"Amount": Feature("DOUBLE")},
            "wanted feature 'Amount' among the columns of feed 'events', as the use case has no `engineer`: id, who, at, amount; "
            "found 'Amount' (did you mean 'amount'?)",
        ),
        (
            {"amount": Feature("DECIMAL(10, 2)")},
            "wanted feature 'amount' of the type of its column in feed 'events', as the use case has no `engineer`: double; "
            "found decimal(10,2)",
        ),
    ],
)
def test_without_an_engineer_a_feature_that_does_not_land_is_refused(
    features: dict[str, Feature], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cases.Landed, "features", features)

    assert complaint(LANDED) == said


def test_without_an_engineer_a_type_may_be_spelled_in_another_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases.Landed, "feeds", events("id STRING, who STRING, at TIMESTAMP, amount INTEGER, n LONG"))
    monkeypatch.setattr(cases.Landed, "features", {"amount": Feature("int"), "n": Feature("BIGINT")})

    assert list(use_case.load(LANDED).features) == ["amount", "n"]


# What may be declared


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("feeds", events(f"{EVENTS}, `job-start` DATE, `a.b` INT, `tick``s` INT, date DATE, label STRING, features STRING, "
                         "copy INT, side STRING, count INT, rows INT, _id STRING")),
        ("entity", "id"),
        ("event_time", "at"),
        ("label", replace(LABEL, allowed=["bad", "good"])),
    ],
)  # fmt: skip
def test_names_that_are_nobody_elses_are_taken(attribute: str, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases.Loans, attribute, value)

    assert use_case.load(LOANS)


@pytest.mark.parametrize(
    ("kind", "positive", "allowed"),
    [("INT", 1, (0, 1)), ("INT", "1", ("0", "1")), ("BOOLEAN", "true", ("true", "false")), ("DOUBLE", "1", ("0", "1"))],
)
def test_outcomes_are_what_their_column_holds(
    kind: str, positive: Any, allowed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cases.Loans, "feeds", outcomes(f"id STRING, outcome {kind}"))
    monkeypatch.setattr(cases.Loans, "label", replace(LABEL, positive=positive, allowed=allowed))

    assert use_case.load(LOANS).label.positive == positive


def test_a_text_that_is_no_category_is_no_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases.Loans, "features", {"words": Feature("STRING", text=True)})
    monkeypatch.setattr(cases.Loans, "segments", ("words",))

    assert complaint() == "wanted segment 'words' as a category; found a text"


def test_a_segment_is_declared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases.Loans, "features", {"region": Feature("STRING")})
    monkeypatch.setattr(cases.Loans, "segments", ("region", "region"))

    assert complaint() == "wanted each segment once, in upper or lower case; found 'region' twice"


def test_categories_booleans_and_whole_numbers_may_be_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    features = {
        "region": Feature("STRING"),
        "new": Feature("Boolean"),
        "age": Feature("SMALLINT"),
        "n": Feature("long"),
    }
    monkeypatch.setattr(cases.Loans, "features", features)
    monkeypatch.setattr(cases.Loans, "segments", tuple(features))

    assert use_case.load(LOANS).segments == ("region", "new", "age", "n")
