"""What happens at the beginning and at the end of every run of Luigi's."""

from __future__ import annotations

import functools
from typing import Any

import luigi

from tasks.graph import behind, met, refused
from tasks.graph.log import logger
from tasks.graph.parameters import refusal_as_exit_code
from tasks.graph.stage import forget_checked
from tasks.planning import consent, stale


def install() -> None:
    """Let every run of Luigi's begin without the memory of an earlier one, ask before it rebuilds much, and end with the
    note on what is stale, as a warning."""
    schedule_and_run = luigi.interface._schedule_and_run
    if hasattr(schedule_and_run, "__wrapped__"):
        return

    @functools.wraps(schedule_and_run)
    def and_say(*given: Any, **more: Any) -> Any:
        met.forget()
        refused.forget()
        try:
            with behind.remembered():
                with refusal_as_exit_code():
                    consent.ask(*given[:1] or (more["tasks"],))
                result = schedule_and_run(*given, **more)
                if words := stale.note():
                    logger.warning(words)
                return result
        finally:
            forget_checked()

    luigi.interface._schedule_and_run = and_say  # Luigi has no event for the beginning and the end of a run
