"""Small plots in the metadata of a run, where a person looks: an SVG line in Markdown, no library and no file."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

import dagster as dg

WIDTH, HEIGHT, MARGIN = 360, 90, 6


def line_plot(title: str, values: Sequence[float]) -> dg.MarkdownMetadataValue:
    """Draw values in order, oldest left, with the lowest, highest and last in words; fewer than two give words only."""
    if len(values) < 2:
        return dg.MetadataValue.md(f"{title}: {len(values)} point(s), nothing to draw yet")
    caption = f"{title}: lowest {min(values):,.6g}, highest {max(values):,.6g}, last {values[-1]:,.6g}"
    encoded = base64.b64encode(_svg(values).encode()).decode()
    return dg.MetadataValue.md(f"{escape(caption)}\n\n![{escape(caption)}](data:image/svg+xml;base64,{encoded})")


def _svg(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    step = (WIDTH - 2 * MARGIN) / (len(values) - 1)
    points = " ".join(
        f"{MARGIN + i * step:.1f},{HEIGHT - MARGIN - (value - low) / span * (HEIGHT - 2 * MARGIN):.1f}" for i, value in enumerate(values)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">'
        f'<rect width="100%" height="100%" fill="#f6f8fa"/>'
        f'<polyline points="{points}" fill="none" stroke="#2f6fdb" stroke-width="1.5"/></svg>'
    )
