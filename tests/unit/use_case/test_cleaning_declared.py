"""What a feed declares of its cleaning: what cannot work is refused by name, and a feed that declares nothing is not
cleaned."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from spark_lib import use_case
from spark_lib.errors import ConfigurationError
from spark_lib.use_case import Feed
from tests.unit.stubs import cases
from tests.unit.stubs.stublake import LOANS

EVENTS, OUTCOMES = cases.Loans.feeds["events"], cases.Loans.feeds["outcomes"]
RULE = {"good": "amount > 0"}


@pytest.mark.parametrize(
    ("declared", "is_cleaned"),
    [
        ({}, False),
        ({"duplicates": "error"}, False),
        ({"rules": {}}, False),
        ({"rules": RULE}, True),
        ({"duplicates": "identical"}, True),
        ({"unique_days": 1}, True),
        ({"max_quarantined": 0.0}, True),
    ],
)
def test_a_feed_is_cleaned_where_it_declares_anything_of_it(declared: dict[str, Any], is_cleaned: bool) -> None:
    assert replace(EVENTS, **declared).is_cleaned is is_cleaned


def test_a_feed_with_rules_can_be_a_key_of_a_mapping() -> None:
    assert len({replace(EVENTS, rules=RULE): 1, EVENTS: 2}) == 2


def test_a_tenth_of_the_rows_may_break_rules_unless_the_feed_says_otherwise() -> None:
    assert replace(EVENTS, rules=RULE).most_quarantined == 0.1
    assert replace(EVENTS, max_quarantined=0).most_quarantined == 0


def test_no_row_has_a_null_in_what_identifies_it_nor_in_place_of_an_outcome_of_a_feed_of_its_own() -> None:
    assert cases.Loans().never_null("events") == ("id", "who", "at")
    assert cases.Loans().never_null("outcomes") == ("id", "outcome")
    assert cases.Known().never_null("events") == ("id", "who", "at")


@pytest.mark.parametrize(
    ("feed", "said"),
    [
        (replace(EVENTS, rules=["amount > 0"]), "wanted `rules` of feed 'events' as a mapping of names to conditions, such as {'amount is positive': 'amount > 0'}; found a value of type list"),
        (replace(EVENTS, rules={1: "amount > 0"}), "wanted names of rules of feed 'events' that are text; found 1"),
        (replace(EVENTS, rules={"a; b": "amount > 0"}), "wanted names of rules of feed 'events' on one line and without ';'; found 'a; b'"),
        (replace(EVENTS, rules={"a\nb": "amount > 0"}), "wanted names of rules of feed 'events' on one line and without ';'; found 'a\\nb'"),
        (replace(EVENTS, rules={"types": "amount > 0"}), "wanted names of rules of feed 'events' other than types, never null, duplicates, unique_days, which are Daystone's own; found 'types'"),
        (replace(EVENTS, rules={"good": ""}), "wanted rule 'good' of feed 'events' as a condition in Spark SQL, such as 'amount > 0'; found ''"),
        (replace(EVENTS, rules={"good": True}), "wanted rule 'good' of feed 'events' as a condition in Spark SQL, such as 'amount > 0'; found True"),
        (replace(EVENTS, duplicates="latest"), "wanted `duplicates` of feed 'events' as one of 'error', 'identical', 'newest'; found 'latest'"),
        (replace(EVENTS, unique_days=-1), "wanted `unique_days` of feed 'events' as a number of days from 0 to 366; found -1"),
        (replace(EVENTS, unique_days=True), "wanted `unique_days` of feed 'events' as a number of days from 0 to 366; found True"),
        (replace(EVENTS, unique_days=2.5), "wanted `unique_days` of feed 'events' as a number of days from 0 to 366; found 2.5"),
        (replace(EVENTS, max_quarantined=5), "wanted `max_quarantined` of feed 'events' as a share from 0 to 1, or None; found 5"),
        (replace(EVENTS, max_quarantined="5 %"), "wanted `max_quarantined` of feed 'events' as a share from 0 to 1, or None; found '5 %'"),
        (replace(EVENTS, event_time="at"), "wanted `event_time` of feed 'events' left out, as the use case's own `event_time` is that of its rows; found 'at'"),
        (Feed(f"{EVENTS.schema}, Reason STRING", "id", rules=RULE), "wanted columns of feed 'events' of other names than rule, reason or _anything, which Daystone adds to rows while it cleans them; found 'Reason'"),
        (Feed(f"{EVENTS.schema}, _place INT", "id", unique_days=1), "wanted columns of feed 'events' of other names than rule, reason or _anything, which Daystone adds to rows while it cleans them; found '_place'"),
        (Feed(f"{EVENTS.schema}, tags MAP<STRING, INT>", "id", duplicates="newest"), "wanted columns of feed 'events' that can be compared, as duplicates = 'newest' asks for; found 'tags' of type map"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_by_name(feed: Feed, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert complaint(monkeypatch, dict(cases.Loans.feeds) | {"events": feed}) == said


@pytest.mark.parametrize(
    ("feed", "said"),
    [
        (replace(OUTCOMES, duplicates="newest"), "wanted an `event_time` of feed 'outcomes', by which duplicates = 'newest' decides; found none"),
        (replace(OUTCOMES, event_time="id"), "wanted `event_time` of feed 'outcomes' of one of the types timestamp, timestamp_ntz, date; found string"),
        (replace(OUTCOMES, event_time="outcom"), "wanted `event_time` of feed 'outcomes' among its columns: id, outcome; found 'outcom' (did you mean 'outcome'?)"),
        (replace(OUTCOMES, event_time=7), "wanted `event_time` of feed 'outcomes' as the name of a column; found 7"),
    ],
)  # fmt: skip
def test_what_decides_between_rows_of_one_key_has_to_be_declared(
    feed: Feed, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert complaint(monkeypatch, dict(cases.Loans.feeds) | {"outcomes": feed}) == said


def test_a_feed_whose_columns_have_the_names_of_a_quarantine_may_be_read_as_it_lands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feeds = dict(cases.Loans.feeds) | {"events": Feed(f"{EVENTS.schema}, reason STRING", "id")}
    monkeypatch.setattr(cases.Loans, "feeds", feeds)

    assert use_case.load(LOANS).cleaned_feeds == []


def complaint(monkeypatch: pytest.MonkeyPatch, feeds: dict[str, Feed]) -> str:
    """What is wrong with the feeds, without the words that every complaint begins and ends with."""
    monkeypatch.setattr(cases.Loans, "feeds", feeds)
    with pytest.raises(ConfigurationError) as caught:
        use_case.load(LOANS)
    begin, end = f"use case {LOANS}: ", ". Next: correct the declarations of the use case"
    return str(caught.value).removeprefix(begin).removesuffix(end)
