"""On PYTHONPATH, moves Python's clock 400 days ahead, or as many as DAYS_AHEAD says: in the process and in every worker
that it starts.

``datetime`` is changed in place. A class put in its place would not be the one that C code knows: pandas never comes
back from its import.
"""

from __future__ import annotations

import ctypes
import datetime
import gc
import os
import time

_AHEAD = datetime.timedelta(days=float(os.environ.get("DAYS_AHEAD", "400")))
_time, _time_ns, _now = time.time, time.time_ns, datetime.datetime.now


def _later(cls: type, tz: datetime.tzinfo | None = None) -> datetime.datetime:
    return _now(tz) + _AHEAD


time.time = lambda: _time() + _AHEAD.total_seconds()  # datetime.date.today() asks this one
time.time_ns = lambda: _time_ns() + int(_AHEAD.total_seconds()) * 10**9
(_members,) = [found for found in gc.get_referents(datetime.datetime.__dict__) if isinstance(found, dict)]
_members["now"] = classmethod(_later)
_members["today"] = classmethod(lambda cls: _later(cls))
_members["utcnow"] = classmethod(lambda cls: _later(cls, datetime.UTC).replace(tzinfo=None))
ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime.datetime))
