"""Read DefiLlama's daily fees and revenue of one protocol."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from omc_infra.errors import PayloadChangedError
from omc_infra.payload import Payload
from omc_pipeline.collection.items import Item, read_items
from omc_pipeline.collection.json_body import Json
from omc_pipeline.collection.source import Parsed
from omc_pipeline.collection.values import amount, instant_of_epoch, text
from omc_pipeline.ledgers.glass import ProtocolDay

METRIC = "metric"
"""Where the context of a payload names what was asked for: ``fees`` or ``revenue``; a saved body is read as fees."""

_NAME = "glass_defillama"


def day_rows(
    document: Item, chart: list[Json], payload: Payload, slug_of: Callable[[Item], str], parent_of: Callable[[Item], str | None]
) -> Parsed:
    """Read ``/summary/fees/{slug}``: a row a day that is over.

    Raises:
        PayloadChangedError: It names no protocol, or another one than was asked for.
    """
    try:
        slug, name = payload.context.get("slug") or slug_of(document), text(document, "name", 200)
    except ValueError as error:
        raise PayloadChangedError(f"{_NAME}: /summary/fees without a usable head: {error}") from error
    today = payload.fetched_at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    metric, parent = payload.context.get(METRIC, "fees"), parent_of(document)

    def day(point: Item) -> ProtocolDay:
        at = instant_of_epoch(point, "date")
        if at.hour or at.minute or at.second:
            raise ValueError(f"date {at.isoformat()} is not the begin of a day")
        return ProtocolDay(slug, metric, at, name, amount(point, "amount"), parent)

    return read_items((point for point in map(_point, chart) if not _is_unfinished(point, today)), day)


def _point(pair: Json) -> Json:
    return {"date": pair[0], "amount": pair[1]} if isinstance(pair, list) and len(pair) == 2 else pair


def _is_unfinished(point: Json, today: datetime) -> bool:
    at = point.get("date") if isinstance(point, dict) else None
    return isinstance(at, int) and not isinstance(at, bool) and today.timestamp() <= at < today.timestamp() + 86_400
