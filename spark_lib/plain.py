"""Values of rows as JSON has them."""

from __future__ import annotations

import json
import math
from datetime import date, datetime
from decimal import Decimal
from typing import Any


def plain(value: Any) -> Any:
    """A value as JSON has it. Decimals keep their digits, and what is no number of JSON becomes a text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Decimal | date):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {text(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value


def text(value: Any) -> str:
    """A value as a text; an empty one for null."""
    found = plain(value)
    return found if isinstance(found, str) else "" if found is None else json.dumps(found, ensure_ascii=False)


def in_a_line(value: Any) -> str:
    """A value in a line for a person: null as that word, and signs that would leave the line as Python writes them."""
    if value is None:
        return "null"
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text(value))
