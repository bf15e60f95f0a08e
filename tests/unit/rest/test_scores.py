"""``GET /scores/{entity}`` and look-ups from Python, on days in a real PostgreSQL and a real Redis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import quote

import pytest

import spark_lib
from spark_lib.lake import Lake
from spark_lib.lookups import Fallback, Lookups
from spark_lib.stages import publication
from spark_lib.targets import Series, Target
from spark_lib.targets.postgres import PostgresTarget
from spark_lib.targets.redis import RedisTarget
from tasks.cli import lookup as of_the_command
from tests.support import postgres, redis
from tests.unit.rest.conftest import Service
from tests.unit.rest.served import CASE, DAY, NEXT_DAY, PROBLEMS, Case, Served

pytestmark = pytest.mark.processes

USE_CASE = "tests.unit.rest.served:Case"
PRIOR = Fallback({"score": 0.125}, date(2026, 2, 23), "abc")


@pytest.fixture(params=["postgres", "redis"])
def target(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    postgres_server: postgres.Server,
    redis_server: redis.Server,
    database: str,
) -> Target:
    if request.param == "postgres":
        return PostgresTarget(postgres_server.conninfo(database))
    monkeypatch.setenv("REDISCLI_AUTH", redis.PASSWORD)
    return RedisTarget(redis_server.url())


def publish(served: Served, target: Target, day: date) -> None:
    series = Series(served.lake.root, CASE, "predictions")
    found = publication.partition(served.lake, "predictions", day)
    target.publish([publication.day(Case(), series, found, served.lake)])


def scores(lake: Lake, target: Target, fallback: Callable[[], Fallback | None] = lambda: None) -> Any:
    return of_the_command.Scores(Lookups(target, lake.root, USE_CASE, Case(), fallback))


@pytest.mark.parametrize("kind", [kind for kind in PROBLEMS if kind != "texts"])
def test_every_published_score_is_what_a_look_up_says(kind: str, lake: Lake, target: Target, service: Service) -> None:
    served = Served(lake, kind)
    served.released()
    publish(served, target, DAY)
    client = service(served, scores=scores(lake, target))
    run = lake.require("predictions", DAY)[0].manifest.run

    by_key = spark_lib.read_arrow(lake.root, USE_CASE, "predictions", DAY).to_pylist()
    assert len(by_key) == 50
    for row in by_key:
        wanted = {
            name: value for name, value in row.items() if name not in ("id", "model_date", "model_digest", "date")
        }
        by_rest = client.get(f"/scores/{row['id']}").json()
        by_python = spark_lib.lookup(lake.root, USE_CASE, target, row["id"])
        assert by_python.values == wanted
        assert by_rest == {
            "entity": {"id": row["id"]},
            "kind": "score",
            "values": wanted,
            "date": str(DAY),
            "model_date": str(row["model_date"]),
            "model_digest": row["model_digest"],
            "run": run,
            "is_stale": False,
        }


def test_a_newer_day_is_said_until_it_is_withdrawn(served: Served, target: Target, service: Service) -> None:
    publish(served, target, DAY)
    served.released(NEXT_DAY, seed=1)
    publish(served, target, NEXT_DAY)
    client = service(served, scores=scores(served.lake, target))

    newest = client.get("/scores/0007").json()
    target.withdraw(Series(served.lake.root, CASE, "predictions"), NEXT_DAY)
    earlier = client.get("/scores/0007").json()

    assert (newest["date"], earlier["date"]) == (str(NEXT_DAY), str(DAY))
    assert newest["values"] != earlier["values"]


def test_the_newest_serving_features_of_an_entity_are_said_beside_its_score(served: Served, target: Target) -> None:
    looking = Lookups(target, served.lake.root, USE_CASE, Case())
    assert looking.serving_features("0007") is None
    found = served.lake.require("features", DAY)[0]
    series = Series(served.lake.root, CASE, "serving_features")
    target.publish([publication.day(Case(), series, found, served.lake)])

    features = looking.serving_features("0007")

    assert features is not None
    assert (features.date, features.run) == (DAY, found.manifest.run)
    row = {
        name: str(value) if name == "rate" and value is not None else value for name, value in features.values.items()
    }
    assert row == served.features_of(DAY)[7]


def test_an_entity_without_a_score_gets_the_fallback_or_404(served: Served, target: Target, service: Service) -> None:
    publish(served, target, DAY)

    with_one = service(served, scores=scores(served.lake, target, lambda: PRIOR)).get("/scores/nobody")
    without = service(served, scores=scores(served.lake, target)).get("/scores/nobody")

    assert (with_one.status_code, with_one.json()) == (
        200,
        {
            "entity": {"id": "nobody"},
            "kind": "fallback",
            "values": {"score": 0.125},
            "date": None,
            "model_date": "2026-02-23",
            "model_digest": "abc",
            "run": None,
            "is_stale": False,
        },
    )
    assert (without.status_code, without.json()) == (404, {"detail": "no score of this entity"})


def test_what_is_no_entity_is_422_whatever_the_server_would_say(
    served: Served, target: Target, service: Service
) -> None:
    publish(served, target, DAY)
    client = service(served, scores=scores(served.lake, target))

    answer = client.get("/scores/C%00")

    assert answer.status_code == 422
    assert "wanted a value of the type string for id" in answer.json()["detail"]
    for odd in ("'; DROP TABLE x; --", "ü 1/2", "%", "a" * 2_000):
        assert client.get(f"/scores/{quote(odd, safe='')}").status_code == 404


@pytest.fixture(
    params=[PostgresTarget("host=127.0.0.1 port=1 dbname=risk user=me"), RedisTarget("redis://127.0.0.1:1/0")]
)
def away(request: pytest.FixtureRequest) -> Target:
    return request.param  # type: ignore[no-any-return]  # pytest does not type it


def test_a_server_that_is_away_is_503_and_named_in_the_log_alone(
    served: Served, away: Target, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    client = service(served, scores=scores(served.lake, away, lambda: PRIOR))

    answer = client.get("/scores/0007")

    assert (answer.status_code, answer.json()) == (
        503,
        {"detail": "scores cannot be looked up now; the log of the service says why"},
    )
    assert answer.headers["retry-after"] == "30"
    assert "127.0.0.1" in caplog.text


@dataclass
class Nothing:
    """A place without scores."""

    def of(self, entity: str) -> None:
        return None


def test_the_description_says_what_a_look_up_answers(served: Served, service: Service) -> None:
    paths = service(served, scores=Nothing()).get("/openapi.json").json()["paths"]

    get = paths["/scores/{entity}"]["get"]
    assert set(get["responses"]) == {"200", "404", "422", "503"}
    answer = get["responses"]["200"]["content"]["application/json"]["schema"]["properties"]
    assert answer["kind"] == {"enum": ["score", "fallback"]}
    assert answer["values"]["properties"]["score"] == {"type": "number"}
    assert "/scores/{entity}" not in service(served).get("/openapi.json").json()["paths"]
