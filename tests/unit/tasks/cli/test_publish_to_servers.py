"""The whole way from a small lake into a real PostgreSQL and a real Redis, and what becomes of their passwords. Real
processes; the stages need no Spark."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from spark_lib.targets import Series, Target
from spark_lib.targets.postgres import PostgresTarget
from spark_lib.targets.redis import RedisTarget
from tests.support import postgres, redis
from tests.support.processes import Commands, Result
from tests.unit.stubs.scored import rows, score
from tests.unit.stubs.stublake import LOANS, prepare
from tests.unit.tasks.conftest import Predicted
from tests.unit.verbs import Verbs, last_line

pytestmark = pytest.mark.processes

DAYS = [date(2026, 1, 14), date(2026, 1, 15)]
DAY = DAYS[0]
#: The name by which the servers know the lake.
SERIES = Series("production", LOANS.replace(":", "."), "predictions")
WRONG = "daystone-wrong-password-77ab"


class World(Verbs):
    """A lake of two days with 2 and 3 rows, and the targets ``db``, ``cache`` and ``watching``."""

    def configure(self, conninfo: str, url: str) -> None:
        (self.home / "luigi.cfg").write_text(
            f"[lake]\nroot = {self.root}\nname = production\n[pipeline]\nuse_case = {LOANS}\n"
            "[publication]\ntargets = db, cache, watching\n"
            f"[target.db]\nkind = postgres\nconninfo = {conninfo}\n"
            f"[target.cache]\nkind = redis\nurl = {url}\n"
            f"[target.watching]\nkind = tests.unit.stubs.watching.Watching\npath = {self.home}/watching\n"
        )

    @property
    def given(self) -> dict[str, str]:
        """The values of the configuration by their keys."""
        lines = (self.home / "luigi.cfg").read_text().splitlines()
        return dict(line.split(" = ", 1) for line in lines if " = " in line)

    def run(self, verb: str, *arguments: object, **environment: str) -> Result:
        given = {"LUIGI_CONFIG_PATH": str(self.home / "luigi.cfg")} | environment
        command = [
            "import sys; from tests.unit.stubs import chain; chain.install(); import run; run.main(sys.argv[1:])"
        ]
        return Commands(self.home).python(*command, verb, *arguments, env=self.environment | given)

    def luigi(self, *arguments: object) -> Result:
        environment = self.environment | {"LUIGI_CONFIG_PATH": str(self.home / "luigi.cfg")}
        return Commands(self.home).luigi("--module", "tests.unit.stubs.quick", *arguments, env=environment)

    def everything(self) -> bytes:
        """All that was written below the home: the lake, logs, pages, and the command lines of processes."""
        return b"".join(file.read_bytes() for file in self.home.rglob("*") if file.is_file())


@pytest.fixture
def world(
    predicted: Predicted,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    postgres_server: postgres.Server,
    database: str,
    redis_server: redis.Server,
) -> World:
    predicted(DAY)
    prepare(monkeypatch, tmp_path / "lake")
    for number, day in enumerate(DAYS, 2):
        score(monkeypatch, day, rows(number, score=number / 10))
    monkeypatch.setenv("REDISCLI_AUTH", redis.PASSWORD)
    world = World(tmp_path)
    world.configure(postgres_server.conninfo(database), redis_server.url())
    return world


@pytest.fixture
def at_servers(world: World) -> list[Target]:
    """The two targets as another program makes them."""
    return [PostgresTarget(world.given["conninfo"]), RedisTarget(world.given["url"])]


def says(target: Target, who: str) -> Any:
    found = target.lookup(SERIES, {"who": who})
    return None if found is None else (found.values["id"], found.values["score"], found.date)


def test_from_predictions_to_look_ups_and_back(world: World, at_servers: list[Target]) -> None:
    published = world.run("publish", "--from", DAYS[0], "--to", DAYS[1])
    newest = [says(target, "who0") for target in at_servers]
    withdrawn = world.run("withdraw", "--date", DAYS[1], "--why", "wrong rows")
    earlier = [says(target, who) for target in at_servers for who in ("who0", "who2")]
    held = world.luigi("Publication", "--date", DAYS[1], "--target", "db")
    again = world.luigi("Publication", "--date", DAYS[0], "--target", "cache")

    assert published.code == 0, published.stderr
    assert published.stdout.splitlines()[:2] == [
        f"db: published predictions of 2 days, {DAYS[0]} to {DAYS[1]} (5 rows)",
        f"cache: published predictions of 2 days, {DAYS[0]} to {DAYS[1]} (5 rows)",
    ]
    assert newest == [("row0", 0.3, DAYS[1])] * 2
    assert withdrawn.code == 0, withdrawn.stderr
    assert earlier == [("row0", 0.2, DAYS[0]), None] * 2
    assert (held.code, again.code) == (30, 0), held.stderr + again.stderr
    assert held.last_error.startswith(
        f"Publication of {DAYS[1]}: predictions of {DAYS[1]}: wanted a run of them that is in force; found held: hold by "
    )
    assert "wrong rows; nothing is in force" in held.last_error


def test_a_server_that_is_away_is_said_by_luigi_and_by_daystone(world: World) -> None:
    world.configure("host=127.0.0.1 port=1 dbname=risk user=me", "redis://127.0.0.1:1/0")

    by_luigi = [world.luigi("Publication", "--date", DAY, "--target", name) for name in ("db", "cache")]
    by_daystone = [world.run("publish", "--date", DAY, "--target", name) for name in ("db", "cache")]

    assert [result.code for result in by_luigi] == [30, 30]
    assert [result.code for result in by_daystone] == [37, 37]
    database = "PostgreSQL 127.0.0.1:1, database risk: wanted a server that lets us in; found "
    assert by_luigi[0].last_error.startswith(f"Publication of {DAY}: {database}")
    assert last_line(by_daystone[0]).startswith(f"Error: {database}")
    assert "Redis 127.0.0.1:1: wanted an answer; found " in by_luigi[1].last_error
    assert "Redis 127.0.0.1:1: wanted an answer; found " in last_line(by_daystone[1])


def test_a_day_that_a_role_may_not_publish_names_the_right(
    world: World, postgres_server: postgres.Server, database: str, redis_server: redis.Server
) -> None:
    role = postgres_server.new_role()
    world.configure(postgres_server.conninfo(database, role), redis_server.url())

    result = world.run("publish", "--date", DAY, "--target", "db", "--target", "cache")

    assert result.code == 37
    assert result.stdout == f"cache: published predictions of {DAY} (2 rows)\n"
    assert "wanted the rights to publish; found permission denied for schema public" in last_line(result)


def test_passwords_are_in_no_log_no_message_no_manifest_no_ledger_and_no_process(
    world: World, postgres_server: postgres.Server, database: str
) -> None:
    results = [
        world.run("publish", "--date", DAY),
        world.run("publish", "--date", DAYS[1], PGPASSWORD=WRONG, REDISCLI_AUTH=WRONG),
        world.run("why", "publication", "--date", DAY, PGPASSWORD=WRONG),
        world.run("doctor"),
        world.luigi("Publication", "--date", DAYS[1], "--target", "db"),
        world.run("withdraw", "--date", DAY, "--why", "wrong rows"),
    ]

    assert [result.code for result in results][:2] == [0, 37]
    assert "password authentication failed" in results[1].stderr
    said = "".join(result.stdout + result.stderr for result in results).encode()
    places = {"messages": said, "files": world.everything(), **stored(world, postgres_server, database)}
    assert b"production" in places["PostgreSQL"] and b"production" in places["Redis"]  # they were looked at
    assert b"publish" in (world.home / "watching.processes").read_bytes()
    for password in (postgres.PASSWORD, redis.PASSWORD, WRONG):
        assert [place for place, content in places.items() if password.encode() in content] == []


def stored(world: World, server: postgres.Server, database: str) -> dict[str, bytes]:
    """All that the two servers hold of ours."""
    import redis as client

    with server.connect(database) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        of_database = b""
        for (name,) in tables.fetchall():
            with connection.cursor().copy(f'COPY "{name}" TO STDOUT') as copy:
                of_database += b"".join(map(bytes, copy))
    there = client.Redis.from_url(world.given["url"], password=redis.PASSWORD)
    of_cache = b"".join(key + (there.dump(key) or b"") for key in there.scan_iter())
    return {"PostgreSQL": of_database, "Redis": of_cache}
