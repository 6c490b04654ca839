"""How often a stored answer of CoinSpot lists a fill, whatever its spelling; frozen with the migration that asks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any

import zstandard

_ROW = "SELECT side, qty, price, quote_amount, fee, executed_at FROM exchange.fill WHERE fill_id = %s ORDER BY version DESC LIMIT 1"
_BODY = "SELECT body, size_bytes FROM raw.payload WHERE sha256 = %s AND body IS NOT NULL"
_UNIT = Decimal("1e-18")


def times_listed(connection: Any, payload_sha256: str | None, fill_id: str) -> int | None:
    """Return how many orders of an answer are the fill, or None where the answer is no longer there or isn't one of orders."""
    found = connection.execute(_BODY, [payload_sha256], binary=True).fetchone()
    fill = connection.execute(_ROW, [fill_id]).fetchone()
    if found is None or fill is None:
        return None
    document = json.loads(zstandard.ZstdDecompressor().decompress(found[0], max_output_size=found[1]), parse_float=str)
    side, *numbers, executed_at = fill
    orders = document.get(f"{side}orders") if isinstance(document, dict) else None
    if not isinstance(orders, list):
        return None
    wanted = (*numbers, executed_at.astimezone(UTC))
    return sum(1 for read in _read(orders) if read == wanted)


def _read(orders: list[Any]) -> Iterator[tuple[Any, ...]]:
    for order in orders:
        if isinstance(order, dict):
            try:
                amounts = [_number(order, name) for name in ("amount", "rate", "total")]
                yield (*amounts, _number(order, "audfeeExGst") + _number(order, "audGst"), _instant(order))
            except (KeyError, TypeError, ValueError, InvalidOperation):
                continue


def _number(order: Mapping[str, Any], name: str) -> Decimal:
    return Decimal(str(order[name])).quantize(_UNIT, ROUND_HALF_EVEN)


def _instant(order: Mapping[str, Any]) -> datetime:
    details = order.get("solddate", order.get("created"))
    if isinstance(details, int):
        return datetime.fromtimestamp(details // 1000, UTC).replace(microsecond=details % 1000 * 1000)
    return datetime.fromisoformat(str(details)).astimezone(UTC)
