"""``omc agent ask``, ``answer``, ``approve``, ``resume`` and ``cancel``: a question to an agent, and what it may need from its person."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import click

from omc_infra.cli import emit, json_option
from omc_infra.clock import parse_utc
from omc_infra.errors import BadInputError
from omc_infra.postgres.database import Database, open_database
from omc_infra.settings import Settings, load_settings
from omc_infra.terminal import say
from omc_pipeline.ledgers.table import number_text

if TYPE_CHECKING:
    from omc_agents.workflow.orchestrator import SessionState

_NEXT = {
    "answer": 'omc agent answer {session} "..."',
    "approval": "omc agent approve {session}",
    "resume": "omc agent resume {session}",
}
_session = click.argument("session", metavar="SESSION")


@click.command(
    help="Ask a question about the ledgers. Each sentence of the answer is checked against its row.",
    epilog="Exit code 1: there is no answer; the reason is printed. Exit code 0 also if the session asks a question back and waits.",
)
@click.argument("question", metavar="QUESTION")
@click.option("--user", help="User whose orders and positions may be read. Default: OMC_USER.")
@click.option("--as-of", "as_of", help="Use only what was known at this time, ISO 8601 with a zone. Default: now.")
@json_option
def ask(question: str, user: str | None, as_of: str | None, as_json: bool) -> None:
    """Open a session and work on it until it is done or waits for its person."""
    from omc_agents.models.choice import chosen_name
    from omc_agents.sessions.persons import open_question

    settings = load_settings()
    with open_database(settings) as database:
        owner = user or settings.user
        session = open_question(database, owner, question, chosen_name(), _moment(as_of))
        _go_on(database, settings, session, as_json)


@click.command(help="Answer a session's question, and continue the session.", epilog="Exit code 1: there is no answer to the question.")
@_session
@click.argument("text", metavar="ANSWER")
@json_option
def answer(session: str, text: str, as_json: bool) -> None:
    """Record the person's words and go on."""
    from omc_agents.sessions.persons import give_answer

    _with(session, as_json, lambda database: give_answer(database, session, text))


@click.command(
    help="Let a session spend more than the configured limit, and continue it.", epilog="Exit code 1: there is no answer to the question."
)
@_session
@click.option("--up-to", "up_to", help="Limit for the whole session in US dollars. Default: [agents] max_session_usd.")
@json_option
def approve(session: str, up_to: str | None, as_json: bool) -> None:
    """Record the approval and go on."""
    from omc_agents.models.choice import load_options
    from omc_agents.sessions.persons import approve as approve_session

    most_usd = load_options()[1].max_session_usd if up_to is None else _dollars(up_to)
    _with(session, as_json, lambda database: approve_session(database, session, most_usd))


@click.command(
    help="Continue a session that was interrupted or failed several times. Recorded model calls are not repeated or paid again.",
    epilog="Exit code 1: there is no answer to the question.",
)
@_session
@json_option
def resume(session: str, as_json: bool) -> None:
    """Go on from the last step that was finished."""
    _with(session, as_json, lambda _database: None)


@click.command(help="End a session without an answer. Its rows and texts are kept.")
@_session
@json_option
def cancel(session: str, as_json: bool) -> None:
    """End the session; a process that works on it stops before its next step's model call."""
    from omc_agents.workflow.orchestrator import cancel as cancel_session
    from omc_agents.workflow.orchestrator import get_session_state

    settings = load_settings()
    with open_database(settings) as database:
        cancel_session(database, session)
        _print(settings, get_session_state(database, session), as_json)


def _with(session: str, as_json: bool, record: Callable[[Database], None]) -> None:
    settings = load_settings()
    with open_database(settings) as database:
        record(database)
        _go_on(database, settings, session, as_json)


def _go_on(database: Database, settings: Settings, session: str, as_json: bool) -> None:
    from omc_agents.models.choice import panel_of
    from omc_agents.sessions.subscriptions import model_of_session
    from omc_agents.workflow.orchestrator import get_session_state
    from omc_agents.workflow.orchestrator import resume as resume_session

    owner = get_session_state(database, session).user_id
    panel = panel_of(owner, model_of_session(database, session))
    outcome = resume_session(database, settings, panel, session)
    state = get_session_state(database, session)
    _print(settings, state, as_json)
    if outcome.outcome == "skipped":
        raise BadInputError(f"session {session!r}: {outcome.detail}")
    if state.status not in {"published", "waiting"}:
        raise click.exceptions.Exit(1)


def _print(settings: Settings, state: SessionState, as_json: bool) -> None:
    following = _NEXT[state.waiting_for].format(session=state.session_id) if state.waiting_for else None
    if as_json:
        emit({"profile": settings.profile, **vars(state), "counted_usd": number_text(state.counted_usd), "next": following})
    elif state.body:
        say(f"{state.title}\n\n{state.body}\n\nIts rows: omc agent show {state.session_id}")
    elif following:
        say(f"{state.prompt}\n{following}")
    else:
        say(f"{state.status}: {state.detail or 'no answer yet'}\nsession {state.session_id}")


def _moment(written: str | None) -> datetime | None:
    if written is None:
        return None
    try:
        return parse_utc(written)
    except ValueError:
        raise BadInputError(f"--as-of {written!r} is not a time with a zone; write it like 2026-01-31T12:00:00Z") from None


def _dollars(written: str) -> Decimal:
    try:
        number = Decimal(written)
    except ArithmeticError:
        raise BadInputError(f"--up-to {written!r} is not a number") from None
    if not number.is_finite() or not 0 <= number <= 100_000:
        raise BadInputError(f"--up-to {written!r}: must be from 0 to 100000")
    return number
