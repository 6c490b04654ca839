"""One file configures everything: what it says holds, what is wrong in it is one line, and secrets have no place in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, SecretStr

from omc_infra.configuration import FILE_ONLY, LIVE_ONLY, Configuration, Models, Section, load_configuration
from omc_infra.configuration_template import template
from omc_infra.errors import BadInputError, ConfigurationError
from omc_infra.settings import load_settings
from omc_infra.toml_file import line_of, literal


class Hosts(Section):
    submissions: tuple[str, ...] = Field(("https://data.example",), description="Hosts, in order.")
    feed: str | None = Field(None, description="Host of the feed.")


class Filings(Section):
    filers: Mapping[int, str] = Field({1: "BTC"}, description="Symbol by number of the filer.")
    most: int = Field(40, ge=1, le=1000, description="Filings of one request.")
    share: Decimal = Field(Decimal("0.10"), description="A share.")
    forms: frozenset[str] = Field(frozenset({"8-K", "10-Q"}), description="Forms that count.")
    base: str = Field("https://live.example", description="Where the API is.", json_schema_extra=LIVE_ONLY)
    rate: float = Field(2.0, gt=0, description="Requests a second.", json_schema_extra=FILE_ONLY)
    hosts: Hosts = Field(Hosts(), description="Hosts by name.")


class Alerts(Section):
    threshold: float = Field(0.5, ge=0, le=1, description="Below it.")


MODELS: Models = {"sources.filings": Filings, "alerts": Alerts}


def _load(home: Path, text: str, **variables: str) -> Configuration:
    (home / "omc.toml").write_text(text)
    return load_configuration({"OMC_HOME": str(home), **variables}, MODELS)


def test_without_a_file_every_section_has_its_defaults(tmp_path: Path) -> None:
    loaded = load_configuration({"OMC_HOME": str(tmp_path)}, MODELS)

    assert loaded.section("sources.filings") == Filings()
    assert (loaded.origin("alerts", "threshold"), loaded.settings.alert_threshold) == ("default", 0.7)


def test_what_the_file_says_holds_and_the_environment_wins_over_it(tmp_path: Path) -> None:
    text = '[settings]\nalert_threshold = 0.4\nuser = "ada"\n[sources.filings]\nfilers = {1050446 = "BTC"}\n'

    loaded = _load(tmp_path, text, OMC_ALERT_THRESHOLD="0.6")

    assert (loaded.settings.alert_threshold, loaded.settings.origin("alert_threshold")) == (0.6, "environment")
    assert (loaded.settings.user, loaded.settings.origin("user"), loaded.settings.origin("contact")) == ("ada", "file", "default")
    assert loaded.section("sources.filings").filers == {1050446: "BTC"}  # type: ignore[attr-defined]
    assert (loaded.origin("sources.filings", "filers"), loaded.origin("sources.filings", "most")) == ("file", "default")


def test_a_file_elsewhere_is_named_by_a_variable_and_must_be_there(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.toml"
    variables = {"OMC_HOME": str(tmp_path), "OMC_CONFIG": str(elsewhere)}

    with pytest.raises(ConfigurationError, match=r"OMC_CONFIG: there is no file .*elsewhere.toml"):
        load_settings(variables)
    elsewhere.write_text("[settings]\nkeep_runs_days = 3\n")

    assert load_settings(variables).keep_runs_days == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[sources.filings]\n\nmost = 'many'", r"omc\.toml:3: sources\.filings\.most: must be a whole number"),
        ("[sources.filings]\nmost = 0", r"omc\.toml:2: sources\.filings\.most: must be at least 1$"),
        ("[sources.filings]\nmost = true", r"omc\.toml:2: sources\.filings\.most: must be a number"),
        ("[sources.filings]\nfilers = {x = 'BTC'}", r"omc\.toml:2: sources\.filings\.filers\.x: must be a whole number"),
        ("[sources.filings]\nmst = 1", r"omc\.toml:2: sources\.filings\.mst: no such key; allowed: base, filers, forms, hosts, most"),
        ("[sources.filings.hosts]\nfed = 'a'", r"omc\.toml:2: sources\.filings\.hosts\.fed: no such key; allowed: feed, submissions$"),
        ("[sources.filing]\nmost = 1", r"omc\.toml:1: sources\.filing: no such section; allowed: alerts, settings, sources\.filings$"),
        ("[sources]\nfilings = 1", r"omc\.toml:2: sources\.filings: must be a table"),
        ("sources = 1", r"omc\.toml:1: sources: must be a table"),
        ("contact = 'a@b.c'", r"omc\.toml:1: contact: settings belong in the table \[settings\]"),
        ("[alerts]\nthreshold = nan", r"omc\.toml:2: alerts\.threshold: must be"),
        ("[settings]\nkeep_runs_days = 999999999", r"omc\.toml:2: settings\.keep_runs_days: must be at most 36500"),
        ("[settings]\nfresh_event_hours = inf", r"omc\.toml:2: settings\.fresh_event_hours: must be"),
        ("[settings]\ngrowth_warning_gb = inf", r"omc\.toml:2: settings\.growth_warning_gb: must be"),
        ("[settings]\nprofile = 'prod'", r"omc\.toml:2: settings\.profile: must be 'sandbox' or 'live'"),
        ("[settings]\nhome = '/tmp'", r"omc\.toml:2: settings\.home: does not belong here: .*OMC_HOME"),
        ("[alerts\n", r"omc\.toml: not valid TOML: .*line 1"),
    ],
)
def test_a_mistake_is_one_line_with_file_key_and_what_is_allowed(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _load(tmp_path, text)

    assert re.search(said, str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "[settings]\ndatabase_url = 'hunter2'",
        "[settings]\nkeys = {coinspot = 'hunter2'}",
        "[settings.keys]\ncoinspot = 'hunter2'",
        "[settings]\nkey_coinspot = 'hunter2'\ncoinspot_secret = 'hunter2'",
        "[sources.filings]\napi_key = 'hunter2'",
        "[sources.filings]\nbase = 'https://someone:hunter2@live.example'",
        "[keys]\ncoinspot = 'hunter2'",
        "OMC_KEY = 'hunter2'",
    ],
)
def test_a_secret_in_the_file_is_refused_with_where_it_belongs_and_never_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _load(tmp_path, text)

    assert "environment" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_several_mistakes_are_told_together_on_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _load(tmp_path, "[alerts]\nthreshold = 2\n[sources.filings]\nmost = 0\n[other]\n")

    assert [name in str(caught.value) for name in ("alerts.threshold", "sources.filings.most", ": other:")] == [True] * 3
    assert "\n" not in str(caught.value)


def test_a_mistake_is_told_also_where_the_environment_hides_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"settings\.alert_threshold"):
        _load(tmp_path, "[settings]\nalert_threshold = 7\n", OMC_ALERT_THRESHOLD="0.5")


def test_the_digest_is_that_of_the_effective_values_however_they_are_written(tmp_path: Path) -> None:
    values = _load(tmp_path, "").digest("sources.filings")

    same = _load(tmp_path, "[sources.filings]\nforms = ['8-K', '10-Q']\nmost = 40\nfilers = {1 = 'BTC'}\n").digest("sources.filings")
    turned = _load(tmp_path, "[sources.filings]\nforms = ['10-Q', '8-K', '8-K']\n").digest("sources.filings")
    other = _load(tmp_path, "[sources.filings]\nmost = 41\n").digest("sources.filings")

    assert re.fullmatch("[0-9a-f]{64}", values)
    assert (same, turned) == (values, values)
    assert other != values


def test_hosts_of_the_file_count_in_the_live_profile_only(tmp_path: Path) -> None:
    text = "[sources.filings]\nbase = 'https://mirror.example'\n"

    sandbox, live = _load(tmp_path, text), _load(tmp_path, text, OMC_PROFILE="live")

    assert sandbox.section("sources.filings").base == "https://live.example"  # type: ignore[attr-defined]
    assert live.section("sources.filings").base == "https://mirror.example"  # type: ignore[attr-defined]
    assert (sandbox.ignored("sources.filings"), live.ignored("sources.filings")) == ({"base"}, frozenset())
    assert sandbox.digest("sources.filings") != live.digest("sources.filings")


def test_one_run_has_options_of_its_own_but_neither_hosts_nor_limits(tmp_path: Path) -> None:
    loaded = _load(tmp_path, "[sources.filings]\nmost = 7\nforms = ['8-K']\n")

    changed = loaded.overridden("sources.filings", {"most": 9})

    assert (changed.section("sources.filings").most, changed.section("sources.filings").forms) == (9, {"8-K"})  # type: ignore[attr-defined]
    assert loaded.section("sources.filings").most == 7  # type: ignore[attr-defined]
    assert changed.digest("sources.filings") != loaded.digest("sources.filings")
    with pytest.raises(ConfigurationError, match="a run can't override base, rate"):
        loaded.overridden("sources.filings", {"base": "https://x.example", "rate": 100})
    with pytest.raises(ConfigurationError, match=r"sources\.filings\.most: must be"):
        loaded.overridden("sources.filings", {"most": 0})


def test_a_new_file_says_nothing_new_and_uncommented_it_says_the_defaults(tmp_path: Path) -> None:
    text = template(MODELS)
    uncommented = re.sub(r'(?m)^#(?=[\w"\[])', "", text)

    fresh, spelled = _load(tmp_path, text), _load(tmp_path, uncommented)

    assert [spelled.section(name) for name in MODELS] == [fresh.section(name) for name in MODELS] == [Filings(), Alerts()]
    assert spelled.settings.model_dump() == fresh.settings.model_dump() == load_settings({"OMC_HOME": str(tmp_path)}).model_dump()
    assert set(spelled.tables["sources.filings"]) == set(Filings.model_fields)
    assert set(spelled.tables["sources.filings"]["hosts"]) == {"submissions"}


def test_a_new_file_has_a_sentence_on_every_option(tmp_path: Path) -> None:
    text = " ".join(template(MODELS).replace("\n# ", " ").split())

    for model in (Filings, Alerts, Hosts):
        for name, field in model.model_fields.items():
            assert name in text
            assert name == "hosts" or (field.description or "?") in text, name


def test_what_a_platform_hands_to_its_processes_leaves_the_file_to_be_read_again(tmp_path: Path) -> None:
    at_start = _load(tmp_path, "[settings]\nalert_threshold = 0.4\nuser_buckets = 2\n", OMC_KEEP_RUNS_DAYS="3").settings.environ()

    later = load_configuration(at_start, MODELS).settings
    changed = _load(tmp_path, "[settings]\nalert_threshold = 0.9\nuser_buckets = 8\ncontact = 'a@b.c'\nkeep_runs_days = 9\n", **at_start)

    assert (later.alert_threshold, later.user_buckets, later.keep_runs_days) == (0.4, 2, 3)
    assert (changed.settings.alert_threshold, changed.settings.contact) == (0.9, "a@b.c")
    assert (changed.settings.user_buckets, changed.settings.keep_runs_days) == (2, 3), "parts hold from the start; the environment wins"


class Open(Section):
    token: SecretStr | None = None


class Demanding(Section):
    needed: int


@pytest.mark.parametrize("models", [{"x": Open}, {"x": Demanding}, {"settings": Alerts}, {"a": Alerts, "a.b": Alerts}])
def test_a_model_unfit_for_a_section_is_refused(tmp_path: Path, models: Models) -> None:
    with pytest.raises(ConfigurationError, match="section "):
        load_configuration({"OMC_HOME": str(tmp_path)}, models)


def test_asking_for_an_unknown_section_says_which_there_are(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"no section 'nothing'; allowed: alerts, sources\.filings"):
        _load(tmp_path, "").section("nothing")


_json = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(_json)
def test_a_written_value_reads_back_as_it_was(value: object) -> None:
    import tomllib

    assert tomllib.loads(f"x = {literal(value)}") == {"x": value}


def test_the_line_is_that_of_the_innermost_key_that_begins_one() -> None:
    text = "a = 1\n[b.c]\n\nd.e = {f = 1}\n[[list]]\ng = 1\n"

    found = [line_of(text, keys.split(".")) for keys in ("a", "b", "b.c", "b.c.d.e", "b.c.d.e.f", "list.g", "z")]

    assert found == [1, 2, 2, 4, 4, 6, None]
