"""What a message says: all that is new, and all that is over, in plain text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from spark_lib.notices.record import Notice

#: The most causes that a message names of each kind; chats cut off what is long.
_NAMED = 20
_LONGEST = 400
FAILURE, SUCCESS, INFO = "failure", "success", "info"


@dataclass(frozen=True)
class Message:
    """``kind`` is one of Apprise's, which colours a chat's message."""

    title: str
    body: str
    kind: str = FAILURE


def of(use_case: str, lake: str, begun: Sequence[Notice], over: Sequence[Notice]) -> Message:
    """The message of a run: the causes that have begun, and those that are over."""
    counts = [f"{len(found)} {word}" for found, word in ((begun, "new"), (over, "over")) if found]
    lines = [*_lines("New:", begun, _of_new), *_lines("Over:", over, _of_over)]
    return Message(
        f"Daystone, {use_case}: {', '.join(counts)}",
        "\n".join([*lines, f"lake: {lake}", f"use case: {use_case}"]),
        FAILURE if begun else SUCCESS,
    )


def test(use_case: str, lake: str) -> Message:
    """What ``daystone notify --test`` sends."""
    return Message(
        f"Daystone, {use_case}: a test",
        f"This address is told when something is wrong.\nlake: {lake}\nuse case: {use_case}",
        INFO,
    )


def _of_new(notice: Notice) -> str:
    return f"{notice.cause}: {notice.why}"


def _of_over(notice: Notice) -> str:
    """There is no next step any more."""
    of, why = notice.cause, notice.why.partition(". Next: ")[0]
    return f"{of.subject} of {of.date}, {of.kind} since {notice.since[:16].replace('T', ' ')} UTC: {why}"


def _lines(heading: str, found: Sequence[Notice], words: Callable[[Notice], str]) -> list[str]:
    if not found:
        return []
    ordered = sorted(found, key=lambda notice: notice.cause)
    named = [f"- {_cut(' '.join(words(notice).split()))}" for notice in ordered[:_NAMED]]
    left = len(ordered) - len(named)
    return [heading, *named, *([f"- and {left:,} more"] if left else []), ""]


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
