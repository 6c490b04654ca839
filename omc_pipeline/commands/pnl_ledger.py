"""``omc pnl positions``, ``exceptions``, ``resolve``: compute a user's positions by a method, and look after what needs a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from omc_infra.cli import emit, json_option
from omc_infra.terminal import open_console, say
from omc_pipeline.pnl.policy import (
    FEE_POLICIES,
    LEDGER_METHODS,
    LEDGER_OVERSELL_POLICIES,
    LOT_POLICIES,
    FeePolicy,
    LotPolicy,
    Method,
    OversellPolicy,
)

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database

_method = click.option("--method", type=click.Choice(LEDGER_METHODS), default="fifo", show_default=True, help="How sells find their lots.")
_user = click.option("--user", help="User. Default: OMC_USER.")
_currency = click.option("--currency", help="Reporting currency of the user, see `omc pnl reporting`. Default: the user's default.")


@click.command(epilog="Exit code 1: the sums don't add up, or an amount was lost.")
@_user
@_method
@click.option("--fee-policy", type=click.Choice(FEE_POLICIES), default="capitalise", show_default=True, help="How fees are counted.")
@click.option(
    "--oversell-policy",
    type=click.Choice(LEDGER_OVERSELL_POLICIES),
    default="exclude",
    show_default=True,
    help="What to do with coins that were sold but not held.",
)
@click.option(
    "--lot-policy",
    type=click.Choice(LOT_POLICIES),
    default="universal",
    show_default=True,
    help="Whether a sell may use lots of all accounts or only of its own.",
)
@_currency
@json_option
def positions(
    user: str | None,
    method: Method,
    fee_policy: FeePolicy,
    oversell_policy: OversellPolicy,
    lot_policy: LotPolicy,
    currency: str | None,
    as_json: bool,
) -> None:
    """Update a user's positions by a method from the ledger, and value them. From then on, Dagster keeps them up to date."""
    from omc_infra.clock import utc_now
    from omc_pipeline.positions import compute_positions, conservation_findings, summary, value_positions

    with _database(user) as (database, whose):
        run = compute_positions(database, whose, method, fee_policy, oversell_policy, lot_policy, currency)
        value_positions(database, whose, utc_now(), method, currency)
        found = summary(database, whose, method, currency)
        findings = conservation_findings(database, whose, method, currency=currency)
    document = {
        "profile": database.profile, "user": whose, "method": method, "run": run.run_id, "unchanged": run.unchanged, "fills": run.fills,
        "matches": run.matches, "exceptions": run.exceptions, "realized": found.realized, "unrealized": found.unrealized,
        "currency": found.currency, "identity_holds": found.identity_holds, "findings": list(map(str, findings)),
    }  # fmt: skip
    if as_json:
        emit(document)
    else:
        unrealized = "no price" if found.unrealized is None else f"{found.unrealized:,.2f}"
        say(
            f"{whose} by {method}: {run.fills:,} fills, {run.matches:,} matches written; realized {found.realized:,.2f},"
            f" unrealized {unrealized} {found.currency}; {run.exceptions} exceptions ({database.profile})"
        )
    if findings or not found.identity_holds:
        raise click.exceptions.Exit(1)


@click.command(epilog="Exit code 1: an exception is open.")
@_user
@_method
@_currency
@json_option
def exceptions(user: str | None, method: Method, currency: str | None, as_json: bool) -> None:
    """List problems that need your decision: oversell, missing price or history, duplicate fill."""
    from omc_pipeline.positions.exceptions import exceptions as standing

    with _database(user) as (database, whose):
        found = standing(database, whose, method, currency)
    rows = [asdict(row) for row in found]
    if as_json:
        emit({"profile": database.profile, "user": whose, "method": method, "exceptions": rows})
    else:
        from omc_infra.tables import print_rows

        shown = [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]
        print_rows(open_console(), shown, f"Exceptions of {whose} by {method} · {database.profile}")
    if any(row.is_red for row in found):
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("exception_id", type=click.IntRange(1, 2**63 - 1))
@click.option("--by", required=True, help="Your name, for the record.")
@click.option("--reason", required=True, help="Reason, for the record.")
@json_option
def resolve(exception_id: int, by: str, reason: str, as_json: bool) -> None:
    """Accept an exception and record why. Later runs keep it resolved, and its check passes again."""
    from omc_pipeline.positions.exceptions import resolve_exception

    with _database(None) as (database, _):
        resolve_exception(database, exception_id, by, reason)
    if as_json:
        emit({"exception": exception_id, "resolved_by": by, "reason": reason})
    else:
        say(f"exception {exception_id} resolved by {by}")


@contextmanager
def _database(user: str | None) -> Iterator[tuple[Database, str]]:
    from omc_infra.postgres.database import open_database
    from omc_infra.settings import load_settings

    settings = load_settings()
    with open_database(settings) as database:
        yield database, user or settings.user
