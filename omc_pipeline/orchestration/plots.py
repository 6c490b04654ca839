"""Small plots in the metadata of a run."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

import dagster as dg

from omc_infra.plot import caption, svg_line


def line_plot(title: str, values: Sequence[float], bounds: tuple[float, float] | None = None) -> dg.MarkdownMetadataValue:
    """Draw values in order, oldest left, with the lowest, highest and last in words; fewer than two give words only.

    Args:
        title: What is drawn.
        values: Of any number.
        bounds: Lowest and highest value of the scale; None: those of the values.
    """
    if len(values) < 2:
        return dg.MetadataValue.md(f"{title}: {len(values)} point(s), nothing to draw yet")
    words = escape(caption(title, values))
    return dg.MetadataValue.md(
        f"{words}\n\n![{words}](data:image/svg+xml;base64,{base64.b64encode(svg_line(values, bounds=bounds).encode()).decode()})"
    )
