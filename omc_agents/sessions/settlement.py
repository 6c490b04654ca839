"""Close the reservation of a call, within the transaction that records what the call brought."""

from __future__ import annotations

import json
from dataclasses import asdict
from decimal import Decimal
from typing import Literal

from sqlalchemy import Connection, text

from omc_agents.models.protocol import Usage

Outcome = Literal["settled", "failed", "unknown"]
_SETTLE = text(
    "SELECT agents.settle_call(:call, :outcome, CAST(:cost AS numeric), CAST(:usage AS jsonb), CAST(:request AS text),"
    " CAST(:reason AS text))"
)


def settle(
    connection: Connection,
    call_id: int,
    outcome: Outcome,
    *,
    cost_usd: Decimal | None,
    usage: Usage | None = None,
    request_id: str | None = None,
    failure: str | None = None,
) -> None:
    """Close a reservation within a transaction; one that is closed stays as it is."""
    values = {"call": call_id, "outcome": outcome, "cost": cost_usd, "request": request_id, "reason": failure and failure[:300]}
    connection.execute(_SETTLE, values | {"usage": None if usage is None else json.dumps(usage_document(usage))})


def usage_document(usage: Usage) -> dict[str, int]:
    """Return the parts of a usage, which sum to its total."""
    return {**asdict(usage), "unattributed": usage.unattributed, "total": usage.parts + usage.unattributed}
