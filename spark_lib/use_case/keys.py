"""Keys: one column, or several that are unique together."""

from __future__ import annotations

from typing import Any

#: The name of a column, or the names of two or more.
Key = str | tuple[str, ...]


def names(key: Key) -> tuple[str, ...]:
    """The columns of a key."""
    return (key,) if isinstance(key, str) else key


def value(row: Any, key: Key) -> Any:
    """The value of a key in a row, for a message: that of its column, or a tuple of those of several."""
    return row[key] if isinstance(key, str) else tuple(row[name] for name in key)
