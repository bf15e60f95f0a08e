"""Proportions, as text and as bars in the rows of a table."""

from __future__ import annotations

from spark_lib.report.markup import Markup, tag

_BAR = 12
_UNIT = "\N{NO-BREAK SPACE}%"


def bar(share: float) -> Markup:
    """A bar in a row of a table, which has the number beside it."""
    drawn = tag("rect", x=0, y=1, width=100 * min(max(share, 0.0), 1.0), height=_BAR - 2, class_="bar panel0")
    size = {"viewBox": f"0 0 100 {_BAR}", "preserveAspectRatio": "none"}
    return tag("svg", drawn, **size, class_="share", aria_hidden="true", focusable="false")


def percent(value: float) -> str:
    """A proportion in percent, to three digits."""
    digits = f"{100 * value:#.3g}".rstrip(".")
    return f"{digits if value else 0}{_UNIT}"


def whole_percent(value: float) -> str:
    """A proportion that somebody chose, in percent, with no more digits than it has."""
    return f"{round(100 * value, 6):g}{_UNIT}"
