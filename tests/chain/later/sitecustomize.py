"""On PYTHONPATH, moves Python's clock 400 days ahead: in the process and in every worker that it starts."""

from __future__ import annotations

import datetime
import time

_AHEAD = datetime.timedelta(days=400)
_time, _time_ns, _datetime, _date = time.time, time.time_ns, datetime.datetime, datetime.date


class _Later(type):
    """Objects that C code makes are of the original classes, and count as instances of these."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls.__mro__[1])

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, cls.__mro__[1])


class _LaterDatetime(_datetime, metaclass=_Later):
    @classmethod
    def now(cls, tz=None):
        return _datetime.now(tz) + _AHEAD

    @classmethod
    def utcnow(cls):
        return _datetime.utcnow() + _AHEAD

    @classmethod
    def today(cls):
        return _datetime.today() + _AHEAD


class _LaterDate(_date, metaclass=_Later):
    @classmethod
    def today(cls):
        return _date.today() + _AHEAD


time.time = lambda: _time() + _AHEAD.total_seconds()
time.time_ns = lambda: _time_ns() + int(_AHEAD.total_seconds()) * 10**9
datetime.datetime, datetime.date = _LaterDatetime, _LaterDate
