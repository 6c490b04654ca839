"""What a column may mean, told by its title: to suggest a mapping, and to say what a column that is not known might be."""

from __future__ import annotations

from collections.abc import Mapping

from omc_pipeline.pnl.titles import folded

MEANINGS: Mapping[str, tuple[str, ...]] = {
    "time": (
        "time",
        "date",
        "datetime",
        "timestamp",
        "when",
        "executedat",
        "dateutc",
        "utctime",
        "tradedate",
        "transactiondate",
        "datum",
        "zeit",
    ),
    "id": ("id", "txid", "tradeid", "transactionid", "fillid", "orderid", "reference"),
    "market": ("market", "pair", "instrument", "tradingpair", "product"),
    "symbol": ("symbol", "coin", "asset", "base", "basecurrency", "basecoin", "ticker", "currencybought", "coinname"),
    "currency": ("currency", "quote", "quotecurrency", "quotecoin", "pricecurrency", "settlementcurrency"),
    "side": ("side", "type", "direction", "action", "buysell", "transactiontype"),
    "kind": ("kind", "category", "label"),
    "qty": ("qty", "quantity", "amount", "size", "volume", "vol", "units", "executed", "filled", "menge", "anzahl"),
    "price": ("price", "rate", "unitprice", "averageprice", "fillprice", "kurs", "preis"),
    "total": ("total", "cost", "value", "subtotal", "quoteamount", "proceeds", "consideration", "summe", "betrag"),
    "fee": ("fee", "fees", "commission", "feeamount", "tradingfee", "gebühr"),
    "fee_currency": ("feecurrency", "feeccy", "feecoin", "commissionasset", "feeasset"),
    "account": ("account", "wallet", "exchange", "venue"),
    "status": ("status", "state"),
}
"""What a column may mean, and titles by which it is suggested; the first names are what a mapping file uses."""
_BEARING = ("fee", "commission", "tax", "gst", "vat", "price", "rate", "cost", "value", "total", "amount", "status", "leverage", "margin")
"""Words within a longer title that speak of money."""


def meaning_of(title: str) -> str:
    """Return what a column means by its title, empty where nothing is known."""
    name = folded(title)
    return next((meaning for meaning, names in MEANINGS.items() if name in names), "")


def might_be(title: str) -> str:
    """Return what a column might be, in words for a message; empty where the title says nothing."""
    meaning = meaning_of(title)
    if meaning:
        return meaning.replace("_", " ")
    word = next((word for word in _BEARING if word in folded(title)), "")
    return f"a {word}" if word else ""
