"""Fills whose symbols were renamed: their ids, which are digests of their facts, and profit and loss, which follows them.

Where two positions of a user become one (bought under the old ticker and under the new one), nothing of them is edited: the user's runs
count as made by older rules, so the next run computes all positions anew from the fills.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from omc_pipeline.ledgers.exchange import Fill
from omc_pipeline.ledgers.identity import with_digest_ids
from omc_pipeline.ledgers.renaming import Named, Renaming, rename, row_digest_of

_MODULUS = 1 << 256
_ID_LENGTH = 34
"""Of ``d-`` and 32 digits; what follows in a lot's name (``:fee``, ``@`` and a transfer) stays."""
_BEFORE = """
CREATE TEMPORARY TABLE renamed_fill ON COMMIT DROP AS SELECT f.account_id, f.fill_id AS was, f.fill_id, f.version, f.user_id,
    f.recorded_at, f.row_sha256 AS digest, lead(f.recorded_at) OVER (PARTITION BY f.account_id, f.fill_id ORDER BY f.version) AS replaced_at
FROM exchange.fill f JOIN (
    SELECT DISTINCT account_id, fill_id FROM exchange.fill
    WHERE symbol = ANY(%(olds)s) OR currency = ANY(%(olds)s) OR fee_currency = ANY(%(olds)s)
) touched USING (account_id, fill_id)
"""
_LATEST = """
SELECT DISTINCT ON (f.account_id, f.fill_id) {} FROM exchange.fill f
JOIN pg_temp.renamed_fill r ON r.account_id = f.account_id AND r.was = f.fill_id
WHERE f.fill_id ~ '^d-[0-9a-f]{{32}}$' ORDER BY f.account_id, f.fill_id, f.version DESC
"""
_IS_THERE = "SELECT EXISTS (SELECT FROM exchange.fill WHERE account_id = %s AND fill_id = %s)"
_PAIR = """
INSERT INTO exchange.fill_pair (user_id, account_id, fill_id, duplicate_account_id, duplicate_fill_id, state, certainty, rule)
VALUES (%s, %s, %s, %s, %s, 'duplicate', 'exact', 'same fill under the old ticker') ON CONFLICT DO NOTHING
"""
_FOLLOW = """
UPDATE exchange.fill f SET fill_id = r.fill_id FROM pg_temp.renamed_fill r
    WHERE r.was <> r.fill_id AND f.account_id = r.account_id AND f.fill_id = r.was AND f.version = r.version;
INSERT INTO exchange.fill_alias (account_id, alias_id, fill_id)
    SELECT DISTINCT account_id, was, fill_id FROM pg_temp.renamed_fill WHERE was <> fill_id ON CONFLICT DO NOTHING;
UPDATE exchange.fill_alias a SET fill_id = r.fill_id FROM pg_temp.renamed_fill r
    WHERE r.was <> r.fill_id AND a.account_id = r.account_id AND a.fill_id = r.was;
"""
_CHANGED = """
SELECT count(*) FROM pg_temp.renamed_fill r JOIN exchange.fill f
ON f.account_id = r.account_id AND f.fill_id = r.fill_id AND f.version = r.version WHERE f.row_sha256 <> r.digest
"""
_EXCEPTIONS = """
UPDATE pnl.exception e SET symbol = %(new)s, cleared_at = CASE WHEN e.cleared_at IS NULL AND EXISTS (
    SELECT FROM pnl.exception o WHERE o.cleared_at IS NULL AND o.symbol = %(new)s
    AND (o.user_id, o.method, o.currency, o.kind) = (e.user_id, e.method, e.currency, e.kind)
    AND o.fill_id IS NOT DISTINCT FROM e.fill_id AND o.qty IS NOT DISTINCT FROM e.qty
) THEN clock_timestamp() ELSE e.cleared_at END WHERE e.symbol = %(old)s AND e.user_id IN ({})
"""
_NAMES = (
    ("exchange.fill_pair", "fill_id", "account_id"),
    ("exchange.fill_pair", "duplicate_fill_id", "duplicate_account_id"),
    ("pnl.lot", "lot_fill", None),
    ("pnl.lot_match", "sell_fill", None),
    ("pnl.lot_match", "lot_fill", None),
    ("pnl.exception", "fill_id", None),
    ("pnl.rate_use", "fill_id", "account_id"),
)
_POSITIONS = """
SELECT p.position_id, p.user_id, p.method, p.currency, p.symbol FROM pnl.position p
WHERE p.symbol = ANY(%(olds)s) AND p.user_id IN (SELECT user_id FROM pg_temp.renamed_fill) ORDER BY 1
"""
_RUNS = "SELECT run_id, user_id, known_at, input_sha256 FROM pnl.run WHERE user_id IN (SELECT user_id FROM pg_temp.renamed_fill)"
_CHANGES = """
SELECT r.user_id, r.recorded_at, r.replaced_at, r.digest, f.row_sha256 FROM pg_temp.renamed_fill r
JOIN exchange.fill f ON f.account_id = r.account_id AND f.fill_id = r.fill_id AND f.version = r.version
"""


def rename_fills(connection: psycopg.Connection[Any], named: Named, renamings: Sequence[Renaming]) -> Mapping[str, int]:
    """Rename in ``exchange.fill`` and in profit and loss within the caller's transaction; return how many rows changed by table."""
    if not renamings:
        return {}
    bound = {"olds": sorted({each.old for each in renamings})}
    connection.execute(_BEFORE, bound)
    rename(connection, named, renamings)
    _rename_ids(connection, named.fields)
    digest = row_digest_of(connection, named)
    connection.execute(
        f"""UPDATE exchange.fill t SET row_sha256 = {digest} FROM pg_temp.renamed_fill r
        WHERE t.account_id = r.account_id AND t.fill_id = r.fill_id AND t.version = r.version AND t.row_sha256 <> {digest}""".encode()
    )
    ((changed,),) = connection.execute(_CHANGED).fetchall()
    counts = {"exchange.fill": int(changed)}
    counts |= _rename_positions(connection, renamings, bound)
    _correct_runs(connection)
    connection.execute("DROP TABLE pg_temp.renamed_fill")
    return counts


def _rename_ids(connection: psycopg.Connection[Any], fields: Sequence[str]) -> None:
    """Give fills without an id of their venue the digests of what they now say; one that is there already was told twice."""
    latest = _LATEST.format(", ".join(f"f.{name}" for name in fields)).encode()
    fills = [Fill(**dict(zip(fields, row, strict=True))) for row in connection.execute(latest).fetchall()]
    for fill, fresh in ((fill, named.fill_id) for fill, named in zip(fills, with_digest_ids(fills), strict=True)):
        if fresh == fill.fill_id:
            continue
        ((is_there,),) = connection.execute(_IS_THERE, [fill.account_id, fresh]).fetchall()
        if is_there:
            connection.execute(_PAIR, [fill.user_id, fill.account_id, fresh, fill.account_id, fill.fill_id])
            continue
        connection.execute(
            "UPDATE pg_temp.renamed_fill SET fill_id = %s WHERE account_id = %s AND was = %s", [fresh, fill.account_id, fill.fill_id]
        )
    connection.execute(_FOLLOW)
    for table, column, account in _NAMES:
        whose = f"t.{account} = r.account_id" if account else "t.user_id = r.user_id"
        connection.execute(
            f"""UPDATE {table} t SET {column} = r.fill_id || substr(t.{column}, {_ID_LENGTH + 1})
            FROM (SELECT DISTINCT account_id, user_id, was, fill_id FROM pg_temp.renamed_fill WHERE was <> fill_id) r
            WHERE {whose} AND left(t.{column}, {_ID_LENGTH}) = r.was""".encode()
        )


def _rename_positions(connection: psycopg.Connection[Any], renamings: Sequence[Renaming], bound: Mapping[str, Any]) -> dict[str, int]:
    """Rename what refers to one coin only; where that would be two, have the user's positions computed anew."""
    becomes: dict[str, set[str]] = {}
    for each in renamings:
        becomes.setdefault(each.old, set()).add(each.new)
    renamed, anew = 0, set[str]()
    for position, user, method, currency, old in connection.execute(_POSITIONS, bound).fetchall():
        new = next(iter(becomes[old]))
        taken = connection.execute(
            "SELECT FROM pnl.position WHERE user_id = %s AND method = %s AND currency = %s AND symbol = %s", [user, method, currency, new]
        ).rowcount
        still = connection.execute(
            "SELECT FROM exchange.fill WHERE user_id = %s AND %s IN (symbol, currency, fee_currency) LIMIT 1", [user, old]
        ).rowcount
        if taken or still or len(becomes[old]) > 1:
            anew.add(user)
        else:
            renamed += connection.execute("UPDATE pnl.position SET symbol = %s WHERE position_id = %s", [new, position]).rowcount
    connection.execute("UPDATE pnl.run SET rules = 0 WHERE user_id = ANY(%s)", [sorted(anew)])
    counts = {"pnl.position": renamed}
    for old, names in becomes.items():
        users = "SELECT user_id FROM pg_temp.renamed_fill"
        new = next(iter(names))
        counts["pnl.exception"] = (
            counts.get("pnl.exception", 0) + connection.execute(_EXCEPTIONS.format(users).encode(), {"new": new, "old": old}).rowcount
        )
        for column in ("coin", "currency"):
            counts["pnl.rate_use"] = (
                counts.get("pnl.rate_use", 0)
                + connection.execute(
                    f"UPDATE pnl.rate_use SET {column} = %s WHERE {column} = %s AND user_id IN ({users})".encode(), [new, old]
                ).rowcount
            )
    return counts


def _correct_runs(connection: psycopg.Connection[Any]) -> None:
    """Replace the digests of what each run knew: the sum over the latest versions that were recorded by then."""
    events: dict[str, list[tuple[Any, int]]] = {}
    for user, recorded_at, replaced_at, old, new in connection.execute(_CHANGES).fetchall():
        of_user, difference = events.setdefault(user, []), int(new, 16) - int(old, 16)
        of_user.append((recorded_at, difference))
        if replaced_at is not None:
            of_user.append((replaced_at, -difference))
    for run, user, known_at, digest in connection.execute(_RUNS).fetchall():
        if known_at is not None:
            change = sum(difference for at, difference in events.get(user, ()) if at <= known_at)
            corrected = f"{(int(digest, 16) + change) % _MODULUS:064x}"
            connection.execute("UPDATE pnl.run SET input_sha256 = %s WHERE run_id = %s", [corrected, run])
