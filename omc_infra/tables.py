"""Rows on a terminal, never cut: a table where it fits the width, else one record under the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from omc_infra.terminal import visible

if TYPE_CHECKING:
    from rich.console import Console

_UNBOUNDED = 100_000


def print_rows(console: Console, rows: Sequence[Mapping[str, str]], title: str, styles: Sequence[str] = ()) -> None:
    """Print rows that share their columns; an empty sequence prints the title and "none".

    Args:
        console: Where to.
        rows: Text by column.
        title: Above them.
        styles: Of the rows, in their order, as rich names styles; empty: plain.
    """
    from rich.table import Table
    from rich.text import Text

    if not rows:
        console.print(Text(f"{visible(title)}: none"))
        return
    table = Table(*rows[0], title=Text(visible(title)), title_justify="left")
    styled = list(zip(rows, styles or [""] * len(rows), strict=True))
    for row, style in styled:
        table.add_row(*(Text(visible(value)) for value in row.values()), style=style)
    if console.measure(table, options=console.options.update(width=_UNBOUNDED)).maximum <= console.width:
        console.print(table)
        return
    console.print(Text(visible(title)), style="italic")
    name_width = max(len(name) for name in rows[0])
    for number, (row, style) in enumerate(styled, start=1):
        console.print(f"── {number}", style="dim")
        for name, value in row.items():
            console.print(Text(f"{name:<{name_width}}  {visible(value)}", style=style), soft_wrap=True)
