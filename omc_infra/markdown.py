"""Escape external text for Markdown that Dagster shows."""

from __future__ import annotations

import re

_ACTIVE = re.compile(r"([\\`*_{}\[\]()<>#+!|~&:@/])")


def escape_markdown(text: object) -> str:
    """Return a text in one line, escaped for Markdown, HTML and automatic links.

    Invisible characters (controls, zero-width, bidi) become U+FFFD.
    """
    visible = "".join(char if char.isprintable() else "\ufffd" for char in " ".join(str(text).split()))
    return _ACTIVE.sub(lambda found: f"&#{ord(found[1])};", visible)
