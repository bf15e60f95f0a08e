"""Moves the time that Python tells, so that what depends on it is found."""

from __future__ import annotations

import datetime
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date as _Date
from datetime import datetime as _Datetime
from typing import Any

#: A date so far away differs in its year, its month, its day of the week and its time of the day.
BY = datetime.timedelta(days=1_000, hours=5, minutes=7, seconds=11)

_TIME = time.time


class _AsBefore(type):
    """The instances of a moved class are those of the class in whose place it stands."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls.__mro__[1])

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(other, cls.__mro__[1])

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        return cls.__mro__[1](*arguments, **named)


class _MovedDatetime(_Datetime, metaclass=_AsBefore):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        return _Datetime.now(tz) + BY

    @classmethod
    def utcnow(cls) -> Any:
        return _Datetime.now(datetime.UTC).replace(tzinfo=None) + BY

    @classmethod
    def today(cls) -> Any:
        return _Datetime.now() + BY  # noqa: DTZ005  (the local time, which the original tells, too)


class _MovedDate(_Date, metaclass=_AsBefore):
    @classmethod
    def today(cls) -> Any:
        return moved_today()


def moved_today() -> datetime.date:
    """The date of today where the clock is moved."""
    return (_Datetime.now() + BY).date()  # noqa: DTZ005  (the local time, which the original tells, too)


def _moved_time() -> float:
    return _TIME() + BY.total_seconds()


@contextmanager
def moved(package: str) -> Iterator[None]:
    """In the block, Python tells a time that is later by ``BY``: to ``package``, which may have imported the names, and
    to all who ask the modules ``datetime`` and ``time`` for them. Python of Spark's workers is not reached."""
    in_place_of = {id(_Datetime): _MovedDatetime, id(_Date): _MovedDate, id(_TIME): _moved_time}
    own = [module for name, module in list(sys.modules.items()) if f"{name}.".startswith(f"{package}.")]
    names = [vars(module) for module in (datetime, time, *own) if module is not None]
    before = [(of, name, value) for of in names for name, value in of.items() if id(value) in in_place_of]
    for of, name, value in before:
        of[name] = in_place_of[id(value)]
    try:
        yield
    finally:
        for of, name, value in before:
            of[name] = value
