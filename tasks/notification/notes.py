"""What a run notes of what goes wrong in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

#: The kinds of causes that no verdict of a stage is; ``spark_lib.notices`` is not imported before there is something to tell.
FAILED, DAMAGED, LATE = "failed", "damaged", "late"


@dataclass(frozen=True)
class Note:
    """What a run has met: ``kind`` of ``subject`` on a day, and ``why``; where ``kind`` is empty, the day was built. ``run``
    is the run that was published then."""

    use_case: str
    lake: str
    subject: str
    date: date
    kind: str = ""
    why: str = ""
    run: str = ""
