"""What a session that runs already can still be asked for."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from spark_lib.errors import ConfigurationError
from spark_lib.lake.feeds.buckets import way
from spark_lib.lake.stores.s3_client import Connection
from spark_lib.lake.stores.s3_settings import Said
from spark_lib.session import s3a, session


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A session of this process that was started for a lake in a directory."""
    spark = SimpleNamespace(sparkContext=SimpleNamespace(_jsc=SimpleNamespace(hadoopConfiguration=dict)))
    monkeypatch.setattr(session, "_started", (os.getpid(), spark))
    monkeypatch.setattr(s3a, "_TOLD", s3a._Told())
    return spark


def test_a_session_that_was_started_without_the_jars_for_s3_refuses_a_place_there(running: SimpleNamespace) -> None:
    assert session.session() is running

    ways = {"partners": way(Connection(Said("http://partners:2", "[lake] endpoint")))}
    for wanted in ({"on_s3": True}, {"ways": ways}):
        with pytest.raises(ConfigurationError) as refused:
            session.session(**wanted)

        assert str(refused.value) == (
            "Spark session: wanted a JVM that was started with the jars for S3; found one that was started without them, for "
            "places that are not on S3. Next: run what reads or writes on S3 by a command of its own"
        )


def test_a_session_of_the_process_before_a_fork_is_refused(
    running: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_started", (os.getpid() + 1, running))

    with pytest.raises(ConfigurationError, match=r"Spark session: wanted .*run with --workers 1"):
        session.session()
