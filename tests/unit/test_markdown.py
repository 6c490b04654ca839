"""Outside text in Markdown: shown, and inert."""

from __future__ import annotations

import pytest

from omc_infra.markdown import escape_markdown


@pytest.mark.parametrize(
    "hostile",
    [
        "[click](https://evil.example)",
        "![x](https://evil.example/p.png)",
        "<img src=x onerror=alert(1)>",
        "a | b | c",
        "https://evil.example",
        "`code` **bold** _it_ # head",
        "&lt;script&gt;",
        "line\n\n# next",
    ],
)
def test_nothing_of_a_hostile_text_means_anything(hostile: str) -> None:
    escaped = escape_markdown(hostile)

    assert "\n" not in escaped
    rest = "".join(part.partition(";")[2] for part in ("&#0;" + escaped).split("&#"))
    assert not set(rest) & set("[]()<>|`*_#!:/&")


def test_hidden_characters_are_made_visible_and_plain_text_stays() -> None:
    assert escape_markdown("a\u202eb\u200bc\x1b") == "a\ufffdb\ufffdc\ufffd"
    assert escape_markdown("Strategy bought 10 BTC.") == "Strategy bought 10 BTC."
