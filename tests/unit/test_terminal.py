"""Text from outside on a terminal: printed as text, whatever it holds."""

from __future__ import annotations

import json
import unicodedata

import pytest
from rich.table import Table

from omc_infra.tables import print_rows
from omc_infra.terminal import one_line, open_console, say, visible, visible_json

HOSTILE = [
    "[/red]",
    "[bold]x",
    "[link=file:///etc/passwd]x[/link]",
    ":smile:",
    "\x1b[31mred\x1b[0m",
    "a\u202eb",
    "zero\u200bwidth",
    "\ud800",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_printed_to_the_letter_in_lines_tables_and_titles(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    console = open_console(width=200)

    console.print(text)
    table = Table("name", title=text)
    table.add_row(text)
    console.print(table)
    print_rows(console, [{"name": text}], text)
    say(text)

    printed = capsys.readouterr().out
    assert printed.count(visible(text)) == 6
    assert "\x1b" not in printed
    assert "\u202e" not in printed


def test_hidden_characters_have_a_visible_spelling() -> None:
    assert visible("a\x1b\u202e\U000e0041b\x00") == "a\\x1b\\u202e\\U000e0041b\\x00"
    assert visible("line\n\tnext é 漢 ✓") == "line\n\tnext é 漢 ✓"
    assert one_line("a\n b\r\n\x07") == "a b \\x07"


def test_json_hides_nothing_from_a_terminal_and_says_the_same() -> None:
    document = {"a\u202e": ["\x1b[31m", "\x7f\x9b", "\U000e0041", "\ud800", "é 漢 ✓ \\u202e", "line\nnext\ttab"]}

    written = visible_json(json.dumps(document, indent=2, ensure_ascii=False))

    assert json.loads(written) == document
    assert "é 漢 ✓" in written
    assert [char for char in written if char != "\n" and unicodedata.category(char) in {"Cc", "Cf", "Co", "Cs"}] == []
