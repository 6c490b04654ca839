"""What people read in a terminal: text from outside is printed as text, and what can't be seen is made visible.

An upstream's error, a file's name or a row of the database may hold markup, escape sequences or characters that turn the direction
of writing. Nothing of it is ever interpreted here: every command prints through ``open_console`` or ``say``.
"""

from __future__ import annotations

import codecs
import json
import unicodedata
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

ASCII_ERRORS = "omc.plain"
"""Name of the error handler of streams whose terminal lacks our characters; see ``register_ascii_errors``."""
_SAFE = {
    "·": "-", "–": "-", "—": "-", "−": "-", "•": "*", "×": "x", "→": "->", "…": "...", "✓": "ok", "✗": "x", "≤": "<=", "≥": ">=",
}  # fmt: skip
_SPINNER = range(0x2800, 0x2900)
_KEPT = frozenset("\n\t")
_HIDDEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})


def register_ascii_errors() -> None:
    """Register ``ASCII_ERRORS``: a character that a terminal lacks is written as a plain one, or as its escape, and never an error."""
    codecs.register_error(ASCII_ERRORS, _ascii_fallback)


def visible(text: object) -> str:
    r"""Return a text in which control, escape, bidi, zero-width and surrogate characters stand as ``\x1b`` or ``\u202e``."""
    written = str(text)
    if written.isascii() and written.isprintable():
        return written
    return "".join(_escaped(char) if char not in _KEPT and unicodedata.category(char) in _HIDDEN else char for char in written)


def one_line(text: object) -> str:
    """Return a text as ``visible`` does, its line breaks and runs of blanks folded to one blank."""
    return visible(" ".join(str(text).split()))


def visible_json(document: str) -> str:
    r"""Return a JSON text in which what can't be seen stands as ``\u202e``; it reads as the same document."""
    if document.isascii() and "\x7f" not in document:
        return document
    return "".join(_json_escaped(char) if char != "\n" and unicodedata.category(char) in _HIDDEN else char for char in document)


def say_exactly(text: str) -> None:
    """Print a text that ends where it ends, without a line break after it; what can't be seen is made visible."""
    click.echo(visible(text), nl=False)


def say(text: object = "", *, err: bool = False, color: str | None = None) -> None:
    """Print a line to stdout, or to stderr; ``color`` is one of click's, seen on terminals only."""
    click.secho(visible(text), err=err, fg=color)


def open_console(*, stderr: bool = False, width: int | None = None) -> Console:
    """Return a console that takes every string as plain text; styles are given as ``style=`` or in a ``rich.text.Text``.

    Args:
        stderr: Whether it writes to stderr.
        width: Columns; None: those of the terminal.
    """
    from rich.console import Console
    from rich.text import Text

    class TextConsole(Console):
        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(visible(text), **options)

    return TextConsole(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)


def _json_escaped(char: str) -> str:
    return json.dumps(char)[1:-1] if ord(char) >= 0x80 else f"\\u{ord(char):04x}"


def _ascii_fallback(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join("*" if ord(char) in _SPINNER else _SAFE.get(char) or _escaped(char) for char in missing), error.end


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
