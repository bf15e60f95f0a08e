"""Charts over days: a number with its band, and where something changed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from spark_lib.report.charts import drawing
from spark_lib.report.markup import Markup, joined, tag

#: The size of a chart; the page scales it.
WIDTH, HEIGHT = 640, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 18, 30, 34
#: The most dates below a chart, and the least distance of two marks whose words are both written.
_DATES, _APART = 5, 78


@dataclass(frozen=True)
class Point:
    """A value of a day, with the ends of its interval; without one all three are the same."""

    day: date
    value: float
    low: float
    high: float

    @classmethod
    def of(cls, day: date, value: float, ends: Sequence[float] | None) -> Point:
        low, high = ends or (value, value)
        return cls(day, value, low, high)


@dataclass(frozen=True)
class Line:
    """A line of points, oldest first. ``kind`` is the class of its style, ``curve`` or ``reference``, and ``band`` that of its
    intervals: ``band``, or ``band outer`` for one that another is drawn upon."""

    points: Sequence[Point]
    kind: str = "curve"
    band: str = "band"


@dataclass(frozen=True)
class Frame:
    """Places days and values."""

    first: date
    last: date
    low: float
    high: float

    def across(self, day: date) -> float:
        """The distance of a day from the left; that of the middle where there is one day alone."""
        days = (self.last - self.first).days
        share = (day - self.first).days / days if days else 0.5
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

    def down(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return _TOP + (1 - share) * (HEIGHT - _TOP - _BOTTOM)


def over_time(
    name: str,
    title: str,
    lines: Sequence[Line],
    span: tuple[date, date],
    marks: Sequence[tuple[date, str]] = (),
) -> Markup:
    """A chart of ``lines`` from the first to the last day of ``span``, with upright lines at ``marks``, which say what
    changed."""
    values = [value for line in lines for point in line.points for value in (point.low, point.high)]
    low, high, step = _range(min(values), max(values))
    frame = Frame(*span, low, high)
    drawn: list[Markup] = [*_grid(frame, step), *(_band(frame, line) for line in lines)]
    drawn += _marks(frame, marks)
    for line in lines:
        drawn += _line(frame, line)
    first, last = span
    described = f"{title} from {first} to {last}; from {min(values):.4g} to {max(values):.4g} with the intervals."
    return drawing(name, title, described, (WIDTH, HEIGHT), *drawn, style="chart wide")


def _range(low: float, high: float) -> tuple[float, float, float]:
    """The ends of an axis that holds all values, whole numbers of its ticks, and the distance of these."""
    spread = high - low or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(spread))
    step = next(each * power for each in (0.2, 0.25, 0.5, 1, 2, 5, 10) if spread / (each * power) <= 5)
    least, most = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    return (least, most, step) if most > least else (least - step, most + step, step)


def _grid(frame: Frame, step: float) -> Iterator[Markup]:
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
    for number in range(round((frame.high - frame.low) / step) + 1):
        value = frame.low + number * step
        y = frame.down(value)
        yield tag("line", x1=_LEFT, x2=right, y1=y, y2=y, class_="grid")
        yield tag("text", f"{round(value, 9):.4g}", x=_LEFT - 6, y=y + 4, text_anchor="end")
    days = (frame.last - frame.first).days
    count = min(_DATES, days + 1)
    for number in range(count):
        day = frame.first + timedelta(days=round(number * days / max(count - 1, 1)))
        anchor = "start" if number == 0 < days else "end" if number == count - 1 and days else "middle"
        yield tag("text", str(day), x=frame.across(day), y=bottom + 20, text_anchor=anchor)
    yield tag("rect", x=_LEFT, y=_TOP, width=right - _LEFT, height=bottom - _TOP, class_="frame")


def _band(frame: Frame, line: Line) -> Markup:
    """The interval of each day, joined from one day to the next that has one."""
    parts = []
    for run in _runs(line.points):
        high = [f"{frame.across(point.day):.1f},{frame.down(point.high):.1f}" for point in run]
        low = [f"{frame.across(point.day):.1f},{frame.down(point.low):.1f}" for point in reversed(run)]
        parts.append(tag("polygon", points=" ".join([*high, *low]), class_=line.band))
    return joined(*parts)


def _line(frame: Frame, line: Line) -> Iterator[Markup]:
    for run in _runs(line.points):
        placed = [(frame.across(point.day), frame.down(point.value)) for point in run]
        if len(run) > 1:
            yield tag("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in placed), class_=line.kind)
        else:
            ((x, y),) = placed
            top, bottom = frame.down(run[0].high), frame.down(run[0].low)
            yield tag("line", x1=x, x2=x, y1=top, y2=bottom, class_="interval")
            yield tag("circle", cx=x, cy=y, r=3, class_="point")


def _runs(points: Sequence[Point]) -> Iterator[list[Point]]:
    """Points of days without a gap between them. Where days are missing nothing is drawn."""
    run: list[Point] = []
    for point in points:
        if run and (point.day - run[-1].day).days > 1:
            yield run
            run = []
        run.append(point)
    if run:
        yield run


def _marks(frame: Frame, marks: Sequence[tuple[date, str]]) -> Iterator[Markup]:
    written = -math.inf
    for day, words in marks:
        x = frame.across(day)
        yield tag("line", x1=x, x2=x, y1=_TOP, y2=HEIGHT - _BOTTOM, class_="reference")
        if x - written >= _APART:
            written = x
            anchor = "end" if x > WIDTH - _RIGHT - _APART else "start"
            yield tag("text", words, x=x, y=_TOP - 8, text_anchor=anchor)
