"""Sends a message to addresses of Apprise, in a process of its own: so it is bounded in time whatever a server does, and what
libraries print or log of an address reaches no log. The addresses go to that process by its standard input.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from spark_lib.errors import NotNotified
from spark_lib.notices.message import Message

_SENDER = Path(__file__).with_name("sender.py")
#: Not taken by a server: what the sender says of an address, in words.
_FOUND = {
    "refused": "it was refused, or nobody answered",
    "invalid": "no address that Apprise understands",
    "missing": "no package apprise",
}
_NEXT = {
    "refused": "try the server, and look whether the address is still right (daystone notify --test)",
    "invalid": "correct it: https://github.com/caronc/apprise has the form of each",
    "missing": 'pip install "daystone[notify]"',
}


def send(message: Message, urls: Sequence[str], names: Sequence[str], seconds: float) -> dict[str, NotNotified | None]:
    """Send a message to all addresses at once. Returns, by the ``names`` of the addresses, None where one has taken it, or
    the error that says why not. An address that has not taken it after so many seconds is given up."""
    asked = json.dumps({"urls": list(urls)} | asdict(message))
    # -P keeps the directory of the script, which is this one, from being searched for modules.
    with subprocess.Popen(
        [sys.executable, "-P", str(_SENDER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as sender:
        silence = "no word of the process that sends"
        try:
            said, _ = sender.communicate(asked, timeout=seconds)
        except subprocess.TimeoutExpired:
            silence = f"no answer within {seconds:g} s"
            sender.kill()
            said, _ = sender.communicate()
    answers = dict(line.split(" ", 1) for line in said.splitlines() if " " in line)
    return {name: _error(name, answers.get(str(place), ""), silence) for place, name in enumerate(names)}


def _error(name: str, answer: str, silence: str) -> NotNotified | None:
    """Why an address did not take the message; None where it did."""
    if answer == "sent":
        return None
    word, _, detail = answer.partition(" ")
    found = _FOUND.get(word, silence) + (f" ({detail})" if detail else "")
    next_step = _NEXT.get(word, "try the server, or raise [notify] timeout_seconds")
    return NotNotified(name, "to send a message", found, next_step)
