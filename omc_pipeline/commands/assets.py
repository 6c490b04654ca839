"""``omc assets``: look names up in the registry of assets, check it, and rename what was stored before a ticker was known."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from omc_infra.cli import emit, json_option
from omc_infra.clock import utc_now
from omc_infra.errors import BadInputError
from omc_infra.terminal import open_console, say

if TYPE_CHECKING:
    from omc_pipeline.assets.asset import Asset, Resolved
    from omc_pipeline.assets.registry import Registry

_BACKUP = "assets"
_WITHOUT_BACKUP = "omc assets apply --without-backup"


@click.group()
def assets() -> None:
    """Look up coins by name, and rename stored coins whose name was not known before."""


@assets.command("show", epilog="Exit code 1: the name is unknown or ambiguous.")
@click.argument("name")
@click.option("--venue", help="Venue that uses NAME as a ticker, such as coinspot or kraken.")
@click.option("--at", help="Day on which NAME was used, such as 2021-03-01. A ticker can change its coin over time.")
@json_option
def show_command(name: str, venue: str | None, at: str | None, as_json: bool) -> None:
    """Print what NAME means: a symbol, a venue's ticker, coingecko:ID, CHAIN:ADDRESS or a full name."""
    registry = _registry()
    found = registry.resolve(name, None if venue is None else venue.lower(), _day(at))
    document = {"name": name, "venue": venue, "at": at, **_resolved(registry, found)}
    if as_json:
        emit(document)
    else:
        _print_found(document)
    if document["status"] != "found":
        raise click.exceptions.Exit(1)


@assets.command("list")
@click.option("--own", is_flag=True, help="Only assets that you have added in omc.toml.")
@json_option
def list_command(own: bool, as_json: bool) -> None:
    """List all assets with symbol, name and other tickers."""
    from omc_infra.tables import print_rows

    shown = [_document(asset) for asset in _registry().assets if asset.is_own or not own]
    if as_json:
        emit({"assets": shown})
        return
    rows = [{"symbol": each["symbol"], "name": each["name"], "tickers": " ".join(each["aliases"])} for each in shown]
    print_rows(open_console(), rows, f"{len(rows)} assets")


@assets.command("check", epilog="Exit code 1: a mistake was found.")
@json_option
def check_command(as_json: bool) -> None:
    """Check that every symbol is unique, and that no ticker means two coins at the same time."""
    from omc_pipeline.assets.findings import findings

    registry = _registry()
    found = findings(registry)
    if as_json:
        emit({"assets": len(registry.assets), "findings": found})
    else:
        for each in found:
            say(each)
        say(f"{len(registry.assets)} assets, {len(found)} findings")
    if found:
        raise click.exceptions.Exit(1)


@assets.command("apply")
@click.option("--dry-run", is_flag=True, help="Only show what would be renamed.")
@click.option("--without-backup", is_flag=True, help="Rename without making a backup first.")
@json_option
def apply_command(dry_run: bool, without_backup: bool, as_json: bool) -> None:
    """Rename stored VENUE:TICKER symbols that the registry knows now. Makes a backup first."""
    from omc_infra.postgres.backup import back_up
    from omc_infra.postgres.database import open_database
    from omc_infra.settings import load_settings
    from omc_pipeline.ledgers import catalyst, exchange, glass, human
    from omc_pipeline.ledgers.renamed_tables import mapped_name, named_tables, planned, rename_all

    registry, settings = _registry(), load_settings()
    tables = named_tables((*glass.TABLES, *human.TABLES, *catalyst.TABLES, *exchange.TABLES))
    backup: Path | None = None
    counts: dict[str, int] = {}
    with open_database(settings) as database:
        with database.connect("owner") as connection:
            plan = planned(connection, tables, registry, mapped_name(registry))
        renamed = sorted({(each.old, each.new) for of_table in plan.values() for each in of_table})
        if plan and not dry_run:
            backup = None if without_backup else back_up(database, _BACKUP, utc_now(), without=_WITHOUT_BACKUP)
            with database.connect("owner") as connection, connection.transaction():
                counts = rename_all(connection, tables, planned(connection, tables, registry, mapped_name(registry)))
    document: dict[str, Any] = {
        "profile": settings.profile, "renamed": [{"old": old, "new": new} for old, new in renamed], "rows": counts,
        "backup": None if backup is None else str(backup), "dry_run": dry_run,
    }  # fmt: skip
    if as_json:
        emit(document)
        return
    for old, new in renamed:
        say(f"{old} → {new}")
    say(f"backup in {backup}" if backup else "no backup was made")
    say(", ".join(f"{table}: {rows} rows" for table, rows in sorted(counts.items())) or "nothing was renamed")


def _registry() -> Registry:
    from omc_infra.configuration import load_configuration
    from omc_pipeline.assets.configured import configured_registry

    return configured_registry(load_configuration())


def _day(written: str | None) -> datetime | None:
    if written is None:
        return None
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        raise BadInputError(f"--at {written[:40]!r} is not a day like 2021-03-01") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _resolved(registry: Registry, found: Resolved) -> dict[str, Any]:
    from omc_pipeline.assets.asset import Ambiguous, Asset

    if isinstance(found, Asset):
        renames = [{"old": each.old, "on": each.on and each.on.isoformat()} for each in registry.renames if each.new == found.symbol]
        moved = [
            {"old": each.old, "new": each.new, "on": each.on.isoformat(), "ratio": f"{each.old_units}:{each.new_units}"}
            for each in registry.migrations
            if found.symbol in (each.old, each.new)
        ]
        return {"status": "found", "asset": _document(found), "renames": renames, "migrations": moved}
    if isinstance(found, Ambiguous):
        return {"status": "ambiguous", "symbols": list(found.symbols)}
    return {"status": "unknown"}


def _document(asset: Asset) -> dict[str, Any]:
    return {
        "id": asset.id, "symbol": asset.symbol, "name": asset.name, "money": asset.is_money, "coingecko": asset.coingecko,
        "aliases": [str(alias) for alias in asset.aliases], "contracts": list(asset.contracts), "own": asset.is_own,
    }  # fmt: skip


def _print_found(document: dict[str, Any]) -> None:
    if document["status"] == "unknown":
        say(f"{document['name']}: unknown; map it in omc.toml under [assets], then run `omc assets apply`")
        return
    if document["status"] == "ambiguous":
        say(f"{document['name']} may be {' or '.join(document['symbols'])}; choose with --venue or --at")
        return
    asset = document["asset"]
    say(f"{asset['symbol']}  {asset['name']}")
    for label in ("coingecko", "aliases", "contracts"):
        value = asset[label]
        if value:
            say(f"  {label}: {value if isinstance(value, str) else ', '.join(value)}")
    for each in document["renames"]:
        say(f"  was {each['old']}" + (f" until {each['on']}" if each["on"] else ""))
    for each in document["migrations"]:
        say(f"  {each['old']} became {each['new']} on {each['on']}, {each['ratio']}")
