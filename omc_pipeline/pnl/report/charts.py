"""Geometry of the sheet's charts: series into SVG paths, ticks and hover strips. Paths stretch with the page, so labels are not in them.

A chart library was looked for first (2026-11-23): pygal brings styles, scripts and setuptools of its own, leather had its last release
in 2023; neither follows the reader's light or dark colours or keeps its labels legible at the width of a phone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import date
from typing import NamedTuple

WIDTH, HEIGHT = 1000, 300
MOST_STRIPS = 240


class Tick(NamedTuple):
    """A label and where it stands, in per cent of the axis from the left or the top."""

    at: float
    label: str


class Strip(NamedTuple):
    """A part of the width that answers the pointer with a line of text; in units of the view box."""

    x: float
    width: float
    text: str


class Chart(NamedTuple):
    """A drawn chart: paths in a view box of 1000 by 300, ticks in per cent."""

    lines: Sequence[str]
    area: str
    zero: float
    rows: Sequence[Tick]
    columns: Sequence[Tick]
    strips: Sequence[Strip]


def draw(series: Sequence[Sequence[float]], days: Sequence[date], label: Callable[[float], str], texts: Sequence[str]) -> Chart:
    """Draw series that start at 0 and then have one value a day; the first one is filled down to 0.

    Args:
        series: Each of one value a day.
        days: In order; as many.
        label: Writes a value on the vertical axis.
        texts: What the pointer is told, one a day.
    """
    low, high, steps = scale(min(map(min, series)), max(map(max, series)))
    lines = [_path([0.0, *values], low, high) for values in series]
    zero = _y(0.0, low, high)
    return Chart(
        lines=lines,
        area=f"{lines[0]}L{WIDTH},{zero:.1f}L0,{zero:.1f}Z",
        zero=zero,
        rows=[Tick(_y(step, low, high) / HEIGHT * 100, label(step)) for step in steps],
        columns=_dates(days),
        strips=_strips(texts),
    )


def scale(low: float, high: float) -> tuple[float, float, list[float]]:
    """Return round bounds around values and 0, and the four to seven round steps between them."""
    low, high = min(low, 0.0), max(high, 0.0)
    rough = (high - low) / 5 or 0.2
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    return first * step, last * step, [number * step for number in range(first, last + 1)]


def _path(values: Sequence[float], low: float, high: float) -> str:
    last = len(values) - 1
    return "M" + "L".join(f"{place / last * WIDTH:.1f},{_y(value, low, high):.1f}" for place, value in enumerate(values))


def _y(value: float, low: float, high: float) -> float:
    return (high - value) / (high - low) * HEIGHT


def _dates(days: Sequence[date], most: int = 6) -> list[Tick]:
    """Return at most six days, evenly spread; the years are written where they differ."""
    step = max(1, math.ceil(len(days) / most))
    shown = [days[place] for place in range(0, len(days), step)]
    spans_years = (days[-1] - days[0]).days > 400
    labels = [f"{day:%b %Y}" if spans_years else f"{day.day} {day:%b}" for day in shown]
    return [Tick((number * step + 1) / len(days) * 100, label) for number, label in enumerate(labels)]


def _strips(texts: Sequence[str]) -> list[Strip]:
    """Return strips side by side, each with the text of its last day; many days share one."""
    each = max(1, math.ceil(len(texts) / MOST_STRIPS))
    width = WIDTH / len(texts)
    starts = range(0, len(texts), each)
    return [Strip(start * width, width * len(texts[start : start + each]), texts[min(start + each, len(texts)) - 1]) for start in starts]
