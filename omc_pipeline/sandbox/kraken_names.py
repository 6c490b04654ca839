"""How Kraken calls coins, money and markets: the first ones have a letter before their code."""

from __future__ import annotations

NAMES = {"BTC": "XBT", "DOGE": "XDG"}
LEGACY = {"BTC", "ETH", "XRP", "LTC", "DOGE"}
MONEY = ("AUD", "USD")


def asset_name(symbol: str) -> str:
    """Return the name of a coin or of money in answers: ``XXBT``, ``SOL``, ``ZAUD``."""
    if symbol in MONEY:
        return f"Z{symbol}"
    return f"X{NAMES.get(symbol, symbol)}" if symbol in LEGACY else symbol


def pair_name(coin: str, money: str) -> str:
    """Return the name under which a market stands in answers: the old one of old pairs, whatever was asked for."""
    name = NAMES.get(coin, coin)
    return f"X{name}Z{money}" if coin in LEGACY else f"{name}{money}"
