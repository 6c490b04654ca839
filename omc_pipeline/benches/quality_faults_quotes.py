"""Faults of quotes: wrong prices of one symbol or of all."""

from __future__ import annotations

from omc_pipeline.benches.quality_days import LEVELS
from omc_pipeline.benches.quality_fault import HOUR, MINUTE, Draw, Fault, described

_IN_SPAN = "source = 'exchange_coinspot_prices' AND observed_at >= %(since)s AND observed_at < %(until)s"
_OF_SYMBOL = f"{_IN_SPAN} AND symbol = %(symbol)s"
_TIMES = "UPDATE exchange.quote SET bid = bid * {factor}, ask = ask * {factor}, last = last * {factor} WHERE "
_INVERTED = "UPDATE exchange.quote SET bid = 1 / ask, ask = 1 / bid, last = 1 / last WHERE "
_UNITS = {"times 10": "10", "times 100": "100", "times 1000": "1000", "a tenth": "0.1", "cents": "100", "a thousandth": "0.001",
    "other currency": "0.6579"}  # fmt: skip
_LATELY = (5 * MINUTE, 12 * MINUTE, 25 * MINUTE)


def unit(draw: Draw) -> Fault:
    """Quote one symbol in another unit."""
    symbol, name = draw.symbol(), draw.chosen.choice([*_UNITS, "inverted"])
    span = draw.span(2 * MINUTE, 3 * HOUR if draw.chosen.random() < 0.3 else 30 * MINUTE, _LATELY)
    change = _INVERTED if name == "inverted" else _TIMES.format(factor=_UNITS[name])
    return _quotes("one symbol in another unit", f"{symbol} {name}", span, change + _OF_SYMBOL, symbol, draw)


def unit_of_all(draw: Draw) -> Fault:
    """Quote all symbols in another unit."""
    name = draw.chosen.choice([*_UNITS, "inverted"])
    span = draw.span(70 * MINUTE, 3 * HOUR, (2 * MINUTE,)) if name == "other currency" else draw.span(2 * MINUTE, 3 * HOUR, _LATELY)
    change = _INVERTED if name == "inverted" else _TIMES.format(factor=_UNITS[name])
    return _quotes("all symbols in another unit", name, span, change + _IN_SPAN, "", draw)


def frozen(draw: Draw) -> Fault:
    """Repeat one symbol's price."""
    symbol = draw.symbol()
    span = draw.span(25 * MINUTE, 3 * HOUR, _LATELY)
    held = f"(SELECT {{}} FROM exchange.quote WHERE {_OF_SYMBOL} ORDER BY observed_at LIMIT 1)"
    change = (
        f"UPDATE exchange.quote SET bid = {held.format('bid')}, ask = {held.format('ask')}, last = {held.format('last')} WHERE {_OF_SYMBOL}"
    )
    return _quotes("one symbol frozen", symbol, span, change, symbol, draw)


def swapped(draw: Draw) -> Fault:
    """Give two symbols each other's prices."""
    first, second = draw.chosen.sample(list(LEVELS), 2)
    span = draw.span(2 * MINUTE, 3 * HOUR if draw.chosen.random() < 0.3 else 30 * MINUTE, _LATELY)
    other = f"""UPDATE exchange.quote AS q SET bid = o.bid, ask = o.ask, last = o.last FROM (SELECT * FROM exchange.quote WHERE
        {_IN_SPAN}) AS o
        WHERE q.source = o.source AND q.observed_at = o.observed_at AND (q.symbol, o.symbol) IN (('{first}', '{second}'),
            ('{second}', '{first}'))"""
    return _quotes("two symbols swapped", f"{first} and {second}", span, other, "", draw)


def spike(draw: Draw) -> Fault:
    """Move one quote of a symbol by thirty per cent, once."""
    symbol, factor = draw.symbol(), draw.chosen.choice(["1.3", "0.7"])
    at = draw.now - draw.between(MINUTE / 10, 50 * MINUTE)
    change = f"""{_TIMES.format(factor=factor)} source = 'exchange_coinspot_prices' AND symbol = %(symbol)s AND observed_at = (
        SELECT max(observed_at) FROM exchange.quote WHERE observed_at <= %(since)s)"""
    return _quotes("one quote off once", f"{symbol} times {factor}", (at, at), change, symbol, draw)


def off_venue(draw: Draw) -> Fault:
    """Keep one symbol off the other venue by a fifth."""
    symbol, factor = draw.symbol(), draw.chosen.choice(["0.8", "1.2"])
    span = draw.span(5 * MINUTE, 4 * HOUR, _LATELY)
    return _quotes(
        "one symbol off the other venue", f"{symbol} times {factor}", span, _TIMES.format(factor=factor) + _OF_SYMBOL, symbol, draw
    )


def dollar_unit(draw: Draw) -> Fault:
    """Give one coin's dollar price in another unit."""
    symbol, name = draw.symbol(), draw.chosen.choice([*_UNITS])
    span = draw.span(HOUR, 5 * HOUR, (HOUR, 2 * HOUR))
    change = f"""UPDATE glass.coin_price SET price_usd = price_usd * {_UNITS[name]} WHERE source = 'glass_defillama' AND symbol = %(symbol)s
        AND observed_at >= %(since)s AND observed_at < %(until)s"""
    bound = {"since": span[0] - 5 * MINUTE, "until": span[1], "symbol": symbol}
    return Fault(
        "one dollar price in another unit", described(f"{symbol} {name}", span, draw.now), "glass", ("coin_price_",), (change,), bound
    )


def _quotes(kind: str, thing: str, span: tuple[object, object], statement: str, symbol: str, draw: Draw) -> Fault:
    bound = {"since": span[0], "until": span[1], "symbol": symbol}
    return Fault(kind, described(thing, span, draw.now), "exchange", ("quote_",), (statement,), bound)  # type: ignore[arg-type]


KINDS = (unit, unit, unit_of_all, frozen, swapped, spike, off_venue, dollar_unit)
