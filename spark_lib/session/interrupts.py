"""Ctrl-C stops the process, whatever library is at work."""

from __future__ import annotations

import signal
import threading
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


class _Held:
    """A handler of SIGINT that notes the first and lets the second stop the process."""

    def __init__(self) -> None:
        self.came = False

    def __call__(self, number: int, frame: Any) -> None:
        if self.came:
            raise KeyboardInterrupt
        self.came = True


@contextmanager
def held() -> Iterator[None]:
    """Let Ctrl-C wait for the end of the block, so that what is being published is published. A second one does not
    wait."""
    before = signal.getsignal(signal.SIGINT)
    if (
        before is signal.SIG_IGN
        or isinstance(before, _Held)
        or threading.current_thread() is not threading.main_thread()
    ):
        yield
        return
    holding = _Held()
    signal.signal(signal.SIGINT, holding)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if holding.came:
            raise KeyboardInterrupt
