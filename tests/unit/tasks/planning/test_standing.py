"""How a lake is looked at for its states: few listings, and no file but where a pinned model may be damaged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date

import pytest

import tasks
from spark_lib.lake.stores.local import LocalStore
from spark_lib.lake.stores.store import Entry
from tasks.cli.place import configured
from tasks.graph.staleness import Cell, Day, State, States
from tasks.planning import standing
from tests.unit.stubs.stublake import StubLake, build
from tests.unit.tasks.conftest import Predicted

DAY, NEXT, MODEL = date(2026, 1, 14), date(2026, 1, 15), date(2026, 1, 12)


@pytest.fixture
def lake(predicted: Predicted) -> StubLake:
    return predicted(DAY, landed=NEXT)


def looked(*datasets: str, first: date = DAY, last: date = DAY) -> States:
    place = configured()
    return standing.look(place.partitions, place.feeds, standing.todays(last), dict.fromkeys(datasets, (first, last)))


def test_a_look_lists_each_dataset_and_each_feed_once(lake: StubLake, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: Counter[str] = Counter()
    listed = LocalStore.list

    def counted(store: LocalStore, prefix: str, first: str = "", last: str = "") -> Iterator[Entry]:
        asked[store.url(prefix).partition(f"{lake.name}/")[2]] += 1
        return listed(store, prefix, first, last)

    monkeypatch.setattr(LocalStore, "list", counted)
    looked("features", "balanced", "model", "selection", "predictions", first=date(2026, 1, 1), last=NEXT)

    datasets = ("features", "balanced", "model", "selection", "predictions")
    assert asked == dict.fromkeys((*datasets, "raw/events", "raw/outcomes"), 1)


def test_a_look_writes_nothing(lake: StubLake) -> None:
    before = lake.written()

    looked("predictions")

    assert lake.written() == before


def test_a_selection_is_damaged_where_the_model_that_it_pins_is(lake: StubLake) -> None:
    lake.damage("model", MODEL)
    lake.delete("predictions", DAY)

    states = looked("predictions", "selection")

    assert states.cell("selection", DAY) == Cell(State.DAMAGED)
    assert states.cell("predictions", DAY) == Cell(State.BLOCKED, because=Day("selection", DAY))


def test_a_model_that_was_trained_again_leaves_a_selection_whole_as_long_as_the_old_files_are_there(
    lake: StubLake,
) -> None:
    old = lake.published("model")[MODEL]
    again = tasks.Training(date=MODEL)
    again.force = True
    build(again)

    whole = looked("selection").cell("selection", DAY)
    next(lake.partition("model", MODEL).glob(f"run={old}/model.onnx")).unlink()
    damaged = looked("selection").cell("selection", DAY)

    assert (whole, damaged) == (Cell(State.DONE), Cell(State.DAMAGED))
