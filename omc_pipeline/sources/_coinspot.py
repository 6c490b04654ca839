"""Shared code of the CoinSpot sources: the envelope of an answer, the host, the lookup of tickers."""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime

from omc_infra.errors import AccessDeniedError, PayloadChangedError, UpstreamRefusedError
from omc_infra.http import HostPolicy
from omc_infra.payload import Payload
from omc_pipeline.assets.names import clean_ticker
from omc_pipeline.assets.registry import Registry
from omc_pipeline.collection.body import one_line
from omc_pipeline.collection.items import Item
from omc_pipeline.collection.json_body import read_json

HOST = HostPolicy(live_urls=("https://www.coinspot.com.au",), sandbox_path="/coinspot", requests_per_s=2.0, burst=4)
HOMEPAGE = "https://www.coinspot.com.au/v2/api"
VENUE = "coinspot"


def opened(payload: Payload) -> Item:
    """Return the content of an answer with status ``ok``.

    The status is ``ok``, ``error``, ``invalid`` or ``no nonce``; ``message`` may be missing.

    Raises:
        AccessDeniedError: Key or signature refused.
        UpstreamRefusedError: Any other status or message than ok.
        PayloadChangedError: No object with a status.
    """
    document = read_json(payload)
    status = document.get("status") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(status, str):
        raise PayloadChangedError(f"{payload.source}: not an answer of CoinSpot: no text 'status'")
    message = document.get("message")
    details = f"{payload.source}: CoinSpot answered status '{one_line(status, 40)}'" + (
        f": {one_line(message)}" if isinstance(message, str) else ""
    )
    if status == "invalid":
        raise AccessDeniedError(f"{details}: the key or the signature is refused; check OMC_KEY_COINSPOT and OMC_KEY_COINSPOT_SECRET")
    if status == "no nonce":
        raise UpstreamRefusedError(f"{details}: the nonce of the request was not greater than the last one")
    if status != "ok" or message not in (None, "ok"):
        raise UpstreamRefusedError(details)
    return document


def symbol_of(assets: Registry, ticker: str, at: datetime, beside: Container[str] = ()) -> str:
    """Return the symbol of a CoinSpot ticker, ``COINSPOT:TICKER`` where the registry doesn't know it.

    Args:
        assets: Where names are looked up.
        ticker: As CoinSpot writes it, in any case.
        at: When CoinSpot used it.
        beside: Upper-case tickers of the same answer: an old ticker beside its new one stands for nothing.

    Raises:
        ValueError: No ticker (CoinSpot holds NFTs under keys like ``NFT|||0x..|||id``), or an old one beside its new one.
    """
    symbol, written = assets.symbol_of(VENUE, ticker, at), clean_ticker(ticker)
    if symbol != written and symbol in beside and assets.symbol_of(VENUE, symbol, at) == symbol:
        raise ValueError(f"old ticker {written} beside {symbol}")
    return symbol
