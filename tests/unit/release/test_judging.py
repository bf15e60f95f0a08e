"""What holds a day, and what does not."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date, timedelta

import numpy as np
import pytest

from spark_lib.release import counting
from spark_lib.release.check import Check, Limits, Outcome
from spark_lib.release.figures import Figures
from spark_lib.release.judging import judge
from spark_lib.release.sketch import Apart, Reference
from tasks.config import sections
from tests.unit.release import drawn
from tests.unit.release.drawn import MONDAY

#: As the configuration has them where nobody sets anything.
LIMITS = Limits(
    **{
        field.name: getattr(sections.release, field.name)._default
        for field in fields(Limits)
        if field.name not in ("unchecked_features", "level")
    }
)
ROWS = 5_000
#: The rows of a day by its weekday, in those of a Monday.
BY_WEEKDAY = (1.0, 0.95, 0.9, 0.9, 0.8, 0.35, 0.25)


@pytest.fixture(scope="module")
def reference() -> Reference:
    return drawn.reference(drawn.rows(np.random.default_rng(1), 3_000))


@pytest.fixture(scope="module")
def earlier(reference: Reference) -> list[Figures]:
    """Four weeks of released days."""
    return ordinary(reference, np.random.default_rng(2), [MONDAY - timedelta(days=back) for back in range(28, 0, -1)])


def ordinary(reference: Reference, random: np.random.Generator, days: list[date], noise: float = 0.1) -> list[Figures]:
    """Days whose weekdays differ in their number of rows, and a little in what these rows are."""
    found = []
    for day in days:
        count = int(random.poisson(ROWS * BY_WEEKDAY[day.weekday()] * np.exp(noise * random.standard_normal())))
        shift = 0.1 * (day.weekday() > 4) + 0.05 * random.standard_normal()
        found.append(drawn.rows(random, count, shift).figures(day, reference))
    return found


def failed(checks: list[Check]) -> list[str]:
    return [check.name for check in checks if check.outcome is Outcome.FAILED]


def unchecked(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.words for check in checks if check.outcome is Outcome.UNCHECKED}


def judged(reference: Reference, earlier: list[Figures], rows: drawn.Drawn) -> list[Check]:
    return judge(rows.figures(MONDAY, reference), reference, earlier, LIMITS)


def test_an_ordinary_day_passes_every_check(reference: Reference, earlier: list[Figures]) -> None:
    checks = judged(reference, earlier, drawn.rows(np.random.default_rng(3), ROWS))

    assert {check.outcome for check in checks} == {Outcome.PASSED}


def test_a_feature_that_shifts_by_a_standard_deviation_holds_the_day(
    reference: Reference, earlier: list[Figures]
) -> None:
    checks = judged(reference, earlier, drawn.rows(np.random.default_rng(3), ROWS, shift=1.0))

    assert "psi of feature a" in failed(checks)
    assert not {"psi of feature b", "psi of feature c", "number of rows"} & set(failed(checks))


def test_half_of_the_rows_missing_holds_the_day(reference: Reference, earlier: list[Figures]) -> None:
    checks = judged(reference, earlier, drawn.rows(np.random.default_rng(3), ROWS // 2))

    assert failed(checks) == ["number of rows"]


def test_twice_the_rows_hold_the_day(reference: Reference, earlier: list[Figures]) -> None:
    checks = judged(reference, earlier, drawn.rows(np.random.default_rng(3), ROWS * 2))

    assert failed(checks) == ["number of rows"]


def test_equal_scores_hold_the_day(reference: Reference, earlier: list[Figures]) -> None:
    rows = drawn.rows(np.random.default_rng(3), ROWS)

    checks = judged(reference, earlier, drawn.Drawn(rows.normal, rows.category, np.full(ROWS, 0.01)))

    assert "all scores equal" in failed(checks)


def test_a_new_category_in_a_tenth_of_the_rows_holds_the_day(reference: Reference, earlier: list[Figures]) -> None:
    rows = drawn.rows(np.random.default_rng(3), ROWS, shares=(0.45, 0.27, 0.18, 0.1))

    checks = judged(reference, earlier, rows)

    assert failed(checks) == ["psi of feature purpose", "unknown categories of purpose"]


def test_nulls_in_a_tenth_of_the_rows_hold_the_day(reference: Reference, earlier: list[Figures]) -> None:
    day = drawn.rows(np.random.default_rng(3), ROWS).figures(MONDAY, reference)

    checks = judge(drawn.with_nulls(day, "b", ROWS // 10), reference, earlier, LIMITS)

    assert failed(checks) == ["nulls of b"]


@pytest.mark.slow
def test_a_tiny_shift_of_many_rows_does_not_hold_the_day(reference: Reference) -> None:
    rows = drawn.rows(np.random.default_rng(3), 1_000_000, shift=0.02)

    checks = judge(rows.figures(MONDAY, reference), reference, [], LIMITS)

    assert failed(checks) == []


@pytest.mark.parametrize("how", ["all rows", "few rows"])
def test_a_rare_outcome_that_gets_twice_as_frequent_holds_the_day(
    reference: Reference, earlier: list[Figures], how: str
) -> None:
    random = np.random.default_rng(3)
    rows = drawn.rows(random, ROWS, prevalence=0.02 if how == "all rows" else 0.01)
    if how == "few rows":  # one row in a hundred has a high score besides
        rows.scores[: ROWS // 100] = random.uniform(0.9, 1.0, ROWS // 100)

    checks = judged(reference, earlier, rows)

    assert "mean score" in failed(checks)


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.05, 0.1, 0.2])
def test_of_200_ordinary_days_at_most_2_are_held(reference: Reference, noise: float) -> None:
    days = [MONDAY + timedelta(days=number) for number in range(228)]
    drawn_days = ordinary(reference, np.random.default_rng(20_261_129), days, noise)

    held = [
        drawn_days[place].date
        for place in range(28, 228)
        if failed(judge(drawn_days[place], reference, drawn_days[place - 28 : place], LIMITS))
    ]

    assert len(held) <= 2, held


def test_an_unchecked_feature_holds_no_day_by_its_index_and_is_named(reference: Reference) -> None:
    rows = drawn.rows(np.random.default_rng(3), ROWS)
    rows.normal[:, 1] += 1.0
    limits = replace(LIMITS, unchecked_features=("b",))

    checks = judge(rows.figures(MONDAY, reference), reference, [], limits)

    assert failed(checks) == []
    assert unchecked(checks)["psi of feature b"] == "[release] unchecked_features has it"


def test_too_few_released_days_leave_their_checks_unchecked(reference: Reference, earlier: list[Figures]) -> None:
    checks = judged(reference, earlier[-6:], drawn.rows(np.random.default_rng(3), ROWS))

    assert unchecked(checks) == {
        "number of rows": "6 released days before, it takes 7",
        "psi of score against released days": "6 released days before by the same model, it takes 7",
    }


def test_days_by_another_model_count_for_rows_alone(reference: Reference, earlier: list[Figures]) -> None:
    rows = drawn.rows(np.random.default_rng(3), ROWS)

    checks = judge(rows.figures(MONDAY, reference, model="another"), reference, earlier, LIMITS)

    assert list(unchecked(checks)) == ["psi of score against released days"]


def test_a_card_without_a_reference_leaves_its_checks_unchecked(reference: Reference, earlier: list[Figures]) -> None:
    checks = judge(drawn.rows(np.random.default_rng(3), ROWS).figures(MONDAY, reference), None, earlier, LIMITS)

    assert unchecked(checks) == {
        "psi against the reference": "the card of the model has no reference: train a model anew"
    }


def test_predictions_without_sketches_are_judged_by_their_rows_alone(
    reference: Reference, earlier: list[Figures]
) -> None:
    checks = judge(Figures(MONDAY, "old", ROWS), reference, earlier, LIMITS)

    assert [check.name for check in checks if check.outcome is Outcome.PASSED] == ["number of rows"]
    assert "older Daystone" in unchecked(checks)["psi of scores"]


def test_a_small_day_is_judged_together_with_the_days_before_it(reference: Reference) -> None:
    random = np.random.default_rng(4)
    days = [MONDAY - timedelta(days=back) for back in range(28, 0, -1)]
    small = [drawn.rows(random, 60).figures(day, reference) for day in days]
    day = drawn.rows(random, 60).figures(MONDAY, reference)

    checks = judge(day, reference, small, LIMITS)
    few = judge(day, reference, small[-2:], LIMITS)

    assert "25 released days" in {check.name: check.words for check in checks}["psi of score against released days"]
    assert "it takes 200" in unchecked(few)["psi of scores"]


def test_a_small_day_that_shifts_is_held_although_the_days_before_it_did_not(reference: Reference) -> None:
    random = np.random.default_rng(4)
    before = [MONDAY - timedelta(days=back) for back in range(10, 0, -1)]
    small = [drawn.rows(random, 60).figures(day, reference) for day in before]

    checks = judge(drawn.rows(random, 60, shift=1.5).figures(MONDAY, reference), reference, small, LIMITS)

    assert (
        failed(checks)
        == ["psi of feature a, this day alone", "psi of score against the reference, this day alone"][::-1]
    )


def test_the_scores_of_a_segment_hold_the_day_where_those_of_all_rows_do_not(
    reference: Reference, earlier: list[Figures]
) -> None:
    random = np.random.default_rng(6)
    apart = Apart("region", "north", counting.of_numbers(random.uniform(0, 0.1, 1_000)))
    segmented = replace(reference, segments=(apart, Apart("region", "south", apart.scores)))
    day = drawn.rows(random, ROWS).figures(MONDAY, reference)
    assert day.sketches is not None
    shifted = counting.sketch(counting.count_numbers(apart.scores.cut, random.uniform(0.05, 0.15, 400)))
    few = counting.sketch(counting.count_numbers(apart.scores.cut, random.uniform(0.05, 0.15, 40)))
    sketches = replace(day.sketches, segments={"region north": shifted, "region south": few})

    checks = judge(replace(day, sketches=sketches), segmented, earlier, LIMITS)

    assert failed(checks) == ["psi of scores of region north"]
    assert unchecked(checks)["psi of scores of region south"] == "40 rows, it takes 200"


def test_a_first_day_of_a_weekday_is_held_against_the_span_of_all_days(reference: Reference) -> None:
    random = np.random.default_rng(5)
    week = ordinary(reference, random, [MONDAY - timedelta(days=back) for back in range(7, 0, -1)])
    none = Figures(MONDAY, "run", 10)

    checks = judge(none, reference, week, LIMITS)

    assert "number of rows" in failed(checks)
    assert "the 7 released days before" in checks[0].words


def test_a_day_without_rows_is_held_where_days_have_rows(reference: Reference, earlier: list[Figures]) -> None:
    assert failed(judge(Figures(MONDAY, "run", 0), reference, earlier, LIMITS)) == ["number of rows"]
