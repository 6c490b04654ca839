"""The kinds of claims a brief may make: which table bears each, what it asserts, and the words code finds for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Literal

from omc_agents.claims.evidence import json_value
from omc_agents.claims.fields import Value, read_field
from omc_pipeline.ledgers.human import WHOLE_MARKET
from omc_pipeline.ledgers.table import number_text

Row = Mapping[str, str]
"""The printable columns of a row (``fields.visible``); templates never see another column."""
HUNDREDTH = Decimal("0.01")


@dataclass(frozen=True)
class Kind:
    """One kind of claim.

    Attributes:
        table: Where the row it cites stands.
        fields: Columns it may assert.
        words: Makes the sentence of the asserted value, the row and, for a comparison, the earlier row.
        compares: It needs an earlier row of the same series (``series`` columns equal), and asserts the change in percent.
        clock: Column by which the two rows of a comparison are earlier and later.
        event: The row must be the session's own event, or an event published before it.
    """

    table: str
    fields: tuple[str, ...]
    words: Callable[[Value, str, Row, Row], str]
    compares: bool = False
    series: tuple[str, ...] = ()
    event: Literal["itself", "before"] | None = None
    clock: str = "observed_at"


def change_pct(table: str, field: str, row: Mapping[str, object], base: Mapping[str, object]) -> Decimal | None:
    """Return by how many percent a column moved from ``base`` to ``row``, rounded half even to hundredths; None without both."""
    now, before = read_field(table, field, row), read_field(table, field, base)
    if not isinstance(now, Decimal) or not isinstance(before, Decimal) or not before:
        return None
    return ((now - before) / before * 100).quantize(HUNDREDTH, ROUND_HALF_EVEN)


def _event_filed(_value: Value, _field: str, row: Row, _base: Row) -> str:
    sentence = _filing(row)
    return f"{sentence[0].upper()}{sentence[1:]}, published {_when(row['published_at'])}."


def _related_event(_value: Value, _field: str, row: Row, _base: Row) -> str:
    about = f"The last event about {row['symbol']} before it" if row.get("symbol") else "An earlier event"
    return f"{about}: {_filing(row)}, published {_when(row['published_at'])}."


def _quote(value: Value, field: str, row: Row, _base: Row) -> str:
    words = {"last": "last traded at", "bid": "was bid at", "ask": "was offered at"}[field]
    return f"{row['symbol']} {words} {amount(value)} {row['currency']}, observed {_when(row['observed_at'])}."


def _price_change(value: Value, field: str, row: Row, base: Row) -> str:
    minutes = (datetime.fromisoformat(row["observed_at"]) - datetime.fromisoformat(base["observed_at"])).total_seconds() / 60
    span = f"{minutes / 60:.1f} h" if minutes >= 90 else f"{minutes:.0f} min"
    return f"{row['symbol']} moved {value:+,.2f} % over {span}, from {amount(base[field])} to {amount(row[field])} {row['currency']}."


_LENGTHS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def _candle_change(value: Value, field: str, row: Row, base: Row) -> str:
    length = int(row["interval"][:-1]) * _LENGTHS[row["interval"][-1]]
    closed = datetime.fromisoformat(row["opened_at"]) + length
    hours = (datetime.fromisoformat(row["opened_at"]) - datetime.fromisoformat(base["opened_at"])) / timedelta(hours=1)
    span = f"{hours:.0f} h" if hours < 72 else f"{hours / 24:.0f} days"
    prices = f"from {amount(base[field])} to {amount(row[field])} {row['currency']}"
    return f"{row['symbol']} moved {value:+,.2f} % on {row['venue']} in the {span} to {_when(closed.isoformat())}, {prices}."


def _study(_value: Value, _field: str, row: Row, _base: Row) -> str:
    what = f"form {row['form']}" if "form" in row else row["event_type"].replace("_", " ")
    by = f" by {row['ticker']}" if "ticker" in row else ""
    span = "on its day" if Decimal(row["through_days"]) == 0 else "through the day after"
    mean, low, high = (f"{Decimal(row[name]):+.2f}" for name in ("mean_pct", "low_pct", "high_pct"))
    days = "" if "volume_ratio" not in row else f"; volume was {row['volume_ratio']} times the usual"
    return (
        f"Around {row['peers']} earlier events ({what}{by}) from {row['first_day']} to {row['last_day']}, {row['symbol']} returned {mean} %"
        f" more than usual {span} on average; the 95 % interval is {low} to {high} %{days} ({row['venue']}, {row['currency']})."
    )


def _indicator(_value: Value, field: str, row: Row, _base: Row) -> str:
    coin, number = row["symbol"], Decimal(row[field])
    side = "above" if number >= 0 else "below"
    words = {
        "rsi_14": f"The 14-day RSI of {coin} was {number:.1f}",
        "sma_20_pct": f"{coin} closed {abs(number):.2f} % {side} its 20-day average",
        "sma_50_pct": f"{coin} closed {abs(number):.2f} % {side} its 50-day average",
        "volatility_30_pct": f"The volatility of {coin} over 30 days was {number:.1f} % a year",
        "return_z": f"The day's change of {coin} of {Decimal(row['return_pct']):+.2f} % lay {abs(number):.1f} robust standard deviations"
        f" {side} the median of the 30 days before",
        "volume_ratio": f"The day's volume of {coin} was {number:.2f} times the median of the 30 days before",
    }[field]
    return f"{words}, at the close of {row['day'][:10]} ({row['venue']}, {row['currency']})."


def _price_usd(value: Value, _field: str, row: Row, _base: Row) -> str:
    return f"{row['symbol']} was priced at {amount(value)} USD across venues, observed {_when(row['observed_at'])}."


def _sentiment(value: Value, _field: str, row: Row, _base: Row) -> str:
    of = "" if row["symbol"] == WHOLE_MARKET else f" of {row['symbol']}"
    return f"{row['metric'].replace('_', ' ').capitalize()}{of} stood at {json_value(value)}, observed {_when(row['observed_at'])}."


def _tvl(value: Value, _field: str, row: Row, _base: Row) -> str:
    return f"{amount(value)} USD was locked in {row.get('name') or row['protocol']}, observed {_when(row['observed_at'])}."


def _fill(value: Value, _field: str, row: Row, _base: Row) -> str:
    side = {"buy": "bought", "sell": "sold"}[row["side"]]
    return f"The account {side} {amount(value)} {row['symbol']} at {amount(row['price'])} {row['currency']}, {_when(row['executed_at'])}."


def _position(value: Value, field: str, row: Row, _base: Row) -> str:
    words = {
        "realized": "gains realised so far are {amount} {currency}",
        "unrealized": "the unrealised gain is {amount} {currency}",
        "value": "what is held is worth {amount} {currency}",
        "open_cost": "what is held cost {amount} {currency}",
        "qty": "the account holds {qty} {symbol}",
    }[field]
    text = words.format(amount=amount(value), qty=whole_amount(value), currency=row["currency"], symbol=row["symbol"])
    return f"{row['symbol']} by {row['method']}: {text}, computed {_when(row['computed_at'])}."


def _chain_block(value: Value, field: str, row: Row, _base: Row) -> str:
    words = {"base_fee_gwei": "the base fee was {} gwei per gas", "transactions": "there were {} transactions"}[field]
    return f"On {row['chain']} {words.format(json_value(value))} in block {row['number']}, observed {_when(row['observed_at'])}."


def _flow(value: Value, field: str, row: Row, _base: Row) -> str:
    span = {"net_flow_24h_usd": "24 hours", "net_flow_7d_usd": "7 days", "net_flow_30d_usd": "30 days"}[field]
    went = "into" if not isinstance(value, Decimal) or value >= 0 else "out of"
    net = amount(abs(value) if isinstance(value, Decimal) else value)
    return f"Wallets marked as smart money moved {net} USD net {went} {row['symbol']} in {span}, observed {_when(row['observed_at'])}."


def _quality(value: Value, field: str, row: Row, _base: Row) -> str:
    what = field.removesuffix("_score")
    return f"The {what} score of the {row['ledger']} ledger was {amount(value)} of 1, judged {_when(row['recorded_at'])}."


def _check(value: Value, _field: str, row: Row, _base: Row) -> str:
    return (
        f"Check {row['name']} of {row['source']}, which judges the {row['dimension']} of the {row['ledger']} ledger, scored {amount(value)}"
        f" of 1 over {row['rows']} rows, judged {_when(row['recorded_at'])}."
    )


_STATED = {
    "coins_purchased": "bought {amount}",
    "coins_sold": "sold {amount}",
    "coins_mined": "mined {amount}",
    "holdings": "held {amount}",
    "holdings_after": "held {amount} afterwards",
    "holdings_before": "held {amount} before",
    "average_price": "the average price was {amount}",
    "average_cost": "the average cost of what it holds was {amount}",
    "purchase_price_total": "the purchase price was {amount} in total",
    "aggregate_cost": "the cost of what it holds was {amount} in total",
    "proceeds": "proceeds were {amount}",
    "notes_principal": "the principal of the notes was {amount}",
}
"""Phrases of the facts that are told most; others are told by the name of their kind."""


def _document_of(row: Row) -> str:
    event_type = row.get("event_type", "filing")
    if event_type == "filing":
        return f"The filing of {row.get('ticker', 'the issuer')}"
    return "The proposal" if event_type in {"proposal", "vote", "governance"} else "The announcement"


def _document_fact(value: Value, _field: str, row: Row, _base: Row) -> str:
    fact, unit, subject = row["fact"], row["unit"], row.get("subject", "")
    stated = f"{whole_amount(value)} {unit}" if unit != "%" else f"{whole_amount(value)} %"
    phrase = _STATED.get(fact, f"{fact.replace('_', ' ')}: {{amount}}").format(amount=stated)
    about = f" ({subject})" if subject and subject not in unit.split() and subject != row.get("ticker") else ""
    mood = f", {row['modality']}" if row.get("modality", "actual") != "actual" else ""
    return f"{_document_of(row)} says: {phrase}{about}{_in_period(row.get('period', ''))}{mood}."


def _document_date(value: Value, field: str, row: Row, _base: Row) -> str:
    day_only = len(row[field]) == len("2026-01-01")
    moment = f"{value:%Y-%m-%d}" if day_only and isinstance(value, datetime) else _when(json_value(value))
    subject, about = row.get("subject", ""), ""
    if subject and subject != row.get("ticker"):
        about = f" ({subject})"
    mood = f", {row['modality']}" if row.get("modality", "actual") != "actual" else ""
    return f"{_document_of(row)} says: {row['fact'].replace('_', ' ')}{about}: {moment}{mood}."


def _in_period(period: str) -> str:
    if not period:
        return ""
    if period.startswith(("as of ", "week ending ")):
        return f", {period}"
    begin, _, end = period.partition("/")
    return f", from {begin} to {end}" if end else f", {period}"


def whole_amount(value: object) -> str:
    """Return a number with all its digits, thousands marked, as a document states it."""
    return f"{Decimal(number_text(Decimal(str(value)))):,f}"


KINDS: Mapping[str, Kind] = {
    "event_filed": Kind("catalyst.event", ("published_at",), _event_filed, event="itself"),
    "document_fact": Kind("catalyst.document", ("value",), _document_fact),
    "document_date": Kind("catalyst.document", ("moment",), _document_date),
    "related_event": Kind("catalyst.event", ("published_at",), _related_event, event="before"),
    "event": Kind("catalyst.event", ("published_at",), _event_filed),
    "quote": Kind("exchange.quote", ("last", "bid", "ask"), _quote),
    "price_change": Kind("exchange.quote", ("last",), _price_change, compares=True, series=("source", "symbol", "currency")),
    "candle_change": Kind(
        "glass.market_candle",
        ("close",),
        _candle_change,
        compares=True,
        series=("source", "venue", "symbol", "currency", "interval"),
        clock="opened_at",
    ),
    "event_study": Kind("analysis.event_study", ("mean_pct",), _study),
    "indicator": Kind(
        "analysis.indicator", ("rsi_14", "sma_20_pct", "sma_50_pct", "volatility_30_pct", "return_z", "volume_ratio"), _indicator
    ),
    "price_usd": Kind("glass.coin_price", ("price_usd",), _price_usd),
    "sentiment": Kind("human.sentiment", ("score",), _sentiment),
    "tvl": Kind("glass.protocol_tvl", ("tvl_usd",), _tvl),
    "chain_block": Kind("glass.chain_block", ("base_fee_gwei", "transactions"), _chain_block),
    "smart_money_flow": Kind("glass.smart_money_flow", ("net_flow_24h_usd", "net_flow_7d_usd", "net_flow_30d_usd"), _flow),
    "position": Kind("pnl.position", ("realized", "unrealized", "value", "open_cost", "qty"), _position),
    "ledger_quality": Kind("quality.score", ("overall_score", "completeness_score", "timeliness_score", "accuracy_score"), _quality),
    "check_score": Kind("quality.check_result", ("score",), _check),
    "fill": Kind("exchange.fill", ("qty",), _fill),
}


def amount(value: object) -> str:
    """Return a number as a person reads it: thousands marked, two decimals from one upwards, six digits below."""
    number = Decimal(str(value))
    return f"{number:,.2f}" if abs(number) >= 1 else f"{number:.6g}"


def _filing(row: Row) -> str:
    what = f"filed form {row['form']}" if "form" in row else f"had a {row['event_type'].replace('_', ' ')}"
    return f"{row.get('ticker', 'a tracked issuer')} {what}"


def _when(moment: str) -> str:
    return datetime.fromisoformat(moment).strftime("%Y-%m-%d %H:%M UTC")
