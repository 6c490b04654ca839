"""Fills that came through two doors without a common id: found, paired, and left out of what is counted.

Two fills of one account from different sources are one execution when side, coin, currency and kind agree, their quantities and
amounts (prices, where one states no amount) are equal or differ by no more than the coarser one was rounded, and they were executed
at the same time, as exactly as the coarser one says. A fill that could belong to several others is proposed to a person, never
guessed; fills that agree in every fact are exchangeable, so as many of them as both doors tell are paired. The same fill in another
account of the same venue is always proposed: it may be the account under a second name, or a second account that traded alike.

The fill of the account's own source counts, else the one that was recorded first. Writers of fills and of pairs wait for
each other and share one sequence of stamps, so a run of profit and loss that knows the newest of either knows all before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg

from omc_infra.errors import BadInputError
from omc_pipeline.ledgers.exchange import FILL, Fill
from omc_pipeline.ledgers.knowledge import stamp
from omc_pipeline.ledgers.matching import Candidate, assigned
from omc_pipeline.ledgers.table import Row

COUNTED = """ AND NOT EXISTS (SELECT FROM exchange.fill_pair p WHERE p.duplicate_account_id = f.account_id
    AND p.duplicate_fill_id = f.fill_id AND p.state = 'duplicate')"""
_HAS_PAIRS = "SELECT EXISTS (SELECT FROM exchange.fill_pair WHERE user_id = %s AND state = 'duplicate')"
_LEFT_OUT = """
SELECT duplicate_account_id, duplicate_fill_id FROM (
    SELECT DISTINCT ON (duplicate_account_id, duplicate_fill_id, account_id, fill_id) * FROM exchange.fill_pair_change
    WHERE user_id = %s AND changed_at <= %s
    ORDER BY duplicate_account_id, duplicate_fill_id, account_id, fill_id, changed_at DESC
) AS decided WHERE state = 'duplicate'
"""
_DOORS = """
SELECT count(*) FROM exchange.fill_door d LEFT JOIN exchange.account a USING (account_id)
WHERE d.user_id = %(user)s AND (d.account_id = %(account)s OR a.venue = (SELECT venue FROM exchange.account WHERE account_id = %(account)s))
"""


def _alike(column: str, least: str = "0") -> str:
    """Compare two numbers: equal, or apart by no more than the last digit of the coarser one and a small share."""
    mine, theirs = f"mine.{column}", f"other.{column}"
    digit = f"power(10::numeric, -least(scale(trim_scale({mine})), scale(trim_scale({theirs}))))"
    return f"({mine} = {theirs} OR abs({mine} - {theirs}) <= least({digit}, greatest({mine} * %(share)s, {least})))"


_CANDIDATES = f"""
WITH mine AS (
    SELECT DISTINCT ON (fill_id) * FROM exchange.fill
    WHERE user_id = %(user)s AND account_id = %(account)s AND recorded_at >= coalesce(%(since)s, transaction_timestamp())
    ORDER BY fill_id, version DESC
)
SELECT mine.account_id, mine.fill_id, mine.source, mine.recorded_at, own.source = mine.source,
    other.account_id, other.fill_id, other.source, other.recorded_at, other_own.source = other.source,
    (mine.qty, mine.price, mine.quote_amount, mine.executed_at) IS NOT DISTINCT FROM
        (other.qty, other.price, other.quote_amount, other.executed_at),
    concat_ws(' ', mine.symbol, mine.currency, mine.side, mine.qty, mine.price, mine.quote_amount, mine.executed_at)
FROM mine LEFT JOIN exchange.account own ON own.account_id = mine.account_id
JOIN exchange.fill other ON other.user_id = mine.user_id AND other.symbol = mine.symbol
    AND other.executed_at BETWEEN mine.executed_at - interval '1 minute' AND mine.executed_at + interval '1 minute'
    AND other.side = mine.side AND other.currency = mine.currency AND other.kind = mine.kind
    AND (other.account_id, other.source) <> (mine.account_id, mine.source)
LEFT JOIN exchange.account other_own ON other_own.account_id = other.account_id
WHERE (other.account_id = mine.account_id OR other_own.venue = own.venue)
    AND NOT EXISTS (SELECT FROM exchange.fill later WHERE later.account_id = other.account_id AND later.fill_id = other.fill_id
        AND later.version > other.version)
    AND (abs(extract(epoch FROM other.executed_at - mine.executed_at)) <= %(window_s)s
        OR other.executed_at = date_trunc('minute', mine.executed_at) OR mine.executed_at = date_trunc('minute', other.executed_at))
    AND {_alike("qty")}
    AND CASE WHEN mine.quote_amount + other.quote_amount IS NOT NULL THEN {_alike("quote_amount", "0.01")}
        WHEN mine.price + other.price IS NOT NULL THEN {_alike("price")} ELSE true END
    AND NOT EXISTS (SELECT FROM exchange.fill_pair p WHERE p.state = 'duplicate' AND (
        (p.duplicate_account_id, p.duplicate_fill_id) IN ((mine.account_id, mine.fill_id), (other.account_id, other.fill_id))))
    AND NOT EXISTS (SELECT FROM exchange.fill_pair p JOIN exchange.fill d
            ON d.account_id = p.duplicate_account_id AND d.fill_id = p.duplicate_fill_id
        WHERE p.state = 'duplicate' AND ((p.account_id, p.fill_id, d.source) = (other.account_id, other.fill_id, mine.source)
            OR (p.account_id, p.fill_id, d.source) = (mine.account_id, mine.fill_id, other.source)))
"""
_KEEP = """
INSERT INTO exchange.fill_pair (user_id, account_id, fill_id, duplicate_account_id, duplicate_fill_id, state, certainty, rule, changed_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
_LIST = """
SELECT account_id, fill_id, duplicate_account_id, duplicate_fill_id, state, certainty, rule, decided_by, changed_at
FROM exchange.fill_pair WHERE user_id = %s AND (%s OR state = 'proposed') ORDER BY changed_at, duplicate_fill_id, fill_id
"""
_DECIDE = """
UPDATE exchange.fill_pair SET state = %s, decided_by = %s, changed_at = %s
WHERE user_id = %s AND account_id = %s AND fill_id = %s AND duplicate_account_id = %s AND duplicate_fill_id = %s AND state <> %s
RETURNING 1
"""


@dataclass(frozen=True)
class PairRule:
    """How much two tellings of one fill may differ.

    Attributes:
        window_s: Seconds between the two executions. A time without seconds is compared by its minute.
        share: Of a quantity, price or amount (or a cent of an amount); a difference must also be within the last digit of the
            coarser number.
    """

    window_s: float = 2.0
    share: Decimal = Decimal("0.00001")


USUAL_RULE = PairRule()


@dataclass(frozen=True)
class Pair:
    """Two fills that are, or may be, one; each by account and fill id, the first one counts."""

    account_id: str
    fill_id: str
    duplicate_account_id: str
    duplicate_fill_id: str
    state: str
    certainty: str
    rule: str
    decided_by: str | None
    changed_at: datetime


def counted_only(connection: psycopg.Connection[Any], user_id: str) -> str:
    """Return the SQL that leaves out duplicates among rows ``f`` of ``exchange.fill``: empty, and so for free, for a user without any."""
    has_pairs = connection.execute(_HAS_PAIRS, [user_id]).fetchone()
    return COUNTED if has_pairs and has_pairs[0] else ""


def left_out(connection: psycopg.Connection[Any], user_id: str, known_at: datetime) -> frozenset[tuple[str, str]]:
    """Return account and fill id of the user's fills that were another's duplicates at a time, whatever was decided since."""
    return frozenset(connection.execute(_LEFT_OUT, [user_id, known_at]).fetchall())


def pair_fills(
    connection: psycopg.Connection[Any],
    user_id: str,
    account_id: str,
    since: datetime | None,
    rule: PairRule = USUAL_RULE,
) -> tuple[int, int]:
    """Pair an account's fills that were recorded from a time on with those that came through another door.

    Args:
        connection: Of role writer, in the caller's transaction.
        user_id: The account's owner.
        account_id: The account.
        since: Least ``recorded_at`` of the fills that may be new; None: those of this transaction.
        rule: What counts as the same.

    Returns:
        How many fills were paired, and how many pairs were proposed to a person.
    """
    at = stamp(connection, FILL.qualified)
    doors = connection.execute(_DOORS, {"user": user_id, "account": account_id}).fetchone()
    if doors is None or doors[0] < 2:
        return 0, 0
    bound = {"user": user_id, "account": account_id, "since": since, "window_s": rule.window_s, "share": rule.share}
    found = [Candidate.of(row) for row in connection.execute(_CANDIDATES, bound)]
    certain, proposed = assigned(found)
    _keep(connection, user_id, certain, "duplicate", at)
    _keep(connection, user_id, proposed, "proposed", at)
    return len(certain), len(proposed)


def pair_new_fills(connection: psycopg.Connection[Any], rows: Iterable[Row]) -> None:
    """Pair the fills among rows that were appended in the caller's transaction; rows of other tables are passed over."""
    of_account = {(row.user_id, row.account_id) for row in rows if isinstance(row, Fill)}
    for user_id, account_id in sorted(of_account):
        pair_fills(connection, user_id, account_id, None)


def pairs(connection: psycopg.Connection[Any], user_id: str, *, every: bool = False) -> list[Pair]:
    """Return the pairs that wait for a person, or every pair of a user, oldest decision first."""
    return [Pair(*row) for row in connection.execute(_LIST, [user_id, every])]


def decide_pair(connection: psycopg.Connection[Any], user_id: str, pair: Sequence[str], by: str, *, is_duplicate: bool) -> None:
    """Record a person's decision on a pair; profit and loss follows with its next run.

    Args:
        connection: Of role writer, in the caller's transaction.
        user_id: Whose.
        pair: Account and id of the fill that counts, account and id of the other one.
        by: Who decides.
        is_duplicate: Whether both are the same execution.

    Raises:
        BadInputError: No such pair, it is decided so already, or the fill is a duplicate of another one.
    """
    at = stamp(connection, FILL.qualified)
    state = "duplicate" if is_duplicate else "rejected"
    try:
        with connection.transaction():
            done = connection.execute(_DECIDE, [state, by, at, user_id, *pair, state]).fetchone()
    except psycopg.errors.UniqueViolation as error:
        raise BadInputError(f"fill '{pair[3]}' of account '{pair[2]}' is the duplicate of another fill already") from error
    if done is None:
        raise BadInputError(f"no pair of fills {' '.join(pair)} of user '{user_id}' needs this decision; see `omc accounts pairs`")


def _keep(connection: psycopg.Connection[Any], user_id: str, found: Iterable[Candidate], state: str, at: datetime) -> None:
    rows = [(user_id, *one.counting, *one.duplicate, state, one.certainty(state), one.rule, at) for one in found]
    if rows:
        connection.cursor().executemany(_KEEP, rows)
