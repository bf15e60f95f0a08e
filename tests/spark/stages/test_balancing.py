"""The training set: labels as of T, sides that no entity crosses, and classes that are equal where they have to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pyspark.sql import SparkSession

from spark_lib.errors import BadData, DamagedPartition, LakeError
from spark_lib.lake import Lake, Partition
from spark_lib.models.training_set import SIDES, TrainingSet
from spark_lib.problems.binary import Binary
from spark_lib.stages import balancing
from spark_lib.use_case import Feed, Label
from tests.spark.lakes import (
    ANY_FILE_ROWS,
    BEFORE,
    CASE,
    DAY,
    SPLIT,
    Chain,
    Parcels,
    arrival,
    balanced_rows,
    break_page,
    featured,
    feed,
    history,
    land_rows,
    many_featured,
    outcomes_of,
    publish,
    publish_features,
)
from tests.support.splitting import by_hand

SECTIONS = ["calibration", "train", "validation/balanced", "validation/unbalanced"]
LATE = Binary("late", ("in time",))
FIRST = DAY - timedelta(days=2)  # the window of these tests is FIRST and BEFORE


def build(spark: SparkSession, root: Path, first: date = FIRST, salt: str = CASE, **settings: Any) -> Partition:
    """The balanced set of DAY, from the features that are there."""
    lake = Lake(str(root), CASE)
    window, outcomes = lake.require("features", first, BEFORE), history(root, first, DAY, "arrivals")
    values = dict(SPLIT) | settings
    return publish(
        lake,
        "balanced",
        DAY,
        lambda url: balancing.build(spark, Parcels(), salt, window, outcomes, values, url, ANY_FILE_ROWS),
    )


def land_window(
    root: Path, rows: Mapping[date, list[dict[str, Any]]], arrivals: Mapping[date, list[dict[str, Any]]], files: int = 1
) -> None:
    for day in (FIRST, BEFORE):
        publish_features(Lake(str(root), CASE), day, rows.get(day, []), files)
    for day in (FIRST, BEFORE, DAY):
        land_rows(root, "arrivals", day, arrivals.get(day, []))


def labels(root: Path | str, *names: str) -> dict[str, int]:
    """The labels of all rows of these sections; by default, of the train split and of the whole validation split."""
    return {
        row["parcel"]: row["label"]
        for name in names or ("train", "calibration", "validation/unbalanced")
        for row in balanced_rows(root, name)
    }


@pytest.fixture(scope="module")
def many(chain: Chain) -> dict[str, list[dict[str, Any]]]:
    return {name: balanced_rows(chain.lake.root, name) for name in SECTIONS}


@pytest.fixture(scope="module")
def truth(chain: Chain) -> pd.DataFrame:
    """The rows of the chain's window, by our own computation."""
    window = [row for partition in chain.window for row in many_featured(partition.date)]
    frame = pd.DataFrame(window).merge(pd.DataFrame(outcomes_of(window[20:])), on="parcel", how="left")
    places = [by_hand(CASE, sender) for sender in frame["sender"]]
    frame["side"] = ["validation" if u >= 0.7 else "calibration" if u >= 0.7 - 0.1 else "train" for u in places]
    return frame


def counted(found: list[dict[str, Any]]) -> tuple[int, int]:
    """Negatives and positives."""
    return sum(row["label"] == 0 for row in found), sum(row["label"] == 1 for row in found)


# -- sections and figures


def test_a_row_is_a_row_of_features_with_the_day_it_landed_and_its_label(chain: Chain, many: Any, truth: Any) -> None:
    assert chain.balanced.manifest.schema == (
        *chain.window[0].manifest.schema,
        ("landed", "date"),
        ("label", "int"),
        ("copy", "int"),
    )
    by_name = {row["parcel"]: row for row in truth.to_dict("records")}
    for row in many["train"] + many["validation/unbalanced"]:
        expected = by_name[row["parcel"]]
        assert row["label"] == int(expected["state"] == "late")
        assert (row["sender"], row["sent"], row["date"]) == (expected["sender"], expected["sent"], DAY)
        assert (row["landed"], row["copy"]) == (row["sent"].date(), 0)


def test_classes_are_equal_in_train_and_in_the_balanced_validation(many: Any, truth: Any) -> None:
    for name, side in (("train", "train"), ("validation/balanced", "validation")):
        negatives, positives = counted(many[name])
        known = truth[(truth["side"] == side) & truth["state"].notna()]
        assert negatives == positives == known["state"].value_counts().min() > 50


@pytest.mark.parametrize(("name", "side"), [("validation/unbalanced", "validation"), ("calibration", "calibration")])
def test_calibration_and_validation_are_every_labelled_row_of_their_side(
    many: Any, truth: Any, name: str, side: str
) -> None:
    expected = truth[(truth["side"] == side) & truth["state"].notna()]
    assert [row["parcel"] for row in many[name]] == sorted(expected["parcel"])
    assert counted(many[name])[1] == (expected["state"] == "late").sum() > 0


def test_no_entity_is_on_two_sides_and_sides_are_what_hashlib_says(many: Any, truth: Any) -> None:
    sections = {"train": "train", "calibration": "calibration", "validation/unbalanced": "validation"}
    for name, side in sections.items():
        on_it = {row["sender"] for row in many[name]}
        assert on_it <= set(truth[truth["side"] == side]["sender"])
        assert on_it.isdisjoint(truth[truth["side"] != side]["sender"])
    assert {row["parcel"] for row in many["validation/balanced"]} < {
        row["parcel"] for row in many["validation/unbalanced"]
    }


def test_the_figures_count_every_row_of_the_window_once(chain: Chain, truth: Any) -> None:
    def classes(side: pd.DataFrame) -> dict[str, int]:
        return {"positive": (side["state"] == "late").sum(), "negative": (side["state"] == "in time").sum()}

    found = chain.balanced.manifest.metrics
    sides = {name: classes(truth[truth["side"] == name]) for name in ("train", "calibration", "validation")}
    drawn = sides["train"]["positive"]
    assert {name: found[name] for name in sides} == sides
    assert (found["labelled"], found["unlabelled"], found["on_two_sides"]) == (truth["state"].notna().sum(), 20, 0)
    assert found["balanced"] == {"positive": drawn, "negative": drawn}
    assert found["weights"] == {"positive": 1.0, "negative": 1.0}
    assert found["prevalences"] == {
        **{name: of["positive"] / sum(of.values()) for name, of in sides.items()},
        "balanced": 0.5,
    }
    by_day = {str(partition.date): [400, 0] for partition in chain.window}
    assert found["by_day"] == by_day | {str(chain.window[0].date): [380, 20]}
    assert list(chain.balanced.manifest.sections) == SECTIONS


def test_the_draw_is_the_same_whatever_the_files_and_the_order_of_the_rows(
    spark: SparkSession, chain: Chain, many: Any, tmp_path: Path
) -> None:
    days = [partition.date for partition in chain.window]
    made = {day: many_featured(day) for day in days}
    for day in days:
        publish_features(Lake(str(tmp_path), CASE), day, made[day][::-1], files=3)
    for day in [*days, DAY]:
        arrivals = outcomes_of([row for of_day in made.values() for row in of_day][20:])[::-1]
        land_rows(tmp_path, "arrivals", day, arrivals if day == DAY else [])
    partitions = spark.conf.get("spark.sql.shuffle.partitions")
    spark.conf.set("spark.sql.shuffle.partitions", 5)
    try:
        again = build(spark, tmp_path, days[0])
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", str(partitions))
    assert again.manifest.digest == chain.balanced.manifest.digest != ""
    assert {name: balanced_rows(tmp_path, name) for name in SECTIONS} == many


def test_another_seed_draws_other_rows_of_the_same_sides(
    spark: SparkSession, tmp_path: Path, chain: Chain, many: Any
) -> None:
    lake = Lake(str(tmp_path), CASE)
    publish(
        lake,
        "balanced",
        DAY,
        lambda url: balancing.build(
            spark, chain.case, CASE, chain.window, chain.outcomes, dict(SPLIT) | {"seed": 1}, url, 100
        ),
    )
    assert balanced_rows(tmp_path, "validation/unbalanced") == many["validation/unbalanced"]
    assert len(balanced_rows(tmp_path, "train")) == len(many["train"])
    assert balanced_rows(tmp_path, "train") != many["train"]
    assert lake.require("balanced", DAY)[0].manifest.digest not in ("", chain.balanced.manifest.digest)
    assert {file.section for file in lake.require("balanced", DAY)[0].manifest.files} == set(SECTIONS)
    assert max(file.rows or 0 for file in lake.require("balanced", DAY)[0].manifest.files) == 100


def test_added_rows_leave_every_entity_on_its_side(spark: SparkSession, tmp_path: Path) -> None:
    few, more = many_featured(FIRST, 60), many_featured(BEFORE, 60)
    sides = []
    for number, window in enumerate(({FIRST: few}, {FIRST: few, BEFORE: more})):
        root = tmp_path / str(number)
        land_window(root, window, {DAY: outcomes_of(few + more)})
        build(spark, root)
        sides.append({row["sender"] for row in balanced_rows(root, "validation/unbalanced")})
        assert {row["sender"] for row in balanced_rows(root, "train")}.isdisjoint(sides[-1])
    assert sides[0] <= sides[1]


def test_another_salt_splits_otherwise(spark: SparkSession, tmp_path: Path) -> None:
    window = many_featured(FIRST, 100)
    land_window(tmp_path, {FIRST: window}, {DAY: outcomes_of(window)})
    build(spark, tmp_path, salt="other")
    expected = {row["parcel"] for row in window if by_hand("other", row["sender"]) >= 0.7}
    assert {row["parcel"] for row in balanced_rows(tmp_path, "validation/unbalanced")} == expected


# -- strategies


def chain_balanced_by(spark: SparkSession, chain: Chain, root: Path, **settings: Any) -> Partition:
    """The chain's window balanced otherwise, in a lake of its own."""
    return publish(
        Lake(str(root), CASE),
        "balanced",
        DAY,
        lambda url: balancing.build(
            spark, chain.case, CASE, chain.window, chain.outcomes, dict(SPLIT) | settings, url, ANY_FILE_ROWS
        ),
    )


@pytest.mark.parametrize(
    ("strategy", "ratio", "rows_left", "weight"),
    [
        ("none", 1.0, lambda few, many: (few, many), 1.0),
        ("class_weight", 0.8, lambda few, many: (few, many), None),
        ("undersample", 0.8, lambda few, many: (few, round(few / 0.8)), 1.0),
        ("oversample", 0.8, lambda few, many: (round(many * 0.8), many), 1.0),
        ("smote", 0.8, lambda few, many: (round(many * 0.8), many), 1.0),
    ],
)
def test_each_strategy_balances_the_training_rows_alone_to_the_ratio_that_is_wanted(
    spark: SparkSession,
    chain: Chain,
    many: Any,
    tmp_path: Path,
    strategy: str,
    ratio: float,
    rows_left: Callable[[int, int], tuple[int, int]],
    weight: float | None,
) -> None:
    partition = chain_balanced_by(spark, chain, tmp_path, balancing=strategy, target_ratio=ratio)
    figures = partition.manifest.metrics
    few, lots = figures["train"]["positive"], figures["train"]["negative"]
    assert few < lots
    negatives, positives = counted(balanced_rows(tmp_path, "train"))
    assert (positives, negatives) == rows_left(few, lots)
    assert figures["balanced"] == {"positive": positives, "negative": negatives}
    assert figures["weights"] == {
        "positive": round(lots * ratio / few * 1024) / 1024 if weight is None else weight,
        "negative": 1.0,
    }
    for name in ("calibration", "validation/unbalanced", "validation/balanced"):
        assert balanced_rows(tmp_path, name) == many[name]


def test_an_oversampled_row_is_repeated_as_often_as_every_other_or_once_more(
    spark: SparkSession, chain: Chain, tmp_path: Path
) -> None:
    figures = chain_balanced_by(spark, chain, tmp_path, balancing="oversample").manifest.metrics
    each, rest = divmod(figures["train"]["negative"], figures["train"]["positive"])
    found = pd.DataFrame(balanced_rows(tmp_path, "train"))
    times = found[found["label"] == 1].groupby("parcel")["copy"].agg(["size", "max"])
    assert (times["size"] == times["max"] + 1).all()
    assert times["size"].value_counts().to_dict() == {each: len(times) - rest, each + 1: rest}
    assert found.drop(columns="copy").drop_duplicates()["parcel"].is_unique
    assert found[found["label"] == 0]["copy"].eq(0).all()


def test_synthetic_rows_are_marked_and_lie_between_rows_of_the_training_split(
    spark: SparkSession, chain: Chain, tmp_path: Path
) -> None:
    chain_balanced_by(spark, chain, tmp_path, balancing="smote")
    found = pd.DataFrame(balanced_rows(tmp_path, "train"))
    landed, made = found[found["copy"] == 0], found[found["copy"] > 0]
    assert set(made["label"]) == {1}
    assert set(made["parcel"]) <= set(landed[landed["label"] == 1]["parcel"])
    assert made["weight"].min() >= landed["weight"].min()
    assert made["weight"].max() <= landed["weight"].max()
    assert (made["earlier"] == made["earlier"].round()).all()
    assert len(made[~made["weight"].isin(landed["weight"])]) > len(made) / 2


def test_a_window_that_has_the_ratio_already_is_left_as_it_is(
    spark: SparkSession, chain: Chain, tmp_path: Path
) -> None:
    figures = chain_balanced_by(spark, chain, tmp_path, balancing="undersample", target_ratio=0.01).manifest.metrics
    assert figures["balanced"] == figures["train"]


def test_a_split_by_time_trains_on_the_first_days_and_validates_on_the_last(
    spark: SparkSession, chain: Chain, tmp_path: Path
) -> None:
    class Unrelated(Parcels):
        entity = "parcel"

    settings = dict(SPLIT) | {
        "split": "time",
        "train_validation_split_proportion": 0.6,
        "calibration_proportion": 0.3,
    }
    publish(
        Lake(str(tmp_path), CASE),
        "balanced",
        DAY,
        lambda url: balancing.build(
            spark, Unrelated(), CASE, chain.window, chain.outcomes, settings, url, ANY_FILE_ROWS
        ),
    )
    first, second, third = (partition.date for partition in chain.window)
    assert {name: {row["landed"] for row in balanced_rows(tmp_path, name)} for name in SECTIONS} == {
        "train": {first},
        "calibration": {second},
        "validation/unbalanced": {third},
        "validation/balanced": {third},
    }


# -- labels in time


def test_the_latest_outcome_that_landed_by_the_training_date_counts(spark: SparkSession, tmp_path: Path) -> None:
    window = [featured(name, sender=f"S{number}") for number, name in enumerate(["p1", "p2", "p3", "p4"])]
    land_window(
        tmp_path,
        {FIRST: window},
        {
            FIRST: [arrival("p1", "in time"), arrival("p2", "late"), arrival("p3", "late")],
            BEFORE: [arrival("p1", "late"), arrival("p9", "late")],
            DAY: [arrival("p2", "in time")],
        },
    )
    land_rows(tmp_path, "arrivals", DAY + timedelta(days=1), [arrival("p3", "in time"), arrival("p4", "late")])
    partition = build(spark, tmp_path)
    metrics = partition.manifest.metrics
    assert (metrics["labelled"], metrics["unlabelled"]) == (3, 1)
    assert metrics["train"]["positive"] + metrics["validation"]["positive"] == 2  # p1 and p3
    assert labels(tmp_path, "validation/unbalanced").items() <= {"p1": 1, "p2": 0, "p3": 1}.items()


def test_rows_without_an_outcome_are_counted_and_taken_for_neither(spark: SparkSession, tmp_path: Path) -> None:
    window = many_featured(FIRST, 50)
    land_window(tmp_path, {FIRST: window}, {DAY: outcomes_of(window[:30])})
    metrics = build(spark, tmp_path).manifest.metrics
    assert (metrics["labelled"], metrics["unlabelled"]) == (30, 20)
    assert labels(tmp_path).keys() <= {row["parcel"] for row in window[:30]}


def test_a_window_without_rows_gives_empty_sections(spark: SparkSession, tmp_path: Path) -> None:
    land_window(tmp_path, {}, {})
    partition = build(spark, tmp_path)
    nothing = {"positive": 0, "negative": 0}
    found = partition.manifest.metrics
    assert {name: found[name] for name in (*SIDES, "balanced")} == dict.fromkeys((*SIDES, "balanced"), nothing)
    assert set(found["prevalences"].values()) == {None}
    assert (found["labelled"], found["unlabelled"], found["by_day"]) == (0, 0, {})
    assert [balanced_rows(tmp_path, name) for name in SECTIONS] == [[], [], [], []]


def test_one_class_leaves_train_empty_and_is_inconclusive(spark: SparkSession, tmp_path: Path) -> None:
    window = many_featured(FIRST, 50)
    land_window(tmp_path, {FIRST: window}, {DAY: [arrival(row["parcel"], "in time") for row in window]})
    metrics = build(spark, tmp_path).manifest.metrics
    assert balanced_rows(tmp_path, "validation/balanced") == []
    assert len(balanced_rows(tmp_path, "train")) == metrics["train"]["negative"]
    assert len(balanced_rows(tmp_path, "validation/unbalanced")) == metrics["validation"]["negative"]
    assert LATE.too_few(TrainingSet.of(metrics), SIDES, {"min_positives": 0}) == (
        f"one class: no positive among the {metrics['train']['negative']} labelled rows of the train split"
    )


# -- what is refused


def refusal(spark: SparkSession, root: Path) -> str:
    with pytest.raises(BadData) as caught:
        build(spark, root)
    return str(caught.value)


def test_an_outcome_outside_its_set_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    window = [featured("p1"), featured("p2")]
    land_window(tmp_path, {FIRST: window}, {BEFORE: [arrival("p1", "lost")], DAY: [arrival("p2", "early")]})
    assert refusal(spark, tmp_path) == (
        "raw feed arrivals of 2026-03-09: wanted 'state' to be one of 'late', 'in time'; found 'lost'. "
        "Next: land the day again, or add the value to the label's `allowed`"
    )


def test_a_key_on_two_days_of_the_window_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    land_window(tmp_path, {FIRST: [featured("p1"), featured("p2")], BEFORE: [featured("p2")]}, {DAY: [arrival("p1")]})
    assert refusal(spark, tmp_path) == (
        "raw feed parcels: wanted each 'parcel' on one day of the window; found 'p2' on 2026-03-08, 2026-03-09. "
        "Next: land the day again without the rows that landed before"
    )


@pytest.mark.parametrize("missing", ["parcel", "state"])
def test_a_null_among_the_outcomes_is_refused(spark: SparkSession, tmp_path: Path, missing: str) -> None:
    land_window(tmp_path, {FIRST: [featured("p1")]}, {BEFORE: [arrival("p1"), arrival("p2") | {missing: None}]})
    assert refusal(spark, tmp_path) == (
        f"raw feed arrivals of 2026-03-09: {feed(tmp_path, 'arrivals').directory(BEFORE)}: wanted no null in {missing!r}; "
        "found 1 of 2 rows. Next: land the day again, then run again"
    )


def test_two_outcomes_of_a_key_on_one_day_are_refused(spark: SparkSession, tmp_path: Path) -> None:
    land_window(tmp_path, {FIRST: [featured("p1")]}, {DAY: [arrival("p1", "late"), arrival("p1", "in time")]})
    assert "wanted each 'parcel' once; found 1 rows too many, as 'p1' 2 times." in refusal(spark, tmp_path)


def test_features_of_other_columns_on_two_days_are_refused(spark: SparkSession, tmp_path: Path) -> None:
    land_window(tmp_path, {FIRST: [featured("p1")]}, {})
    lake = Lake(str(tmp_path), CASE)
    other = publish_features(Lake(str(tmp_path / "other"), CASE), BEFORE, [], weight="float")
    with pytest.raises(LakeError, match=r"features of 2026-03-08 and 2026-03-09: wanted one schema"):
        balancing.build(
            spark,
            Parcels(),
            CASE,
            [*lake.require("features", FIRST), other],
            history(tmp_path, FIRST, DAY, "arrivals"),
            SPLIT,
            str(tmp_path / "out"),
            ANY_FILE_ROWS,
        )


def test_a_broken_page_of_the_features_is_damage(spark: SparkSession, tmp_path: Path) -> None:
    land_window(tmp_path, {FIRST: [featured("p1")]}, {DAY: [arrival("p1")]})
    (broken,) = Lake(str(tmp_path), CASE).require("features", FIRST)[0].files()
    break_page(broken)
    with pytest.raises(DamagedPartition) as caught:
        build(spark, tmp_path)
    assert caught.value.where == broken


def test_the_feed_of_outcomes_may_have_a_key_of_its_own(spark: SparkSession, tmp_path: Path) -> None:
    class Scanned(Parcels):
        feeds = dict(Parcels.feeds) | {"scans": Feed("scan STRING, of STRING, state STRING", key="scan")}
        label = Label(feed="scans", key="of", column="state", positive="late", allowed=("late", "in time"))

    features = publish_features(Lake(str(tmp_path), CASE), BEFORE, [featured("p1"), featured("p2"), featured("p3")])
    scans = {
        BEFORE: [("s8", "p3", "late"), ("s9", "p1", "in time")],
        # The day on which it landed goes before its key, and on one day the greatest key counts.
        DAY: [("s1", "p1", "late"), ("s3", "p2", "late"), ("s2", "p2", "in time")],
    }
    for day, landed in scans.items():
        fields = [dict(zip(("scan", "of", "state"), scan, strict=True)) for scan in landed]
        land_rows(tmp_path, "scans", day, fields, Scanned())
    outcomes = history(tmp_path, BEFORE, DAY, "scans")
    written = balancing.build(spark, Scanned(), CASE, [features], outcomes, SPLIT, str(tmp_path / "out"), ANY_FILE_ROWS)
    figures = written.metrics
    assert figures["train"]["positive"] + figures["validation"]["positive"] == figures["labelled"] == 3
