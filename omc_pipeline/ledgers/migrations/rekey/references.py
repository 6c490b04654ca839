"""Profit and loss follows the fills that got new ids; frozen with the migration that renames them."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

_DIGEST_LENGTH = 35
"""Of ``cs-`` and 32 digits: what follows in a lot's name (``:fee``, ``@`` and a transfer) stays."""
_MODULUS = 1 << 256
_OLD = f"left({{0}}, {_DIGEST_LENGTH})"
_NEW = f"r.fill_id || substr({{0}}, {_DIGEST_LENGTH + 1})"


def _follow(table: str, column: str) -> str:
    """Write the statement that renames the fill a column begins with."""
    named = f"t.{column}"
    return f"""UPDATE {table} t SET {column} = {_NEW.format(named)} FROM pg_temp.renamed r
        WHERE r.user_id = t.user_id AND {_OLD.format(named)} = r.was;"""


def _follow_carried(table: str, column: str) -> str:
    """Write the statement that renames the transfer by which a lot came to its account."""
    return f"""UPDATE {table} t SET {column} = split_part({column}, '@', 1) || '@' || r.fill_id FROM pg_temp.renamed r
        WHERE r.user_id = t.user_id AND {column} LIKE '%@cs-%' AND split_part({column}, '@', 2) = r.was;"""


def _follow_account(table: str, column: str = "account_id") -> str:
    return f"""UPDATE {table} t SET {column} = o.account FROM pg_temp.owned o
        WHERE o.was <> o.account AND o.user_id = t.user_id AND t.{column} = o.was;"""


_NAMES = (("pnl.lot", "lot_fill"), ("pnl.lot_match", "sell_fill"), ("pnl.lot_match", "lot_fill"))
FILLS = f"""
CREATE TEMPORARY TABLE renamed ON COMMIT DROP AS SELECT user_id, was, fill_id FROM pg_temp.rekey
    WHERE fill_id <> was AND was ~ '^cs-[0-9a-f]{{32}}$';
CREATE INDEX ON renamed (was);
ANALYZE pg_temp.renamed;
{"".join(_follow(*name) + _follow_carried(*name) for name in _NAMES)}
{_follow("pnl.exception", "fill_id")}
UPDATE pnl.exception e SET message = replace(e.message, r.was, r.fill_id) FROM pg_temp.renamed r
    WHERE r.user_id = e.user_id AND e.fill_id IS NOT NULL AND left(e.fill_id, {_DIGEST_LENGTH}) = r.fill_id
    AND strpos(e.message, r.was) > 0;
UPDATE pnl.exception SET cleared_at = clock_timestamp() WHERE kind = 'duplicate_fill' AND cleared_at IS NULL;
{"".join(_follow_account(*place) for place in (("pnl.lot",), ("pnl.lot", "queue"), ("pnl.lot_match",)))}
ALTER TABLE pnl.rate_use ADD COLUMN account_id text;
ALTER TABLE pnl.rate_use DROP CONSTRAINT rate_use_pkey;
UPDATE pnl.rate_use u SET account_id = r.account, fill_id = r.fill_id FROM pg_temp.rekey r WHERE r.source = u.source AND r.was = u.fill_id;
DELETE FROM pnl.rate_use WHERE account_id IS NULL;
ALTER TABLE pnl.rate_use DROP COLUMN source, ALTER COLUMN account_id SET NOT NULL;
ALTER TABLE pnl.rate_use ADD PRIMARY KEY (account_id, fill_id, version, coin, currency);
"""
POOLS = "SELECT position_id, at, user_id, pools FROM pnl.checkpoint WHERE pools IS NOT NULL"
MOVED = "SELECT user_id, was, account FROM pg_temp.owned WHERE was <> account"
RUNS = "SELECT user_id, run_id, known_at, input_sha256 FROM pnl.run WHERE known_at IS NOT NULL ORDER BY user_id, known_at"
KNOWN = """
SELECT f.recorded_at, f.account_id, f.fill_id, f.version, d.row_sha256, f.row_sha256
FROM exchange.fill f JOIN pg_temp.rekey r ON r.account = f.account_id AND r.fill_id = f.fill_id
JOIN pg_temp.digests d ON d.source = r.source AND d.was = r.was AND d.version = f.version
WHERE f.user_id = %s ORDER BY f.recorded_at
"""


def follow(connection: Any) -> None:
    """Rename fills and accounts in every table of profit and loss, and the digests of what its runs knew."""
    connection.execute(FILLS)
    _rename_pools(connection)
    correct_runs(connection)


def correct_runs(connection: Any) -> None:
    """Correct the digests of what runs knew, after fills were renamed.

    Needs ``pg_temp.rekey`` (source, account, was, fill_id) and ``pg_temp.digests`` (source, was, version, row_sha256 before).
    """
    runs: dict[str, list[tuple[int, Any, int]]] = defaultdict(list)
    for user, run_id, known_at, digest in connection.execute(RUNS).fetchall():
        runs[user].append((run_id, known_at, int(digest, 16)))
    for user, of_user in runs.items():
        _correct_digests(connection, user, of_user)


def _rename_pools(connection: Any) -> None:
    moved = {(user, was): account for user, was, account in connection.execute(MOVED).fetchall()}
    if not moved:
        return
    for position_id, at, user, pools in connection.execute(POOLS).fetchall():
        renamed = {moved.get((user, queue), queue): lots for queue, lots in pools.items()}
        if renamed != pools:
            connection.execute(
                "UPDATE pnl.checkpoint SET pools = %s::jsonb WHERE position_id = %s AND at = %s", [json.dumps(renamed), position_id, at]
            )


def _correct_digests(connection: Any, user: str, runs: list[tuple[int, Any, int]]) -> None:
    """Replace the digests of the rows each run knew, in the order in which they became known; a corrected row's by its correction's."""
    change, latest = 0, dict[tuple[str, str], int]()
    corrected = list[tuple[str, int]]()
    waiting = iter(runs)
    run = next(waiting, None)
    with connection.cursor(name="known_fills") as known:
        known.itersize = 20_000
        known.execute(KNOWN, [user])
        for recorded_at, account, fill, version, old, new in known:
            while run is not None and recorded_at > run[1]:
                corrected.append((f"{(run[2] + change) % _MODULUS:064x}", run[0]))
                run = next(waiting, None)
            if run is None:
                break
            difference = int(new, 16) - int(old, 16)
            change += difference - (latest.get((account, fill), 0) if version > 1 else 0)
            latest[account, fill] = difference
    while run is not None:
        corrected.append((f"{(run[2] + change) % _MODULUS:064x}", run[0]))
        run = next(waiting, None)
    connection.cursor().executemany("UPDATE pnl.run SET input_sha256 = %s WHERE run_id = %s", corrected)
