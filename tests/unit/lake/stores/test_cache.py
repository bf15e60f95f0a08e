"""Manifests of S3 on disk: what was read once is not fetched again, and nothing wrong is ever believed."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from spark_lib.lake.stores.cache import Cache

URL, BODY = "http://127.0.0.1:1 s3://bucket/lake/_SUCCESS", b'{"format": 1}\n\nmore\n'


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(str(tmp_path / "cache"))


def test_what_is_kept_is_recalled_by_its_etag_alone(cache: Cache) -> None:
    assert cache.recall(URL, "one") is None

    cache.keep(URL, "one", BODY)

    assert cache.recall(URL, "one") == BODY
    assert cache.recall(URL, "two") is None
    assert cache.recall(URL + "x", "one") is None


def test_a_new_version_takes_the_place_of_the_old_one(cache: Cache) -> None:
    cache.keep(URL, "one", BODY)
    cache.keep(URL, "two", b"")

    assert cache.recall(URL, "two") == b""
    assert cache.recall(URL, "one") is None
    assert len([path for path in cache.directory.rglob("*") if path.is_file()]) == 1


@pytest.mark.parametrize("change", [lambda kept: kept[:-1], lambda kept: kept + b"x", lambda kept: b"", bytes.upper])
def test_an_entry_that_is_not_what_was_kept_is_not_there(cache: Cache, change: object) -> None:
    cache.keep(URL, "one", BODY)
    (path,) = [path for path in cache.directory.rglob("*") if path.is_file()]
    assert callable(change)
    path.write_bytes(change(path.read_bytes()))

    assert cache.recall(URL, "one") is None


def test_a_place_that_cannot_be_written_is_said_and_gone_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    cache = Cache(str(tmp_path / "file" / "cache"))

    with caplog.at_level(logging.WARNING, "daystone.lake"):
        cache.keep(URL, "one", BODY)

    assert cache.recall(URL, "one") is None
    assert "cannot keep what was read, so that it is fetched each time: " in caplog.text


def test_it_is_below_the_users_cache_unless_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    assert Cache().directory == tmp_path / "daystone" / "manifests"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Cache().directory == tmp_path / ".cache" / "daystone" / "manifests"
    assert Cache("~/elsewhere").directory == tmp_path / "elsewhere"
