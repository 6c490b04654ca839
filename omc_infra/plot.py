"""Small line plots as SVG text, without a library: for metadata of a run and for pages of a bench."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH, HEIGHT, MARGIN = 360, 90, 6


def caption(title: str, values: Sequence[float]) -> str:
    """Return the plot in words: its lowest, highest and last value."""
    return f"{title}: lowest {_short(min(values))}, highest {_short(max(values))}, last {_short(values[-1])}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.4g}"


def svg_line(values: Sequence[float], *, from_zero: bool = False, bounds: tuple[float, float] | None = None) -> str:
    """Draw two or more values in order, oldest left.

    Args:
        values: What to draw.
        from_zero: Whether the height begins at zero rather than at the lowest value.
        bounds: Lowest and highest value of the height, for what has a scale of its own, as a score in [0, 1] has.

    Returns:
        SVG text. Values that are all equal are a line in the middle, where nothing else says where they belong.
    """
    low, high = bounds or (min([0.0, *values] if from_zero else values), max(values))
    if low == high:
        low, high = low - 0.5, high + 0.5
    span = high - low
    step = (WIDTH - 2 * MARGIN) / (len(values) - 1)
    points = " ".join(
        f"{MARGIN + i * step:.1f},{HEIGHT - MARGIN - (value - low) / span * (HEIGHT - 2 * MARGIN):.1f}" for i, value in enumerate(values)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">'
        f'<rect width="100%" height="100%" fill="#f6f8fa"/>'
        f'<polyline points="{points}" fill="none" stroke="#2f6fdb" stroke-width="1.5"/></svg>'
    )
