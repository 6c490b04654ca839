"""``omc agent subscribe``, ``subscriptions`` and ``unsubscribe``: which events a user gets briefs about, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from omc_infra.cli import emit, json_option
from omc_infra.errors import BadInputError
from omc_infra.postgres.database import open_database
from omc_infra.settings import Settings, load_settings
from omc_infra.terminal import open_console, say

if TYPE_CHECKING:
    from omc_agents.sessions.subscriptions import Interest, Subscription

MOST_PARTS = 50
"""Coins, types or channels that one subscription names at most."""


@click.command(help="Subscribe a user to events: each one gives a brief, written with the user's model and sent to the user's channels.")
@click.option("--user", help="User. Default: OMC_USER.")
@click.option("--symbol", "symbols", multiple=True, help="Only events of this coin; repeat it for several.  [default: all]")
@click.option(
    "--type", "event_types", multiple=True, help="Only events of this type, such as filing; repeat it for several.  [default: all]"
)
@click.option(
    "--least-impact",
    type=click.IntRange(1, 10),
    help="Only events with at least this impact, from 1 to 10. Events whose source gives none are left out.",
)
@click.option("--model", default="", help="Model that writes the briefs, as `omc models list` names it. Default: the one of [agents].")
@click.option(
    "--channel", "channels", multiple=True, help="Send the briefs to this channel, whose address is in OMC_KEY_ALERT_<NAME>; repeat it."
)
@click.option("--id", "subscription_id", help="Id of the subscription, unique across all users. Default: <user>-<number>.")
@json_option
def subscribe(
    user: str | None,
    symbols: tuple[str, ...],
    event_types: tuple[str, ...],
    least_impact: int | None,
    model: str,
    channels: tuple[str, ...],
    subscription_id: str | None,
    as_json: bool,
) -> None:
    """Add a row; events that are recorded from now on meet it."""
    from omc_agents.sessions.subscriptions import Interest
    from omc_agents.sessions.subscriptions import subscribe as add

    settings = load_settings()
    interest = _checked(Interest(symbols, event_types, least_impact, model, channels))
    with open_database(settings) as database:
        added = add(database, user or settings.user, interest, subscription_id)
    document = _document(added, settings)
    if as_json:
        emit({"profile": settings.profile, **document})
        return
    missing = f"; set {' and '.join(document['missing_keys'])} for the platform" if document["missing_keys"] else ""
    say(f"subscription {added.subscription_id} of user {added.user_id} ({settings.profile}): {_words(interest)}{missing}")


@click.command(help="List subscriptions with the events that wait for the end of a cool-down, and the channels without an address.")
@click.option("--user", help="Only subscriptions of this user.")
@json_option
def subscriptions(user: str | None, as_json: bool) -> None:
    """Print one line a subscription, the oldest first."""
    from omc_agents.sessions.subscriptions import subscriptions as known

    settings = load_settings()
    with open_database(settings) as database:
        rows = [_document(row, settings) for row in known(database, user)]
    if as_json:
        emit({"profile": settings.profile, "subscriptions": rows})
        return
    from omc_infra.tables import print_rows

    cells = [{name: ", ".join(value) if isinstance(value, list) else str(value or "") for name, value in row.items()} for row in rows]
    print_rows(open_console(), cells, f"subscriptions · {settings.profile}")


@click.command(help="End a subscription. Its sessions and briefs stay; events that wait for the end of a cool-down are not briefed.")
@click.argument("subscription", metavar="SUBSCRIPTION")
@json_option
def unsubscribe(subscription: str, as_json: bool) -> None:
    """Mark the row as removed."""
    from omc_agents.sessions.subscriptions import unsubscribe as remove

    settings = load_settings()
    with open_database(settings) as database:
        removed = remove(database, subscription)
    if as_json:
        emit({"profile": settings.profile, **_document(removed, settings)})
        return
    waiting = f"; {removed.held} events waited for the end of a cool-down" if removed.held else ""
    say(f"subscription {removed.subscription_id} of user {removed.user_id} is ended{waiting}")


def _checked(interest: Interest) -> Interest:
    """Return the parts as they are stored, each once.

    Raises:
        BadInputError: One is malformed, or no model of the list.
    """
    from omc_agents.models.choice import full_catalogue, load_options, with_model
    from omc_agents.sessions.subscriptions import Interest
    from omc_agents.tools.arguments import checked_event_type, checked_symbol
    from omc_infra.alerts.options import checked_channel
    from omc_infra.errors import ConfigurationError

    if interest.model:
        options = load_options()[1]
        try:
            with_model(options, interest.model)
        except ConfigurationError as error:
            known = ", ".join(["scripted", *(each.full_name for each in full_catalogue(options).models)])
            raise BadInputError(f"{error}: {known}") from None
    if max(len(part) for part in (interest.symbols, interest.event_types, interest.channels)) > MOST_PARTS:
        raise BadInputError(f"a subscription names at most {MOST_PARTS} coins, types or channels")
    try:
        channels = tuple(dict.fromkeys(checked_channel(name) for name in interest.channels))
    except ValueError as error:
        raise BadInputError(f"--channel: {error}") from None
    symbols = tuple(dict.fromkeys(checked_symbol(symbol) for symbol in interest.symbols))
    types = tuple(dict.fromkeys(checked_event_type(kind) for kind in interest.event_types))
    return Interest(symbols, types, interest.least_impact, interest.model, channels)


def _document(row: Subscription, settings: Settings) -> dict[str, Any]:
    from omc_infra.delivery.channels import KEY_PREFIX, variable_of

    interest = row.interest
    missing = [variable_of(name) for name in interest.channels if settings.key(f"{KEY_PREFIX}{name}") is None]
    return {
        "subscription": row.subscription_id,
        "user": row.user_id,
        "symbols": list(interest.symbols),
        "event_types": list(interest.event_types),
        "least_impact": interest.least_impact,
        "model": interest.model,
        "channels": list(interest.channels),
        "missing_keys": missing,
        "held": row.held,
        "created_at": row.created_at.isoformat(),
    }


def _words(interest: Interest) -> str:
    coins = ", ".join(interest.symbols) or "all coins"
    kinds = f"{', '.join(interest.event_types)} events" if interest.event_types else "all events"
    impact = f" with an impact of {interest.least_impact} or more" if interest.least_impact else ""
    where = f", sent to {', '.join(interest.channels)}" if interest.channels else ", sent to no channel"
    return f"{kinds} of {coins}{impact}{where}"
