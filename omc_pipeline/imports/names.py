"""Names of coins and currencies as files write them, in capitals; rows of one coin are found together by them.

Kraken writes several codes of one coin in one file, so they are made one here. What a name means is read in ``symbols.py``.
Source for Kraken's codes: https://support.kraken.com/articles/360001206766, looked at 2026-11-27.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

_NAME = re.compile(r"[A-Z0-9][A-Z0-9._$*-]{0,29}")
_KRAKEN: Mapping[str, str] = {
    "XXBT": "BTC",
    "XBT": "BTC",
    "XETH": "ETH",
    "XETC": "ETC",
    "XXRP": "XRP",
    "XLTC": "LTC",
    "XXLM": "XLM",
    "XXMR": "XMR",
    "XZEC": "ZEC",
    "XREP": "REP",
    "XMLN": "MLN",
    "XXDG": "DOGE",
    "XDG": "DOGE",
    "XICN": "ICN",
    "XNMC": "NMC",
    "ZUSD": "USD",
    "ZEUR": "EUR",
    "ZGBP": "GBP",
    "ZAUD": "AUD",
    "ZCAD": "CAD",
    "ZJPY": "JPY",
    "ZKRW": "KRW",
    "ETH2": "ETH",
    "ETH2.S": "ETH",
    "XBT.M": "BTC",
}
_STAKED = re.compile(r"(?P<coin>[A-Z0-9]+?)(?:[0-9]{2})?\.[SMFBPT]")
_CODES: Mapping[str, Mapping[str, str]] = {"kraken": _KRAKEN, "*": {"XBT": "BTC"}}


@lru_cache(maxsize=10_000)
def asset(venue: str, written: str) -> str:
    """Return the canonical symbol of what a venue calls a coin or currency.

    Raises:
        ValueError: It is no name of a coin.
    """
    name = written.strip().upper()
    if not _NAME.fullmatch(name):
        raise ValueError(f"{written.strip()[:40]!r} is no name of a coin or currency")
    code = _CODES.get(venue, {}).get(name) or _CODES["*"].get(name)
    if code is None and venue == "kraken" and (staked := _STAKED.fullmatch(name)):
        code = _KRAKEN.get(staked["coin"], staked["coin"])
    return code or name
