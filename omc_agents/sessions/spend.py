"""The money of calls: reserved in PostgreSQL before a call is made, settled after, capped; and how much was spent on what.

A reservation that nobody settled counts as spent. Whoever can't reserve doesn't ask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from omc_agents.models.panel import Caps
from omc_infra.errors import PermanentError, QuotaExhaustedError
from omc_infra.postgres.database import Database

_RESERVE = text(
    "SELECT reserved, refusal FROM agents.reserve_call(:session_id, :step, :request_sha256, :model, CAST(:prices_of AS date), :worst_usd,"
    " :call_usd, :session_calls, :session_usd, :user_day_usd, :platform_day_usd)"
)
_CAPS = {
    "call": ("max_call_usd", "one call"),
    "session_calls": ("max_session_calls", "calls of one session"),
    "session": ("max_session_usd", "one session"),
    "user_day": ("max_user_day_usd", "one user in a day"),
    "platform_day": ("max_platform_day_usd", "all users in a day"),
}
_SPENT = """
SELECT date_trunc('day', reserved_at, 'UTC')::date::text AS day, user_id, model, count(*) AS calls,
    count(*) FILTER (WHERE state = 'settled') AS settled, count(*) FILTER (WHERE state = 'failed') AS failed,
    count(*) FILTER (WHERE state = 'unknown') AS unknown, count(*) FILTER (WHERE state = 'reserved') AS reserved,
    {tokens},
    sum(counted_usd) AS counted_usd, coalesce(sum(counted_usd) FILTER (WHERE state IN ('unknown', 'reserved')), 0) AS unsettled_usd,
    max(prices_of)::text AS prices_of
FROM agents.model_spend WHERE reserved_at >= date_trunc('day', clock_timestamp(), 'UTC') - make_interval(days => :days - 1)
GROUP BY 1, 2, 3 ORDER BY 1 DESC, 2, 3
"""
_TOKENS = ("input", "output", "cached_read", "cached_write", "reasoning", "unattributed", "total")
_OF_SESSION = """
SELECT call_id, step, attempt, model, state, usage, reserved_usd, cost_usd, counted_usd, prices_of::text, provider_request, failure,
    reserved_at, settled_at
FROM agents.model_spend WHERE session_id = :id ORDER BY call_id
"""


class SpendCapError(QuotaExhaustedError):
    """A call would pass a cap on money or calls, so it was not made."""

    advice = "See `omc agent spend`. Raise the option of `[agents]` in `omc.toml` that the message names, or wait for the next day of UTC."


class UnknownOutcomeError(PermanentError):
    """A call ended twice without anybody knowing its outcome; it is not paid for a third time."""

    advice = "Look at the provider's own list of calls and at the log of the run; ask again in a new session."


@dataclass(frozen=True)
class Reservation:
    """What is to be reserved: the worst cost of one call, by the day of its prices."""

    session_id: str
    step: str
    request_sha256: str
    model: str
    worst_usd: Decimal
    prices_of: date | None


def reserve(connection: Connection, wanted: Reservation, caps: Caps) -> int:
    """Reserve the worst cost of a call within a transaction of its own, and return the call's id.

    Raises:
        SpendCapError: It would pass a cap.
        UnknownOutcomeError: The call was made twice already, with unknown outcomes.
    """
    found = connection.execute(_RESERVE, asdict(wanted) | asdict(caps)).one()
    if found.refusal == "outcome":
        raise UnknownOutcomeError(f"{wanted.model}: called twice in step {wanted.step} without a known result; both calls count as paid")
    if found.refusal:
        option, what = _CAPS[found.refusal]
        raise SpendCapError(f"{wanted.model}: not asked, at most {wanted.worst_usd:.6f} USD more would pass {option} ({what})")
    return int(found.reserved)


def spent_by_day(database: Database, days: int) -> Sequence[Mapping[str, Any]]:
    """Return what was spent on each day of UTC, by user and model, the newest first; money is ``Decimal``."""
    tokens = ", ".join(f"coalesce(sum((usage ->> '{name}')::bigint), 0)::bigint AS {name}" for name in _TOKENS)
    with database.engine("reader").connect() as connection:
        return [dict(row) for row in connection.execute(text(_SPENT.replace("{tokens}", tokens)), {"days": days}).mappings()]


def calls_of_session(connection: Connection, session_id: str) -> list[Mapping[str, Any]]:
    """Return the calls of a session with their cost, in their order."""
    return [dict(row) for row in connection.execute(text(_OF_SESSION), {"id": session_id}).mappings()]
