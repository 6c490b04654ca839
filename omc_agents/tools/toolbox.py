"""The tools of one session: each reads rows as they were known at ``as_of`` and hands them out as evidence.

What a model may be told of the world comes through here, and ``user_id`` is bound when the box is made: no argument names a
user, a table or a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy

from omc_agents.claims.evidence import Evidence, canonical_sha256, json_value, ref_of
from omc_agents.tools.arguments import SentimentSource, Timeframe, checked_event_type, checked_symbol, is_symbol
from omc_agents.tools.event_study import event_study
from omc_agents.tools.indicators import indicator_row
from omc_agents.tools.judgements import CHECKS, SCORES, newest_check_results, newest_scores
from omc_agents.tools.market import candles_sha256, days_of, hundredths
from omc_agents.tools.positions import POSITIONS, read_positions
from omc_agents.tracing import tool
from omc_infra.errors import BadInputError
from omc_pipeline.ledgers.catalyst import DOCUMENT, EVENT
from omc_pipeline.ledgers.exchange import FILL, QUOTE
from omc_pipeline.ledgers.glass import CHAIN_BLOCK, COIN_PRICE, MARKET_CANDLE, PROTOCOL_TVL, SMART_MONEY_FLOW
from omc_pipeline.ledgers.human import SENTIMENT, WHOLE_MARKET
from omc_pipeline.ledgers.read import LedgerReader, Record
from omc_pipeline.ledgers.table import LedgerTable

QUOTE_CURRENCY = "AUD"
RELATED_EVENTS = 5
MOST_DOCUMENTS = 20
CANDLE_CURRENCIES = ("AUD", "USD")
"""In which currency's markets history is looked for, the preferred one first."""
MOST_CANDLES = 1000
MOST_PEERS = 300
EVENT_STUDY = "analysis.event_study"
INDICATORS = "analysis.indicator"
"""What stands for a table in the references of studies and indicators; nothing is stored."""
MOST_HEADS = 60
"""Newest blocks among which each chain has one."""
DOCUMENTS_TOOL = "get_documents"


@dataclass(frozen=True)
class EventDocument:
    """A document of an event.

    Attributes:
        evidence: Its row without the text. The reference names it by a digest, since the filer chose the file's name.
        content: Its text; None where there is none.
    """

    evidence: Evidence
    content: str | None = field(repr=False)


@dataclass(frozen=True)
class Toolbox:
    """Reads the ledgers for one session; ``user_id`` is None where nobody's orders may be seen."""

    engine: sqlalchemy.Engine
    as_of: datetime
    user_id: str | None = None
    token: str | None = field(default=None, repr=False)
    """Secret of the session; without it role agent sees nobody's orders."""
    _markets: dict[str, list[Record]] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Daily markets that were read already, by coin."""

    @property
    def _reader(self) -> LedgerReader:
        return LedgerReader(self.engine, as_of=self.as_of, user_id=self.user_id, session_token=self.token)

    def event(self, source: str, event_id: str) -> Evidence:
        """Return the row of the session's own event.

        Raises:
            BadInputError: The ledger holds no such event.
        """
        row = self._reader.event(source, event_id)
        if row is None:
            raise BadInputError(f"catalyst ledger: no event {event_id!r} of {source!r} as of {self.as_of.isoformat()}")
        return evidence_of(EVENT, row, "get_catalyst_events")

    @tool
    def get_catalyst_events(self, symbol: str | None, event_type: str | None) -> list[Evidence]:
        """Return the newest events, of one coin and one type where given."""
        rows = self._reader.events(
            symbol=checked_symbol(symbol) if symbol else None,
            event_type=checked_event_type(event_type) if event_type else None,
            limit=RELATED_EVENTS,
        )
        return [evidence_of(EVENT, row, "get_catalyst_events") for row in rows]

    @tool
    def get_top_events(self, timeframe: Timeframe) -> list[Evidence]:
        """Return the events of a window with the greatest impact, the newest first among equals; without one counts as no impact."""
        rows = self._reader.rows(EVENT, since=self.as_of - timeframe.span, limit=MOST_PEERS)
        ranked = sorted(rows, key=lambda row: (row["impact"] or 0, row["published_at"]), reverse=True)
        return [evidence_of(EVENT, row, "get_catalyst_events") for row in ranked[:RELATED_EVENTS]]

    @tool
    def get_documents(self, source: str, event_id: str) -> list[EventDocument]:
        """Return the documents of an event, the filing itself first; none where it has none or they are not known yet."""
        rows = self._reader.rows(DOCUMENT, limit=MOST_DOCUMENTS, source=source, event_id=event_id)
        return [_document(row) for row in sorted(rows, key=lambda row: (row["kind"] != "main", row["name"]))]

    @tool
    def get_price_data(self, symbol: str, timeframe: Timeframe) -> list[Evidence]:
        """Return a coin's newest quote, the oldest of the window, its newest price in USD, and the largest TVL."""
        reader, coin = self._reader, [checked_symbol(symbol)]
        quotes = _newest(reader.latest_quotes(coin, currency=QUOTE_CURRENCY))
        found: list[tuple[LedgerTable, Record]] = [(QUOTE, row) for row in quotes]
        for newest in quotes:
            series = {name: newest[name] for name in ("source", "symbol", "currency")}
            since = newest["observed_at"] - timeframe.span
            found += [(QUOTE, row) for row in reader.rows(QUOTE, since=since, limit=1, newest_first=False, **series)]
        found += [(COIN_PRICE, row) for row in _newest(reader.latest_prices_usd(coin))]
        found += [(PROTOCOL_TVL, row) for row in sorted(reader.latest(PROTOCOL_TVL), key=lambda row: -row["tvl_usd"])[:1]]
        return _distinct(evidence_of(table, row, "get_price_data") for table, row in found)

    @tool
    def get_market_candles(self, symbol: str, timeframe: Timeframe) -> list[Evidence]:
        """Return the newest closed candle of a coin at a venue and the one of a whole span before it, by hours or else by days.

        None where no market of the coin has both.
        """
        coin = checked_symbol(symbol)
        for currency in CANDLE_CURRENCIES:
            for interval in ("1h", "1d"):
                pair = self._candles_apart(coin, currency, interval, timeframe.span)
                if pair:
                    return [evidence_of(MARKET_CANDLE, row, "get_price_data") for row in pair]
        return []

    @tool
    def get_event_study(self, event: Evidence) -> list[Evidence]:
        """Return what the coin of an event did around comparable events of the past, on their day and through the day after.

        Comparable are earlier events about the coin of the same form by the same filer; where these are too few, by any filer; and
        where these are, earlier events of the same type.
        """
        symbol = event.row.get("symbol")
        if not symbol or not is_symbol(symbol):
            return []
        market = self._daily_market(symbol)
        earlier = [row for row in self._reader.events(symbol=symbol, limit=MOST_PEERS) if _published(row) < event.row["published_at"]]
        for cut in (("event_type", "form", "ticker"), ("event_type", "form"), ("event_type",)):
            peers = [row for row in earlier if all(row[name] == event.row.get(name) for name in cut)]
            studies = [self._study(event, cut, peers, market, through_days) for through_days in (0, 1)]
            found = [study for study in studies if study is not None]
            if found:
                return found
        return []

    @tool
    def get_indicators(self, symbol: str) -> list[Evidence]:
        """Return the technical indicators of a coin's market, as of its last closed day; none where too few days are known."""
        row = indicator_row(self._daily_market(checked_symbol(symbol)))
        if row is None:
            return []
        return [Evidence(ref_of(INDICATORS, (row["symbol"], row["day"], canonical_sha256(row)[:12]), 1), "get_indicators", row)]

    def _candles_apart(self, coin: str, currency: str, interval: str, span: timedelta) -> list[Record]:
        since = self.as_of - span - timedelta(days=2)
        by_venue: dict[tuple[str, str], dict[datetime, Record]] = {}
        for row in self._reader.candles(coin, currency, interval, since=since, limit=MOST_CANDLES):
            if row["is_final"]:
                by_venue.setdefault((row["source"], row["venue"]), {})[row["opened_at"]] = row
        for _, rows in sorted(by_venue.items()):
            newest = rows[max(rows)]
            before = rows.get(newest["opened_at"] - span)
            if before is not None and before["close"] > 0:
                return [newest, before]
        return []

    def _daily_market(self, coin: str) -> list[Record]:
        """Return the closed days of the market of a coin that has the most of them, in the first currency that has any."""
        if coin not in self._markets:
            markets = (self._daily_in(coin, currency) for currency in CANDLE_CURRENCIES)
            self._markets[coin] = next((market for market in markets if market), [])
        return self._markets[coin]

    def _daily_in(self, coin: str, currency: str) -> list[Record]:
        by_venue: dict[tuple[str, str], list[Record]] = {}
        for row in self._reader.candles(coin, currency, "1d", limit=MOST_CANDLES):
            if row["is_final"]:
                by_venue.setdefault((row["source"], row["venue"]), []).append(row)
        return max(sorted(by_venue.items()), key=lambda item: len(item[1]), default=("", list[Record]()))[1]

    def _study(
        self, event: Evidence, cut: Sequence[str], peers: Sequence[Record], market: Sequence[Record], through_days: int
    ) -> Evidence | None:
        study = event_study(days_of(market), [row["published_at"].date() for row in peers], through_days)
        if study is None:
            return None
        row = {
            **{name: event.row.get(name) for name in ("symbol", *cut)},
            **{name: market[0][name] for name in ("venue", "currency")},
            "through_days": through_days,
            "peers": study.peers,
            "first_day": study.first.isoformat(),
            "last_day": study.last.isoformat(),
            **{name: hundredths(getattr(study, name)) for name in ("mean_pct", "low_pct", "high_pct", "usual_pct")},
            "volume_ratio": None if study.volume_ratio is None else hundredths(study.volume_ratio),
            "events": " ".join(sorted(f"{row['source']}/{row['event_id']}@{row['version']}" for row in peers)),
            "candles_sha256": candles_sha256(market),
        }
        digest = canonical_sha256(row)[:12]
        return Evidence(ref_of(EVENT_STUDY, (symbol_of(event), f"{through_days}d", digest), 1), "get_event_study", row)

    @tool
    def get_sentiment_data(self, symbol: str | None, source: SentimentSource) -> list[Evidence]:
        """Return the newest score of a coin, or of the whole market."""
        of = checked_symbol(symbol) if symbol else WHOLE_MARKET
        wanted = None if source is SentimentSource.ANY else source.value
        return [evidence_of(SENTIMENT, row, "get_sentiment_data") for row in self._reader.sentiment(symbol=of, source=wanted, limit=1)]

    @tool
    def get_order_history(self, symbol: str | None = None) -> list[Evidence]:
        """Return the newest fills of the session's own user, of one coin where given; none where the session has no real user."""
        if self.user_id is None:
            return []
        of_coin: dict[str, Any] = {"symbol": checked_symbol(symbol)} if symbol else {}
        rows = self._reader.rows(FILL, limit=RELATED_EVENTS, user_id=self.user_id, **of_coin)
        return [evidence_of(FILL, row, "get_order_history") for row in rows]

    @tool
    def get_pnl_summary(self, symbols: Sequence[str] = ()) -> list[Evidence]:
        """Return the positions of the session's own user with their gains, of some coins where given; none without a real user.

        A position that was computed again after ``as_of`` is left out: its earlier figures are gone.
        """
        if self.user_id is None:
            return []
        coins = [checked_symbol(symbol) for symbol in symbols]
        rows = read_positions(self.engine, self.token, self.user_id, self.as_of, coins)
        return [
            Evidence(ref_of(POSITIONS, (row["method"], row["currency"], row["symbol"]), row["run_id"]), "get_pnl_summary", _json_row(row))
            for row in rows
        ]

    @tool
    def get_onchain_metrics(self, symbols: Sequence[str] = ()) -> list[Evidence]:
        """Return the newest head of each chain, and the largest protocol of each coin by the value locked in it."""
        reader = self._reader
        heads = {row["chain"]: row for row in reversed(reader.rows(CHAIN_BLOCK, limit=MOST_HEADS))}
        locked = [
            row
            for symbol in symbols
            for row in sorted(reader.latest(PROTOCOL_TVL, symbol=checked_symbol(symbol)), key=lambda row: -row["tvl_usd"])[:1]
        ]
        found = [(CHAIN_BLOCK, row) for _, row in sorted(heads.items())] + [(PROTOCOL_TVL, row) for row in locked]
        return [evidence_of(table, row, "get_onchain_metrics") for table, row in found]

    @tool
    def get_smart_money_flow(self, symbol: str) -> list[Evidence]:
        """Return the newest flow of a coin on each chain."""
        rows = self._reader.latest(SMART_MONEY_FLOW, symbol=checked_symbol(symbol))
        return [evidence_of(SMART_MONEY_FLOW, row, "get_smart_money_flow") for row in rows]

    @tool
    def get_ledger_quality(self) -> list[Evidence]:
        """Return the newest score of each ledger."""
        rows = newest_scores(self.engine, self.as_of)
        return [Evidence(ref_of(SCORES, (row["ledger"], row["run_id"]), 1), "get_ledger_quality", _json_row(row)) for row in rows]

    @tool
    def get_check_results(self, ledger: str, source: str, names: Sequence[str]) -> list[Evidence]:
        """Return how some checks of a source were judged last, the lowest score first."""
        rows = newest_check_results(self.engine, self.as_of, ledger, source, names)
        return [
            Evidence(ref_of(CHECKS, (row["source"], row["name"], row["run_id"]), 1), "get_check_results", _json_row(row)) for row in rows
        ]


def symbol_of(event: Evidence) -> str:
    """Return the coin of an event; empty where it names none."""
    return str(event.row.get("symbol") or "")


def _published(row: Record) -> str:
    return str(row["published_at"].isoformat())


def evidence_of(table: LedgerTable, row: Record, tool: str) -> Evidence:
    """Return a row of a ledger under the reference that names it."""
    key = (row["source"], *(row[name] for name in table.key))
    return Evidence(ref_of(table.qualified, key, row["version"]), tool, _json_row(row))


def _document(row: Record) -> EventDocument:
    content = row["content"]
    held = {name: value for name, value in row.items() if name != "content"}
    digest = hashlib.sha256(row["name"].encode()).hexdigest()[:12]
    held["content_sha256"] = None if content is None else hashlib.sha256(content.encode()).hexdigest()
    ref = ref_of(DOCUMENT.qualified, (row["source"], row["event_id"], digest), row["version"])
    return EventDocument(Evidence(ref, DOCUMENTS_TOOL, _json_row(held)), content)


def _newest(rows: Sequence[Record]) -> Sequence[Record]:
    return sorted(rows, key=lambda row: row["observed_at"], reverse=True)[:1]


def _json_row(row: Record) -> dict[str, Any]:
    return {name: json_value(value) for name, value in row.items()}


def _distinct(rows: Iterable[Evidence]) -> list[Evidence]:
    return list({row.ref: row for row in rows}.values())
