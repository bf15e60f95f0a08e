"""Parts of published predictions, judged by numpy's and scikit-learn's means."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score, root_mean_squared_error

from spark_lib.evaluation import judging
from spark_lib.evaluation.bounds import Bounds, OfSegments
from spark_lib.evaluation.document import Part
from spark_lib.problems.binary import Binary
from spark_lib.problems.multiclass import Multiclass
from spark_lib.problems.regression import Regression
from tests.unit.evaluation.drawn import DAYS, NEW, OLD, SETTINGS, rows, scored

BINARY = Binary("bad", ("good",))


def test_a_part_has_the_metrics_of_its_rows_alone_and_the_base_rate_of_their_outcomes() -> None:
    scores, labels = scored()

    by_day = judging.by_day(BINARY, rows(scores, labels), SETTINGS)

    assert list(by_day) == list(DAYS)
    assert by_day[DAYS[0]].metrics["area_under_roc"] == pytest.approx(
        roc_auc_score(labels[:300], scores[:300]), abs=1e-6
    )
    share = labels[:300].mean()
    assert by_day[DAYS[0]].outcomes == {"prevalence": pytest.approx(share)}
    assert by_day[DAYS[0]].base == {
        "brier": pytest.approx(share * (1 - share)),
        "log_loss": pytest.approx(-(share * np.log(share) + (1 - share) * np.log(1 - share))),
    }


def test_a_part_of_one_class_has_a_reason_and_where_its_scores_lie() -> None:
    scores, labels = scored()

    part = judging.whole(BINARY, rows(scores, np.zeros_like(labels)), SETTINGS)

    assert (part.rows, part.reason, part.metrics) == (600, "one class: no positive row", {})
    assert part.levels == pytest.approx(np.quantile(scores, [0.05, 0.25, 0.5, 0.75, 0.95]))


def test_the_same_rows_in_another_order_give_the_same_part() -> None:
    scores, labels = scored()
    order = np.random.default_rng(1).permutation(len(labels))
    groups = np.arange(len(labels)) % 50
    one = judging.whole(BINARY, rows(scores, labels), SETTINGS)

    other = judging._part(BINARY, scores[order], labels[order], groups[order], SETTINGS)

    assert other == one


def test_smaller_values_of_a_segment_are_judged_together() -> None:
    scores, labels = scored(1_200)
    values = [f"v{min(number % 16, 12)}" if number % 7 else None for number in range(1_200)]

    found = judging.by_segment(BINARY, rows(scores, labels, segments={"place": values}), SETTINGS)

    assert len(found) == judging.MOST_VALUES + 1
    assert (found[0].value, found[0].part.rows) == ("v12", values.count("v12"))
    assert None in [each.value for each in found[:-1]]
    assert str(found[-1]) == "place 4 smaller values"
    assert sum(each.part.rows for each in found) == 1_200


def test_shares_are_of_the_days_alone_on_which_several_models_scored() -> None:
    scores, labels = scored()
    models = np.where(np.arange(600) % 3 == 0, 1, 0) * (np.arange(600) >= 300)

    shares = judging.by_share(BINARY, rows(scores, labels, models=models), SETTINGS)

    assert [(each.model, each.part.rows) for each in shares] == [(OLD, 200), (NEW, 100)]
    where = models == 1
    assert shares[1].part.metrics["area_under_roc"] == pytest.approx(
        roc_auc_score(labels[where], scores[where]), abs=1e-6
    )


def test_a_shadow_with_too_few_rows_is_not_compared() -> None:
    scores, labels = scored()
    of_shadow = np.where(np.arange(600) < 12, 1, -1)

    (found,) = judging.by_shadow(BINARY, rows(scores, labels, shadow=scores, shadow_models=of_shadow), SETTINGS)

    assert (found.model, found.challenger.rows, found.difference, found.interval) == (NEW, 12, None, None)
    assert found.challenger.reason


def test_rows_that_a_canary_published_as_the_challenger_scores_them_are_not_compared() -> None:
    scores, labels = scored()
    models = (np.arange(600) % 3 == 0).astype(int)
    all_models = [OLD, NEW, NEW]  # those of the predictions, and then those of the shadow
    drawn = rows(scores, labels, models=models, all_models=all_models, shadow=scores / 2, shadow_models=np.full(600, 2))
    every = rows(
        scores, labels, models=np.ones(600, int), all_models=all_models, shadow=scores, shadow_models=np.full(600, 2)
    )

    (found,) = judging.by_shadow(BINARY, drawn, SETTINGS)

    assert (found.model, found.challenger.rows, found.in_force.rows) == (NEW, 400, 400)
    assert judging.by_shadow(BINARY, every, SETTINGS) == ()


def test_a_day_takes_fewer_draws_than_all_rows_but_as_many_as_its_interval_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scores, labels = scored()
    asked: list[int] = []

    def measured(problem: Binary, found: object, settings: dict[str, float]) -> dict[str, object]:
        asked.append(int(settings["bootstrap_replicates"]))
        return {"intervals": {}}

    monkeypatch.setattr(Binary, "measured_later", measured)
    for draws, confidence in ((500, 0.95), (100, 0.95), (5_000, 0.999)):
        judging.by_day(
            BINARY, rows(scores, labels), {**SETTINGS, "bootstrap_replicates": draws, "confidence": confidence}
        )

    assert asked == [200, 200, 100, 100, 2_000, 2_000]


def test_numbers_are_compared_by_their_rmse_and_classes_by_their_log_loss_on_the_same_rows() -> None:
    draw = np.random.default_rng(2)
    truth = draw.normal(10, 3, 400)
    one, other = (np.stack([truth + draw.normal(0, spread, 400)] * 3, axis=1) for spread in (1.0, 2.0))
    classes = draw.integers(0, 3, 400).astype(float)
    sure, unsure = (np.where(np.arange(3) == classes[:, None], high, (1 - high) / 2) for high in (0.8, 0.5))
    groups = np.arange(400) % 50

    numbers = Regression().paired((one, other), truth, groups, SETTINGS, "the old one")
    by_loss = Multiclass(("a", "b", "c"), all_scores=True).paired(
        (sure, unsure), classes, groups, SETTINGS, "the old one"
    )

    errors = [root_mean_squared_error(truth, each[:, 0]) for each in (one, other)]
    assert numbers.difference == pytest.approx(errors[0] / errors[1] - 1)
    assert numbers.interval[0] < numbers.difference < numbers.interval[1] < 0
    losses = [log_loss(classes, each) for each in (sure, unsure)]
    assert by_loss.difference == pytest.approx(losses[0] / losses[1] - 1)
    assert by_loss.words.startswith("log loss -67")


def test_classes_of_which_only_the_likeliest_is_known_are_compared_by_their_errors() -> None:
    classes = np.arange(300) % 3 * 1.0
    right = np.where(np.arange(3) == classes[:, None], 0.7, 0.0)
    often = right.copy()
    often[:60] = np.roll(often[:60], 1, axis=1)
    worse = right.copy()
    worse[:120] = np.roll(worse[:120], 1, axis=1)

    found = Multiclass(("a", "b", "c")).paired((often, worse), classes, np.arange(300) % 50, SETTINGS, "the old one")

    assert found.difference == pytest.approx(-0.5)
    assert found.words.startswith("error rate -50.00% against the old one (")


def test_a_bound_is_held_against_the_unfavourable_end_of_all_rows_and_of_each_segment() -> None:
    scores, labels = scored(1_200)
    values = ["a" if number % 2 else "b" for number in range(1_200)]
    drawn = rows(scores, labels, segments={"place": values})
    whole, segments = judging.whole(BINARY, drawn, SETTINGS), judging.by_segment(BINARY, drawn, SETTINGS)
    low = whole.metrics["intervals"]["area_under_roc"][0]
    bounds = Bounds({"min_area_under_roc": low}, (OfSegments("place", "max_calibration_error", 0.0),))

    met, *missed = judging.held(BINARY, whole, segments, bounds)

    assert (met.passed, met.segment, met.end) == (True, "", low)
    assert [(gate.setting, gate.segment, gate.passed) for gate in missed] == [
        ("max_calibration_error", 'place "a"', False),
        ("max_calibration_error", 'place "b"', False),
    ]
    assert str(missed[0]).endswith(f"upper end {missed[0].end:.4f} above 0.0000")


def test_what_is_not_judged_is_held_against_no_bound() -> None:
    assert judging.held(BINARY, Part(5, reason="too few"), (), Bounds({"min_area_under_roc": 0.9})) == ()
