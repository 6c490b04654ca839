"""Transfers among what the ledger knows: rows that are about to be written, and rows of other files and sources, made two halves of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import psycopg

from omc_pipeline.imports.transfers import USUAL_RULE, with_transfers
from omc_pipeline.ledgers.exchange import Fill
from omc_pipeline.ledgers.pairs import COUNTED
from omc_pipeline.pnl.fill import Fill as Stated
from omc_pipeline.pnl.kinds import Kind
from omc_pipeline.pnl.trade import Side

_MOVES = """
SELECT source, payload_sha256, fill_id, user_id, account_id, symbol, currency, side, qty, price, quote_amount, fee, fee_currency,
    executed_at, kind, trade_id, order_id, algorithm_id
FROM exchange.fill f WHERE user_id = %(user)s AND kind IN ('deposit', 'withdrawal', 'transfer')
    AND executed_at BETWEEN %(first)s - interval '2 days' AND %(last)s + interval '2 days'
    AND NOT EXISTS (SELECT FROM exchange.fill later WHERE later.account_id = f.account_id AND later.fill_id = f.fill_id
        AND later.version > f.version)
"""
_MOVES += COUNTED


class Known(NamedTuple):
    """A movement that the ledger holds, and where it came from."""

    source: str
    payload_sha256: str | None
    row: Fill


class Linked(NamedTuple):
    """Rows to write, rows of the ledger that become halves of a transfer, and how many transfers that makes."""

    rows: list[Fill]
    changed: list[Known]
    transfers: int


def linked(connection: psycopg.Connection[Any], user_id: str, rows: Sequence[Fill]) -> Linked:
    """Link withdrawals and deposits of a user's accounts that are one transfer.

    Args:
        connection: Of role writer, in the caller's transaction.
        user_id: Whose.
        rows: About to be written. One that the ledger knows as a half of a transfer stays one.
    """
    moves = [row for row in rows if row.kind in ("deposit", "withdrawal", "transfer")]
    if not moves:
        return Linked(list(rows), [], 0)
    times = [row.executed_at for row in moves]
    found = connection.execute(_MOVES, {"user": user_id, "first": min(times), "last": max(times)})
    known = [Known(row[0], row[1], Fill(*row[2:])) for row in found]
    halves = {(one.row.account_id, one.row.fill_id): one.row for one in known if one.row.kind == "transfer"}
    own = {(row.account_id, row.fill_id) for row in moves}
    kept = [_as_known(row, halves.get((row.account_id, row.fill_id))) for row in rows]
    others = [one for one in known if (one.row.account_id, one.row.fill_id) not in own]
    free = [*(row for row in kept if row.kind in ("deposit", "withdrawal")), *(one.row for one in others if one.row.kind != "transfer")]
    stated, count = with_transfers([_stated(row) for row in free], USUAL_RULE)
    names = {(fill.account, fill.id): fill.trade_id for fill in stated if fill.kind == "transfer"}

    def half(row: Fill) -> Fill:
        name = names.get((row.account_id, row.fill_id))
        return row if name is None else replace(row, kind="transfer", trade_id=name)

    changed = [one._replace(row=half(one.row)) for one in others if (one.row.account_id, one.row.fill_id) in names]
    return Linked([half(row) for row in kept], changed, count)


def _as_known(row: Fill, known: Fill | None) -> Fill:
    return row if known is None or row.kind == "transfer" else replace(row, kind="transfer", trade_id=known.trade_id)


def _stated(row: Fill) -> Stated:
    kind: Kind = "deposit" if row.kind == "deposit" else "withdrawal"
    side: Side = "buy" if row.side == "buy" else "sell"
    return Stated(
        row.fill_id, row.account_id, row.symbol, row.currency, side, row.qty, row.price, row.quote_amount, row.fee, row.fee_currency,
        row.executed_at, kind,
    )  # fmt: skip
