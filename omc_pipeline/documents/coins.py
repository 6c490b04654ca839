"""Coins as documents call them: the word that stands behind a number, and its symbol."""

from __future__ import annotations

import re
from functools import lru_cache

_WORDS = {
    "BTC": "bitcoins? BTC", "ETH": "ether ethereum ETH", "LsETH": "LsETH", "SOL": "solana SOL", "SUI": "SUI", "XRP": "XRP",
    "DOGE": "dogecoins? DOGE", "BNB": "BNB", "HYPE": "HYPE", "LTC": "litecoins? LTC", "TRX": "TRX", "AVAX": "AVAX", "ADA": "ADA",
    "TON": "TON", "LINK": "LINK", "ENA": "ENA", "WLFI": "WLFI", "BONK": "BONK", "TAO": "TAO", "NEAR": "NEAR", "ZEC": "ZEC",
    "DOT": "DOT", "HBAR": "HBAR", "CRO": "CRO", "IP": "IP", "USDC": "USDC", "USDT": "USDT",
}  # fmt: skip
_NAMED = {word.replace("?", "").lower(): symbol for symbol, words in _WORDS.items() for word in words.split()}
_NAMED |= {"bitcoin": "BTC", "dogecoin": "DOGE", "litecoin": "LTC"}
_LOWER = [word for words in _WORDS.values() for word in words.split() if word[:1].islower()]
_UPPER = [word for words in _WORDS.values() for word in words.split() if not word[:1].islower()]
COIN = rf"(?:(?i:{'|'.join(_LOWER)})|{'|'.join(sorted(_UPPER, key=len, reverse=True))})\b"
"""Pattern of a coin's word; tickers only in capitals, for ``link`` and ``near`` are words."""
_PATTERN = re.compile(rf"\b{COIN}")
STABLE = frozenset({"USDC", "USDT"})


def symbol_of(word: str) -> str:
    """Return the symbol of a coin's word, ``BTC`` for ``bitcoins``."""
    key = word.strip().lower()
    return _NAMED.get(key) or _NAMED.get(key.rstrip("s")) or word.strip()


@lru_cache(maxsize=8192)
def coins_in(text: str) -> tuple[str, ...]:
    """Return the symbols of the coins a text names, each once, in order."""
    return tuple(dict.fromkeys(symbol_of(match[0]) for match in _PATTERN.finditer(text)))


def is_coin(text: str) -> bool:
    """Whether a text is the symbol of a coin, and nothing else."""
    return len(text) <= 8 and text == symbol_of(text) and text in coins_in(text)
