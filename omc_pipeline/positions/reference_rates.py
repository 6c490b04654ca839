"""What money was worth in other money by the reference rates of central banks.

A bank gives rates of one currency, its base, on working days. The rate of a time is the newest that was taken before it: on a weekend
that of Friday. Two currencies of one bank and day give the rate between them. A rate older than ``COUNTS_FOR`` is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from omc_pipeline.pnl.amounts import UNIT, exact_units, rounded_quotient
from omc_pipeline.pnl.fill import FIAT
from omc_pipeline.positions.known import Known, Need

if TYPE_CHECKING:
    import psycopg

COUNTS_FOR = timedelta(days=7)
"""The longest time without a working day, around Easter and Christmas, is five days."""
RATES = """
SELECT need.number, r.source, r.base, r.observed_at, r.version, r.rate
FROM unnest(%(currencies)s::text[], %(times)s::timestamptz[]) WITH ORDINALITY AS need (currency, at, number)
CROSS JOIN LATERAL (
    SELECT * FROM glass.fx_rate WHERE currency = need.currency AND recorded_at <= %(known_at)s
    AND observed_at <= need.at AND observed_at > need.at - %(counts_for)s ORDER BY observed_at DESC, source, version DESC LIMIT 1
) AS r
"""


class _Leg(NamedTuple):
    """Units of a currency for one of a bank's base."""

    source: str
    base: str
    at: datetime
    origin: str
    units: int


def reference_rates(connection: psycopg.Connection[Any], currency: str, needs: Sequence[Need], known_at: datetime) -> dict[Need, Known]:
    """Return what money was worth in a currency; needs of coins and of unknown rates are left out.

    Args:
        connection: To read by.
        currency: That rates are in.
        needs: Money, and when.
        known_at: Rows recorded later are not seen.
    """
    moneys = [need for need in needs if need[0] in FIAT and need[0] != currency] if currency in FIAT else []
    if not moneys:
        return {}
    legs = _legs(connection, sorted({*moneys, *((currency, at) for _, at in moneys)}), known_at)
    found = {need: _between(currency, need[0], legs.get((currency, need[1])), legs.get(need)) for need in moneys}
    return {need: known for need, known in found.items() if known is not None}


def _legs(connection: psycopg.Connection[Any], needs: Sequence[Need], known_at: datetime) -> dict[Need, _Leg]:
    currencies, times = map(list, zip(*needs, strict=True))
    bound = {"currencies": currencies, "times": times, "known_at": known_at, "counts_for": COUNTS_FOR}
    return {
        needs[number - 1]: _Leg(source, base, at, f"{needs[number - 1][0]} {at.isoformat()} v{version}", exact_units(rate))
        for number, source, base, at, version, rate in connection.execute(RATES, bound)
    }


def _between(currency: str, money: str, here: _Leg | None, there: _Leg | None) -> Known | None:
    """Return what one of a money is worth: its price by way of the base of one bank on one day."""
    details = [leg for leg in (here, there) if leg is not None]
    if not details:
        return None
    base = details[0].base
    is_whole = (here is not None or currency == base) and (there is not None or money == base)
    if not is_whole or len({(leg.source, leg.base, leg.at) for leg in details}) != 1:
        return None
    units = rounded_quotient((here.units if here else UNIT) * UNIT, there.units if there else UNIT)
    origin = f"glass.fx_rate {details[0].source} {base}/{' / '.join(leg.origin for leg in details)}"
    return Known(units, origin if here else f"1 / {origin}", details[0].at) if units > 0 else None
