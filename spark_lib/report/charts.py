"""Draws charts as SVG. Lines differ by their dashes and by the words beside them. Colours come from the page's style
sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spark_lib.report.curves import Bin, Curve
from spark_lib.report.markup import Markup, joined, tag
from spark_lib.report.shares import percent, whole_percent

Values = Sequence[float] | np.ndarray

#: The width of every chart; the page scales it.
WIDTH = 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 68, 22, 12, 50
_SQUARE = WIDTH - _LEFT - _RIGHT
_PANEL, _GAP = 130, 22
_CHANCE = "no better than chance"


@dataclass(frozen=True)
class Axis:
    """An axis of proportions from 0 to ``upto``, written in percent."""

    label: str
    upto: float = 1.0

    @property
    def ticks(self) -> list[float]:
        step = _step(self.upto)
        return [number * step for number in range(math.floor(self.upto / step + 1e-9) + 1)]


@dataclass(frozen=True)
class Plot:
    """A frame that places marks by their values."""

    x: Axis
    y: Axis
    height: int = _SQUARE
    top: int = _TOP

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The place of a point; one outside of the frame is moved to its edge."""
        across = min(max(x / self.x.upto, 0), 1)
        up = min(max(y / self.y.upto, 0), 1)
        return _LEFT + across * _SQUARE, self.top + (1 - up) * self.height

    def frame(self, with_x: bool = True) -> Markup:
        """Ticks, grid and the names of the axes."""
        marks: list[Markup] = []
        bottom, right = self.top + self.height, _LEFT + _SQUARE
        for tick in self.y.ticks:
            y = self.at(0, tick)[1]
            marks.append(tag("line", x1=_LEFT, x2=right, y1=y, y2=y, class_="grid"))
            marks.append(tag("text", whole_percent(tick), x=_LEFT - 6, y=y + 4, text_anchor="end"))
        for tick in self.x.ticks:
            x = self.at(tick, 0)[0]
            marks.append(tag("line", x1=x, x2=x, y1=self.top, y2=bottom, class_="grid"))
            if with_x:
                marks.append(tag("text", whole_percent(tick), x=x, y=bottom + 17, text_anchor="middle"))
        middle = self.top + self.height / 2
        turned = f"rotate(-90 13 {middle:.1f})"
        marks.append(tag("text", self.y.label, x=13, y=middle, transform=turned, text_anchor="middle", class_="axis"))
        if with_x:
            centre = _LEFT + _SQUARE / 2
            marks.append(tag("text", self.x.label, x=centre, y=bottom + 40, text_anchor="middle", class_="axis"))
        marks.append(tag("rect", x=_LEFT, y=self.top, width=_SQUARE, height=self.height, class_="frame"))
        return joined(*marks)

    def line(self, x: Values, y: Values, kind: str) -> Markup:
        return tag("polyline", points=self._points(x, y), class_=kind)

    def band(self, curve: Curve) -> Markup:
        there = self._points(curve.grid, curve.high)
        back = self._points(curve.grid[::-1], curve.low[::-1])
        return tag("polygon", points=f"{there} {back}", class_="band")

    def words(self, x: float, y: float, *lines: str, anchor: str = "start") -> Markup:
        """Lines of text, the first at the point."""
        left, top = self.at(x, y)
        return joined(
            *(tag("text", line, x=left, y=top + 17 * number, text_anchor=anchor) for number, line in enumerate(lines))
        )

    def _points(self, x: Values, y: Values) -> str:
        return " ".join(f"{left:.1f},{top:.1f}" for left, top in map(self.at, x, y))


def roc(curve: Curve, area: str, axes: tuple[str, str], description: str) -> Markup:
    plot = Plot(Axis(axes[0]), Axis(axes[1]))
    if np.interp(0.7, curve.x, curve.y) > 0.6:
        words = plot.words(0.97, 0.38, _CHANCE, anchor="end"), plot.words(0.97, 0.05, area, anchor="end")
    else:  # as bad as chance or worse: the curve is where the words would be
        words = plot.words(0.55, 0.64, _CHANCE, anchor="end"), plot.words(0.03, 0.93, area)
    return _figure(
        "roc",
        "ROC curve",
        description,
        plot.height,
        plot.frame(),
        plot.band(curve),
        plot.line((0, 1), (0, 1), "reference"),
        plot.line(curve.x, curve.y, "curve"),
        *words,
    )


def precision_by_recall(curve: Curve, area: str, prevalence: float, axes: tuple[str, str], description: str) -> Markup:
    upto = rounded_up(float(max(curve.y.max(), curve.high.max(), prevalence)))
    plot = Plot(Axis(axes[0]), Axis(axes[1], upto))
    above = prevalence + (0.02 if prevalence < 0.9 * upto else -0.05) * upto
    return _figure(
        "pr",
        "Precision by recall",
        description,
        plot.height,
        plot.frame(),
        plot.band(curve),
        plot.line((0, 1), (prevalence, prevalence), "reference"),
        plot.line(curve.x, curve.y, "curve"),
        plot.words(0.03, above, f"prevalence {percent(prevalence)}"),
        plot.words(0.97, 0.93 * upto, area, anchor="end"),
    )


def reliability(name: str, title: str, bins: Sequence[Bin], axes: tuple[str, str], description: str) -> Markup:
    """Bins as points with intervals, against the diagonal of scores that are probabilities."""
    upto = rounded_up(max(max(found.score, found.high) for found in bins))
    plot = Plot(Axis(axes[0], upto), Axis(axes[1], upto))
    marks = []
    for found in bins:
        x, y = plot.at(found.score, found.share)
        low, high = plot.at(0, found.low)[1], plot.at(0, found.high)[1]
        marks.append(tag("line", x1=x, x2=x, y1=low, y2=high, class_="interval"))
        marks.append(tag("circle", cx=x, cy=y, r=4, class_="point"))
    below = sum(found.share < found.score for found in bins) * 2 > len(bins)
    words = (
        plot.words(0.60 * upto, 0.66 * upto, "scores as probabilities", anchor="end")
        if below
        else plot.words(0.45 * upto, 0.36 * upto, "scores as probabilities")
    )
    line = plot.line((0, upto), (0, upto), "reference")
    return _figure(name, title, description, plot.height, plot.frame(), line, *marks, words)


def histogram(panels: Sequence[tuple[str, Values]], upto: float, axes: tuple[str, str], description: str) -> Markup:
    """One panel above the other, each of proportions in bins of equal width, on the same scale."""
    tallest = rounded_up(max(max(shares) for _, shares in panels))
    drawn: list[Markup] = []
    for number, (words, shares) in enumerate(panels):
        last = number == len(panels) - 1
        plot = Plot(Axis(axes[0], upto), Axis(axes[1], tallest), _PANEL, _TOP + number * (_PANEL + _GAP))
        drawn.append(plot.frame(with_x=last))
        width = upto / len(shares)
        for place, share in enumerate(shares):
            left, top = plot.at(place * width, share)
            right, bottom = plot.at((place + 1) * width, 0)
            if share:
                size = {"width": max(right - left - 1, 0.5), "height": bottom - top}
                drawn.append(tag("rect", x=left + 0.5, y=top, **size, class_=f"bar panel{number}"))
        drawn.append(plot.words(upto * 0.97, tallest * 0.86, words, anchor="end"))
    height = len(panels) * _PANEL + (len(panels) - 1) * _GAP
    return _figure("scores", "Scores by outcome", description, height, *drawn)


def rounded_up(value: float) -> float:
    """The end of an axis that holds a proportion: a whole number of its ticks."""
    if value > 0.8:
        return 1.0
    value = max(value, 0.001)
    step = _step(value)
    return math.ceil(value / step - 1e-9) * step


def _step(upto: float) -> float:
    """The distance of ticks, such that there are three to six of them."""
    power = 10.0 ** math.floor(math.log10(upto))
    return next(step * power for step in (0.2, 0.25, 0.5, 1, 2) if upto / (step * power) <= 6)


def _figure(name: str, title: str, description: str, height: int, *marks: Markup) -> Markup:
    return drawing(name, title, description, (WIDTH, height + _TOP + _BOTTOM), *marks)


def drawing(
    name: str, title: str, description: str, size: tuple[int, int], *marks: Markup, style: str = "chart"
) -> Markup:
    """A chart of ``size``, its width and its height, that says what it shows to those who cannot see it."""
    width, height = size
    return tag(
        "svg",
        tag("title", title, id=f"{name}-title"),
        tag("desc", description, id=f"{name}-desc"),
        *marks,
        id=name,
        role="img",
        viewBox=f"0 0 {width} {height}",
        aria_labelledby=f"{name}-title {name}-desc",
        class_=style,
    )
