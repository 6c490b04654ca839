"""``omc sources``: what a person sees of the collectors, and how they are paused and resumed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from omc_infra.errors import BadInputError, PayloadChangedError
from omc_infra.postgres.database import Database, open_database
from omc_infra.postgres.migrate import migrate
from omc_infra.settings import Settings, load_settings
from omc_pipeline.collection.state import CollectorKey, record_failure, record_success
from omc_pipeline.commands.sources import sources


def _omc(settings: Settings, *arguments: str, variables: Mapping[str, str] | None = None) -> Result:
    environ: dict[str, str | None] = {name: None for name in os.environ if name.startswith("OMC_")}
    return CliRunner().invoke(sources, arguments, env={**environ, **settings.environ(), "COLUMNS": "200", **(variables or {})})


def _listed(settings: Settings, **variables: str) -> dict[str, dict[str, object]]:
    answer = _omc(settings, "list", "--json", variables=variables)
    assert answer.exit_code == 0, answer.output
    return {each["source"]: each for each in json.loads(answer.stdout)["sources"]}


@pytest.fixture(scope="module")
def live(settings: Settings, server_url: str) -> Settings:
    url = server_url.replace("{database}", "t_sources_live")
    made = load_settings({"OMC_HOME": str(settings.home), "OMC_DATABASE_URL": url, "OMC_PROFILE": "live"})
    with open_database(made, check=False) as opened:
        migrate(opened)
    return made


def test_the_list_says_what_each_source_is_and_how_it_goes(database: Database, settings: Settings) -> None:
    now = datetime.now(UTC)
    with database.connect("writer") as connection:
        record_success(connection, CollectorKey("glass_defillama"), rows=12, seconds=1.5, now=now)
        record_failure(connection, CollectorKey("human_fear_greed"), PayloadChangedError("no data"), now=now, pause_after=0)

    found = _listed(settings)

    glass, human = found["glass_defillama"], found["human_fear_greed"]
    assert (glass["title"], glass["ledger"], glass["cadence"], glass["status"]) == ("DefiLlama", "glass", "5 * * * *", "ok")
    assert str(glass["homepage"]).startswith("https://")
    collector = glass["collectors"][0]  # type: ignore[index]
    assert (collector["rows"], collector["last_rows"], collector["p95_s"]) == (12, 12, 1.5)
    assert datetime.fromisoformat(collector["last_success_at"]) == now
    failure = human["collectors"][0]["last_failure"]  # type: ignore[index]
    assert (human["status"], failure["class"], failure["message"]) == ("failing", "PayloadChangedError", "no data")
    assert found["catalyst_sec_edgar"]["status"] == "never collected"


def test_a_source_without_its_key_is_shown_with_what_it_wants_and_where_to_get_it(live: Settings) -> None:
    without, with_keys = _listed(live), _listed(live, OMC_KEY_COINSPOT="k", OMC_KEY_COINSPOT_SECRET="s")
    shown = _omc(live, "list").output

    account = without["exchange_coinspot_account"]
    assert (account["status"], account["configured"]) == ("not configured", False)
    assert account["keys"] == [{"variable": "OMC_KEY_COINSPOT", "set": False}, {"variable": "OMC_KEY_COINSPOT_SECRET", "set": False}]
    assert with_keys["exchange_coinspot_account"]["status"] == "never collected"
    assert f"set OMC_KEY_COINSPOT and OMC_KEY_COINSPOT_SECRET; get them at {account['keys_at']}" in shown


def test_a_source_is_paused_for_a_while_and_resumed(database: Database, settings: Settings) -> None:
    paused = _omc(settings, "pause", "glass_defillama", "--for", "2h", "--reason", "moving house", "--json")
    listed, shown = _listed(settings)["glass_defillama"], _omc(settings, "list").output
    resumed = _omc(settings, "resume", "glass_defillama", "--json")
    again = _omc(settings, "resume", "glass_defillama")

    document = json.loads(paused.stdout)
    assert (paused.exit_code, document["status"], document["pause"]["reason"]) == (0, "paused", "moving house")
    assert listed["status"] == "paused"
    assert "glass_defillama is paused by" in shown
    assert (resumed.exit_code, json.loads(resumed.stdout)["resumed"]) == (0, ["glass_defillama"])
    assert _listed(settings)["glass_defillama"]["status"] == "ok"
    assert (again.exit_code, again.output.strip()) == (1, "glass_defillama was not paused")


@pytest.mark.parametrize("arguments", [("pause", "glass_nothing"), ("pause", "glass_defillama", "--for", "0m"), ("resume", "x")])
def test_a_wrong_source_or_span_is_refused(settings: Settings, arguments: tuple[str, ...]) -> None:
    answer = _omc(settings, *arguments)

    assert isinstance(answer.exception, BadInputError)


@pytest.mark.parametrize("span", ["5", "-1h", "999999d", "2w", "1.5h"])
def test_a_pause_has_a_plain_and_bounded_span(settings: Settings, span: str) -> None:
    answer = _omc(settings, "pause", "glass_defillama", "--for", span)

    assert isinstance(answer.exception, BadInputError)
    assert "must be like 30m, 2h or 7d" in str(answer.exception)


def test_before_the_first_migration_the_list_has_no_states(settings: Settings, server_url: str, tmp_path: Path) -> None:
    fresh = load_settings({"OMC_HOME": str(tmp_path), "OMC_DATABASE_URL": server_url.replace("{database}", "t_sources_fresh")})

    listed = _listed(fresh)
    assert listed.pop("exchange_ccxt_account")["status"] == "not configured", "there is no account at another venue"
    assert {each["status"] for each in listed.values()} == {"never collected"}
