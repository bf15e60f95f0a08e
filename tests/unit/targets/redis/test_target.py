"""What Redis alone has: expiry, eviction, memory, connections."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from spark_lib.errors import ConfigurationError, DaystoneError, PublishError
from spark_lib.targets import Columns, Day
from spark_lib.targets.redis import RedisTarget
from tests.support import redis as servers
from tests.support.s3 import free_port
from tests.unit.targets.days import at, day, latest, rows, series

pytestmark = pytest.mark.processes

OF = series("main")
AGAIN = "check the server, then run again: what is published already is not published twice"


@pytest.fixture
def url(redis_server: servers.Server, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("REDISCLI_AUTH", servers.PASSWORD)
    return redis_server.url()


@pytest.fixture
def client(url: str) -> Any:
    """A client as anybody would make it."""
    import redis

    return redis.Redis.from_url(url, password=servers.PASSWORD)


@pytest.fixture
def where(redis_server: servers.Server) -> str:
    return f"Redis 127.0.0.1:{redis_server.port}"


@pytest.fixture
def configured(client: Any) -> Iterator[Callable[[str, str], None]]:
    """Sets what the server has by CONFIG, until the end of the test."""
    before: dict[str, str] = {}

    def configure(name: str, value: str) -> None:
        before[name] = client.config_get(name)[name]
        client.config_set(name, value)

    yield configure
    for name, value in before.items():
        client.config_set(name, value)


def refusal(kind: type[DaystoneError], call: Callable[[], object]) -> str:
    with pytest.raises(kind) as refused:
        call()
    return str(refused.value)


def test_superseded_rows_expire_after_the_stated_time_and_others_never(url: str, client: Any) -> None:
    target = RedisTarget(url, keep=timedelta(minutes=5))
    target.publish([day(OF, at(0), "run 0", rows(3))])
    before = {key for key in client.scan_iter() if client.type(key) != b"zset"}

    target.publish([day(OF, at(0), "run 1", rows(3))])

    after = {key for key in client.scan_iter() if client.type(key) != b"zset"} - before
    assert len(before) == len(after) == 2
    assert all(0 < client.ttl(key) <= 300 for key in before)
    assert {client.ttl(key) for key in after} == {-1}
    assert client.zcard('daystone:{["main", "credit_risk", "predictions"]}:superseded') == 0


def test_rows_of_a_load_that_was_killed_expire_in_the_end(
    url: str, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = RedisTarget(url)
    monkeypatch.setattr("spark_lib.targets.redis.target._switch", lambda *_: None)
    refusal(PublishError, lambda: target.publish([day(OF, at(0), "run 0", rows(3))]))
    monkeypatch.undo()
    monkeypatch.setenv("REDISCLI_AUTH", servers.PASSWORD)
    (left,) = client.zrange('daystone:{["main", "credit_risk", "predictions"]}:superseded', 0, -1)

    target.publish([day(OF, at(0), "run 1", rows(3))])
    assert client.zrange('daystone:{["main", "credit_risk", "predictions"]}:superseded', 0, -1) == [left]
    client.zadd('daystone:{["main", "credit_risk", "predictions"]}:superseded', {left: 0})
    target.publish([day(OF, at(0), "run 1", rows(3))])

    assert sum(client.ttl(key) > 0 for key in client.scan_iter()) == 2


def test_a_load_whose_rows_were_given_up_meanwhile_is_refused(url: str, client: Any) -> None:
    given = day(OF, at(0), "run 0", rows(3))
    target = RedisTarget(url)
    load = target._load

    def slow(*arguments: Any) -> None:
        load(*arguments)
        client.delete('daystone:{["main", "credit_risk", "predictions"]}:superseded')

    target._load = slow  # type: ignore[method-assign]  # as if another process had come after half a day

    refusal(PublishError, lambda: target.publish([given]))
    assert target.published(OF, at(0), at(0)) == {}


def test_days_that_the_server_has_lost_are_published_again(url: str, client: Any) -> None:
    target = RedisTarget(url)
    target.publish([day(OF, at(0), "run 0", rows(3))])
    client.flushdb()
    assert target.published(OF, at(0), at(0)) == {}

    target.publish([day(OF, at(0), "run 0", rows(3))])

    assert latest(target, OF, 2) == ("a2", 0.5, at(0), "run 0")


def test_a_bucket_is_stored_compactly(url: str, client: Any) -> None:
    RedisTarget(url).publish([day(OF, at(0), "run 0", rows(5_000), batch=1_000)])

    kinds = [client.object("encoding", key) for key in client.scan_iter() if client.type(key) == b"hash"]
    assert len(kinds) == 20 and set(kinds) <= {b"listpack", b"ziplist"}


def test_an_entity_of_several_columns_is_looked_up_by_all_of_them(url: str) -> None:
    columns = Columns(
        (("shop", "string"), ("customer", "bigint"), ("score", "double")), ("shop", "customer"), ("shop", "customer")
    )
    batch = pa.RecordBatch.from_pylist(
        [{"shop": "1", "customer": 11, "score": 0.25}, {"shop": "11", "customer": 1, "score": 0.75}],
        pa.schema([("shop", pa.string()), ("customer", pa.int64()), ("score", pa.float64())]),
    )
    target = RedisTarget(url)
    target.publish([Day(OF, at(0), "run 0", columns, 2, lambda: iter([batch]))])

    found = target.lookup(OF, {"customer": 11, "shop": "1"})

    assert found is not None and found.values == {"shop": "1", "customer": 11, "score": 0.25}
    assert target.lookup(OF, {"customer": 1, "shop": "1"}) is None


def test_many_days_are_looked_back_over(url: str) -> None:
    target = RedisTarget(url)
    target.publish([day(OF, at(offset), f"run {offset}", rows(1, first=offset)) for offset in range(40)])

    assert latest(target, OF, 0) == ("a0", 0.5, at(0), "run 0")
    assert latest(target, OF, 40) is None


def test_a_value_of_another_type_cannot_be_looked_up(url: str) -> None:
    target = RedisTarget(url)
    target.publish([day(OF, at(0), "run 0", rows(1))])

    said = refusal(ConfigurationError, lambda: target.lookup(OF, {"customer": "a customer"}))
    assert said.startswith("look-up of an entity: wanted values of the columns' types; found ")


def test_a_server_that_may_drop_any_key_is_refused(
    url: str, where: str, configured: Callable[[str, str], None]
) -> None:
    target = RedisTarget(url)
    configured("maxmemory-policy", "volatile-lru")
    target.check()
    configured("maxmemory-policy", "allkeys-lru")

    for call in (target.check, lambda: target.publish([day(OF, at(0), "run 0", rows(1))])):
        assert refusal(PublishError, call) == (
            f"{where}: wanted a server that keeps keys without expiry; found the eviction policy allkeys-lru, which may drop "
            "any key. Next: set maxmemory-policy to noeviction or to one of volatile-*, or publish to another server"
        )


def test_a_server_out_of_memory_is_said_and_the_day_stays_as_it_was(
    url: str, where: str, configured: Callable[[str, str], None], client: Any
) -> None:
    target = RedisTarget(url)
    target.publish([day(OF, at(0), "run 0", rows(3))])
    configured("maxmemory", "1")

    said = refusal(PublishError, lambda: target.publish([day(OF, at(0), "run 1", rows(2))]))
    client.config_set("maxmemory", "0")

    assert said == (
        f"{where}: wanted memory at the server; found none left. Next: make room, then run again; the day was not published"
    )
    assert target.published(OF, at(0), at(0)) == {at(0): "run 0"}


def test_a_server_that_is_away_is_said() -> None:
    port = free_port()

    said = refusal(PublishError, RedisTarget(f"redis://127.0.0.1:{port}/0").check)

    assert said.startswith(f"Redis 127.0.0.1:{port}: wanted an answer; found ") and said.endswith(AGAIN)


def test_a_server_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spark_lib.targets.redis.connection._TIMEOUT", 1)
    monkeypatch.setattr("spark_lib.targets.redis.connection._CONNECT_TIMEOUT", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]

        said = refusal(PublishError, RedisTarget(f"redis://127.0.0.1:{port}/0").check)

    assert said.startswith(f"Redis 127.0.0.1:{port}: wanted an answer; found Timeout") and said.endswith(AGAIN)


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    for url in ("redis://user:hunter2@127.0.0.1:6379/0", "redis://127.0.0.1:6379/0?password=hunter2"):
        assert refusal(ConfigurationError, RedisTarget(url).check) == (
            "Redis: wanted a URL without a password; found one with a password. Next: put the password into REDISCLI_AUTH"
        )


@pytest.mark.parametrize("url", ["hunter2", "redis://", "http://127.0.0.1", "redis://127.0.0.1:hunter2/0"])
def test_a_url_that_cannot_be_read_is_not_repeated(url: str) -> None:
    assert refusal(ConfigurationError, RedisTarget(url).check) == (
        "Redis: wanted a URL; found one that cannot be read. Next: write it as in `redis://cache.example:6379/0`"
    )


def test_a_wrong_password_is_not_repeated(url: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDISCLI_AUTH", "hunter2")

    said = refusal(PublishError, RedisTarget(url).check)

    assert said.startswith(f"{where}: wanted a server that lets us in; found ") and "hunter2" not in said
    assert said.endswith("Next: check the user and REDISCLI_AUTH")


def test_without_redis_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)

    assert refusal(ConfigurationError, RedisTarget("redis://127.0.0.1/0").check) == (
        "Redis 127.0.0.1:6379: wanted redis; found import of redis halted; None in sys.modules. Next: install it: pip "
        'install "daystone[redis]"'
    )


def test_a_row_without_an_event_time_is_older_than_one_with(url: str) -> None:
    columns = Columns((("id", "string"), ("customer", "bigint"), ("at", "date")), ("customer",), ("id",), "at")
    batch = pa.RecordBatch.from_pylist(
        [{"id": "b", "customer": 1, "at": None}, {"id": "a", "customer": 1, "at": at(0)}],
        pa.schema([("id", pa.string()), ("customer", pa.int64()), ("at", pa.date32())]),
    )
    target = RedisTarget(url)
    target.publish([Day(OF, at(0), "run 0", columns, 2, lambda: iter([batch]))])

    found = target.lookup(OF, {"customer": 1})

    assert found is not None and found.values["id"] == "a"
