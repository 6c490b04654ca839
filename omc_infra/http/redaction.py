"""Remove secrets from everything that is logged, raised, stored or parsed.

A redactor knows the keys of a run, and learns what is obtained during the run. It finds a secret also where it is percent-encoded,
escaped for JSON or HTML, as an upstream that echoes it may spell it.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from omc_infra.errors import OmcError
from omc_infra.logs import REDACTED, redact

_SHORTEST = 6
"""A shorter value is no key, and cutting it out would mangle words."""
_SAFE = re.compile(r"[A-Za-z0-9_.~-]+")
_REDACTED_BYTES = REDACTED.encode()
_REDACTED_NUMBER = b"0"
_LINKS = ("__cause__", "__context__")


class RedactedError(Exception):
    """Replaces an exception of a library whose message had a secret; the message names its class."""


class Redactor:
    """Removes secrets from texts, bodies, documents and exceptions.

    Args:
        secrets: Values in clear.
        parameters: Names of query parameters whose value is cut out whatever it is.
    """

    def __init__(self, secrets: Iterable[str] = (), parameters: Iterable[str] = ()) -> None:
        names = "|".join(re.escape(name) for name in parameters)
        self._parameters = re.compile(rf"(?i)((?<=[?&])(?:{names})=)[^&\s\"']+") if names else None
        self._secrets: dict[str, _Secret] = {}
        self.learn(*secrets)

    def learn(self, *secrets: str) -> None:
        """Add values that were obtained during the run; values of less than six characters are no secrets."""
        for value in secrets:
            if len(value) >= _SHORTEST and value not in self._secrets:
                self._secrets[value] = _Secret(value)
        # A secret that contains another is cut out first, and whole.
        self._secrets = dict(sorted(self._secrets.items(), key=lambda item: -len(item[0])))

    def text(self, text: str) -> str:
        """Return a text fit for logs, rows and messages: without known secrets, and without values of parameters that hold one."""
        return redact(self.known(text))

    def known(self, text: str) -> str:
        """Return a text without known secrets and the declared parameters' values; other parameters stay as they are."""
        for secret in self._secrets.values():
            text = secret.cut_text(text)
        return self._parameters.sub(rf"\1{REDACTED}", text) if self._parameters else text

    def body(self, body: bytes) -> bytes:
        """Return a body without known secrets; JSON stays valid: a number becomes 0, and a part of a text ``[redacted]``."""
        for secret in self._secrets.values():
            body = secret.cut_body(body)
        return body

    def document(self, value: Any) -> Any:
        """Return plain data (objects, lists, texts, numbers) with ``text`` applied to each text in it, keys included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.document(name): self.document(held) for name, held in value.items()}
        return [self.document(held) for held in value] if isinstance(value, Sequence) and not isinstance(value, bytes) else value

    def failure(self, error: Exception) -> Exception:
        """Remove secrets from an exception and its causes, because serializers write the causes, too.

        Returns:
            The exception itself, changed in place; or a ``RedactedError`` in its place where a library's message can't be changed.
        """
        cleaned = self._cleaned(error, set())
        return cleaned if isinstance(cleaned, Exception) else error

    def _cleaned(self, error: BaseException, seen: set[int]) -> BaseException:
        if id(error) in seen:
            return error
        seen.add(id(error))
        if isinstance(error, OmcError):
            error.args = tuple(self.text(part) if isinstance(part, str) else part for part in error.args)
        cleaned = error if self.text(str(error)) == str(error) else RedactedError(f"{type(error).__name__}: {self.text(str(error))}")
        if cleaned is not error:
            cleaned.__traceback__ = error.__traceback__
        hides_context = error.__suppress_context__
        for link in _LINKS:
            linked = getattr(error, link)
            setattr(cleaned, link, self._cleaned(linked, seen) if linked is not None else None)
        cleaned.__suppress_context__ = hides_context
        return cleaned


class _Secret:
    """One value in all its spellings."""

    def __init__(self, value: str) -> None:
        self._core = max(_SAFE.findall(value), key=len, default="")
        self._core_bytes = self._core.encode()
        self._is_number = value.isdecimal()
        pattern = rf"(?<![\d.]){value}(?!\.?\d)" if self._is_number else "".join(_spellings(value))
        self._in_text, self._in_body = re.compile(pattern), re.compile(pattern.encode())

    def cut_text(self, text: str) -> str:
        """Return a text without the value."""
        return self._in_text.sub(REDACTED, text) if self._core in text else text

    def cut_body(self, body: bytes) -> bytes:
        """Return a body without the value; looking for a plain part of it first is what makes large bodies cheap."""
        if self._core_bytes not in body:
            return body
        return self._in_body.sub(_REDACTED_NUMBER if self._is_number else _REDACTED_BYTES, body)


def _spellings(value: str) -> Iterator[str]:
    """Yield a pattern for each character that matches its usual encodings, the longest first."""
    for character in value:
        if _SAFE.fullmatch(character):
            yield re.escape(character)
            continue
        percent = "".join(f"%(?:25)*(?i:{octet})" for octet in quote(character, safe="").split("%")[1:])
        named = html.escape(character)
        escaped = json.dumps(character)[1:-1]
        spellings = [
            rf"(?i:{re.escape(escaped)})" if escaped != character else "",
            rf"\\u(?i:{ord(character):04x})" if ord(character) < 0x10000 else "",
            r"\\/" if character == "/" else "",
            percent,
            re.escape(named) if named != character else "",
            rf"&\#(?:{ord(character)}|(?i:x{ord(character):x}));",
            r"\+" if character == " " else "",
            re.escape(character),
        ]
        yield f"(?:{'|'.join(spelling for spelling in spellings if spelling)})"
