"""What may be a ticker: plain letters and digits. Names that only look like a ticker are refused.

No library of confusable characters is needed: tickers are ASCII, or written in a script without letters that look like Latin ones.
"""

from __future__ import annotations

import re
import unicodedata

LONGEST = 40
_ASCII = re.compile(r"[A-Z0-9][A-Z0-9.$@_*+/-]{0,39}", re.ASCII)
_INVISIBLE = frozenset({"Cf", "Cc", "Cs", "Co", "Cn", "Zl", "Zp"})
_UNLIKE_LATIN = ("CJK UNIFIED", "HIRAGANA", "KATAKANA", "HANGUL SYLLABLE")
"""Begin the Unicode names of letters that nobody takes for a Latin one; venues list tickers of them."""


def clean_ticker(written: str) -> str:
    """Return a ticker in its canonical form: trimmed, in capitals, compatibility characters such as ``ＢＴＣ`` replaced by plain ones.

    Cleaning twice changes nothing more. The result holds no ``:``, which parts a venue from its ticker.

    Raises:
        ValueError: Empty, too long, an NFT, with invisible or direction-changing characters, or with letters that look like others.
    """
    if "|||" in written:
        raise ValueError("an NFT, not a coin")
    ticker = written.strip().upper()
    if _ASCII.fullmatch(ticker):
        return ticker
    return _cleaned(written)


def _cleaned(written: str) -> str:
    shown = ascii(written[:LONGEST])
    if len(written) > 4 * LONGEST:
        raise ValueError(f"{shown} is not a ticker: too long")
    if any(unicodedata.category(character) in _INVISIBLE for character in written.strip()):
        raise ValueError(f"{shown} is not a ticker: it has invisible characters")
    ticker = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", written).strip().upper())
    if _ASCII.fullmatch(ticker):
        return ticker
    if not ticker or len(ticker) > LONGEST:
        raise ValueError(f"{shown} is not a ticker")
    for character in ticker:
        is_ascii_part = character.isascii() and (character.isalnum() or character in ".$@_*+/-")
        if not is_ascii_part and not unicodedata.name(character, "").startswith(_UNLIKE_LATIN):
            raise ValueError(f"{shown} is not a ticker: {character!a} is not allowed")
    return ticker
