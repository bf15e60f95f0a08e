"""Luigi's RangeDaily over our stages, without the ways in which it gives up on a whole range."""

from __future__ import annotations

from luigi.tools.range import RangeDailyBase

from spark_lib.errors import ConfigurationError, DamagedPartition
from tasks.parameters import DayParameter, refusal_as_exit_code


def install() -> None:
    """Wrap ``complete`` of Luigi's daily ranges once.

    A damaged day raises in its own ``complete()``, which is right: scheduled, it names itself, and the other days run.
    Asked by the range first, it would fail the range and build nothing. An open end, without the limit in days that
    our defaults take away, would be a hundred years.
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
            if self.start > self.stop:
                raise ConfigurationError(
                    "RangeDaily",
                    f"a --stop (exclusive) after --start {self.start}",
                    f"{self.stop}",
                    "correct one of them",
                )
        try:
            return bool(complete(self))
        except DamagedPartition:
            return False

    RangeDailyBase.complete = complete_of_range  # type: ignore[method-assign, assignment]  # Luigi has no option
    for name, meaning in (("start", "the first day"), ("stop", "the day after the last")):
        parameter = DayParameter(f"--{name}", default=None, description=meaning)
        parameter.__set_name__(RangeDailyBase, name)  # Python's own call comes with a class body only
        setattr(RangeDailyBase, name, parameter)
