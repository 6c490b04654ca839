"""Fills into trades of the engine, each settled in one currency: the one place that knows what can happen to holdings.

One fill becomes one trade a coin that it changes: a trade of coin for coin two, a fee in a third coin one more. What comes out
are plain acquisitions and disposals, so the engine has no special cases.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from omc_pipeline.pnl.amounts import PRICE_DECIMALS, decimal_of, exact_units, product, rounded_quotient, rounded_units, total
from omc_pipeline.pnl.fill import FIAT, Fill, Rate, Rates, RateUse
from omc_pipeline.pnl.kinds import BOTH_WAYS, INCOME_KINDS, LEAVING, LOSS_KINDS, PAIRED, Kind
from omc_pipeline.pnl.money import settle
from omc_pipeline.pnl.policy import FeePolicy, LotPolicy
from omc_pipeline.pnl.result import PnlException, fill_exception, unpriced_fee
from omc_pipeline.pnl.trade import Side, Trade

_PRICE_UNIT: int = pow(10, PRICE_DECIMALS)
_ZERO, _ONE = Decimal(0), Decimal(1)


@dataclass(frozen=True, slots=True)
class Expansion:
    """Trades in the order of the fills, the rates they were settled by, and what needs a person's eye."""

    trades: Sequence[Trade]
    rates: Sequence[RateUse]
    exceptions: Sequence[PnlException]


def expand(fills: Sequence[Fill], rates: Rates, currency: str, fees: FeePolicy = "capitalise", lots: LotPolicy = "universal") -> Expansion:
    """Settle every fill in one currency.

    A fill that cannot be settled gives no trade but an exception: ``missing_price`` where nobody knows its value,
    ``invalid_fill`` where it makes no sense. A fee that cannot be valued is left out as ``unpriced_fee``; coins of unknown
    origin count at market value, as ``missing_history``.

    Args:
        fills: Of one user, in any order, each once; both halves of a transfer, where both are known.
        rates: What coins and currencies were worth.
        currency: Of the outcome.
        fees: Where fees go.
        lots: Whether transfers between accounts carry lots, or matter by their fee alone.
    """
    return _Expansion(rates, currency, fees, lots).of(fills)


class NoRateError(ValueError):
    """Nobody knows what a coin or currency was worth then."""


class _Expansion:
    def __init__(self, rates: Rates, currency: str, fees: FeePolicy, lots: LotPolicy) -> None:
        self._rates, self._currency, self._fees, self._lots = rates, currency, fees, lots
        self._trades: list[Trade] = []
        self._uses: list[RateUse] = []
        self._exceptions: list[PnlException] = []

    def of(self, fills: Sequence[Fill]) -> Expansion:
        arrivals, departures = halves(fills)
        for fill in fills:
            before = len(self._trades), len(self._uses)
            try:
                if fill.kind != "transfer":
                    self._happened(fill)
                elif fill.side == "sell":
                    self._departed(fill, arrivals.get(fill.trade_id or fill.id))
                else:
                    self._arrived(fill, departures.get(fill.trade_id or fill.id))
                if fill.fee is None:
                    self._exceptions.append(
                        fill_exception("unknown_fee", fill.symbol, fill.id, None, "states no fee; it counts as without one")
                    )
            except ValueError as error:
                del self._trades[before[0] :], self._uses[before[1] :]
                kind = "missing_price" if isinstance(error, NoRateError) else "invalid_fill"
                self._exceptions.append(fill_exception(kind, fill.symbol, fill.id, None, f"is not counted: {error}"))
        return Expansion(self._trades, self._uses, self._exceptions)

    def _happened(self, fill: Fill) -> None:
        if fill.qty <= 0:
            raise ValueError(f"its quantity is {fill.qty:f}")
        if fill.kind == "trade":
            self._traded(fill)
        elif self._is_coin(fill.symbol):
            if fill.kind not in BOTH_WAYS and fill.side != ("sell" if fill.kind in LEAVING else "buy"):
                raise ValueError(f"a {fill.kind} is no {fill.side}")
            if fill.kind in PAIRED:
                raise ValueError(f"rows of kind {fill.kind} are computed from files, not from the ledger yet")
            if fill.kind == "withdrawal":
                self._moved(fill, fill.qty, "withdrawal")
            else:
                self._came_or_went(fill)

    def _traded(self, fill: Fill) -> None:
        """Add a trade for each coin that was given or got; the first bears the fee."""
        value = self._value(fill)
        other: Side = "sell" if fill.side == "buy" else "buy"
        sides: list[tuple[str, Side, Decimal]] = [(fill.symbol, fill.side, fill.qty)]
        if fill.currency not in (self._currency, *FIAT):
            sides.append((fill.currency, other, _amount(fill)))
        sides = [side for side in sides if self._is_coin(side[0])]
        for number, (symbol, side, qty) in enumerate(sides):
            self._settle(fill, symbol, side, qty, value, self._fee(fill, symbol, value, qty) if number == 0 else (_ZERO, _ZERO))

    def _came_or_went(self, fill: Fill) -> None:
        """Add coins that were earned, came from outside, or were paid as a fee, at the value stated or else of the market."""
        stated = fill.amount is not None or fill.price is not None
        if fill.kind in LOSS_KINDS and not stated:
            self._settle(fill, fill.symbol, fill.side, fill.qty, _ZERO, self._fee(fill, fill.symbol, _ZERO, fill.qty))
            return
        value = self._value(fill) if stated else product(fill.qty, self._rate(fill, fill.symbol))
        if fill.kind == "deposit" and not stated:
            self._report("missing_history", fill, fill.qty, "came from outside, and nobody states its cost; it counts at market value")
        self._settle(fill, fill.symbol, fill.side, fill.qty, value, self._fee(fill, fill.symbol, value, fill.qty))

    def _departed(self, out: Fill, arrival: Fill | None) -> None:
        """Move coins to the account where they arrived; what did not arrive was a fee."""
        if arrival is None:
            if self._is_coin(out.symbol):
                self._report("in_transit", out, out.qty, "left an own account and has not arrived in another yet")
            self._moved(out, out.qty, "transfer")
            return
        moved = min(out.qty, arrival.qty)
        self._moved(out._replace(time=min(out.time, arrival.time)), moved, "transfer", arrival.account)
        if out.qty > moved:
            self._burnt(out, out.symbol, total(out.qty, -moved), ":network")

    def _arrived(self, arrival: Fill, out: Fill | None) -> None:
        """Add what arrived beyond what departed: coins whose history is missing."""
        if out is None:
            self._happened(arrival._replace(kind="deposit"))
            return
        if arrival.qty > out.qty:
            beyond = total(arrival.qty, -out.qty)
            self._happened(arrival._replace(kind="deposit", qty=beyond, price=None, amount=None, fee=_ZERO))
        self._fee_alone(arrival)

    def _moved(self, fill: Fill, qty: Decimal, kind: Kind, to_account: str = "") -> None:
        """Take coins out at cost; within the lots of all accounts a transfer moves nothing."""
        carries = kind == "withdrawal" or self._lots == "account"
        fee = self._money_fee(fill)
        if self._is_coin(fill.symbol) and (carries or fee):
            self._add(fill, fill.id, fill.symbol, "sell", qty if carries else _ZERO, 0, kind=kind, fee=fee, to_account=to_account)
        self._fee_alone(fill)

    def _settle(self, fill: Fill, symbol: str, side: Side, qty: Decimal, value: Decimal, fee: tuple[Decimal, Decimal]) -> None:
        """Add a trade: ``fee`` is its worth, and the units of it that changed what was got or given."""
        worth, in_coin = fee
        direction = 1 if side == "buy" else -1
        traded, units = value, qty
        if in_coin:
            units, traded = total(qty, -direction * in_coin), total(value, -direction * worth)
        if units <= 0:
            raise ValueError(f"its quantity is {units:f} after its fee")
        settled = settle(side, traded, worth, self._fees)
        income = rounded_units(value) if fill.kind in INCOME_KINDS else 0
        price = 0 if side == "sell" else self._lot_price(fill, symbol, value, qty)
        self._add(fill, fill.id, symbol, side, units, settled.money, kind=fill.kind, price=price, fee=settled.fee, income=income)

    def _fee(self, fill: Fill, symbol: str, value: Decimal, qty: Decimal) -> tuple[Decimal, Decimal]:
        """Return what a fee is worth, and its units where it is in the coin itself; one in a third coin is a trade of its own."""
        coin = fill.fee_currency
        if not fill.fee:
            return _ZERO, _ZERO
        if coin == symbol == fill.symbol:
            return _share(fill.fee, value, qty) if fill.price is None else product(fill.fee, self._unit_price(fill)), fill.fee
        try:
            worth = product(fill.fee, self._rate(fill, coin))
        except NoRateError:
            self._exceptions.append(unpriced_fee(coin, fill.id, f"{fill.fee.normalize():f}", self._currency))
            return _ZERO, _ZERO
        if self._is_coin(coin):
            self._paid(fill, coin, fill.fee, ":fee")
        return worth, _ZERO

    def _fee_alone(self, fill: Fill) -> None:
        """Add the in-kind fee of a movement."""
        if fill.fee and self._is_coin(fill.fee_currency):
            self._burnt(fill, fill.fee_currency, fill.fee, ":fee")

    def _money_fee(self, fill: Fill) -> int:
        """Return the fee of a movement that was paid in money; there is no cost it could be part of, so it is an expense."""
        if not fill.fee or self._is_coin(fill.fee_currency):
            return 0
        return rounded_units(product(fill.fee, self._rate(fill, fill.fee_currency)))

    def _burnt(self, fill: Fill, coin: str, qty: Decimal, suffix: str) -> None:
        """Add the in-kind fee of a movement; one whose worth nobody knows leaves at cost, and is reported: the movement counts."""
        try:
            self._paid(fill, coin, qty, suffix)
        except NoRateError:
            if qty < 0:
                raise
            self._exceptions.append(unpriced_fee(coin, fill.id, f"{qty.normalize():f}", self._currency, is_gone=True))
            self._add(fill, fill.id + suffix, coin, "sell", qty, 0, kind="withdrawal")

    def _paid(self, fill: Fill, coin: str, qty: Decimal, suffix: str) -> None:
        """Add the disposal of a fee in coins at market value, or the acquisition of a rebate."""
        price = self._rate(fill, coin)
        side: Side = "sell" if qty > 0 else "buy"
        kind: Kind = "fee" if qty > 0 else "rebate"
        units = abs(qty)
        money = rounded_units(product(units, price))
        self._add(fill, fill.id + suffix, coin, side, units, money, kind=kind, price=exact_units(price, PRICE_DECIMALS))

    def _value(self, fill: Fill) -> Decimal:
        """Return the value of what was traded, before the fee."""
        if fill.symbol == self._currency:
            return fill.qty
        try:
            return product(_amount(fill), self._rate(fill, fill.currency))
        except NoRateError:
            if fill.symbol in FIAT or fill.currency in FIAT:
                raise
            return product(fill.qty, self._rate(fill, fill.symbol))

    def _lot_price(self, fill: Fill, symbol: str, value: Decimal, qty: Decimal) -> int:
        """Return the price of a unit without the fee, to compare lots by."""
        if fill.price is not None and symbol == fill.symbol and (fill.currency == self._currency or fill.kind == "trade"):
            return exact_units(self._unit_price(fill), PRICE_DECIMALS)
        return rounded_units(value) * _PRICE_UNIT // exact_units(qty)

    def _unit_price(self, fill: Fill) -> Decimal:
        return product(fill.price or _ZERO, self._rate(fill, fill.currency))

    def _rate(self, fill: Fill, coin: str) -> Decimal:
        if coin == self._currency:
            return _ONE
        rate: Rate | None = self._rates(fill, coin)
        if rate is None:
            raise NoRateError(f"what {coin} was worth in {self._currency} at {fill.time.isoformat()} is unknown")
        self._uses.append(RateUse(fill, coin, rate))
        return rate.value

    def _is_coin(self, symbol: str) -> bool:
        return symbol != self._currency and symbol not in FIAT

    def _report(self, kind: str, fill: Fill, qty: Decimal, message: str) -> None:
        self._exceptions.append(fill_exception(kind, fill.symbol, fill.id, exact_units(qty), message))

    def _add(
        self, fill: Fill, identity: str, symbol: str, side: Side, qty: Decimal, money: int, *, kind: Kind,
        price: int = 0, fee: int = 0, income: int = 0, to_account: str = "",
    ) -> None:  # fmt: skip
        self._trades.append(
            Trade(
                identity, symbol, self._currency, fill.time, side, exact_units(qty), money, price, fee, income,
                kind, fill.account, to_account, fill.algorithm, fill.sequence,
            )
        )  # fmt: skip


def halves(fills: Iterable[Fill]) -> tuple[Mapping[str, Fill], Mapping[str, Fill]]:
    """Return the arrivals and the departures among transfers, by what both halves share."""
    arrivals: dict[str, Fill] = {}
    departures: dict[str, Fill] = {}
    for fill in fills:
        if fill.kind == "transfer":
            (arrivals if fill.side == "buy" else departures).setdefault(fill.trade_id or fill.id, fill)
    return arrivals, departures


def _amount(fill: Fill) -> Decimal:
    """Return the value in the fill's own currency; a stated amount wins over quantity times price."""
    if fill.amount is not None:
        return fill.amount
    if fill.price is None:
        raise ValueError("it states neither price nor amount")
    return product(fill.qty, fill.price)


def _share(fee: Decimal, value: Decimal, qty: Decimal) -> Decimal:
    return decimal_of(rounded_quotient(rounded_units(value) * exact_units(fee), exact_units(qty)))
