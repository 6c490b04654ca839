"""A source that is not configured counts for no score: it is neither late nor empty, it is not there."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from omc_infra.postgres.database import Database, open_database
from omc_infra.postgres.migrate import migrate
from omc_infra.settings import Settings, load_settings
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.readiness import configured_sources
from omc_pipeline.collection.state import CollectorKey, record_configured
from omc_pipeline.commands.quality import quality
from omc_pipeline.quality.run import run_suites

SOURCES = list(discover_sources().values())
KEYED = [source for source in SOURCES if source.name in ("catalyst_sec_edgar", "human_fear_greed")]
"""Of the catalyst ledger the one source that needs a contact, so that the ledger has none without."""
NOW = datetime.now(UTC)


@pytest.fixture
def live(settings: Settings, server_url: str) -> Settings:
    url = server_url.replace("{database}", "t_quality_live")
    made = load_settings({"OMC_HOME": str(settings.home), "OMC_DATABASE_URL": url, "OMC_PROFILE": "live"})
    with open_database(made, check=False) as opened:
        migrate(opened)
        with opened.connect("owner") as connection:
            connection.execute("TRUNCATE collection.state, quality.alert, quality.score")
    return made


def _contacted(live: Settings) -> Settings:
    return live.model_copy(update={"contact": "someone@example.org"})


def test_a_ledger_without_a_configured_source_has_no_score_and_no_alert(live: Settings) -> None:
    with open_database(live) as database:
        report = run_suites(database, KEYED, live, NOW, ("catalyst", "human"))
        with database.connect("reader") as connection:
            stored = [row[0] for row in connection.execute("SELECT ledger FROM quality.score").fetchall()]

    catalyst, human = (report.as_document()["ledgers"][name] for name in ("catalyst", "human"))
    assert (catalyst["configured"], catalyst["overall_score"], catalyst["timeliness_score"], catalyst["checks"]) == (False, None, None, [])
    assert (human["configured"], human["overall_score"]) == (True, 0.0)
    assert {alert.ledger for alert in report.alerts} == {"human"}
    assert stored == ["human"]


def test_its_open_alerts_close_when_its_key_is_taken_away(live: Settings) -> None:
    with open_database(live) as database:
        before = run_suites(database, KEYED, _contacted(live), NOW, ("catalyst",))
        after = run_suites(database, KEYED, live, NOW, ("catalyst",))
        with database.connect("reader") as connection:
            open_ones = connection.execute("SELECT count(*) FROM quality.alert WHERE closed_at IS NULL").fetchone()

    assert before.alerts
    assert not after.alerts
    assert open_ones == (0,)


def test_of_a_ledger_only_the_configured_sources_are_judged(live: Settings) -> None:
    with open_database(live) as database:
        report = run_suites(database, SOURCES, live, NOW, ("exchange",))

    assert {check.source for check in report.ledgers["exchange"].checks} == {"exchange_coinspot_prices"}


def test_what_the_platform_can_collect_counts_also_where_its_keys_are_not_known(live: Settings) -> None:
    with open_database(live) as database:
        with database.connect("writer") as connection:
            record_configured(connection, {CollectorKey("exchange_coinspot_account"): None})
        report = run_suites(database, SOURCES, live, NOW, ("exchange",))

    assert "exchange_coinspot_account" in {check.source for check in report.ledgers["exchange"].checks}


def test_in_the_sandbox_every_source_is_configured(database: Database, settings: Settings) -> None:
    assert configured_sources(SOURCES, settings) == SOURCES


def test_the_command_leaves_out_what_is_not_configured(live: Settings) -> None:
    environ: dict[str, str | None] = {name: None for name in os.environ if name.startswith("OMC_")}

    document = CliRunner().invoke(quality, ["catalyst", "--json"], env={**environ, **live.environ()})

    judged = {check["source"] for check in json.loads(document.stdout)["ledgers"]["catalyst"]["checks"]}
    assert judged == {source.name for source in configured_sources(SOURCES, live) if source.ledger == "catalyst"}
    assert "catalyst_sec_edgar" not in judged
