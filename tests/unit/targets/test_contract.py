"""What every target promises, on real servers."""

from __future__ import annotations

import itertools
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spark_lib.errors import BadData, ConfigurationError, PublishError
from spark_lib.targets import Target
from tests.unit.targets.days import (
    Model,
    Reader,
    Row,
    at,
    check_same,
    day,
    latest,
    lines_of_a_publication,
    polled,
    publish_in_child,
    rows,
    series,
)

_examples = itertools.count()
_ROWS = st.lists(
    st.builds(Row, st.sampled_from("abcdefgh"), st.integers(0, 3), st.integers(0, 2), st.sampled_from([0.25, 0.75])),
    max_size=5,
    unique_by=lambda row: row.id,
)
_STEPS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 4), st.sampled_from(["publish", "again", "withdraw"]), _ROWS),
    min_size=1,
    max_size=8,
)


@pytest.mark.slow
@given(steps=_STEPS)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_after_any_history_of_two_lakes_a_target_holds_what_a_table_in_memory_holds(target: Target, steps: Any) -> None:
    example = next(_examples)
    both = [series(f"example {example}, lake {number}") for number in range(2)]
    models = [Model(), Model()]

    for number, (which, offset, what, given_rows) in enumerate(steps):
        of, model, when = both[which], models[which], at(offset)
        if what == "withdraw":
            target.withdraw(of, when)
            model.days.pop(when, None)
            continue
        run, found = f"run {number}", given_rows
        if what == "again" and when in model.days:
            run, found = model.days[when]
        target.publish([day(of, when, run, found)])
        model.days[when] = (run, found)

    for of, model in zip(both, models, strict=True):
        check_same(target, of, model, range(4))


def test_a_day_published_twice_is_the_same_as_once(target: Target, reader: Reader, lake: str) -> None:
    once = day(series(lake), at(0), "run 1", rows(3))

    target.publish([once])
    target.publish([once, once])

    assert reader.counts(series(lake)) == {at(0): 3}


def test_a_day_rebuilt_with_fewer_rows_has_no_row_of_before(target: Target, reader: Reader, lake: str) -> None:
    target.publish([day(series(lake), at(0), "run 1", rows(5))])
    target.publish([day(series(lake), at(0), "run 2", rows(2, score=0.75))])

    assert reader.counts(series(lake)) == {at(0): 2}
    assert latest(target, series(lake), 4) is None
    assert latest(target, series(lake), 1) == ("a1", 0.75, at(0), "run 2")


def test_an_older_day_overwrites_nothing_that_a_newer_one_says(target: Target, lake: str) -> None:
    target.publish([day(series(lake), at(3), "run 3", rows(2, score=0.75))])
    target.publish([day(series(lake), at(0), "run 0", rows(3, score=0.25))])

    assert latest(target, series(lake), 1) == ("a1", 0.75, at(3), "run 3")
    assert latest(target, series(lake), 2) == ("a2", 0.25, at(0), "run 0")


def test_an_entity_that_a_rebuilt_day_no_longer_has_goes_back_to_what_earlier_days_say(
    target: Target, lake: str
) -> None:
    target.publish([day(series(lake), at(0), "run 0", rows(2, score=0.25)), day(series(lake), at(1), "run 1", rows(2))])
    target.publish([day(series(lake), at(1), "run 2", rows(1))])

    assert latest(target, series(lake), 1) == ("a1", 0.25, at(0), "run 0")


def test_of_two_rows_of_one_entity_in_a_day_the_later_event_counts_and_then_the_greater_key(
    target: Target, lake: str
) -> None:
    earlier, later = Row("z", 1, 3, 0.1), Row("b", 1, 9, 0.2)
    target.publish([day(series(lake), at(0), "run 0", [later, earlier, Row("B", 1, 9, 0.3), Row("a", 1, 9, 0.4)])])

    assert latest(target, series(lake), 1) == ("b", 0.2, at(0), "run 0")


def test_days_of_two_lakes_do_not_meet_even_where_their_runs_are_equal(
    target: Target, reader: Reader, lake: str
) -> None:
    one, other = series(lake), series(f"{lake}, copied")
    target.publish(
        [day(one, at(0), "run 0", rows(3)), day(other, at(0), "run 0", rows(3)), day(other, at(1), "run 1", rows(1))]
    )
    target.withdraw(one, at(0))

    assert target.published(one, at(0), at(1)) == {}
    assert target.published(other, at(0), at(1)) == {at(0): "run 0", at(1): "run 1"}
    assert (reader.counts(one), reader.counts(other)) == ({}, {at(0): 3, at(1): 1})


def test_a_day_without_rows_is_published(target: Target, reader: Reader, lake: str) -> None:
    target.publish([day(series(lake), at(0), "run 0", [])])

    assert target.published(series(lake), at(0), at(0)) == {at(0): "run 0"}
    assert reader.counts(series(lake)) == {}


@pytest.mark.parametrize("says", [2, 4])
def test_a_day_with_other_rows_than_its_manifest_says_is_refused_and_the_day_before_it_stays(
    target: Target, reader: Reader, lake: str, says: int
) -> None:
    target.publish([day(series(lake), at(1), "run 1", rows(1))])

    with pytest.raises(BadData) as refused:
        target.publish(
            [
                day(series(lake), at(0), "run 0", rows(3)),
                day(series(lake), at(1), "run 2", rows(3), says=says),
                day(series(lake), at(2), "run 3", rows(3)),
            ]
        )

    assert str(refused.value) == (
        f"predictions of {at(1)}: run run 2: wanted the {says} rows of its manifest; found 3. Next: check its files "
        "(daystone verify), then publish again; nothing was published"
    )
    assert target.published(series(lake), date.min, date.max) == {at(0): "run 0", at(1): "run 1"}
    assert reader.counts(series(lake)) == {at(0): 3, at(1): 1}


def test_a_day_that_was_withdrawn_can_be_published_again(target: Target, lake: str) -> None:
    target.publish([day(series(lake), at(0), "run 0", rows(1))])
    target.withdraw(series(lake), at(0))
    target.withdraw(series(lake), at(0))
    assert latest(target, series(lake), 0) is None

    target.publish([day(series(lake), at(0), "run 0", rows(1))])

    assert latest(target, series(lake), 0) == ("a0", 0.5, at(0), "run 0")


def test_a_target_without_any_day_can_be_asked_and_checked(target: Target, lake: str) -> None:
    target.check()

    assert target.published(series(lake), date.min, date.max) == {}
    assert target.lookup(series(lake), {"customer": 1}) is None
    target.withdraw(series(lake), at(0))


def test_a_look_up_by_other_columns_than_the_entity_is_refused(target: Target, lake: str) -> None:
    target.publish([day(series(lake), at(0), "run 0", rows(1))])

    with pytest.raises(ConfigurationError) as refused:
        target.lookup(series(lake), {"id": "a0"})

    assert str(refused.value) == ("look-up of an entity: wanted a value of customer; found id. Next: name each column")


@pytest.mark.slow
def test_a_reader_that_polls_all_along_sees_each_day_whole_or_not_at_all(
    target: Target, reader: Reader, lake: str
) -> None:
    of, stop = series(lake), threading.Event()
    seen: list[dict[date, int]] = []
    thread = threading.Thread(target=lambda: seen.extend(map(dict, polled(reader, of, stop))))

    thread.start()
    for turn in range(4):
        target.publish([day(of, at(offset), f"run {turn}", rows(20 + turn)) for offset in range(3)])
    stop.set()
    thread.join()

    assert reader.counts(of) == dict.fromkeys(map(at, range(3)), 23)
    assert {count for counts in seen for count in counts.values()} <= {20, 21, 22, 23}
    for counts in seen:  # one by one, in order
        found = [counts.get(at(offset), 0) for offset in range(3)]
        assert found == sorted(found, reverse=True)


@pytest.mark.slow
def test_two_processes_that_publish_the_same_days_agree(target: Target, reader: Reader, lake: str) -> None:
    of = series(lake)
    days = [(of, at(offset), f"run {offset}", rows(30)) for offset in range(3)]
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: publish_in_child(target, days), range(2)))
    target.publish([day(*arguments) for arguments in days])

    assert reader.counts(of) == dict.fromkeys(map(at, range(3)), 30)
    assert target.published(of, at(0), at(2)) == {at(offset): f"run {offset}" for offset in range(3)}


def test_where_two_processes_publish_different_runs_of_a_day_one_is_told(
    target: Target, reader: Reader, lake: str
) -> None:
    of = series(lake)
    rival = day(of, at(0), "run 2", rows(2))
    late = day(of, at(0), "run 1", rows(3))
    meddled = type(late)(of, at(1), "run 9", late.columns, 3, lambda: (target.publish([rival]), late.batches())[1])

    with pytest.raises(PublishError) as refused:
        target.publish([meddled, late])

    assert refused.value.next_step == "run again: then the run that is in force is published"
    assert reader.counts(of) == {at(0): 2, at(1): 3}


@pytest.mark.slow
def test_a_process_killed_at_any_line_leaves_days_whole_and_running_again_repairs_them(
    target: Target, reader: Reader, lake: str
) -> None:
    of = series(lake)
    first = [(of, at(offset), "run 1", rows(4, score=0.25)) for offset in range(2)]
    second = [(of, at(offset), "run 2", rows(3, score=0.75)) for offset in range(3)]
    target.publish([day(*arguments) for arguments in first])
    lines = lines_of_a_publication(target, [(series(f"{lake}, counted"), *arguments[1:]) for arguments in second])
    drawn = random.Random(0).sample(range(1, lines + 1), 12)

    for number, line in enumerate(drawn):
        of = series(f"{lake}, {number}")
        target.publish([day(of, *arguments[1:]) for arguments in first])
        assert publish_in_child(target, [(of, *arguments[1:]) for arguments in second], line) in (0, -9)
        counts = [reader.counts(of).get(at(offset), 0) for offset in range(3)]
        assert counts in ([4, 4, 0], [3, 4, 0], [3, 3, 0], [3, 3, 3]), line

        target.publish([day(of, *arguments[1:]) for arguments in second])

        assert reader.counts(of) == dict.fromkeys(map(at, range(3)), 3), line
        check_same(target, of, Model({at(offset): ("run 2", rows(3, score=0.75)) for offset in range(3)}))
