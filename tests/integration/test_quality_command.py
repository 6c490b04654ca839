"""``omc quality`` over what the sandbox upstreams tell, collected for the first time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection.collecting import collect
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.commands.quality import quality
from omc_pipeline.ledgers.table import LEDGERS
from omc_pipeline.sandbox.server import serving

pytestmark = pytest.mark.slow

SCORES = ("completeness_score", "timeliness_score", "accuracy_score")


@pytest.fixture(scope="module")
def collected(database: Database, settings: Settings) -> Iterator[Database]:
    with serving(settings) as sandbox_url:
        for source in discover_sources().values():
            if source.extra:  # it collects accounts that a person adds
                continue
            collect(source, database, settings.model_copy(update={"sandbox_url": sandbox_url}))
        yield database


def asked(settings: Settings, *arguments: str) -> Result:
    environ = {name: None for name in os.environ if name.startswith("OMC_")}
    return CliRunner().invoke(quality, arguments, env={**environ, **settings.environ(), "COLUMNS": "200"})


def test_a_fresh_sandbox_collected_once_scores_well_and_exits_zero(collected: Database, settings: Settings) -> None:
    result = asked(settings, "--json")

    document = json.loads(result.stdout)
    low = {(name, score): ledger[score] for name, ledger in document["ledgers"].items() for score in SCORES if ledger[score] <= 0.7}
    assert (result.exit_code, low, document["alerts"], set(document["ledgers"])) == (0, {}, [], set(LEDGERS))
    assert [
        check
        for ledger in document["ledgers"].values()
        for check in ledger["checks"]
        if not check["passed"] and check["severity"] != "info"
    ] == []


def test_without_json_a_person_reads_a_table(collected: Database, settings: Settings) -> None:
    result = asked(settings, "human")

    assert result.exit_code == 0
    assert "quality · sandbox" in result.stdout
    assert "human" in result.stdout
    assert "glass" not in result.stdout


def test_an_open_alert_exits_one_for_its_own_ledger_only(collected: Database, settings: Settings) -> None:
    with collected.engine("owner").begin() as connection:
        connection.execute(text("UPDATE exchange.quote SET bid = ask * 2 WHERE symbol = 'BTC'"))

    results = {ledger: asked(settings, ledger, "--json") for ledger in LEDGERS}

    assert {ledger: result.exit_code for ledger, result in results.items()} == {"glass": 0, "human": 0, "catalyst": 0, "exchange": 1}
    alerts = json.loads(results["exchange"].stdout)["alerts"]
    assert [(alert["ledger"], alert["dimension"]) for alert in alerts] == [("exchange", "accuracy"), ("exchange", "overall")]


def test_the_table_names_the_failing_check_and_a_row(collected: Database, settings: Settings) -> None:
    with collected.engine("owner").begin() as connection:
        connection.execute(text("UPDATE exchange.quote SET bid = ask * 2 WHERE symbol = 'BTC'"))

    result = asked(settings, "exchange")

    assert result.exit_code == 1
    assert all(word in result.stdout for word in ("quote_uncrossed", "BTC", "alert: exchange accuracy"))


def test_an_unknown_ledger_is_bad_input(settings: Settings) -> None:
    result = asked(settings, "gold")

    assert result.exit_code == 2
    assert "'gold'" in result.stderr
