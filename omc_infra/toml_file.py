"""Read one TOML file, and say of each of its keys on which line it stands.

``tomllib`` keeps no positions, so the line is found by a second look at the text: exact for tables and for keys that begin a line,
the line of the enclosing key for what stands inside an inline table or an array.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omc_infra.errors import ConfigurationError

_PART = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_DOTTED = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER = re.compile(rf"^\s*\[\[?\s*({_DOTTED})\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(rf"^\s*({_DOTTED})\s*=")
_BARE = re.compile(r"^[A-Za-z0-9_-]+$")
_URL_CREDENTIALS = re.compile(r"://[^/@\s:]*:[^/@\s]+@")


@dataclass(frozen=True)
class TomlFile:
    """What a file says; an absent file says nothing.

    Attributes:
        path: Where it is, or would be.
        exists: Whether it is there.
        document: Its tables and values.
    """

    path: Path
    exists: bool = False
    document: Mapping[str, Any] = field(default_factory=dict)
    text: str = field(default="", repr=False)

    def place(self, keys: Sequence[str]) -> str:
        """Return ``file:line: dotted.key`` for a message; without the line where it isn't known."""
        line = line_of(self.text, keys)
        return f"{self.path}{f':{line}' if line else ''}: {dotted(keys)}"


def read_toml(path: Path) -> TomlFile:
    """Read a file.

    Raises:
        ConfigurationError: It can't be read, isn't TOML, or holds credentials in a URL; one line that never shows a value.
    """
    try:
        text = path.read_bytes().decode()
    except (FileNotFoundError, NotADirectoryError):  # the home may not be a folder yet; whoever needs one says so
        return TomlFile(path)
    except OSError as error:
        raise ConfigurationError(f"{path}: can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: is not UTF-8 text") from error
    import tomllib  # only where there is a file: every process reads its settings

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # The message quotes a character or a key, never a value; newer versions of Python keep the whole document in the cause.
        raise ConfigurationError(f"{path}: not valid TOML: {error}") from None
    file = TomlFile(path, exists=True, document=document, text=text)
    for keys, value in _strings(document):
        if _URL_CREDENTIALS.search(value):
            raise ConfigurationError(f"{file.place(keys)}: has a password in a URL; set secrets in the environment, not in this file")
    return file


def line_of(text: str, keys: Sequence[str]) -> int | None:
    """Find the line of a key, or of the innermost table or key around it; None where nothing of it begins a line.

    A table that is named by the tables in it alone begins with the first of them.
    """
    table: tuple[str, ...] = ()
    depth, found, within = 0, None, None
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            at = table = _parts(header[1])
        elif key := _KEY.match(line):
            at = (*table, *_parts(key[1]))
        else:
            continue
        if len(at) > depth and tuple(keys[: len(at)]) == at:
            depth, found = len(at), number
        elif within is None and at[: len(keys)] == tuple(keys):
            within = number
    return within if depth < len(keys) and within else found


def dotted(keys: Sequence[str]) -> str:
    """Write a path of keys as TOML does, with quotes where a key needs them."""
    return ".".join(key if _BARE.match(key) else _quoted(key) for key in keys)


def literal(value: object) -> str:
    """Write a value of JSON's types as TOML, on one line.

    Raises:
        TypeError: TOML has no form of it (None).
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{dotted([str(key)])} = {literal(each)}" for key, each in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(literal, value)) + "]"
    raise TypeError(f"TOML has no form of {type(value).__name__}")


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\u{ord(found[0]):04x}", escaped) + '"'


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in re.findall(_PART, path))


def _strings(value: object, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, str):
        yield keys, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _strings(inner, (*keys, key))
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner, keys)
