"""How long a test waits for something that is sure to come."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep

#: Seconds after which what a test waits for is taken to hang. It is many times what anything takes, because a machine may
#: be busy: no test is about speed.
PATIENCE = 900.0


def until(reached: Callable[[], object], timeout: float = PATIENCE) -> None:
    """Wait until ``reached()``. Raises AssertionError when the time is up."""
    deadline = monotonic() + timeout
    while not reached():
        assert monotonic() < deadline, f"not reached within {timeout:g} s"
        sleep(0.02)
