"""``omc agent``: lists and shows sessions, as lines and as JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from agent_sessions import brief, session_of
from click.testing import CliRunner, Result

from omc_agents.commands.agent import agent
from omc_agents.models.scripted import ScriptedAnalyst
from omc_infra.errors import BadInputError
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.ledgers.catalyst import CatalystEvent
from omc_pipeline.ledgers.exchange import Quote
from omc_pipeline.ledgers.write import append

EVENT = "0000000001-26-000001"


@pytest.fixture(scope="module", autouse=True)
def briefed(database: Database, settings: Settings) -> None:
    now = datetime.now(UTC)
    with database.connect("writer") as connection:
        append(
            connection, "catalyst_sec_edgar", [CatalystEvent(EVENT, "filing", "BTC", "MSTR", "S", "8-K", "8-K", None, "u", None, now)], None
        )
        append(connection, "exchange_coinspot_prices", [Quote("BTC", "AUD", now, None, None, Decimal("152000.5"))], None)
        connection.commit()
    brief(database, settings, ScriptedAnalyst(), EVENT)


def omc(settings: Settings, *words: str) -> Result:
    return CliRunner().invoke(agent, words, env=settings.environ(), catch_exceptions=True)


def test_sessions_are_listed(settings: Settings) -> None:
    answer = omc(settings, "sessions", "--json")

    assert answer.exit_code == 0, answer.output
    (session,) = json.loads(answer.stdout)["sessions"]
    assert (session["event_id"], session["status"]) == (EVENT, "published")
    assert "published" in omc(settings, "sessions").output


@pytest.mark.parametrize("name", ["event", "session"])
def test_a_session_is_shown_with_the_rows_that_bear_its_claims(database: Database, settings: Settings, name: str) -> None:
    wanted = EVENT if name == "event" else session_of(database, EVENT)
    document = json.loads(omc(settings, "show", wanted, "--json").stdout)

    assert {claim["ref"] for claim in document["claims"]} == {row["ref"] for row in document["rows"]}
    assert "marker" not in document["session"]
    assert "152,000.50" in omc(settings, "show", wanted).output


def test_an_unknown_session_is_a_bad_input(settings: Settings) -> None:
    answer = omc(settings, "show", "nothing")

    assert isinstance(answer.exception, BadInputError)
