"""``omc sources``: what is collected, what it needs, how it goes; pause it, resume it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from omc_infra.cli import emit, json_option
from omc_infra.clock import utc_now
from omc_infra.errors import BadInputError
from omc_infra.person import logged_in
from omc_infra.settings import load_settings
from omc_infra.terminal import open_console, say

if TYPE_CHECKING:
    import psycopg

    from omc_infra.settings import Settings
    from omc_pipeline.collection.source import Source
    from omc_pipeline.collection.state import CollectorKey, CollectorState, States

_SPAN = re.compile(r"^(\d{1,6})([mhd])$")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_LONGEST = timedelta(days=366)


@click.group()
def sources() -> None:
    """Show the state of the collection of sources, and pause or resume it."""


@sources.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """List all sources: what they collect, the keys they need, where to get them, and their state."""
    from omc_infra.postgres.database import open_database
    from omc_pipeline.collection.discovery import discover
    from omc_pipeline.collection.state import States, states

    settings, now = load_settings(), utc_now()
    with open_database(settings, check=False) as database:
        known = States({})
        if database.require_profile():
            with closing(database.connect("reader")) as connection:
                known = states(connection)
    found = discover()
    documents = [_document(source, settings, known, now) for source in found.sources.values()]
    broken = [{"source": each.name, "ledger": each.ledger, "status": "broken", "reason": each.reason} for each in found.broken.values()]
    if as_json:
        emit({"profile": settings.profile, "sources": documents, "broken": broken})
    else:
        _print(documents, broken, settings.profile)


@sources.command("pause")
@click.argument("source")
@click.option("--endpoint", default="", help="Only this endpoint. Default: all.")
@click.option("--account", default="", help="Only this account. Default: all.")
@click.option("--for", "span", help="Duration: 30m, 2h, 7d. Default: until you resume it.")
@click.option("--reason", default="", help="Reason; shown with the pause.")
@json_option
def pause_command(source: str, endpoint: str, account: str, span: str | None, reason: str, as_json: bool) -> None:
    """Pause the scheduled collection of SOURCE. `omc collect` still works."""
    from omc_pipeline.collection.state import pause

    now, until = utc_now(), None
    if span is not None:
        until = now + _span(span)
    settings, key = load_settings(), _key(source, endpoint, account)
    with _database(settings) as connection:
        paused = pause(connection, key, by=logged_in(), now=now, until=until, reason=reason)
    if as_json:
        emit({"profile": settings.profile, **_state(paused, now)})
    else:
        say(paused.refusal(now))


@sources.command("resume", epilog="Exit code 1: nothing was paused.")
@click.argument("source")
@click.option("--endpoint", default="", help="Only this endpoint. Default: all.")
@click.option("--account", default="", help="Only this account. Default: all.")
@json_option
def resume_command(source: str, endpoint: str, account: str, as_json: bool) -> None:
    """Resume the scheduled collection of SOURCE. A wait that its upstream asked for still applies."""
    from omc_pipeline.collection.state import resume, states

    settings, key, now = load_settings(), _key(source, endpoint, account), utc_now()
    with _database(settings) as connection:
        resumed = resume(connection, key)
        refusal = states(connection, source).refusal(key, now)
    if as_json:
        emit({"profile": settings.profile, "resumed": [str(each) for each in resumed], "refusal": refusal})
    else:
        done = f"resumed {', '.join(map(str, resumed))}" if resumed else f"{key} was not paused"
        say(f"{done}; {refusal}" if refusal else done)
    if not resumed:
        raise click.exceptions.Exit(1)


def _key(source: str, endpoint: str, account: str) -> CollectorKey:
    from omc_pipeline.collection.discovery import source_named
    from omc_pipeline.collection.state import CollectorKey

    found = source_named(source)
    names = [each.name for each in found.endpoints if each.name]
    if endpoint and endpoint not in names:
        raise BadInputError(
            f"source {found.name!r} has no endpoint {endpoint!r}; " + (f"it has {', '.join(names)}" if names else "it has one only")
        )
    if account and not found.per_account:
        raise BadInputError(f"source {found.name!r} doesn't collect accounts")
    return CollectorKey(found.name, endpoint, account)


def _span(text: str) -> timedelta:
    found = _SPAN.match(text)
    span = timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None
    if span is None or not timedelta() < span <= _LONGEST:
        raise BadInputError(f"--for {text}: must be like 30m, 2h or 7d, at most {_LONGEST.days}d")
    return span


@contextmanager
def _database(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    from omc_infra.postgres.database import open_database

    with open_database(settings) as database, database.connect("writer") as connection:
        yield connection


def _document(source: Source, settings: Settings, known: States, now: datetime) -> dict[str, Any]:
    from omc_pipeline.collection.readiness import configured_sources, not_configured_reason
    from omc_pipeline.collection.state import CollectorKey

    reason = None if configured_sources([source], settings, known) else not_configured_reason(source, settings, known)
    own = [state for state in known if state.source == source.name] or [known.of(CollectorKey(source.name))]
    collectors = [_state(state, now) for state in own]
    return {
        "source": source.name,
        "title": source.title,
        "ledger": source.ledger,
        "cadence": source.cron,
        "every_s": source.every_s,
        "homepage": source.homepage,
        "keys_at": source.keys_at or source.homepage,
        "keys": [{"variable": f"OMC_KEY_{name.upper()}", "set": bool(settings.key(name))} for name in source.keys],
        "configured": reason is None,
        "not_configured_reason": reason,
        "status": "not configured" if reason else _worst([collector["status"] for collector in collectors]),
        "collectors": collectors,
    }


def _state(state: CollectorState, now: datetime) -> dict[str, Any]:
    shown: dict[str, Any] = {"endpoint": state.endpoint, "account": state.account_id, "status": _status(state, now)}
    shown["pause"] = (
        {"at": state.paused_at, "by": state.paused_by, "until": state.paused_until, "reason": state.pause_reason}
        if state.is_paused(now)
        else None
    )
    shown |= {"last_success_at": state.last_success_at, "last_rows": state.last_rows, "rows": state.rows, "p95_s": state.p95_s}
    shown["last_failure"] = (
        {
            "at": state.last_failure_at,
            "class": state.failure_class,
            "message": state.failure_message,
            "retryable": state.is_retryable,
        }
        if state.last_failure_at
        else None
    )
    waits = state.next_allowed_at is not None and state.next_allowed_at > now
    return {**shown, "consecutive_failures": state.consecutive_failures, "next_allowed_at": state.next_allowed_at if waits else None}


_STATUSES = ("paused", "failing", "waiting", "ok", "never collected")


def _status(state: CollectorState, now: datetime) -> str:
    if state.is_paused(now):
        return "paused"
    if state.next_allowed_at is not None and state.next_allowed_at > now:
        return "waiting"
    if state.consecutive_failures:
        return "failing"
    return "ok" if state.last_success_at else "never collected"


def _worst(statuses: list[str]) -> str:
    return min(statuses, key=_STATUSES.index)


def _print(documents: Sequence[Mapping[str, Any]], broken: Sequence[Mapping[str, Any]], profile: str) -> None:
    from omc_infra.tables import print_rows

    console = open_console()
    styles = ["" if each["configured"] else "bright_black" for each in documents]
    rows = [*map(_row, documents), *({**dict.fromkeys(_ROW, ""), "source": each["source"], "status": "broken"} for each in broken)]
    print_rows(console, rows, f"sources · {profile}", [*styles, *("red" for _ in broken)])
    for each in broken:
        console.print(each["reason"], style="red", soft_wrap=True)
    counts = Counter([each["status"] for each in documents] + ["broken" for _ in broken])
    console.print(f"{counts.total()} sources: {', '.join(f'{count} {status}' for status, count in sorted(counts.items()))}")
    for each, style in zip(documents, styles, strict=True):
        for line in _remarks(each):
            console.print(line, style=style, soft_wrap=True)


_ROW = ("source", "title", "cadence", "status", "last success", "rows", "p95")


def _row(each: Mapping[str, Any]) -> dict[str, str]:
    collectors = each["collectors"]
    last = max((c["last_success_at"] for c in collectors if c["last_success_at"]), default=None)
    slowest = max((c["p95_s"] for c in collectors if c["p95_s"] is not None), default=None)
    return {
        "source": each["source"],
        "title": each["title"],
        "cadence": each["cadence"],
        "status": each["status"],
        "last success": f"{last:%F %T}Z" if last else "never",
        "rows": str(sum(c["rows"] for c in collectors)),
        "p95": "" if slowest is None else f"{slowest:.1f} s",
    }


def _where(each: Mapping[str, Any]) -> str:
    """Say where a person gets what a source lacks."""
    lacks_key = any(not key["set"] for key in each["keys"])
    if not each["keys"] and "omc accounts add" in each["not_configured_reason"]:
        return ""
    if lacks_key:
        return f"; get them at {each['keys_at']}"
    return (
        f" to your own address; why: {each['homepage']}" if "OMC_CONTACT" in each["not_configured_reason"] else f"; see {each['homepage']}"
    )


def _remarks(each: Mapping[str, Any]) -> list[str]:
    """Say what a person may have to do: set keys, resume, look at a failure."""
    lines = [] if each["configured"] else [f"{each['not_configured_reason']}{_where(each)}"]
    for collector in each["collectors"]:
        name = "/".join(part for part in (each["source"], collector["endpoint"], collector["account"]) if part)
        if pause := collector["pause"]:
            end = f"until {pause['until']:%F %H:%M}Z" if pause["until"] else f"run `omc sources resume {each['source']}` to resume it"
            why = f": {pause['reason']}" if pause["reason"] else ""
            lines.append(f"{name} is paused by {pause['by']}{why}; {end}")
        if collector["next_allowed_at"]:
            lines.append(f"{name} waits until {collector['next_allowed_at']:%F %T}Z, as its upstream asked")
        if collector["consecutive_failures"]:
            failure = collector["last_failure"]
            lines.append(
                f"{name} failed {collector['consecutive_failures']} times in a row; last failure: {failure['class']}: {failure['message']}"
            )
    return lines
