"""``[lake] on_stale``: what a run does about published partitions that would be built from something else now."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import luigi
import pytest
from luigi.task_register import Register
from luigi.tools.range import RangeDaily

import spark_lib.stages.features
import tasks
from spark_lib.errors import ConfigurationError, StalePartition
from spark_lib.lake import CLEAN, days
from spark_lib.use_case import loading
from tasks.graph.stage import expanded
from tasks.graph.staleness import RAW, Candidates
from tasks.planning.chain import of
from tests.support.processes import Commands
from tests.unit.stubs.stublake import (
    CLEANED,
    FIRST_TRAINING,
    LOANS,
    WINDOW,
    StubLake,
    build,
    configure,
    listed,
    make_features_differ,
    prepare,
)
from tests.unit.tasks.conftest import Predicted
from tests.unit.verbs import Verbs, last_line

pytestmark = pytest.mark.slow

DAY = date(2026, 1, 14)
LATE = date(2026, 1, 13)  # after the training window, and in the history of DAY's features
SUCCESS = luigi.LuigiStatusCode.SUCCESS


@pytest.fixture
def lake(predicted: Predicted) -> StubLake:
    return predicted(DAY)


def under(lake: StubLake, monkeypatch: pytest.MonkeyPatch, policy: str, settings: str = "") -> None:
    """Go on as a new process does, whose configuration says ``policy``."""
    configure(
        monkeypatch, f"[lake]\nroot = {lake.root}\non_stale = {policy}\n[pipeline]\nuse_case = {LOANS}\n{settings}"
    )
    Register.clear_instance_cache()


def land_again(lake: StubLake, day: date = LATE, content: str = "late") -> None:
    lake.flag("events", day).with_name("part-0").write_text(content)


# The policies


@pytest.mark.parametrize("policy", ["keep", "warn"])
def test_a_stale_day_is_complete_where_it_is_kept(lake: StubLake, monkeypatch: pytest.MonkeyPatch, policy: str) -> None:
    land_again(lake)
    under(lake, monkeypatch, policy)
    before = lake.written()

    built = build(tasks.FeatureEngineering(date=DAY))

    assert (built.status, built.ran, lake.written()) == (SUCCESS, [], before)


def test_a_raw_day_that_lands_again_rebuilds_exactly_what_was_built_from_it(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_features_differ(monkeypatch)
    under(lake, monkeypatch, "keep")
    before = {dataset: lake.published(dataset) for dataset in ("features", "model", "selection", "predictions")}
    land_again(lake)
    under(lake, monkeypatch, "rebuild")

    built = build(tasks.BatchInference(date=DAY))

    assert (built.status, built.ended) == (SUCCESS, [f"BatchInference {DAY}", f"FeatureEngineering {DAY}"])
    after = {dataset: lake.published(dataset) for dataset in before}
    changed = {
        dataset: [day for day in before[dataset] if before[dataset][day] != after[dataset][day]] for dataset in before
    }
    assert changed == {"features": [DAY], "model": [], "selection": [], "predictions": [DAY]}


def test_after_a_rebuild_nothing_is_left_to_do(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    make_features_differ(monkeypatch)
    land_again(lake)
    under(lake, monkeypatch, "rebuild")
    build(tasks.BatchInference(date=DAY))
    before = lake.written()

    again = build(tasks.BatchInference(date=DAY))

    assert (again.status, again.ran, lake.written()) == (SUCCESS, [], before)


def test_an_input_that_comes_out_equal_ends_the_rebuild_there(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    predictions = lake.published("predictions")
    land_again(lake)
    under(lake, monkeypatch, "rebuild")
    day = tasks.BatchInference(date=DAY)

    built = build(day)

    assert built.status == SUCCESS
    assert len(lake.runs("features")) == len(WINDOW) + 2  # the old run stays until gc
    assert (lake.published("predictions"), len(lake.runs("predictions"))) == (predictions, 1)
    assert day.built_nothing
    assert built.said[-1] == "predictions: not stale any more, nothing was built"


def test_the_inputs_of_a_training_window_are_rebuilt_before_it(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    make_features_differ(monkeypatch)
    land_again(lake, WINDOW[-2])
    under(lake, monkeypatch, "rebuild")

    built = build(tasks.Training(date=FIRST_TRAINING))

    assert built.status == SUCCESS
    assert list(dict.fromkeys(built.ran)) == [
        *(f"FeatureEngineering {day}" for day in WINDOW[-2:]),
        f"Balancing {FIRST_TRAINING}",
        f"Training {FIRST_TRAINING}",
    ]


def test_which_model_scored_a_past_day_is_not_rewritten(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    under(lake, monkeypatch, "rebuild", "[training]\ntrees = 3\n")

    assert build(tasks.BatchInference(date=DAY)).ran == []
    assert build(tasks.BatchInference(date=date(2026, 1, 15))).ended == [
        "BatchInference 2026-01-15",
        "FeatureEngineering 2026-01-15",
        "ModelSelection 2026-01-15",
        "Training 2026-01-12",
    ]


def test_a_stage_with_a_policy_of_its_own_keeps_what_is_stale(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    make_features_differ(monkeypatch)
    land_again(lake)
    under(lake, monkeypatch, "rebuild, predictions: keep")

    assert build(tasks.BatchInference(date=DAY)).ran == []
    assert build(tasks.FeatureEngineering(date=DAY)).ended == [f"FeatureEngineering {DAY}"]


def test_under_fail_a_run_ends_with_the_reason_and_builds_nothing(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    land_again(lake)
    lake.delete("predictions", DAY)
    under(lake, monkeypatch, "fail")
    before = lake.written()

    built = build(tasks.BatchInference(date=DAY))

    (refused,) = built.refused
    then, now = (reason.partition(" ")[0] for reason in refused.partition("of 2026-01-13: ")[2].split("now "))
    assert refused == (
        "features of 2026-01-14: wanted a partition that would be built the same now, as [lake] on_stale = fail asks for; "
        f"found a stale one: input: raw/events of 2026-01-13: {then} now {now} Next: build it again (daystone rebuild "
        "features --date 2026-01-14), or set [lake] on_stale to keep, warn or rebuild"
    )
    assert (built.status, built.ran, lake.written()) == (luigi.LuigiStatusCode.SCHEDULING_FAILED, [], before)


def test_under_fail_a_complete_day_with_a_stale_input_is_refused(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    land_again(lake)
    under(lake, monkeypatch, "fail")

    with pytest.raises(StalePartition, match=r"^features of 2026-01-14: wanted "):
        tasks.BatchInference(date=DAY).complete()


def test_a_stage_that_fails_behind_one_that_rebuilds_is_refused_in_its_turn(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its input was rebuilt, and came out otherwise."""
    make_features_differ(monkeypatch)
    land_again(lake)
    under(lake, monkeypatch, "rebuild, predictions: fail")

    built = build(tasks.BatchInference(date=DAY))

    assert built.status == luigi.LuigiStatusCode.FAILED
    assert [reason.partition(":")[0] for reason in built.refused] == ["predictions of 2026-01-14"]
    assert built.ended == [f"BatchInference {DAY}", f"FeatureEngineering {DAY}"]


def test_a_damaged_day_is_an_error_and_not_rebuilt(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.damage("features", DAY)
    under(lake, monkeypatch, "rebuild")

    built = build(tasks.FeatureEngineering(date=DAY))

    assert (built.status, built.ran) == (luigi.LuigiStatusCode.SCHEDULING_FAILED, [])


# Ranges


def test_a_range_rebuilds_its_stale_days_and_no_others(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    span = {"of": tasks.FeatureEngineering, "start": WINDOW[0], "stop": date(2026, 1, 15), "of_params": {}}
    under(lake, monkeypatch, "warn")
    build(RangeDaily(**span))
    land_again(lake, date(2026, 1, 12))
    under(lake, monkeypatch, "rebuild")

    built = build(RangeDaily(**span))

    assert (built.status, built.ended) == (
        SUCCESS,
        [*(f"FeatureEngineering {day}" for day in days(date(2026, 1, 12), DAY)), "RangeDaily"],
    )


def test_a_range_is_judged_by_one_listing_of_each_feed(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    under(lake, monkeypatch, "rebuild")
    asked = listed(monkeypatch)

    found = tasks.FeatureEngineering.bulk_complete([*WINDOW, DAY])

    assert found == [*WINDOW, DAY]
    assert asked == ["features", "features", ""]


def test_under_fail_a_range_builds_the_other_days(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    land_again(lake)
    under(lake, monkeypatch, "fail")
    lake.delete("features", WINDOW[0])
    span = {"of": tasks.FeatureEngineering, "start": WINDOW[0], "stop": date(2026, 1, 15), "of_params": {}}

    built = build(RangeDaily(**span))

    assert [reason.partition(":")[0] for reason in built.refused] == ["features of 2026-01-14"]
    assert f"FeatureEngineering {WINDOW[0]}" in built.ran
    assert f"FeatureEngineering {DAY}" not in built.ran


def test_under_fail_a_range_whose_only_open_day_is_stale_names_it(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    land_again(lake)
    under(lake, monkeypatch, "fail")
    span = {"of": tasks.FeatureEngineering, "start": DAY, "stop": date(2026, 1, 15), "of_params": {}}

    built = build(RangeDaily(**span))

    assert {reason.partition(":")[0] for reason in built.refused} == {"features of 2026-01-14"}


def test_under_fail_a_stale_candidate_reports_itself_and_the_selection_is_not_made(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    under(lake, monkeypatch, "fail", "[training]\ntrees = 3\n")

    built = build(tasks.ModelSelection(date=date(2026, 1, 15)))

    assert {reason.partition(":")[0] for reason in built.refused} == {"model of 2026-01-12"}
    assert list(lake.published("selection")) == [DAY]


# Two processes


def test_a_day_that_another_process_has_rebuilt_meanwhile_is_not_built_again(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    land_again(lake)
    under(lake, monkeypatch, "rebuild")
    day, others = tasks.FeatureEngineering(date=DAY), another_process()
    was_complete = day.complete()
    others.run()
    published, runs = lake.published("features"), lake.runs("features")

    day.run()

    assert (was_complete, day.built_nothing, day.complete()) == (False, True, True)
    assert (lake.published("features"), lake.runs("features")) == (published, runs)


def test_of_two_processes_that_rebuild_a_day_at_once_one_is_published_and_both_are_done(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    land_again(lake)
    under(lake, monkeypatch, "rebuild")
    day, others = tasks.FeatureEngineering(date=DAY), another_process()
    old, runs = lake.published("features"), lake.runs("features")
    real = spark_lib.stages.features.build

    def while_the_other_is_faster(*given: object) -> object:
        monkeypatch.setattr(spark_lib.stages.features, "build", real)
        others.run()
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(spark_lib.stages.features, "build", while_the_other_is_faster)

    day.run()

    assert day.complete() and others.complete()
    assert lake.published("features") != old
    assert len(lake.runs("features")) == len(runs) + 1


def another_process() -> tasks.FeatureEngineering:
    """The same task, as another process makes it."""
    Register.clear_instance_cache()
    return tasks.FeatureEngineering(date=DAY)


@pytest.mark.processes
def test_both_commands_rebuild_or_fail_as_they_are_told(lake: StubLake, tmp_path: Path) -> None:
    land_again(lake)
    asked = ("--module", "tests.unit.stubs.quick", "BatchInference", "--date", DAY, "--pipeline-use-case", LOANS)
    before = lake.written()

    failed = Commands(tmp_path).luigi(*asked, "--lake-on-stale", "fail")
    refused = Verbs(tmp_path).stubbed("run", "--date", DAY, "--use-case", LOANS, "--set", "lake.on_stale=fail")
    untouched = lake.written()
    rebuilt = Commands(tmp_path).luigi(*asked, "--lake-on-stale", "rebuild")
    again = Verbs(tmp_path).stubbed("run", "--date", DAY, "--use-case", LOANS, "--set", "lake.on_stale=rebuild")

    assert (failed.code, refused.code, untouched) == (35, 42, before)
    assert failed.last_error.startswith(
        "BatchInference of 2026-01-14: features of 2026-01-14: wanted a partition that "
    )
    assert last_line(refused).startswith(
        "Error: features of 2026-01-14: wanted a partition that would be built the same now"
    )
    assert (rebuilt.code, "stale" in rebuilt.stderr, len(lake.runs("features"))) == (0, False, len(WINDOW) + 2)
    assert (again.code, again.stdout) == (0, f"nothing to do: predictions of {DAY} is complete\n")


# Values


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("rebuilt", "wanted one of keep, warn, rebuild, fail; found 'rebuilt' (did you mean 'rebuild'?)"),
        ("warn, keep", "wanted DATASET: POLICY behind the first policy; found 'keep'"),
        ("warn, prediction: keep", "found 'prediction' (did you mean 'predictions'?)"),
        ("warn, model: never", "wanted one of keep, warn, rebuild, fail; found 'never'"),
        ("warn, model: keep, model: fail", "wanted one policy for each dataset; found two for model"),
        ("", "wanted one of keep, warn, rebuild, fail; found ''"),
    ],
)
def test_a_value_that_is_no_policy_is_refused(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch, value: str, reason: str
) -> None:
    under(lake, monkeypatch, value)

    with pytest.raises(ConfigurationError) as caught:
        tasks.BatchInference(date=DAY)

    assert str(caught.value).startswith("[lake] on_stale: wanted ")
    assert f"{reason}. Next: correct it, as in on_stale = rebuild, predictions: keep" in str(caught.value)


def test_an_unknown_dataset_is_refused_with_those_that_there_are(
    lake: StubLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    under(lake, monkeypatch, "warn, scores: keep")

    with pytest.raises(
        ConfigurationError, match=r"wanted one of the datasets .*features.*predictions.*; found 'scores'"
    ):
        tasks.BatchInference(date=DAY)


@pytest.mark.parametrize("use_case", [LOANS, CLEANED])
def test_each_stage_names_all_that_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use_case: str) -> None:
    prepare(monkeypatch, tmp_path / "lake", use_case=use_case)
    case = loading.load(use_case)
    for stage in of(case):
        needed = {need.name for need in stage.needs(date(2026, 1, 26), stage(date=DAY).settings)}
        rows = {
            need.rows
            for need in stage.needs(date(2026, 1, 26), stage(date=DAY).settings)
            if isinstance(need, Candidates)
        }

        used = {kind.dataset for kind in expanded(stage.built_from, case) if kind.is_used(stage(date=DAY).settings)}
        found = {name for name in needed | rows if not name.startswith(RAW)}
        assert found <= used
        # Of feeds that another stage reads, and what is needed where [evaluation] required asks for it.
        assert all(name.startswith(CLEAN) or name == "evaluation" for name in used - found)
