"""Convert ccxt's unified structures to ledger rows: trades, transactions, entries of a venue's ledger, balances."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from omc_pipeline.assets.registry import Registry
from omc_pipeline.collection.items import read_items, refusal
from omc_pipeline.collection.source import Parsed
from omc_pipeline.collection.values import amount, instant_of_epoch, optional_text, storable, text, usable_amount
from omc_pipeline.ledgers.exchange import Balance, Fill
from omc_pipeline.ledgers.identity import venue_fill_id

_LONGEST_SYMBOL = 30
_NOT_COINS = ("info", "timestamp", "datetime", "free", "used", "total", "debt")
_KINDS = {
    "deposit": "deposit",
    "withdrawal": "withdrawal",
    "staking": "staking",
    "reward": "staking",
    "dividend": "interest",
    "airdrop": "airdrop",
}
"""Kinds of fills by the names that entries of a venue's ledger have; the others (trades, moves between wallets) are told elsewhere."""
_DONE = "ok"


@dataclass(frozen=True)
class Owner:
    """Whose account at which venue.

    Attributes:
        user_id: The owner.
        account_id: The account.
        venue: Where it is, as ccxt names it.
        numbers_all_trades: As of the venue's traits.
    """

    user_id: str
    account_id: str
    venue: str
    numbers_all_trades: bool
    assets: Registry

    def symbol(self, code: object, at: datetime | None = None) -> str:
        """Return the unique symbol of a currency, given the code that ccxt has for it at a time; all symbols of this source are made here.

        Raises:
            ValueError: It is no code.
        """
        written = code.strip().upper() if isinstance(code, str) else ""
        if not written or len(written) > _LONGEST_SYMBOL or not storable(written) or any(c.isspace() for c in written):
            raise ValueError(f"{str(code)[:40]!r} is no code of a currency")
        return self.assets.symbol_of(self.venue, written, at)

    def trades(self, trades: Iterable[Any]) -> Parsed:
        """Read one fill per trade."""
        return read_items(trades, self._trade)

    def movements(self, rows: Iterable[Any]) -> Parsed:
        """Read one fill for each completed deposit, withdrawal or income."""
        return read_items((row for row in rows if _is_movement(row)), self._movement)

    def balances(self, balance: Any, second: Any, held: frozenset[str]) -> Parsed:
        """Read the balances; zero balances only of coins that were held before."""
        entries = [{"code": code, **entry} for code, entry in _entries(balance)]
        parsed = read_items(entries, lambda entry: self._balance(entry, second))
        rows = [row for row in parsed.rows if isinstance(row, Balance) and (row.qty or row.symbol in held)]
        return Parsed(rows, parsed.rejected)

    def _trade(self, trade: Any) -> Fill:
        executed_at = instant_of_epoch(trade, "timestamp", unit="ms")
        symbol, currency = self._market(trade.get("symbol"), executed_at)
        is_unique = self.numbers_all_trades
        fee, fee_currency = self._fee(trade, currency, executed_at)
        side = text(trade, "side", 10)
        if side not in ("buy", "sell"):
            raise ValueError(f"side is {side!r}")
        trade_id = text(trade, "id", 100)
        return Fill(
            fill_id=venue_fill_id(trade_id) if is_unique else venue_fill_id(trade_id, symbol, currency),
            user_id=self.user_id,
            account_id=self.account_id,
            symbol=symbol,
            currency=currency,
            side=side,
            qty=amount(trade, "amount", above=0),
            price=amount(trade, "price", above=0),
            quote_amount=usable_amount(trade, "cost", above=0),
            fee=fee,
            fee_currency=fee_currency,
            executed_at=executed_at,
            order_id=optional_text(trade, "order", 100),
        )

    def _market(self, market: Any, at: datetime) -> tuple[str, str]:
        base, slash, quoted_in = market.partition("/") if isinstance(market, str) else ("", "", "")
        if not slash or ":" in quoted_in:
            raise ValueError(f"market {str(market)[:40]!r} is no spot market that the venue lists")
        return self.symbol(base, at), self.symbol(quoted_in, at)

    def _fee(self, trade: Any, currency: str, at: datetime) -> tuple[Decimal | None, str]:
        """Return the fee and its currency; unknown if it is missing, invalid or a rebate."""
        fees = [trade["fee"]] if isinstance(trade.get("fee"), dict) and trade["fee"].get("cost") is not None else trade.get("fees") or []
        if len(fees) > 1:
            raise ValueError(f"it was charged in {len(fees)} fees")
        if not fees:
            return None, currency
        fee = fees[0]
        return usable_amount(fee, "cost", least=0), self.symbol(fee["currency"], at) if fee.get("currency") else currency

    def _movement(self, row: Any) -> Fill:
        kind = _KINDS[_name_of(row)]
        executed_at = instant_of_epoch(row, "timestamp", unit="ms")
        symbol = self.symbol(row.get("currency"), executed_at)
        fee = row.get("fee") if isinstance(row.get("fee"), dict) else {}
        cost = usable_amount(fee, "cost", least=0)
        identity = optional_text(row, "id", 200) or text(row, "txid", 200)
        return Fill(
            fill_id=venue_fill_id(f"{kind}:{identity}"),
            user_id=self.user_id,
            account_id=self.account_id,
            symbol=symbol,
            currency=symbol,
            side="sell" if kind == "withdrawal" else "buy",
            qty=amount(row, "amount", above=0),
            price=None,
            quote_amount=None,
            fee=cost if cost is not None or kind == "withdrawal" else Decimal(0),
            fee_currency=self.symbol(fee["currency"], executed_at) if fee.get("currency") else symbol,
            executed_at=executed_at,
            kind=kind,
            order_id=optional_text(row, "referenceId", 100),
        )

    def _balance(self, entry: Any, second: Any) -> Balance:
        parts = {"total": entry.get("total")}
        qty = amount(parts, "total") if parts["total"] is not None else amount(entry, "free") + (usable_amount(entry, "used") or 0)
        return Balance(self.user_id, self.account_id, self.symbol(entry["code"]), second, qty, None)


def unread(rows: Iterable[tuple[str, Any]]) -> list[Any]:
    """Return the findings for rows that ccxt could not read."""
    return [refusal(reason, row if isinstance(row, dict) else {"row": row}) for reason, row in rows]


def _entries(balance: Any) -> Iterator[tuple[str, Any]]:
    for code, entry in balance.items():
        if code not in _NOT_COINS:
            yield code, entry if isinstance(entry, dict) else {"total": entry}


def _name_of(row: Any) -> str:
    """Return what a row is, by the venue's own name for entries of its ledger, by ccxt's for transactions."""
    info = row.get("info") if isinstance(row.get("info"), dict) else {}
    of_venue = info.get("subtype") if info.get("type") == "earn" else info.get("type")
    return str(of_venue if row.get("direction") else row.get("type"))


def _is_movement(row: Any) -> bool:
    return not isinstance(row, dict) or (_name_of(row) in _KINDS and row.get("status") == _DONE)
