"""Says on which day each row of a table lands: on the date in one of its columns, or on one that a hash draws."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from spark_lib.errors import ConfigurationError
from spark_lib.frames.landing.tables import DATED
from spark_lib.use_case.keys import Key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa

#: The days that a row may land on. Others are slips or signs for "never", and would make landings of thousands of days.
FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2199, 12, 31)
_ZERO = date(1970, 1, 1)  # Arrow and SQL count days from here
_BITS = 52  # of SHA-256, as many as the split of a training set takes: 13 hexadecimal digits


@dataclass(frozen=True)
class ByColumn:
    """Each row lands on the day of its value in ``column``: a DATE, or a TIMESTAMP by its day in UTC.

    A column that the feed does not declare says the day and does not land.
    """

    column: str

    def check(self, columns: Mapping[str, str]) -> None:
        """Raise ConfigurationError where the feed declares the column with a type that has no dates."""
        kind = columns.get(self.column, DATED[0])
        if kind not in DATED:
            dated = [name for name, kind in columns.items() if kind in DATED]
            raise ConfigurationError(
                f"--by {self.column}",
                f"a column of type DATE or TIMESTAMP{', as ' + ', '.join(dated) if dated else ''}",
                f"type {kind}",
                "name another column, or draw the days with --spread FROM..TO --seed N",
            )

    def of(self, rows: pa.RecordBatch, key: Key) -> pa.Array:
        """The day of each row, as date32 [n], null where the column is."""
        import pyarrow as pa

        return rows[self.column].cast(pa.date32(), safe=False)

    def span(self, days: pa.Array) -> tuple[date, date] | None:
        """The first and the last day that rows land on; None where there are no rows."""
        import pyarrow.compute as pc

        found = pc.min_max(days).as_py()
        return (found["min"], found["max"]) if len(days) else None


@dataclass(frozen=True)
class Spread:
    """Each row lands on a day of ``[first, last]`` that depends on ``seed`` and the row's key alone.

    Its number is floor(u * days), where u in [0, 1) is the first 52 bits of SHA-256(seed ":" key), over 2^52. Of a
    key of several columns the JSON array of their texts is hashed.
    """

    first: date
    last: date
    seed: int

    def check(self, columns: Mapping[str, str]) -> None:
        """Raise ConfigurationError where the first day is after the last."""
        if self.first > self.last:
            raise ConfigurationError(
                f"--spread {self.first}..{self.last}",
                "a first day that is not after the last",
                f"{self.first} after {self.last}",
                "swap them",
            )

    def of(self, rows: pa.RecordBatch, key: Key) -> pa.Array:
        """The day of each row, as date32 [n]."""
        import pyarrow as pa

        days, prefix = (self.last - self.first).days + 1, f"{self.seed}:".encode()
        drawn = (
            int(hashlib.sha256(prefix + text).hexdigest()[: _BITS // 4], 16) * days >> _BITS
            for text in _hashed(rows, key)
        )
        first = (self.first - _ZERO).days
        return pa.array([first + number for number in drawn], pa.int32()).cast(pa.date32())

    def span(self, days: pa.Array) -> tuple[date, date]:
        """The first and the last day, whatever rows there are."""
        return self.first, self.last


def _hashed(rows: pa.RecordBatch, key: Key) -> Iterable[bytes]:
    """What is hashed of each row's key."""
    if isinstance(key, str):
        found: list[bytes] = _as_bytes(rows[key]).to_pylist()
        return found
    texts = ([text.decode(errors="surrogateescape") for text in _as_bytes(rows[name]).to_pylist()] for name in key)
    return (
        json.dumps(of_row, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogateescape")
        for of_row in zip(*texts, strict=True)
    )


def _as_bytes(keys: pa.Array) -> pa.Array:
    """Keys as text in UTF-8: whole numbers in digits, without leading zeros."""
    import pyarrow as pa

    return keys if pa.types.is_binary(keys.type) else keys.cast(pa.string()).cast(pa.binary())
