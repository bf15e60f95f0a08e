"""Ctrl-C stops the process, whatever library is at work."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def kept() -> Iterator[None]:
    """Let no library replace the handler of SIGINT inside the block.

    PySpark's own handler first asks the JVM to cancel its jobs. That fails in the middle of another call to the JVM.
    Luigi then takes the failure for one of the task, and goes on with the next task.
    """
    original = signal.signal

    def all_but_interrupts(number: int, handler: Any) -> Any:
        return signal.getsignal(number) if number == signal.SIGINT else original(number, handler)

    signal.signal = all_but_interrupts  # type: ignore[assignment]  # of a narrower type, until it is put back below
    try:
        yield
    finally:
        signal.signal = original
