"""Ctrl-C waits for the end of what is being published, and no longer."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from spark_lib.session import interrupts


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_the_first_waits_for_the_end_of_the_outermost_block() -> None:
    done = []

    def publish() -> None:
        with interrupts.held():
            with interrupts.held():
                press()
                done.append("inner")
            done.append("outer")

    with pytest.raises(KeyboardInterrupt):
        publish()

    assert done == ["inner", "outer"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_one_does_not_wait() -> None:
    done = []

    def publish() -> None:
        with interrupts.held():
            press()
            press()
            done.append("never")

    with pytest.raises(KeyboardInterrupt):
        publish()

    assert done == []


def test_an_error_of_the_block_does_not_lose_it() -> None:
    def publish() -> None:
        with interrupts.held():
            press()
            raise ValueError

    with pytest.raises(KeyboardInterrupt):
        publish()


def test_without_any_the_block_is_as_it_was() -> None:
    with pytest.raises(ValueError, match="its own"), interrupts.held():
        raise ValueError("its own")


def test_a_thread_and_a_process_that_ignores_it_are_left_alone() -> None:
    seen = []

    def look() -> None:
        with interrupts.held():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        look()
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)

    assert seen == [signal.default_int_handler, signal.SIG_IGN]
