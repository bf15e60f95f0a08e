"""Ten days of a shadow, of a canary and of a blue-green release, scored by two real models and published to a real
PostgreSQL and a real Redis, with a way back in the middle, while a reader polls both."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import luigi
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tasks
from spark_lib.lake import Attempt, Lake, Rows, days, tables
from spark_lib.registry.promotions import BLUE_GREEN, CANARY, SHADOW, Step
from spark_lib.scoring import processes
from spark_lib.scoring.share import Share
from spark_lib.targets import Series, Target
from spark_lib.targets.postgres import PostgresTarget
from spark_lib.targets.redis import RedisTarget
from tasks.cli import promote as promoting
from tasks.cli import publish as publishing
from tasks.cli import release as releasing
from tasks.cli.run import Watcher
from tests.support import postgres, redis
from tests.unit.rest.served import CASE, Served, as_arrow, drawn
from tests.unit.stubs.stublake import build, configure

pytestmark = pytest.mark.processes

OLD, NEW = date(2026, 1, 12), date(2026, 1, 19)
DAYS = days(date(2026, 2, 2), date(2026, 2, 11))
FIRST, MIDDLE = DAYS[2], DAYS[6]
ENTITIES = [f"{number:04}" for number in range(120)]
WHY = "new features"
SERIES = Series("production", CASE, "predictions")

#: What is said of an entity: of which day, its score, and the model that gave it.
Said = tuple[str, date, float, str]


@dataclass
class Reader:
    """Asks both targets for an entity after the other, until it is stopped, and notes what they say."""

    targets: Sequence[Target]
    said: set[Said] = field(default_factory=set)
    errors: list[BaseException] = field(default_factory=list)
    asked: int = 0

    @contextmanager
    def polling(self) -> Iterator[Reader]:
        stop = threading.Event()

        def poll() -> None:
            try:
                while not stop.is_set():
                    for target in self.targets:
                        self.ask(target, ENTITIES[self.asked % len(ENTITIES)])
                    self.asked += 1
            except BaseException as error:  # whatever it is, the test fails by it
                self.errors.append(error)

        thread = threading.Thread(target=poll)
        thread.start()
        try:
            yield self
        finally:
            stop.set()
            thread.join()

    def ask(self, target: Target, entity: str) -> None:
        found = target.lookup(SERIES, {"id": entity})
        if found is not None:
            self.said.add((entity, found.date, found.values["score"], found.values["model_digest"]))


@dataclass
class World:
    """A lake with two models and ten days of features, whose days are scored, released and published one by one."""

    served: Served
    targets: list[Target]
    reader: Reader

    @property
    def lake(self) -> Lake:
        return self.served.lake

    def day(self, day: date) -> None:
        built = build(tasks.Daily(date=day), tasks.Release(date=day))
        assert built.status is luigi.LuigiStatusCode.SUCCESS, built.refused
        self.publish(day, day)

    def publish(self, first: date, last: date) -> None:
        report = publishing.publish(first, last, ["db", "cache"], "predictions", Watcher())
        assert not report.errors

    def promote(self, model: date, first: date, strategy: str = "direct", steps: Sequence[Step] = ()) -> None:
        promoting.promote(model, first, WHY, Watcher(), strategy, steps)

    def rows(self, dataset: str, day: date) -> dict[str, tuple[float, str]]:
        """The score of each entity, and the digest of the model that gave it."""
        found: list[dict[str, Any]] = tables.read_arrow(self.lake, dataset, day).to_pylist()
        return {row["id"]: (row["score"], row["model_digest"]) for row in found}

    def held(self) -> dict[str, set[Said]]:
        """What each target says now, of every entity."""
        found = {}
        for target in self.targets:
            reader = Reader([target])
            for entity in ENTITIES:
                reader.ask(target, entity)
            found[type(target).__name__] = reader.said
        return found

    def check(self, allowed: dict[date, list[dict[str, tuple[float, str]]]]) -> None:
        """Whatever was read is what one of the runs of its day says of the entity, and both targets hold the newest."""
        assert not self.reader.errors
        assert self.reader.asked > 10, "the reader had no time"
        for entity, day, *said in self.reader.said:
            assert tuple(said) in [rows[entity] for rows in allowed[day]], (entity, day)
        newest = {(entity, DAYS[-1], *said) for entity, said in allowed[DAYS[-1]][-1].items()}
        assert self.held() == {"PostgresTarget": newest, "RedisTarget": newest}


@pytest.fixture
def world(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    postgres_server: postgres.Server,
    database: str,
    redis_server: redis.Server,
) -> Iterator[World]:
    monkeypatch.setenv("REDISCLI_AUTH", redis.PASSWORD)
    monkeypatch.setenv("PGPASSWORD", postgres.PASSWORD)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    conninfo, url = postgres_server.conninfo(database), redis_server.url()
    root = tmp_path / "lake"
    configure(
        monkeypatch,
        f"[lake]\nroot = {root}\nname = production\non_stale = keep\n[pipeline]\nuse_case = tests.unit.rest.served:Case\n"
        f"[selection]\nmanual_from = {DAYS[0]}\n[training]\ncadence = monthly\n"
        f"[target.db]\nkind = postgres\nconninfo = {conninfo}\n[target.cache]\nkind = redis\nurl = {url}\n",
    )
    served = Served(Lake(str(root), CASE))
    served.train(OLD, seed=0)
    served.train(NEW, seed=1)
    for day in DAYS:
        _features(served, day)
    targets: list[Target] = [PostgresTarget(conninfo), RedisTarget(url)]
    reader = Reader([PostgresTarget(conninfo), RedisTarget(url)])
    world = World(served, targets, reader)
    world.promote(OLD, DAYS[0])
    yield world
    processes.end()


def _features(served: Served, day: date) -> None:
    table = as_arrow(served.problem.features, drawn(served.problem.features, len(ENTITIES), day.toordinal()))
    table = table.add_column(0, "id", pa.array(ENTITIES, pa.string()))
    schema = (("id", "string"), *((name, each.type.lower()) for name, each in served.problem.features.items()))
    with Attempt(served.lake, "features", [day], stage="Test") as attempt:
        Path(attempt.destination).mkdir(parents=True)
        pq.write_table(table, f"{attempt.destination}/part-0.parquet")
        attempt.commit(Rows({"": table.num_rows}, schema))


def by_model(world: World, day: date, model: date) -> set[str]:
    """The entities whose published score is a model's."""
    (trained,) = world.lake.require("model", model)
    digest = trained.manifest.metrics["model_digest"]
    return {entity for entity, (_, of) in world.rows("predictions", day).items() if of == digest}


def test_a_shadow_changes_nothing_that_is_published_and_is_there_to_compare(world: World) -> None:
    allowed = {}
    with world.reader.polling():
        for day in DAYS:
            if day == FIRST:
                world.promote(NEW, FIRST, SHADOW)
            if day == MIDDLE:
                promoting.demote(MIDDLE, "seen enough", Watcher())
            world.day(day)
            allowed[day] = [world.rows("predictions", day)]

    world.check(allowed)
    assert all(by_model(world, day, OLD) == set(ENTITIES) for day in DAYS)
    shadows = world.lake.find("shadow", DAYS[0], DAYS[-1])
    assert sorted(shadows) == [day for day in DAYS if FIRST <= day < MIDDLE]
    assert all(world.rows("shadow", day) != world.rows("predictions", day) for day in shadows)


def test_a_canary_scores_its_entities_and_goes_back_in_the_middle(world: World) -> None:
    steps = [Step(1, 0.1), Step(3, 0.5)]
    allowed = {}
    with world.reader.polling():
        world.promote(NEW, FIRST, CANARY, steps)
        for day in DAYS:
            if day == MIDDLE:  # the two days before are built and published again, too
                before = {again: by_model(world, again, NEW) for again in DAYS[:6]}
                back = DAYS[4]
                promoting.demote(back, "its scores are too high", Watcher(), rebuild=True)
                world.publish(back, DAYS[5])
                for again in DAYS[4:6]:
                    allowed[again].append(world.rows("predictions", again))
            world.day(day)
            allowed[day] = [world.rows("predictions", day)]

    world.check(allowed)
    salt = f"{FIRST}/0001"
    for place, day in enumerate(DAYS[2:6]):
        share = Share(("id",), salt, 0.1 if place < 2 else 0.5)
        assert before[day] == {entity for entity in ENTITIES if share.holds([entity])}
    assert before[DAYS[2]] < before[DAYS[4]], "an entity that is drawn stays drawn"
    assert all(by_model(world, day, OLD) == set(ENTITIES) for day in DAYS[4:])


def test_a_blue_green_release_is_pointed_back_and_on_again(world: World) -> None:
    allowed = {}
    with world.reader.polling():
        for day in DAYS:
            if day == FIRST:
                world.promote(NEW, FIRST, BLUE_GREEN)
            world.day(day)
            allowed[day] = [world.rows("predictions", day)]
            if day == MIDDLE:
                releasing.rollback(day, "its scores are too high", Watcher())
                world.publish(day, day)
                allowed[day].append(world.rows("shadow", day))
                assert {said[2:] for said in world.held()["PostgresTarget"]} == set(world.rows("shadow", day).values())

    world.check(allowed)
    assert all(by_model(world, day, NEW) == set(ENTITIES) for day in DAYS[2:])
    held = PostgresTarget.published(world.targets[0], SERIES, MIDDLE, MIDDLE)  # type: ignore[arg-type]
    assert held == {MIDDLE: world.lake.published_run("shadow", MIDDLE)}
