"""Servers that messages are sent to: one of mail and a webhook, which all tests of a worker share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import messages_sent
from tests.support.messages_sent import Receiver


@pytest.fixture(scope="session")
def _webhook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with messages_sent.receiver("webhook", tmp_path_factory.mktemp("webhook")) as server:
        yield server


@pytest.fixture(scope="session")
def _mail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with messages_sent.receiver("smtp", tmp_path_factory.mktemp("smtp")) as server:
        yield server


@pytest.fixture
def webhook(_webhook: Receiver) -> Receiver:
    return _anew(_webhook)


@pytest.fixture
def mail(_mail: Receiver) -> Receiver:
    return _anew(_mail)


def _anew(server: Receiver) -> Receiver:
    if server.process is None:
        server.start()
    server.forget()
    return server
