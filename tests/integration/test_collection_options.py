"""Options of a source: typed, kept with each fetch, set for one run, and in force again when a stored body is replayed."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from sandboxed import one

from omc_infra.configuration import load_configuration
from omc_infra.errors import BadInputError, ConfigurationError
from omc_infra.payload import Payload
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection.collecting import collect
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.equipment import chosen_hosts
from omc_pipeline.collection.options import options_digest
from omc_pipeline.collection.parsing import parse_payload
from omc_pipeline.collection.replay import replay
from omc_pipeline.collection.sections import config_models, configured_options, source_config
from omc_pipeline.collection.source import Source
from omc_pipeline.orchestration.collection import collection_asset
from omc_pipeline.orchestration.resources import Platform
from omc_pipeline.sandbox import serving

SOURCES = discover_sources()
DEFILLAMA = SOURCES["glass_defillama"]
EDGAR = dataclasses.replace(SOURCES["catalyst_sec_edgar"], endpoints=(SOURCES["catalyst_sec_edgar"].endpoint("submissions"),))
EVER = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


@pytest.fixture(scope="module")
def sandboxed(settings: Settings) -> Iterator[Settings]:
    with serving(settings) as url:
        yield settings.model_copy(update={"sandbox_url": url})


def _named(source: Source, name: str) -> Source:
    return dataclasses.replace(source, name=name)


def test_the_watch_list_of_the_options_is_what_is_asked_for_and_what_the_parser_knows(database: Database, sandboxed: Settings) -> None:
    source = _named(EDGAR, "catalyst_chosen")
    config = source_config(source, {"filers": {"1050446": "SATS", "1679788": ""}})

    collected = collect(source, database, sandboxed, config=config)

    with database.connect("reader") as connection:
        symbols = connection.execute("SELECT DISTINCT ticker, symbol FROM catalyst.event WHERE source = %s", [source.name]).fetchall()
    assert collected.payloads == 2
    assert set(symbols) == {("MSTR", "SATS"), ("COIN", None)}


@pytest.mark.parametrize(
    ("name", "overrides", "said"),
    [
        ("catalyst_sec_edgar", {"filer": {}}, "sources.catalyst_sec_edgar.filer: no such option"),
        ("catalyst_sec_edgar", {"filers": {"MSTR": "BTC"}}, "filers.MSTR"),
        ("catalyst_sec_edgar", {"filers": {}}, "at least 1 entry"),
        ("catalyst_sec_edgar", {"filers": {"1": "bitcoin!"}}, 'must be a symbol like "BTC" or "COINSPOT:AUS", or "" for no coin'),
        ("glass_defillama", {"protocols": ["aave?x=1"]}, "protocols.0: must be a slug"),
        ("glass_defillama", {"hosts": {"main": ["http://api.llama.fi"]}}, "must be like https://"),
        ("human_fear_greed_trend", {"days": [7, 7]}, "different numbers of days"),
    ],
)
def test_a_wrong_option_is_named_with_its_section_in_one_line(name: str, overrides: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInputError) as raised:
        source_config(SOURCES[name], overrides)

    assert said in str(raised.value)
    assert str(raised.value).startswith(f"sources.{name}.")
    assert str(raised.value).isprintable()


def test_every_source_has_a_section_with_defaults_and_its_live_hosts() -> None:
    models = config_models()

    assert set(models) == {f"sources.{name}" for name in SOURCES}
    defillama = models["sources.glass_defillama"]().model_dump()
    assert defillama["hosts"] == {"main": ("https://api.llama.fi",), "coins": ("https://coins.llama.fi",)}
    for name, model in models.items():
        assert model().model_dump(), name
        assert all(field.description for field in model.model_fields.values()), name


def test_hosts_of_the_options_are_asked_in_the_live_profile_alone(settings: Settings) -> None:
    config = source_config(DEFILLAMA, {"hosts": {"coins": ["https://mirror.example/", "https://coins.llama.fi"]}})
    policy, chosen = DEFILLAMA.policy, chosen_hosts(config)
    assert policy is not None
    live, sandbox = settings.model_copy(update={"profile": "live"}), settings.model_copy(update={"sandbox_url": "http://127.0.0.1:1"})

    coins, own = chosen["coins"], chosen.get("", ())
    assert [host.base_url for host in policy.named("coins").hosts(live, coins)] == ["https://mirror.example", "https://coins.llama.fi"]
    assert [host.base_url for host in policy.hosts(live, own)] == ["https://api.llama.fi"]
    assert [host.base_url for host in policy.named("coins").hosts(sandbox, coins)] == ["http://127.0.0.1:1/defillama_coins"]


def test_a_replay_parses_with_the_options_that_were_in_force_when_the_body_came(database: Database, sandboxed: Settings) -> None:
    source = _named(EDGAR, "catalyst_replayed")
    config = source_config(source, {"filers": {"1050446": "BTC"}})
    collect(source, database, sandboxed, config=config)
    dropped = source_config(source, {"filers": {"1679788": ""}})

    same = replay(source, database, *EVER, config=dropped)
    other = replay(source, database, *EVER, config=source_config(source, {"filers": {"1050446": "WBTC"}}), with_current_options=True)

    kept = one(database, "SELECT DISTINCT context->>'options' FROM raw.fetch WHERE source = %s", source.name)
    assert kept == options_digest(config)
    assert same.tables["catalyst.event"].changed == 0
    assert other.tables["catalyst.event"].changed == other.rows > 0


def test_a_body_older_than_the_record_of_options_is_replayed_with_those_of_today(database: Database, sandboxed: Settings) -> None:
    source = _named(EDGAR, "catalyst_older")
    collect(source, database, sandboxed)
    with database.connect("owner") as connection:
        connection.execute("UPDATE raw.fetch SET context = context - 'options' - 'endpoint' WHERE source = %s", [source.name])

    again = replay(source, database, *EVER)

    assert again.payloads == 5
    assert again.tables["catalyst.event"].inserted + again.tables["catalyst.event"].changed == 0


def test_options_that_no_longer_fit_are_an_error_that_says_what_to_do(database: Database, sandboxed: Settings) -> None:
    source = _named(EDGAR, "catalyst_misfit")
    collect(source, database, sandboxed, config=source_config(source, {"filers": {"1050446": "BTC"}}))
    with database.connect("owner") as connection:
        connection.execute('UPDATE raw.options SET document = \'{"filers": 5, "gone": 1}\' WHERE source = %s', [source.name])

    with pytest.raises(ConfigurationError, match=r"filers.*--current-options"):
        replay(source, database, *EVER)

    assert replay(source, database, *EVER, with_current_options=True).rows > 0


def _materialized(settings: Settings, options: dict[str, Any]) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [collection_asset(EDGAR)],
        resources={"platform": Platform(variables=settings.environ())},
        run_config={"ops": {"catalyst__sec_edgar": {"config": options}}},
        raise_on_error=False,
    )


def test_a_run_may_have_options_of_its_own_and_says_which(database: Database, sandboxed: Settings) -> None:
    result = _materialized(sandboxed, {"filers": {"1050446": "BTC"}})

    (metadata,) = [event.metadata for event in result.asset_materializations_for_node("catalyst__sec_edgar")]
    assert metadata["payloads"].value == 1
    assert metadata["options_sha256"].value == options_digest(source_config(EDGAR, {"filers": {1050446: "BTC"}}))


@pytest.mark.parametrize("options", [{"hosts": {"main": ["https://elsewhere.example"]}}, {"keys": "x"}, {"requests_per_s": 1000}])
def test_a_run_may_change_neither_hosts_nor_keys_nor_limits(database: Database, sandboxed: Settings, options: dict[str, Any]) -> None:
    result = _materialized(sandboxed, options)

    assert not result.success
    assert "sources.catalyst_sec_edgar" in str(result.failure_data_for_node("catalyst__sec_edgar"))


def test_a_parser_is_handed_the_defaults_where_nobody_chose(sandboxed: Settings) -> None:
    seen: list[Any] = []
    source = dataclasses.replace(EDGAR, parse=lambda payload, config: seen.append(config) or EDGAR.parse(payload, config))
    body = (Path(__file__).parent.parent / "fixtures" / "catalyst_sec_edgar" / "submissions.json").read_bytes()

    parse_payload(source, Payload(source.name, body, datetime(2026, 9, 21, tzinfo=UTC), ""))

    assert seen == [EDGAR.config()]


def test_what_a_user_sets_in_the_file_is_what_is_asked_and_a_mistake_names_its_line(
    database: Database, sandboxed: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "omc.toml"
    environ = {**sandboxed.environ(), "OMC_CONFIG": str(file)}
    file.write_text('[sources.catalyst_sec_edgar]\nfilers = {1050446 = "BTC", 1679788 = ""}\n')

    config = configured_options(EDGAR, load_configuration(environ))
    collected = collect(_named(EDGAR, "catalyst_of_file"), database, sandboxed, config=config)
    file.write_text("[sources.catalyst_sec_edgar]\nfilers = {1050446 = 5}\n")

    assert collected.payloads == 2
    with pytest.raises(ConfigurationError, match=rf"{file}:2: sources\.catalyst_sec_edgar\.filers"):
        load_configuration(environ)
