"""Point-in-time, as properties: of hundreds of drawn histories, what may not matter to a day changes nothing of it.

Features are of an entity alone, so that a history and its twins, the same but for what may not matter, go through one
build as entities of their own. A training set is of everybody: each twin has a lake of its own. A property that cannot
fail proves nothing: each has to fail once a defect is planted.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from spark_lib.lake import Lake, Partition, RawDays, Rows
from spark_lib.learning import resampling
from spark_lib.stages import balancing, features
from spark_lib.use_case import UseCase
from spark_lib.use_cases.credit_risk import CreditRisk
from tests.spark.histories import (
    FILES,
    HISTORIES,
    LATER,
    NOT_EARLIER,
    REORDERED,
    TRAINING,
    WINDOW,
    History,
    Row,
    day_of,
    drawn,
    land_outcomes_of,
    land_rows_of,
)
from tests.spark.lakes import ANY_FILE_ROWS, CASE, SPLIT, Parcels, history, publish
from tests.spark.leaks import a_day_too_far, the_first_one_counts, ties_count


@pytest.fixture(scope="module")
def histories() -> list[History]:
    return drawn()


def test_the_histories_that_are_drawn_hold_what_may_go_wrong(histories: list[History]) -> None:
    """Otherwise the properties would prove little."""
    on_day = [(found.one, row) for found in histories for row in found.others]
    rows = [row for found in histories for row in found.rows().values()]
    nasty = {
        "a tie": [row for one, row in on_day if row.at == one.at],
        "a tie that landed before": [row for one, row in on_day if row.at == one.at and row.landed < 0],
        "a microsecond earlier": [row for one, row in on_day if one.at - row.at == timedelta(microseconds=1)],
        "an event after its landing": [row for row in rows if row.at > timedelta(days=row.landed, hours=12)],
        "an event of long before": [row for row in rows if row.at < timedelta(days=row.landed - 30)],
        "earlier, landed later": [row for found in histories for row in found.later_instead if row.at < found.one.at],
        "no amount": [row for row in rows if row.amount is None],
        "NaN": [row for row in rows if row.amount != row.amount],
        "many rows": [found for found in histories if len(found.rows()) > 5],
        "an outcome on T": [row for row in rows if TRAINING in row.outcomes],
        "an outcome on the next day": [row for row in rows if TRAINING + 1 in row.outcomes_instead],
        "an outcome before the row": [row for row in rows if min(row.outcomes, default=9) < row.landed],
        "two outcomes that differ": [row for row in rows if len(set(row.outcomes.values())) == 2],
        "no outcome": [row for row in rows if not row.outcomes],
    }
    assert {name: len(found) for name, found in nasty.items() if len(found) < 5} == {}


def features_of(spark: SparkSession, root: Path, case: UseCase, offset: int = 0) -> Partition:
    raw = {case.rows: history(root, day_of(-3), day_of(offset), case.rows)}
    lake = Lake(str(root), CASE)
    return publish(lake, "features", day_of(offset), lambda url: features.build(spark, case, raw, url, ANY_FILE_ROWS))


def as_it_came(rows: list[dict[str, Any]]) -> None:
    """The order of the histories."""


# -- features

Found = Mapping[str, Mapping[str, str]]


def features_of_twins(spark: SparkSession, root: Path, case: UseCase, histories: list[History]) -> Found:
    """The features of ``DAY`` in words, by entity and key: of each history, and of its twins."""
    entities = {f"{n:03}": found.rows() for n, found in enumerate(histories)}
    for name in (LATER, NOT_EARLIER, REORDERED):
        entities |= {f"{n:03} {name}": found.twin(name) for n, found in enumerate(histories)}

    def reorder(rows: list[dict[str, Any]]) -> None:
        """Those of the one twin, among themselves, and away from each other: the day's rows are in several files."""
        places = [n for n, row in enumerate(rows) if row[case.entity].endswith(REORDERED)]
        shuffled = [rows[n] for n in places]
        random.Random(0).shuffle(shuffled)
        for place, row in zip(places, shuffled, strict=True):
            rows[place] = row

    land_rows_of(root, case, entities, reorder)
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for file in features_of(spark, root, case).files():
        for row in pq.read_table(file, partitioning=None).to_pylist():
            key = row[case.key].partition(": ")[2]
            found[row[case.entity]][key] = str({name: row[name] for name in case.features})
    return found


def check_twins(histories: list[History], found: Found, name: str) -> None:
    """Raise AssertionError with the shortest of the histories whose twin has other features."""
    differing = []
    for n, one in enumerate(histories):
        own, other = found[f"{n:03}"], found[f"{n:03} {name}"]
        keys = ["one"] if name == NOT_EARLIER else sorted(own)
        pairs = {key: (own[key], other.get(key)) for key in keys if own[key] != other.get(key)}
        if pairs or (name != NOT_EARLIER and own.keys() != other.keys()):
            differing.append((len(one.rows()) + len(one.twin(name)), n, pairs))
    if differing:
        _, n, pairs = min(differing)
        raise AssertionError(
            "\n".join(
                [
                    f"{len(differing)} of {len(histories)} histories have other features once {name!r} rows change. Of",
                    *(f"    {key}: {row}" for key, row in histories[n].rows().items()),
                    "and of",
                    *(f"    {key}: {row}" for key, row in histories[n].twin(name).items()),
                    "there are",
                    *(f"    {key}: {own}\n    {' ' * len(key)}  {other}" for key, (own, other) in pairs.items()),
                ]
            )
        )


@pytest.fixture(scope="module", params=[CreditRisk, Parcels])
def found(
    request: pytest.FixtureRequest,
    spark: SparkSession,
    histories: list[History],
    tmp_path_factory: pytest.TempPathFactory,
) -> Found:
    return features_of_twins(spark, tmp_path_factory.mktemp("twins"), request.param(), histories)


def test_rows_that_land_after_a_day_change_no_feature_of_it(histories: list[History], found: Found) -> None:
    check_twins(histories, found, LATER)


def test_rows_that_are_not_earlier_in_time_change_no_feature_of_a_row(histories: list[History], found: Found) -> None:
    check_twins(histories, found, NOT_EARLIER)


def test_the_order_of_a_days_rows_changes_no_feature(histories: list[History], found: Found) -> None:
    check_twins(histories, found, REORDERED)


@pytest.mark.parametrize(
    ("plant", "name"), [(a_day_too_far, LATER), (ties_count, NOT_EARLIER), (the_first_one_counts, REORDERED)]
)
def test_each_property_of_features_fails_once_its_defect_is_planted(
    spark: SparkSession,
    tmp_path: Path,
    histories: list[History],
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
    name: str,
) -> None:
    plant(monkeypatch)
    planted = features_of_twins(spark, tmp_path, CreditRisk(), histories)

    with pytest.raises(AssertionError, match=rf"^\d+ of {HISTORIES} histories have other features"):
        check_twins(histories, planted, name)


# -- training sets


@dataclass(frozen=True)
class TrainingSet:
    """What a training set is made of."""

    case: UseCase
    window: Sequence[Partition]
    outcomes: Path

    def landed(self) -> RawDays:
        """Read anew, as often as the set is built."""
        return history(self.outcomes, day_of(WINDOW[0]), day_of(TRAINING), self.case.label.feed)


def land_window(
    spark: SparkSession, root: Path, case: UseCase, entities: Mapping[str, Mapping[str, Row]]
) -> TrainingSet:
    """A lake with what landed, and with the features of the window."""
    land_rows_of(root, case, entities, as_it_came)
    land_outcomes_of(root, case, entities, as_it_came)
    return TrainingSet(case, [features_of(spark, root, case, offset) for offset in WINDOW], root)


def reordered(original: TrainingSet, root: Path, entities: Mapping[str, Mapping[str, Row]]) -> TrainingSet:
    """The same outcomes landed in another order, and the same features, as the order of raw rows does not change them, in
    other files and another order."""
    shuffle = random.Random(1).shuffle
    land_outcomes_of(root, original.case, entities, shuffle)
    lake = Lake(str(root), CASE)
    return replace(original, window=[rewritten(lake, day, shuffle) for day in original.window], outcomes=root)


def rewritten(lake: Lake, day: Partition, order: Callable[[list[int]], None]) -> Partition:
    rows = pa.concat_tables([pq.read_table(file, partitioning=None) for file in day.files()])
    places = list(range(rows.num_rows))
    order(places)

    def build(url: str) -> Rows:
        Path(url).mkdir(parents=True)
        for number in range(FILES):
            pq.write_table(rows.take(places[number::FILES]), f"{url}/part-{number}.parquet")
        return Rows({"": rows.num_rows}, day.manifest.schema)

    return publish(lake, "features", day.date, build)


def built(spark: SparkSession, lake: TrainingSet, url: Path, strategy: str) -> dict[str, Any]:
    """The sections of a training set, their rows sorted, and the figures."""
    wanted = dict(SPLIT) | {"balancing": strategy}
    written = balancing.build(spark, lake.case, CASE, lake.window, lake.landed(), wanted, str(url), ANY_FILE_ROWS)
    found = {name: sorted(map(str, pq.read_table(url / name).to_pylist())) for name in written.observed}
    return found | {"figures": written.metrics}


def check_equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    """Raise AssertionError with the figures and the first rows that differ between two training sets."""
    differing = []
    for name, found in one.items():
        if name == "figures":
            pairs = {figure: (value, other[name][figure]) for figure, value in found.items()}
            differing += [f"{figure}: {own}, then {its}" for figure, (own, its) in pairs.items() if own != its]
        else:
            differing += [f"{name} no more: {row}" for row in sorted(set(found) - set(other[name]))[:3]]
            differing += [f"{name} instead: {row}" for row in sorted(set(other[name]) - set(found))[:3]]
    assert one == other, "\n".join(["two training sets differ:", *differing])


Lakes = Mapping[str, TrainingSet]


@pytest.fixture(scope="module", params=[CreditRisk, Parcels])
def lakes(
    request: pytest.FixtureRequest,
    spark: SparkSession,
    histories: list[History],
    tmp_path_factory: pytest.TempPathFactory,
) -> Lakes:
    case, root = request.param(), tmp_path_factory.mktemp("training sets")
    entities, later = ({str(n): found.twin(of) for n, found in enumerate(histories)} for of in (REORDERED, LATER))
    original = land_window(spark, root / "original", case, entities)
    return {
        "original": original,
        LATER: land_window(spark, root / LATER, case, later),
        REORDERED: reordered(original, root / REORDERED, entities),
    }


def test_neither_what_lands_after_the_training_date_nor_the_order_of_rows_changes_a_training_set(
    spark: SparkSession, lakes: Lakes, tmp_path: Path
) -> None:
    strategy = "oversample" if isinstance(lakes["original"].case, Parcels) else "undersample"
    found, later, shuffled = (built(spark, lake, tmp_path / name, strategy) for name, lake in lakes.items())

    assert min(len(rows) for name, rows in found.items() if name != "figures") > 10
    assert found["figures"]["balanced"] != found["figures"]["train"]
    assert found["figures"]["unlabelled"] > 10
    check_equal(found, later)
    check_equal(found, shuffled)


def whichever_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are drawn in the order in which they are read."""
    monkeypatch.setattr(resampling, "drawn", lambda frame, key, size, seed: frame.limit(size))


@pytest.mark.parametrize("lakes", [CreditRisk], indirect=True)
@pytest.mark.parametrize(("plant", "name"), [(a_day_too_far, LATER), (whichever_come_first, REORDERED)])
def test_each_property_of_training_sets_fails_once_its_defect_is_planted(
    spark: SparkSession,
    lakes: Lakes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
    name: str,
) -> None:
    plant(monkeypatch)
    found, twin = (built(spark, lakes[of], tmp_path / of, "undersample") for of in ("original", name))

    with pytest.raises(AssertionError, match=r"^two training sets differ"):
        check_equal(found, twin)
