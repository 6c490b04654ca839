"""In which currencies a user reports, each with the zone of its tax year; whoever has chosen none reports as everybody else does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from omc_infra.errors import BadInputError
from omc_pipeline.pnl.fill import FIAT
from omc_pipeline.pnl.policy import Method

if TYPE_CHECKING:
    import psycopg

    from omc_infra.postgres.database import Database

EVERYBODY = "*"
"""In place of a user: the choice of all who have made none."""
UK_ZONES = ("Europe/London", "Europe/Belfast", "Europe/Guernsey", "Europe/Isle_of_Man", "Europe/Jersey", "GB", "GB-Eire")
CHOICES = """
SELECT user_id, currency, tax_zone, is_default, since FROM pnl.reporting
WHERE user_id = CASE WHEN EXISTS (SELECT FROM pnl.reporting own WHERE own.user_id = %(user)s) THEN %(user)s ELSE %(everybody)s END
ORDER BY is_default DESC, currency
"""
SET = """
INSERT INTO pnl.reporting (user_id, currency, tax_zone, is_default) VALUES (%s, %s, %s, %s)
ON CONFLICT (user_id, currency) DO UPDATE SET tax_zone = excluded.tax_zone, is_default = excluded.is_default, since = clock_timestamp()
WHERE (reporting.tax_zone, reporting.is_default) IS DISTINCT FROM (excluded.tax_zone, excluded.is_default)
"""


@dataclass(frozen=True, slots=True)
class ReportingCurrency:
    """A row of ``pnl.reporting``; ``user_id`` is ``*`` where the user has chosen none. ``tax_zone`` is a name of the tz database."""

    user_id: str
    currency: str
    tax_zone: str
    is_default: bool
    since: datetime


def reporting_currencies(connection: psycopg.Connection[Any], user_id: str) -> Sequence[ReportingCurrency]:
    """Return a user's reporting currencies, the default first, then by name."""
    rows = connection.execute(CHOICES, {"user": user_id, "everybody": EVERYBODY})
    return [ReportingCurrency(*row) for row in rows]


def reporting_of(connection: psycopg.Connection[Any], user_id: str, currency: str | None = None) -> ReportingCurrency:
    """Return one of a user's reporting currencies, or the default where none is named.

    Raises:
        BadInputError: The user doesn't report in that currency.
    """
    choices = reporting_currencies(connection, user_id)
    found = next((one for one in choices if currency in (None, one.currency)), None)
    if found is None:
        known = ", ".join(one.currency for one in choices)
        raise BadInputError(
            f"user {user_id!r} reports in {known}, not in {currency};"
            f" add it with `omc pnl reporting --user {user_id} --currency {currency} --zone ZONE`"
        )
    return found


def set_reporting(
    database: Database, user_id: str, currency: str, tax_zone: str | None = None, *, is_default: bool = False
) -> Sequence[ReportingCurrency]:
    """Add a reporting currency to those of a user, or change its zone, or make it the default; return all of them.

    The first currency that a user chooses replaces the common one, and is the default.

    Args:
        database: Where it is kept.
        user_id: Whose, or ``EVERYBODY``.
        currency: Money, such as EUR.
        tax_zone: A name of the tz database, such as Europe/Berlin; needed for a currency that is new to the user.
        is_default: Whether it is used where no currency is named; the default until then stays as another choice.

    Raises:
        BadInputError: No such currency or zone, or a new currency without a zone.
    """
    if currency not in FIAT:
        raise BadInputError(f"{currency!r} is not a reporting currency; use one of {', '.join(sorted(FIAT))}")
    with database.connect("writer") as connection:
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"pnl.reporting {user_id}",))
        own = {one.currency: one for one in reporting_currencies(connection, user_id) if one.user_id == user_id}
        known = own.get(currency)
        zone = tax_zone or (known.tax_zone if known else None)
        if zone is None:
            raise BadInputError(f"{currency} is new for user {user_id!r}: add the time zone of its tax year, such as Europe/Berlin")
        _require_zone(zone)
        becomes_default = is_default or not own or (known is not None and known.is_default)
        if becomes_default:
            connection.execute(
                "UPDATE pnl.reporting SET is_default = false WHERE user_id = %s AND currency <> %s AND is_default", (user_id, currency)
            )
        connection.execute(SET, (user_id, currency, zone, becomes_default))
        return reporting_currencies(connection, user_id)


def remove_reporting(database: Database, user_id: str, currency: str) -> Sequence[ReportingCurrency]:
    """Take a currency from those of a user and return the others; positions in it stay, and are no longer kept current.

    Raises:
        BadInputError: The user hasn't chosen it, or it is the default of several, or the last one of everybody.
    """
    with database.connect("writer") as connection:
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"pnl.reporting {user_id}",))
        own = {one.currency: one for one in reporting_currencies(connection, user_id) if one.user_id == user_id}
        if currency not in own:
            raise BadInputError(f"user {user_id!r} has not chosen to report in {currency}")
        if own[currency].is_default and len(own) > 1:
            raise BadInputError(f"{currency} is the default of user {user_id!r}; choose another default first")
        if user_id == EVERYBODY and len(own) == 1:
            raise BadInputError(f"{currency} is the only default currency; add another one first")
        connection.execute("DELETE FROM pnl.reporting WHERE user_id = %s AND currency = %s", (user_id, currency))
        return reporting_currencies(connection, user_id)


def day_zone(method: Method, tax_zone: str) -> str:
    """Return whose days a method goes by.

    Only UK share pooling knows days. It is UK law, so its days are those of the tax zone where that lies in the United Kingdom;
    elsewhere, and in files, they are UTC days.
    """
    return tax_zone if method == "uk" and tax_zone in UK_ZONES else "UTC"


def _require_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadInputError(f"there is no zone {name!r}; use a name such as Europe/Berlin or Australia/Sydney") from error
