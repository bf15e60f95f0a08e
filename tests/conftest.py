"""What holds for every test."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest

from spark_lib.lake.stores import s3_client
from tests.support import groups, s3
from tests.support.groups import LakeScheduling

# A shell that starts something in the background has it ignore Ctrl-C, and so would every process that a test starts:
# what a user's does is tested here. (Of xdist's workers too, as their own conftest.)
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no reason to fail.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LakeScheduling | None:
    return LakeScheduling(config, log) if config.getvalue("dist") == "loadscope" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        groups.check(item.nodeid.partition("::")[0], set(getattr(item, "fixturenames", ())))


@pytest.fixture(autouse=True)
def _own_connection() -> Iterator[None]:
    """What a test tells this process of S3 ends with the test."""
    before = s3_client.configured()
    yield
    s3_client.use(before)


@pytest.fixture(scope="session")
def feeds_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.Server]:
    """Another server than ``versitygw``, of whoever lands raw feeds, which does not know the keys of that one."""
    with s3.versitygw(tmp_path_factory.mktemp("feeds-server"), access_key="KEYOFFEEDS") as server:
        yield server


@pytest.fixture(scope="session")
def versitygw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.Server]:
    with s3.versitygw(tmp_path_factory.mktemp("versitygw")) as server:
        yield server
