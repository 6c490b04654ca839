"""Readings of files into the exchange ledger: whose accounts they are of, under which ids, and what was known already."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from omc_infra.errors import BadInputError
from omc_infra.payload import Payload
from omc_pipeline.collection.accounts import account_named, accounts, add_account
from omc_pipeline.imports.linking import linked
from omc_pipeline.imports.numbers import kept_digits
from omc_pipeline.imports.reading import FileReading
from omc_pipeline.ledgers.exchange import FILL, Fill
from omc_pipeline.ledgers.identity import with_digest_ids
from omc_pipeline.ledgers.pairs import pair_fills
from omc_pipeline.ledgers.raw import PostgresRawStore
from omc_pipeline.ledgers.write import append
from omc_pipeline.pnl.fill import Fill as Stated
from omc_pipeline.pnl.kinds import PAIRED

_OWN_ID = "#"
_NOT_A_NAME = re.compile(r"[^a-z0-9]+")
_RECORD = """
INSERT INTO exchange.import_file (
    user_id, name, payload_sha256, format, source, accounts, options, rows, fills_new, fills_known, imported_by)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING import_id
"""
_UNPAIRED = """
WITH others AS (
    SELECT account_id, min(executed_at) AS first, max(executed_at) AS last FROM exchange.fill
    WHERE user_id = %(user)s AND account_id = ANY(%(accounts)s) AND source <> %(source)s AND kind = 'trade' GROUP BY account_id
)
SELECT count(DISTINCT (f.account_id, f.fill_id)) FROM exchange.fill f JOIN others USING (account_id)
WHERE f.user_id = %(user)s AND f.source = %(source)s AND f.kind = 'trade' AND f.executed_at BETWEEN others.first AND others.last
    AND NOT EXISTS (SELECT FROM exchange.fill_pair p WHERE (p.account_id, p.fill_id) = (f.account_id, f.fill_id))
    AND NOT EXISTS (SELECT FROM exchange.fill_pair p WHERE (p.duplicate_account_id, p.duplicate_fill_id) = (f.account_id, f.fill_id))
"""


@dataclass(frozen=True)
class Stored:
    """What became of a file's fills: those that were new, those known, and those that another source may have told already.

    ``unpaired`` are trades within the time of another source of the account that found no counterpart there.
    """

    accounts: Sequence[str]
    new: int
    known: int
    paired: int
    proposed: int
    unpaired: int = 0
    transfers: int = 0
    import_id: int | None = None


def source_of(reading: FileReading) -> str:
    """Return the name under which fills of a format are kept as told by it."""
    return f"file_{reading.format.name}"


def fills_for(reading: FileReading, user_id: str, account_ids: Mapping[str, str]) -> list[Fill]:
    """Return rows of the ledger for a reading; fills that their venue gives no id get one from what happened.

    Args:
        reading: Of a file.
        user_id: The owner of the accounts.
        account_ids: By the account that a row names, empty where it names none, the id of the account.
    """
    stated = [fill._replace(account=account_ids[fill.account]) for fill in reading.fills]
    of_account: dict[str, list[tuple[int, Fill]]] = defaultdict(list)
    for place, fill in enumerate(stated):
        of_account[fill.account].append((place, _row(fill, user_id)))
    placed: list[tuple[int, Fill]] = []
    for rows in of_account.values():
        nameless = [(place, row) for place, row in rows if row.fill_id.startswith(_OWN_ID)]
        named = with_digest_ids([row for _, row in nameless])
        placed += [(place, row) for place, row in rows if not row.fill_id.startswith(_OWN_ID)]
        placed += [(place, row) for (place, _), row in zip(nameless, named, strict=True)]
    return [row for _, row in sorted(placed, key=lambda each: each[0])]


def linked_rows(connection: psycopg.Connection[Any], user_id: str, rows: Sequence[Fill]) -> tuple[list[Fill], int]:
    """Return rows with their halves of transfers, and how many those are; halves in other accounts get a new version in the ledger."""
    found = linked(connection, user_id, rows)
    for known in found.changed:
        append(connection, known.source, [known.row], known.payload_sha256)
    return found.rows, found.transfers


def _row(fill: Stated, user_id: str) -> Fill:
    trade_id = fill.trade_id if fill.kind == "transfer" else None
    return Fill(
        fill.id,
        user_id,
        fill.account,
        fill.symbol,
        fill.currency,
        fill.side,
        fill.qty,
        _digits(fill.price),
        _digits(fill.amount),
        fill.fee,
        fill.fee_currency,
        fill.time,
        fill.kind,
        trade_id,
    )


def _digits(value: Decimal | None) -> Decimal | None:
    return None if value is None else kept_digits(value)[0]


def named_accounts(reading: FileReading) -> list[str]:
    """Return the accounts that rows name, empty where they name none."""
    return sorted({fill.account for fill in reading.fills})


def account_ids(connection: psycopg.Connection[Any], user_id: str, reading: FileReading, account: str | None) -> dict[str, str]:
    """Return the ids of the accounts of a reading, and add those that the user doesn't have yet, within the caller's transaction.

    Args:
        connection: Of role writer.
        user_id: Whose.
        reading: Of a file.
        account: The one that a person names; of rows that name several accounts it can be none.

    Raises:
        BadInputError: Nobody says which account, or it is another user's.
    """
    names = named_accounts(reading)
    if account is not None:
        if len(names) > 1:
            raise BadInputError(f"the file is of {len(names)} accounts ({', '.join(names)}), so --account can't say which")
        row = account_named(connection, account)
        if row.user_id != user_id:
            raise BadInputError(f"account '{account}' is of another user than '{user_id}'")
        return dict.fromkeys(names, account)
    return {name: _account_of(connection, user_id, name or reading.format.venue, reading) for name in names}


def _account_of(connection: psycopg.Connection[Any], user_id: str, venue: str, reading: FileReading) -> str:
    slug = _NOT_A_NAME.sub("-", venue.lower()).strip("-")
    if not slug:
        raise BadInputError(f"{reading.format.title} doesn't say whose account it is; name one with --account (see `omc accounts add`)")
    own = [row for row in accounts(connection, user_id=user_id) if row.venue == slug]
    if len(own) > 1:
        raise BadInputError(
            f"user '{user_id}' has {len(own)} accounts at {slug}; name one with --account: {', '.join(row.account_id for row in own)}"
        )
    return own[0].account_id if own else add_account(connection, user_id, slug, None).account_id


def store(
    connection: psycopg.Connection[Any],
    reading: FileReading,
    user_id: str,
    account: str | None,
    payload: Payload | None,
    *,
    name: str,
    options: Mapping[str, Any],
    by: str,
) -> Stored:
    """Write the fills of a file within the caller's transaction, pair them with what other sources told, and record the import.

    Args:
        connection: Of role writer.
        reading: Of the file.
        user_id: Whose.
        account: The account that a person names.
        payload: The file as it is kept in the raw store; None: a preview, of which nothing is recorded.
        name: Of the file.
        options: What a person said about it, kept to read it again.
        by: Who imports it.
    """
    connection.execute("INSERT INTO exchange.users (user_id) VALUES (%s) ON CONFLICT DO NOTHING", [user_id])
    ids = account_ids(connection, user_id, reading, account)
    source = source_of(reading)
    rows, transfers = linked_rows(connection, user_id, fills_for(reading, user_id, ids))
    done = append(connection, source, rows, payload.sha256 if payload else None).get(FILL.qualified) if rows else None
    paired = proposed = 0
    for one in sorted({row.account_id for row in rows}):
        found = pair_fills(connection, user_id, one, None)
        paired, proposed = paired + found[0], proposed + found[1]
    bound_to = {"user": user_id, "source": source, "accounts": sorted({row.account_id for row in rows})}
    counted = connection.execute(_UNPAIRED, bound_to).fetchone()
    unpaired = 0 if counted is None else int(counted[0])
    new = done.inserted + done.changed if done else 0
    known = len(rows) - new
    own = sorted(set(ids.values()))
    number = None
    if payload is not None:
        bound = [user_id, name, payload.sha256, reading.format.name, source, own, Jsonb(dict(options)), reading.rows, new, known, by]
        row = connection.execute(_RECORD, bound).fetchone()
        number = None if row is None else int(row[0])
    return Stored(own, new, known, paired, proposed, unpaired, transfers, number)


def kept_body(connection: psycopg.Connection[Any], reading: FileReading, user_id: str, content: bytes, name: str, now: datetime) -> Payload:
    """Keep a file in the raw store, as bodies of private answers are, and return it; outside a transaction."""
    payload = Payload(source_of(reading), content, now, f"file:{name}", media_type="", context={"user_id": user_id})
    PostgresRawStore(connection).store(payload, etag=None, last_modified=None)
    return payload


def without_history(reading: FileReading) -> FileReading:
    """Return a reading without pairs of rows that the ledger doesn't compute yet, each an exception; other ties than its own are said."""
    for fill in reading.fills:
        if fill.kind in PAIRED:
            reading.notes.doubt(
                "unclear_row", fill.symbol, f"fill {fill.id}", f"is not imported: kind {fill.kind} is computed from files only"
            )
    turned = sold_before_bought(reading.fills)
    if turned:
        reading.notes.assume(
            f"the file sells a coin before it buys it at one and the same time, {len(turned):,} times, the first at"
            f" {turned[0].isoformat()}; the ledger takes purchases first, so gains may be others than `omc pnl compute` of the file gives"
        )
    return replace(reading, fills=[fill for fill in reading.fills if fill.kind not in PAIRED])


def sold_before_bought(fills: Sequence[Stated]) -> list[datetime]:
    """Return the instants at which a file tells that a coin was sold before it was bought."""
    least: dict[tuple[str, str, datetime], int] = {}
    for fill in fills:
        if fill.side == "sell":
            key = (fill.account, fill.symbol, fill.time)
            least[key] = min(least.get(key, fill.sequence), fill.sequence)
    return sorted(
        {
            fill.time
            for fill in fills
            if fill.side == "buy" and fill.sequence > least.get((fill.account, fill.symbol, fill.time), fill.sequence)
        }
    )
