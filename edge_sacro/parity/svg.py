"""Plots as SVG text, drawn here so that a device needs no plotting package and a page no other file.

Series differ in colour (Okabe-Ito palette, which colour-blind readers tell apart), in the shape of their marks and in
the dashes of their lines. Text and axes take the page's colour, so that light and dark pages both read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
DASHES = ("", "7 4", "2 3", "9 3 2 3", "12 4", "4 2")

WIDTH, HEIGHT = 720, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 84, 16, 34, 52
_LEGEND_COLUMNS, _LEGEND_STEP = 3, 19

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Series:
    """Points of one contender, as marks or as a line.

    Attributes:
        name: in the legend.
        points: x and y in the axes' units.
        labels: what a mark says when it is pointed at; empty or one for each point.
        line: join the points and draw no marks.
    """

    name: str
    points: Points
    labels: Sequence[str] = ()
    line: bool = False


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        label: with the unit.
        low, high: its ends; for a logarithmic one above 0.
        log: decades in place of steps.
        names: names of the positions 0, 1, 2 …, in place of numbers.
    """

    label: str
    low: float
    high: float
    log: bool = False
    names: Sequence[str] = ()

    def fraction(self, value: float) -> float:
        """Where a value stands between the ends, 0 to 1; values beyond stand at the ends."""
        low, high, value = (
            (math.log10(v) for v in (self.low, self.high, max(value, self.low)))
            if self.log
            else (self.low, self.high, value)
        )
        return min(max((value - low) / (high - low), 0.0), 1.0)

    def ticks(self) -> list[tuple[float, str]]:
        """Values to mark, each with its text."""
        if self.names:
            return [(float(index), name) for index, name in enumerate(self.names)]
        if self.log:
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            every = max(1, math.ceil((last - first + 1) / 8))
            return [(10.0**power, f"1e{power}") for power in range(first, last + 1, every)]
        step = nice_step((self.high - self.low) / 6)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [(index * step, f"{index * step:.6g}") for index in range(first, last + 1)]


@dataclass(frozen=True)
class Plot:
    """One plot.

    Attributes:
        title: what it shows, for readers that see no picture too.
        x, y: its axes.
        series: what is drawn, in the order of the legend.
        bands: stretches of the x axis that are shaded, each with its text.
        verticals: x values with a line and a text.
        horizontals: y values with a dashed line and a text: limits.
    """

    title: str
    x: Axis
    y: Axis
    series: Sequence[Series]
    bands: Sequence[tuple[float, float]] = ()
    verticals: Sequence[tuple[float, str]] = ()
    horizontals: Sequence[tuple[float, str]] = field(default=())


def nice_step(rough: float) -> float:
    """The next of 1, 2, 5 times a power of ten, from ``rough`` up; ``rough`` above 0."""
    power = 10.0 ** math.floor(math.log10(rough))
    return float(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9)))


def svg_from_plot(plot: Plot) -> str:
    """The plot as one ``<svg>`` element that refers to nothing outside itself."""

    def across(value: float) -> float:
        return _LEFT + plot.x.fraction(value) * (WIDTH - _LEFT - _RIGHT)

    def up(value: float) -> float:
        return HEIGHT - _BOTTOM - plot.y.fraction(value) * (HEIGHT - _TOP - _BOTTOM)

    above = _LEGEND_STEP * (_legend_rows(plot.series) - 1)
    box = f"0 {-above} {WIDTH} {HEIGHT + above}"
    parts = [
        f'<svg class="plot" viewBox="{box}" role="img" aria-label="{escape(plot.title)}">',
        f"<title>{escape(plot.title)}</title>",
        *_grid(plot, across, up),
        *_guides(plot, across, up),
    ]
    for index, series in enumerate(plot.series):
        places = [(across(x), up(y)) for x, y in series.points]
        parts += _line(places, index) if series.line else _marks(places, series.labels, index)
    return "\n".join([*parts, *_legend(plot.series), "</svg>"])


Scale = Callable[[float], float]


def _grid(plot: Plot, across: Scale, up: Scale) -> list[str]:
    bottom, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    parts = []
    for value, text in plot.x.ticks():
        x = across(value)
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{bottom}"/>')
        parts.append(_text(x, bottom + 17, text, "middle"))
    for value, text in plot.y.ticks():
        y = up(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>')
        parts.append(_text(_LEFT - 7, y + 4, text, "end"))
    middle = (_TOP + bottom) / 2
    parts.append(_text((_LEFT + right) / 2, HEIGHT - 12, plot.x.label, "middle"))
    turned = f'transform="rotate(-90 16 {middle})"'
    parts.append(f'<text x="16" y="{middle}" text-anchor="middle" {turned}>{escape(plot.y.label)}</text>')
    parts.append(f'<rect class="frame" x="{_LEFT}" y="{_TOP}" width="{right - _LEFT}" height="{bottom - _TOP}"/>')
    return parts


def _guides(plot: Plot, across: Scale, up: Scale) -> list[str]:
    """Shaded bands, cut-offs and limits."""
    bottom = HEIGHT - _BOTTOM
    parts = []
    for low, high in plot.bands:
        x, end = across(low), across(high)
        parts.append(f'<rect class="band" x="{x:.1f}" y="{_TOP}" width="{end - x:.1f}" height="{bottom - _TOP}"/>')
    for index, (value, text) in enumerate(plot.verticals):
        x = across(value)
        anchor, off = ("end", -5) if x > WIDTH / 2 else ("start", 5)
        parts.append(f'<line class="cutoff" x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{bottom}"/>')
        parts.append(_text(x + off, _TOP + 15 + 15 * index, text, anchor))
    written: list[float] = []
    for value, text in plot.horizontals:
        y = up(value)
        parts.append(f'<line class="limit" x1="{_LEFT}" y1="{y:.1f}" x2="{WIDTH - _RIGHT}" y2="{y:.1f}"/>')
        if all(abs(y - other) > 13 for other in written):
            parts.append(_text(_LEFT + 6, y - 4, text, "start"))
            written.append(y)
    return parts


def _line(places: Points, index: int) -> list[str]:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dash = f' stroke-dasharray="{DASHES[index % len(DASHES)]}"' if DASHES[index % len(DASHES)] else ""
    return [f'<polyline class="line" points="{points}" stroke="{COLOURS[index % len(COLOURS)]}"{dash}/>']


def _marks(places: Points, labels: Sequence[str], index: int) -> list[str]:
    titles = [f"<title>{escape(label)}</title>" for label in labels] or [""] * len(places)
    return [
        f'<path class="mark" d="{_shape(x, y, index)}" fill="{COLOURS[index % len(COLOURS)]}">{title}</path>'
        for (x, y), title in zip(places, titles, strict=True)
    ]


_CORNERS = (
    ((-1, -1), (1, -1), (1, 1), (-1, 1)),
    ((0, -1.2), (1.1, 0.9), (-1.1, 0.9)),
    ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
    ((0, 1.2), (1.1, -0.9), (-1.1, -0.9)),
    ((-1.2, -0.4), (1.2, -0.4), (1.2, 0.4), (-1.2, 0.4)),
)
"""A square, a triangle, a diamond, a triangle on its head and a bar; the first shape is a circle."""


def _shape(x: float, y: float, index: int, r: float = 4.5) -> str:
    """The mark of a series round a place."""
    kind = index % (len(_CORNERS) + 1)
    if kind == 0:
        return f"M{x - r:.1f},{y:.1f}a{r},{r} 0 1,0 {2 * r},0a{r},{r} 0 1,0 {-2 * r},0z"
    return "M" + "L".join(f"{x + r * dx:.1f},{y + r * dy:.1f}" for dx, dy in _CORNERS[kind - 1]) + "z"


def _legend(all_series: Sequence[Series]) -> list[str]:
    """One entry a series, in rows above the frame."""
    parts, rows = [], _legend_rows(all_series)
    for index, series in enumerate(all_series):
        row, column = divmod(index, _LEGEND_COLUMNS)
        x = _LEFT + column * (WIDTH - _LEFT - _RIGHT) / _LEGEND_COLUMNS
        y = _TOP - 16 - _LEGEND_STEP * (rows - 1 - row)
        parts += _line([(x, y), (x + 26, y)], index) if series.line else _marks([(x + 13, y)], (), index)
        parts.append(_text(x + 32, y + 4, series.name, "start"))
    return parts


def _legend_rows(all_series: Sequence[Series]) -> int:
    return max(math.ceil(len(all_series) / _LEGEND_COLUMNS), 1)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
