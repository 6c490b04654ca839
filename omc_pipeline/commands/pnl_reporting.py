"""``omc pnl reporting``: in which currencies a user's profit and loss is kept, and whose tax year goes with each."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from omc_infra.cli import emit, json_option
from omc_infra.errors import BadInputError
from omc_infra.terminal import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omc_infra.postgres.database import Database
    from omc_pipeline.positions.reporting import ReportingCurrency


@click.command()
@click.option("--user", help="User. Default: OMC_USER.")
@click.option("--everybody", is_flag=True, help="Change the default for all users without currencies of their own.")
@click.option("--currency", help="Currency to add or change, such as EUR.")
@click.option("--zone", help="Time zone of its tax days and tax year, such as Europe/Berlin.")
@click.option("--default", "is_default", is_flag=True, help="Use it when no --currency is given.")
@click.option("--remove", is_flag=True, help="Remove the currency. Its positions stay, but are no longer updated.")
@json_option
def reporting(
    user: str | None, everybody: bool, currency: str | None, zone: str | None, is_default: bool, remove: bool, as_json: bool
) -> None:
    """List a user's reporting currencies, or add, change or remove one. Dagster computes positions in each of them."""
    from omc_infra.postgres.database import open_database
    from omc_infra.settings import load_settings
    from omc_pipeline.positions.reporting import EVERYBODY

    if everybody and user is not None:
        raise BadInputError("--everybody can't be combined with --user")
    settings = load_settings()
    whose = EVERYBODY if everybody else user or settings.user
    with open_database(settings) as database:
        found = _changed(database, whose, currency, zone, is_default=is_default, remove=remove)
    if as_json:
        emit({"profile": database.profile, "user": whose, "currencies": [asdict(one) for one in found]})
        return
    for one in found:
        note = " (default)" if one.is_default else ""
        chosen = "" if one.user_id == whose else ", the common choice: this user has made none"
        say(f"{one.currency}, tax zone {one.tax_zone}{note}, since {one.since:%Y-%m-%d}{chosen}")


def _changed(
    database: Database, user: str, currency: str | None, zone: str | None, *, is_default: bool, remove: bool
) -> Sequence[ReportingCurrency]:
    """Change what was asked for and return the user's currencies."""
    from omc_pipeline.positions.reporting import remove_reporting, reporting_currencies, set_reporting

    if currency is None:
        if zone is not None or is_default or remove:
            raise BadInputError("choose the currency with --currency")
        with database.connect("reader") as connection:
            return reporting_currencies(connection, user)
    if remove:
        if zone is not None or is_default:
            raise BadInputError("--remove can't be combined with --zone or --default")
        return remove_reporting(database, user, currency.upper())
    return set_reporting(database, user, currency.upper(), zone, is_default=is_default)
