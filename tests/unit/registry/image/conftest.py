"""A registry, and small images."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spark_lib.registry.image.cache import Cache
from spark_lib.registry.image.client import Client
from spark_lib.registry.image.reference import Reference
from tests.support import registry

_NAMES = itertools.count()


@pytest.fixture(scope="session")
def _registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[registry.Server]:
    with registry.server(tmp_path_factory.mktemp("registry")) as server:
        yield server


@pytest.fixture
def images(_registry: registry.Server, monkeypatch: pytest.MonkeyPatch) -> registry.Server:
    """A registry to which this process is known."""
    for name, value in _registry.environment.items():
        monkeypatch.setenv(name, value)
    return _registry


@pytest.fixture
def repository(images: registry.Server) -> Reference:
    """An empty repository."""
    return Reference(images.host, f"team/loans-{next(_NAMES)}")


@pytest.fixture
def client(repository: Reference) -> Client:
    return client_of(repository)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def client_of(repository: Reference, sleep: Callable[[float], object] = lambda seconds: None) -> Client:
    """A client that does not wait between two tries."""
    return Client(repository, True, sleep)
