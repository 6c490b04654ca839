"""``omc agent diff``: rows that a brief cites are revised or removed later; the brief is marked, before and after are shown."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from agent_sessions import brief
from click.testing import CliRunner

from omc_agents.commands.agent import agent
from omc_agents.models.scripted import ScriptedAnalyst
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.ledgers.catalyst import CatalystEvent
from omc_pipeline.ledgers.exchange import Quote
from omc_pipeline.ledgers.table import Row
from omc_pipeline.ledgers.write import append

NOW = datetime.now(UTC)


def keep(database: Database, source: str, *rows: Row) -> None:
    with database.connect("writer") as connection:
        append(connection, source, rows, None)
        connection.commit()


def quote(symbol: str, last: str) -> Quote:
    return Quote(symbol, "AUD", NOW, None, None, Decimal(last))


def briefed(database: Database, settings: Settings, event_id: str, symbol: str) -> str:
    keep(database, "exchange_coinspot_prices", quote(symbol, "152000.5"))
    filing = CatalystEvent(event_id, "filing", symbol, "MSTR", "S", "8-K", "8-K", None, "u", None, NOW)
    keep(database, "catalyst_sec_edgar", filing)
    outcome = brief(database, settings, ScriptedAnalyst(), event_id)
    assert outcome.outcome == "published"
    return outcome.session_id


def omc(settings: Settings, command: str, session: str, exit_code: int = 0) -> dict[str, Any]:
    answer = CliRunner().invoke(agent, [command, session, "--json"], env=settings.environ())
    assert answer.exit_code == exit_code, answer.output
    document: dict[str, Any] = json.loads(answer.stdout)
    return document


def test_a_brief_of_unchanged_rows_is_not_marked(database: Database, settings: Settings) -> None:
    session = briefed(database, settings, "0000000001-26-000001", "BTC")
    keep(database, "exchange_coinspot_prices", quote("BTC", "152000.50"))

    document = omc(settings, "diff", session)

    assert document["restated"] == []
    assert all(claim["before"] == claim["after"] for claim in document["claims"])
    assert omc(settings, "show", session)["restated"] == []


def test_a_restated_row_shows_the_sentence_before_and_after(database: Database, settings: Settings) -> None:
    session = briefed(database, settings, "0000000001-26-000002", "ETH")
    keep(database, "exchange_coinspot_prices", quote("ETH", "149000.25"))

    document = omc(settings, "diff", session, exit_code=1)

    (changed,) = [claim for claim in document["claims"] if claim["state"] != "same"]
    assert document["restated"] == omc(settings, "show", session)["restated"] == [changed["n"]]
    assert changed["state"] == "restated"
    assert "152,000.50" in changed["before"]
    assert "149,000.25" in changed["after"]
    assert omc(settings, "replay", session)["same"] is True


def test_a_removed_row_is_told(database: Database, settings: Settings) -> None:
    session = briefed(database, settings, "0000000001-26-000003", "SOL")
    with database.connect("owner") as owner:
        owner.execute("DELETE FROM exchange.quote WHERE symbol = 'SOL'")
        owner.commit()

    states = {claim["ref"]: claim for claim in omc(settings, "diff", session, exit_code=1)["claims"]}

    (gone,) = [claim for claim in states.values() if claim["state"] == "removed"]
    assert (gone["after"], "SOL" in gone["before"]) == (None, True)
