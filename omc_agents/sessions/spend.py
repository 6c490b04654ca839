"""The money of calls: reserved in PostgreSQL before a call is made, settled after, capped; and how much was spent on what.

A reservation that nobody settled counts as spent. Whoever can't reserve doesn't ask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import Connection, text

from omc_agents.models.panel import Caps
from omc_agents.sessions.settlement import settle
from omc_agents.sessions.store import SessionStore
from omc_infra.errors import PermanentError, QuotaExhaustedError
from omc_infra.postgres.database import Database

_RESERVE = text(
    "SELECT reserved, refusal FROM agents.reserve_call(:session, :step, :sha, :model, CAST(:prices_of AS date), :worst,"
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
class Purse:
    """The money of one session.

    Attributes:
        caps: What may be spent.
    """

    store: SessionStore
    session_id: str
    caps: Caps

    def reserve(self, step: str, request_sha256: str, model: str, worst_usd: Decimal, prices_of: date | None) -> int:
        """Reserve the worst cost of a call and return the reservation's id.

        Raises:
            SpendCapError: It would pass a cap.
            UnknownOutcomeError: The call was made twice already, with unknown outcomes.
        """
        values = {
            "session": self.session_id,
            "step": step,
            "sha": request_sha256,
            "model": model,
            "worst": worst_usd,
            "prices_of": prices_of,
        }
        with self.store.transaction() as connection:
            found = connection.execute(_RESERVE, values | asdict(self.caps)).one()
        if found.refusal == "outcome":
            raise UnknownOutcomeError(f"{model}: asked twice in step {step} without a known outcome; both count as spent")
        if found.refusal:
            option, what = _CAPS[found.refusal]
            raise SpendCapError(f"{model}: not asked, at most {worst_usd:.6f} USD more would pass {option} ({what})")
        return int(found.reserved)

    def close(self, call_id: int, outcome: Literal["failed", "unknown"], failure: str) -> None:
        """Close a reservation without an answer: ``failed`` cost nothing, ``unknown`` counts as spent."""
        with self.store.transaction() as connection:
            settle(connection, call_id, outcome, cost_usd=Decimal(0) if outcome == "failed" else None, failure=failure)


def spent_by_day(database: Database, days: int) -> Sequence[Mapping[str, Any]]:
    """Return what was spent on each day of UTC, by user and model, the newest first; money is ``Decimal``."""
    tokens = ", ".join(f"coalesce(sum((usage ->> '{name}')::bigint), 0)::bigint AS {name}" for name in _TOKENS)
    with database.engine("reader").connect() as connection:
        return [dict(row) for row in connection.execute(text(_SPENT.replace("{tokens}", tokens)), {"days": days}).mappings()]


def calls_of_session(connection: Connection, session_id: str) -> list[Mapping[str, Any]]:
    """Return the calls of a session with their cost, in their order."""
    return [dict(row) for row in connection.execute(text(_OF_SESSION), {"id": session_id}).mappings()]
