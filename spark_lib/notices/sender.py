"""The process that sends a message; ``sending`` starts it as a script. It imports nothing of Daystone.

It reads one JSON object, ``{"urls": [...], "title": .., "body": .., "kind": ..}``, and says of each address, as soon as it
knows, ``PLACE sent``, ``PLACE refused``, ``PLACE invalid`` or ``PLACE missing``, a line each. A status of HTTP follows
``refused`` where there is one. An address itself is never printed.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from collections.abc import Mapping
from types import ModuleType
from typing import Any

_STATUS = re.compile(r"error=(\d{3})\b")
_alone = threading.Lock()


class _Statuses(logging.Handler):
    """Remembers the last status of HTTP that each thread logs; Apprise gives it in no other way."""

    def __init__(self) -> None:
        super().__init__()
        self.of: dict[int, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        found = _STATUS.search(record.getMessage())
        if found and record.thread is not None:
            self.of[record.thread] = found[1]


def _say(place: int, words: str) -> None:
    with _alone:
        sys.stdout.write(f"{place} {words}\n")
        sys.stdout.flush()


def _send(apprise: ModuleType, place: int, url: str, asked: Mapping[str, Any], statuses: _Statuses) -> None:
    try:
        service = apprise.Apprise.instantiate(url, suppress_exceptions=True)
        if service is None:
            _say(place, "invalid")
            return
        is_sent = service.notify(
            body=asked["body"], title=asked["title"], notify_type=apprise.NotifyType(asked["kind"])
        )
    except Exception as error:  # a plugin's; its words may hold the address
        _say(place, f"refused {type(error).__name__}")
        return
    status = statuses.of.get(threading.get_ident(), "")
    _say(place, "sent" if is_sent else f"refused status {status}" if status else "refused")


def main() -> None:
    asked = json.load(sys.stdin)
    try:
        import apprise
    except ModuleNotFoundError:
        for place in range(len(asked["urls"])):
            _say(place, "missing")
        return
    statuses = _Statuses()
    logging.getLogger("apprise").addHandler(statuses)
    threads = [
        threading.Thread(target=_send, args=(apprise, place, url, asked, statuses))
        for place, url in enumerate(asked["urls"])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
