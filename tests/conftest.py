"""What holds for every test."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests import s3

# A shell that starts something in the background has it ignore Ctrl-C, and so would every process that a test starts:
# what a user's does is tested here. (Of xdist's workers too, as their own conftest.)
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def versitygw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.Server]:
    with s3.versitygw(tmp_path_factory.mktemp("versitygw")) as server:
        yield server
