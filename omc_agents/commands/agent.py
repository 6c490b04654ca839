"""``omc agent``: what agents did, and one session with its claims and the rows that bear them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import click

from omc_agents.commands.agent_proof import diff, export, replay, verify
from omc_agents.commands.agent_questions import answer, approve, ask, cancel, resume
from omc_agents.commands.agent_subscriptions import subscribe, subscriptions, unsubscribe
from omc_infra.cli import emit, json_option
from omc_infra.postgres.database import Database, open_database
from omc_infra.settings import load_settings
from omc_infra.terminal import open_console, say
from omc_pipeline.ledgers.table import number_text


@click.group(help="Ask agents questions, and show their sessions and briefs.")
def agent() -> None:
    """Group the session commands."""


for _command in (ask, answer, approve, resume, cancel, replay, export, verify, diff, subscribe, subscriptions, unsubscribe):
    agent.add_command(_command)


@agent.command(help="List the newest sessions.")
@click.option("--most", default=50, show_default=True, type=click.IntRange(1, 1000), help="Number of sessions.")
@json_option
def sessions(most: int, as_json: bool) -> None:
    """Print one line a session, newest first."""
    from omc_agents.sessions.briefs import list_sessions

    settings = load_settings()
    with open_database(settings) as database:
        found = list_sessions(database, most)
    if as_json:
        emit({"profile": settings.profile, "sessions": found})
        return
    from omc_infra.tables import print_rows

    shown = [
        {"about": row["event_id"] or row["question"] or row["trigger"], "status": row["status"], "brief": row["title"] or "–"}
        | {"session": row["session_id"]}
        for row in found
    ]
    print_rows(open_console(), shown, f"sessions · {settings.profile}")


@agent.command(help="Show one session, by its id or its event's id.")
@click.argument("wanted", metavar="SESSION_OR_EVENT_ID")
@json_option
def show(wanted: str, as_json: bool) -> None:
    """Print the brief, its claims and the rows that bear them."""
    from omc_agents.sessions.briefs import show_session

    settings = load_settings()
    with open_database(settings) as database:
        document = show_session(database, wanted)
        restated = _restated(database, document, settings.alert_threshold)
    if as_json:
        emit({"profile": settings.profile, **document, "restated": restated})
    else:
        _print(document, restated)


@agent.command(help="Show the cost of models by UTC day, user and model.")
@click.option("--days", default=30, show_default=True, type=click.IntRange(1, 3660), help="Number of days, including today.")
@json_option
def spend(days: int, as_json: bool) -> None:
    """Print calls, tokens and money; a call whose outcome is unknown counts with the most it can have cost."""
    from omc_agents.sessions.spend import spent_by_day

    settings = load_settings()
    with open_database(settings) as database:
        rows = [
            {**row, "counted_usd": str(row["counted_usd"]), "unsettled_usd": str(row["unsettled_usd"])}
            for row in spent_by_day(database, days)
        ]
    if as_json:
        emit({"profile": settings.profile, "days": days, "spend": rows})
        return
    from omc_infra.tables import print_rows

    shown = [{name: "–" if value is None else str(value) for name, value in row.items()} for row in rows]
    print_rows(open_console(), shown, f"spend of {days} days · {settings.profile}")


def _restated(database: Database, document: Mapping[str, Any], threshold: float) -> list[int]:
    """Return the numbers of the claims whose rows were restated or removed since; none without a brief."""
    from omc_agents.sessions.proof import recording_of
    from omc_agents.sessions.restatement import claims_today, restated_of

    if not document["brief"]:
        return []
    return restated_of(claims_today(database, recording_of(database, document["session"]["session_id"], threshold).proof))


def _print(document: Mapping[str, Any], restated: Sequence[int]) -> None:
    session, brief = document["session"], document["brief"]
    say(f"session {session['session_id']}: {session['status']}{': ' + session['detail'] if session['detail'] else ''}")
    if session["question"]:
        say("\n".join([f"question: {session['question']}", *(f"answer: {text}" for text in session["answers"])]))
    if session["prompt"]:
        say(session["prompt"])
    if brief:
        say(f"\n{brief['title']}\n\n{brief['body']}")
    if restated:
        say(f"\nRESTATED: the rows of claims {', '.join(map(str, restated))} changed since; `omc agent diff` shows before and after")
    for call in document["spend"]:
        tokens = (call["usage"] or {}).get("total")
        outcome = call["failure"] or (f"{tokens} tokens" if tokens is not None else "no tokens known")
        cost = number_text(Decimal(str(call["counted_usd"])))
        say(f"\nmodel call {call['attempt']} of step {call['step']}: {call['model']} {call['state']}, {cost} USD; {outcome}")
    for row in document["rows"]:
        say(f"\n{row['ref']}")
        for name, value in row["row"].items():
            say(f"  {name} = {value!r}")
