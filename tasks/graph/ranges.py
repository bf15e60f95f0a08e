"""Makes Luigi's RangeDaily work on our stages, so that one damaged or stale day does not stop a whole range."""

from __future__ import annotations

from typing import Any

import luigi
from luigi.tools.range import RangeDailyBase

from spark_lib.errors import ConfigurationError, DamagedPartition, StalePartition
from tasks.config import check, luigi_settings, resolve
from tasks.graph.parameters import DayParameter, refusal_as_exit_code


def install() -> None:
    """Wrap ``complete`` of Luigi's daily ranges once, and check the configuration before it makes one.

    A damaged day, or a stale one under ``on_stale = fail``, raises in its own ``complete()``. Where the range asks it, the
    range would fail and build nothing. So the range takes the day for incomplete: once the day is scheduled, it reports
    its own error, and the other days run.

    An open end is refused. Our defaults take away Luigi's limit in days, so such a range would have a hundred years.
    """
    if isinstance(RangeDailyBase.start, DayParameter):
        return
    complete = RangeDailyBase.complete

    def complete_of_range(self: RangeDailyBase) -> bool:
        with refusal_as_exit_code():
            if self.start is None or self.stop is None:
                raise ConfigurationError(
                    "RangeDaily",
                    "both --start and --stop (exclusive)",
                    "an open end",
                    "give both: luigi --module tasks RangeDaily --of BatchInference --start 2026-03-01 --stop 2026-03-11",
                )
            if self.start >= self.stop:
                raise ConfigurationError(
                    "RangeDaily",
                    f"a --stop (exclusive) after --start {self.start}",
                    f"{self.stop}",
                    "correct one of them",
                )
        try:
            return bool(complete(self))
        except (DamagedPartition, StalePartition):
            return False

    get_values = RangeDailyBase.get_param_values.__func__  # type: ignore[attr-defined]  # of a class method

    def checked_values(cls: type[RangeDailyBase], params: Any, args: Any, kwargs: Any) -> Any:
        with refusal_as_exit_code():
            check.configuration_files()
            luigi_settings.check()
            _check_types(cls, params)
        return get_values(cls, params, args, kwargs)

    RangeDailyBase.get_param_values = classmethod(checked_values)  # type: ignore[assignment]  # Luigi has no option
    RangeDailyBase.complete = complete_of_range  # type: ignore[method-assign, assignment]  # Luigi has no option
    for name, meaning in (("start", "the first day"), ("stop", "the day after the last")):
        parameter = DayParameter(f"--{name}", default=None, description=meaning)
        parameter.__set_name__(RangeDailyBase, name)  # Python's own call comes with a class body only
        setattr(RangeDailyBase, name, parameter)


def _check_types(ranges: type[RangeDailyBase], params: list[tuple[str, luigi.Parameter[Any]]]) -> None:
    """Raise ConfigurationError for a value of a file that is not of its type: Luigi would end with a traceback."""
    for name, parameter in params:
        text = resolve.in_files(ranges.get_task_family(), name)
        if text is not None:
            resolve.parsed(parameter, f"[{ranges.get_task_family()}] {name}", text)
