"""Readings of files into trades of the engine, in one currency, without a database; what coins were worth is what the files state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from omc_infra.errors import BadInputError
from omc_pipeline.imports.building import STABLE
from omc_pipeline.imports.overlap import Reported, each_once
from omc_pipeline.imports.reading import FileReading
from omc_pipeline.imports.transfers import with_transfers
from omc_pipeline.pnl.amounts import PRICE_DECIMALS, exact_units, product, rounded_units
from omc_pipeline.pnl.expand import expand
from omc_pipeline.pnl.fill import FIAT, Fill, Rate
from omc_pipeline.pnl.kinds import PAIRED
from omc_pipeline.pnl.policy import FeePolicy
from omc_pipeline.pnl.result import PnlException
from omc_pipeline.pnl.trade import Trade

_PRICE_UNIT: int = pow(10, PRICE_DECIMALS)
_OWN_ID = "#"
"""What an id begins with that the file does not give."""


@dataclass(frozen=True)
class Settled:
    """Trades of files, their currency, what needs a person's eye, and what was taken to be so."""

    trades: Sequence[Trade]
    currency: str
    exceptions: Sequence[PnlException]
    assumed: Sequence[str]


def settled(readings: Sequence[FileReading], policy: FeePolicy, quote: str | None) -> Settled:
    """Settle the fills of files in one currency.

    Rows that two files have in common count once. Coins that left one file's account and came to another's are a transfer.

    Args:
        readings: The files; each is an account of its own unless its rows name theirs.
        policy: Where fees go.
        quote: The currency; None: the only money that trades are in.

    Raises:
        BadInputError: Several currencies, and none named.
    """
    currency = quote.upper() if quote else _only_money(readings)
    reported, worths = _together(readings)
    formats = {number: reading.format.name for number, reading in enumerate(readings)}
    names = {number: f"file {number + 1} ({reading.format.title})" for number, reading in enumerate(readings)}
    once = each_once(reported, formats, names)
    fills, pairs = with_transfers([one.fill for one in once.fills])

    def rate(fill: Fill, coin: str) -> Rate | None:
        stated = worths.get((fill.account, fill.id, coin))
        return Rate(stated[0], "file") if stated is not None and stated[1] == currency else None

    expanded = expand([fill for fill in fills if fill.kind not in PAIRED], rate, currency, policy)
    trades = [*expanded.trades, *(_half(fill, currency) for fill in fills if fill.kind in PAIRED)]
    assumed = [line for reading in readings for line in reading.notes.assumed]
    assumed += once.assumed
    if pairs:
        assumed.append(f"{pairs} withdrawals and deposits are transfers between own accounts")
    exceptions = [*(row for reading in readings for row in reading.notes.exceptions), *once.exceptions, *expanded.exceptions]
    return Settled(_named(trades), currency, exceptions, assumed)


def _half(fill: Fill, currency: str) -> Trade:
    """Return one of the two trades that a migration or a claim of no value consists of, at the value that its row states.

    Raises:
        BadInputError: The value is in another currency.
    """
    value = fill.amount if fill.amount is not None else product(fill.qty, fill.price) if fill.price is not None else Decimal(0)
    if value and fill.currency != currency:
        raise BadInputError(
            f"fill {fill.id!r} of kind {fill.kind}: its value is in {fill.currency}, and what it is in {currency} is not known"
        )
    qty, money = exact_units(fill.qty), rounded_units(value)
    return Trade(
        fill.id, fill.symbol, currency, fill.time, fill.side, qty, money, money * _PRICE_UNIT // qty, kind=fill.kind, account=fill.account,
        sequence=fill.sequence,
    )  # fmt: skip


def describe(reading: FileReading) -> Mapping[str, Any]:
    """Return what was understood of a file, as JSON."""
    times = [fill.time for fill in reading.fills]
    return {
        "format": reading.format.name,
        "title": reading.format.title,
        "encoding": reading.encoding or None,
        "zone": reading.zone or None,
        "rows": reading.rows,
        "fills": len(reading.fills),
        "from": min(times).isoformat() if times else None,
        "to": max(times).isoformat() if times else None,
        "kinds": dict(reading.kinds),
        "passed": dict(reading.notes.passed),
        "assumed": list(reading.notes.assumed),
    }


def _only_money(readings: Sequence[FileReading]) -> str:
    stated = (fill for reading in readings for fill in reading.fills if fill.kind == "trade" or fill.price or fill.amount)
    priced = {fill.currency for fill in stated} & (FIAT | STABLE)
    money = (priced & FIAT) or priced or {currency for reading in readings for _, currency in reading.notes.values.values()}
    if len(money) > 1:
        raise BadInputError(f"prices are in {', '.join(sorted(money))}; name the currency of the result with --quote")
    return money.pop() if money else ""


def _together(readings: Sequence[FileReading]) -> tuple[list[Reported], dict[tuple[str, str, str], tuple[Decimal, str]]]:
    """Return the fills of all files, each with its account, those that several files of one format have in common once."""
    fills: list[Reported] = []
    worths: dict[tuple[str, str, str], tuple[Decimal, str]] = {}
    known: dict[tuple[Any, ...], int] = {}
    for number, reading in enumerate(readings, 1):
        prefix = f"{number}" if len(readings) > 1 else ""
        seen = Counter[tuple[Any, ...]]()
        for fill in reading.fills:
            account = fill.account or reading.format.venue or reading.format.name
            if len(readings) == 1 and not reading.notes.values:
                fills.append(Reported(0, fill if fill.account else fill._replace(account=account)))
                continue
            facts = (account, *fill._replace(account="", sequence=0, id="" if fill.id.startswith(_OWN_ID) else fill.id))
            seen[facts] += 1
            if seen[facts] <= known.get(facts, 0):
                continue
            known[facts] = seen[facts]
            identity = prefix + fill.id if fill.id.startswith(_OWN_ID) else fill.id
            named = fill._replace(account=account, id=identity)
            fills.append(Reported(number - 1, named))
            for coin in {fill.symbol, fill.currency, fill.fee_currency}:
                stated = reading.notes.values.get((fill.id, coin))
                if stated is not None:
                    worths[account, identity, coin] = stated
    return fills, worths


def _named(trades: Sequence[Trade]) -> list[Trade]:
    """Return trades with an id each within their coin; venues number trades by market, so two may share theirs."""
    seen = Counter[tuple[str, str]]()
    named = []
    for trade in trades:
        seen[trade.symbol, trade.id] += 1
        count = seen[trade.symbol, trade.id]
        named.append(trade if count == 1 else trade._replace(id=f"{trade.id}~{count}"))
    return named
