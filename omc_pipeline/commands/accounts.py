"""``omc accounts``: users' accounts at venues, which of them are collected, and what is erased of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from omc_infra.cli import emit, json_option
from omc_infra.errors import BadInputError
from omc_infra.person import by_option
from omc_infra.settings import Settings, load_settings
from omc_infra.terminal import open_console, say

if TYPE_CHECKING:
    import psycopg

    from omc_infra.postgres.database import Database
    from omc_infra.postgres.roles import Role
    from omc_pipeline.collection.accounts import AccountRow, State

_VENUE = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII)
user_option = click.option("--user", help="User. Default: OMC_USER.")
_yes = click.option("--yes", is_flag=True, help="Erase. Without --yes, the command only shows what would be erased.")


@click.group(help="Accounts at venues: list, add, pause, resume and remove them; decide about duplicate fills; erase a user.")
def accounts() -> None:
    """Group the commands of accounts."""


@accounts.command(name="list")
@click.option("--user", help="Only accounts of this user.")
@click.option("--removed", is_flag=True, help="Also removed accounts.")
@json_option
def list_accounts(user: str | None, removed: bool, as_json: bool) -> None:
    """List accounts, their missing keys, and failed checks that block profit and loss."""
    from omc_infra.postgres.database import open_database
    from omc_pipeline.collection.accounts import accounts as known

    settings = load_settings()
    states: list[State] = ["active", "paused", *(["removed"] if removed else [])]  # type: ignore[list-item]
    with open_database(settings) as database, database.connect("reader") as connection:
        rows = [_document(row, settings) for row in known(connection, user_id=user, states=states)]
    if as_json:
        emit({"profile": settings.profile, "accounts": rows})
        return

    from omc_infra.tables import print_rows

    shown = ("account", "user", "venue", "source", "label", "state", "missing_keys", "held")
    cells = [{name: ", ".join(row[name]) if name == "missing_keys" else str(row[name] or "") for name in shown} for row in rows]
    print_rows(open_console(), cells, f"accounts · {settings.profile}")


@accounts.command()
@click.argument("venue_or_source", required=False)
@click.option("--venue", help="The same, as an option.")
@user_option
@click.option("--id", "account_id", help="Id of the account, unique across all users. Default: <user>-<venue>.")
@click.option("--label", default="", help="Your own name for the account.")
@json_option
def add(venue_or_source: str | None, venue: str | None, user: str | None, account_id: str | None, label: str, as_json: bool) -> None:
    """Add an account: either of a source that collects accounts, or at a venue whose fills you import from files."""
    from omc_pipeline.collection.accounts import add_account

    if (venue_or_source is None) == (venue is None):
        raise BadInputError("choose one venue: `omc accounts add kraken`, or `--venue kraken`")
    settings, (place, source) = load_settings(), _place(venue_or_source or venue or "")
    with writing(settings) as (_, connection), connection.transaction():
        row = add_account(connection, user or settings.user, place, source, account_id, label)
    document = _document(row, settings)
    if as_json:
        emit(document)
    else:
        missing = f"; set {' and '.join(document['missing_keys'])}" if document["missing_keys"] else ""
        by_files = "" if source else f"; no source collects {row.venue}, so bring its exports in with `omc import`"
        say(f"account {row.account_id} of user {row.user_id} at {row.venue} ({settings.profile}){missing}{by_files}")


@accounts.command()
@click.argument("account")
@by_option
@json_option
def pause(account: str, by: str, as_json: bool) -> None:
    """Stop the scheduled collection of an account."""
    _change(account, "paused", by, as_json)


@accounts.command()
@click.argument("account")
@by_option
@json_option
def resume(account: str, by: str, as_json: bool) -> None:
    """Start the scheduled collection of a paused account again."""
    _change(account, "active", by, as_json)


@accounts.command()
@click.argument("account")
@click.option("--with-fills", is_flag=True, help="Also erase its fills, balances and bodies, and compute the user's profit and loss again.")
@_yes
@by_option
@json_option
def remove(account: str, with_fills: bool, yes: bool, by: str, as_json: bool) -> None:
    """Remove an account. It is no longer collected; its fills stay unless you use --with-fills."""
    from omc_pipeline.collection.accounts import set_state
    from omc_pipeline.collection.erasing import account_rows, erase_account

    if not with_fills:
        _change(account, "removed", by, as_json)
        return
    settings = load_settings()
    with writing(settings, "owner") as (_, connection):
        if yes:
            set_state(connection, account, "removed", by)
        rows = erase_account(connection, account, by) if yes else account_rows(connection, account)
    _delete_bodies(settings, yes)
    _show_erased({"account": account, "erased": yes, "rows": rows}, as_json)


@accounts.command(name="erase-user")
@click.argument("user")
@_yes
@by_option
@json_option
def erase_user(user: str, yes: bool, by: str, as_json: bool) -> None:
    """Erase a user and all their data: accounts, fills, profit and loss, agent sessions, stored bodies and Dagster partitions."""
    from omc_pipeline.collection.accounts import accounts as known
    from omc_pipeline.collection.erasing import erase_user as erase
    from omc_pipeline.collection.erasing import user_rows

    settings = load_settings()
    with writing(settings, "owner") as (database, connection):
        named = [row.account_id for row in known(connection, user_id=user, states=("active", "paused", "removed"))]
        connection.commit()
        rows = erase(connection, user, by) if yes else user_rows(connection, user)
        if yes:
            _forget(settings, database, named)
    _delete_bodies(settings, yes)
    _show_erased({"user": user, "erased": yes, "rows": rows}, as_json)


@accounts.command()
@user_option
@click.option("--all", "every", is_flag=True, help="Also pairs that are already decided.")
@json_option
def pairs(user: str | None, every: bool, as_json: bool) -> None:
    """List pairs of fills from two sources that may be the same fill and need your decision."""
    import dataclasses

    from omc_infra.postgres.database import open_database
    from omc_pipeline.ledgers.pairs import pairs as known

    settings = load_settings()
    whose = user or settings.user
    with open_database(settings) as database, database.connect("reader") as connection:
        rows = [dataclasses.asdict(pair) for pair in known(connection, whose, every=every)]
    if as_json:
        emit({"profile": settings.profile, "user": whose, "pairs": rows})
        return

    from omc_infra.tables import print_rows

    cells = [{name: str(value) for name, value in row.items() if value is not None} for row in rows]
    print_rows(open_console(), cells, f"pairs of fills of {whose} · {settings.profile}")


@accounts.command()
@click.argument("pair", nargs=4, metavar="ACCOUNT FILL ACCOUNT FILL")
@click.option("--same/--different", "is_duplicate", required=True, help="Whether both are the same execution.")
@user_option
@by_option
@json_option
def pair(pair: tuple[str, str, str, str], is_duplicate: bool, user: str | None, by: str, as_json: bool) -> None:
    """Decide about a pair of fills: the first one counts; the second one is its duplicate or a different fill."""
    from omc_pipeline.ledgers.pairs import decide_pair

    settings = load_settings()
    whose = user or settings.user
    with writing(settings) as (_, connection), connection.transaction():
        decide_pair(connection, whose, pair, by, is_duplicate=is_duplicate)
    document = {"user": whose, "pair": list(pair), "state": "duplicate" if is_duplicate else "rejected", "decided_by": by}
    if as_json:
        emit(document)
    else:
        say(f"{pair[3]} of {pair[2]} is {'a duplicate' if is_duplicate else 'a different fill'}; the next run updates profit and loss")


def _place(venue_or_source: str) -> tuple[str, str | None]:
    """Return venue and source of an account: a source by its name or its venue, else a venue of files."""
    from omc_pipeline.collection.discovery import discover_sources

    found = list(discover_sources().values())
    for source in found:
        if source.venues is not None and venue_or_source == source.name:
            raise BadInputError(f"source '{source.name}' collects from many venues; choose one, as in `omc accounts add kraken`")
        if source.per_account and venue_or_source in (source.name, source.venue):
            return source.venue, source.name
        if venue_or_source == source.name:
            raise BadInputError(f"source '{source.name}' doesn't collect accounts")
    for source in found:
        if source.venues is not None and source.venues.knows(venue_or_source):
            return venue_or_source, source.name
    if not _VENUE.fullmatch(venue_or_source):
        raise BadInputError(f"{venue_or_source!r} is not a venue; use at most 40 of a-z, 0-9, - and _")
    return venue_or_source, None


@contextmanager
def writing(settings: Settings, role: Role = "writer") -> Iterator[tuple[Database, psycopg.Connection[Any]]]:
    """Open the database, and a connection of a role that may write."""
    from omc_infra.postgres.database import open_database

    with open_database(settings) as database, database.connect(role) as connection:
        yield database, connection


def _change(account: str, state: State, by: str, as_json: bool) -> None:
    from omc_pipeline.collection.accounts import set_state

    settings = load_settings()
    with writing(settings) as (_, connection):
        row = set_state(connection, account, state, by)
    if as_json:
        emit(_document(row, settings))
    else:
        say(f"account {row.account_id} of user {row.user_id}: {row.state} ({settings.profile})")


def _forget(settings: Settings, database: Database, named: list[str]) -> None:
    from omc_infra.runs.instance import open_instance
    from omc_pipeline.orchestration.accounts import forget_accounts

    with open_instance(settings, database) as instance:
        forget_accounts(instance, named)


def _delete_bodies(settings: Settings, is_erased: bool) -> None:
    """Delete the bodies that were erased here where they lie in S3."""
    from omc_infra.postgres.database import open_database
    from omc_pipeline.ledgers.bodies import bodies_of, delete_unwanted

    bodies = bodies_of(settings) if is_erased else None
    if bodies is not None:
        with open_database(settings) as database:
            delete_unwanted(database, bodies)


def _document(row: AccountRow, settings: Settings) -> dict[str, Any]:
    missing = _missing_keys(row, settings)
    return {
        "account": row.account_id, "user": row.user_id, "venue": row.venue, "source": row.source, "label": row.label,
        "state": row.state, "state_changed_at": row.state_changed_at, "state_changed_by": row.state_changed_by,
        "configured": not missing, "missing_keys": missing, "held": row.held_reason, "held_at": row.held_at, "created_at": row.created_at,
    }  # fmt: skip


def _missing_keys(row: AccountRow, settings: Settings) -> list[str]:
    from omc_pipeline.collection.discovery import discover_sources
    from omc_pipeline.collection.keys import key_store

    source, store = discover_sources().get(row.source or ""), key_store(settings)
    return [store.place(name, row) for name in (source.keys_of(row) if source else ()) if store.key(name, row) is None]


def _show_erased(document: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        emit(document)
        return
    for table, count in document["rows"].items():
        say(f"{table:<32}{count:>12,}")
    say(f"{sum(document['rows'].values()):,} rows {'erased' if document['erased'] else 'would be erased; add --yes to do it'}")
