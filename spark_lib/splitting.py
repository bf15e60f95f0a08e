"""Which side of a split an entity is on: a pure function of its name, so that it never moves when rows are added."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column

_BITS = 52  # of SHA-256, as many as a double holds exactly: 13 hexadecimal digits


def unit_interval(salt: str, entity: str) -> Column:
    """``u`` in [0, 1): the first 52 bits of SHA-256(salt ":" entity), over 2^52. ``entity`` names a column."""
    from pyspark.sql import functions as F

    digest = F.sha2(F.concat(F.lit(f"{salt}:"), F.col(entity).cast("string")), 256)
    return F.conv(F.substring(digest, 1, _BITS // 4), 16, 10).cast("bigint") / F.lit(2**_BITS)


def is_validation(salt: str, entity: str, train_proportion: float) -> Column:
    """Whether a row's entity validates (u >= p) or is trained on (u < p)."""
    return unit_interval(salt, entity) >= train_proportion
