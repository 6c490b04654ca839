"""``omc sources list`` on a fresh home of the live profile, where nobody has set a key: what works, and what each of the others wants."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from omc_pipeline.collection.discovery import discover_sources

OMC = [sys.executable, "-c", "from omc_infra.cli import main; main()"]
WANTING = {
    "catalyst_sec_edgar": "set OMC_CONTACT to your own address; why: https://www.sec.gov/search-filings/edgar-application-programming-interfaces",
    "exchange_coinspot_account": "set OMC_KEY_COINSPOT and OMC_KEY_COINSPOT_SECRET; get them at https://www.coinspot.com.au/my/api",
    "exchange_ccxt_account": "add an account at a venue with `omc accounts add VENUE`; it is collected from then on",
    "glass_nansen": "set OMC_KEY_NANSEN; get them at https://docs.nansen.ai/getting-started/authentication",
    "human_cryptopanic": "set OMC_KEY_CRYPTOPANIC; get them at https://cryptopanic.com/developers/api/",
    "human_reddit": "set OMC_KEY_REDDIT_CLIENT_ID and OMC_KEY_REDDIT_CLIENT_SECRET; get them at https://www.reddit.com/prefs/apps",
}
"""By source: what it wants, and where that is found."""


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Return what is printed for a person on a wide terminal, and as JSON; nothing is collected and no database is made."""
    home = tmp_path_factory.mktemp("live")
    environ = {
        "PATH": "/usr/bin:/bin",
        "OMC_HOME": str(home),
        "OMC_PROFILE": "live",
        "COLUMNS": "200",
        "OMC_CONFIG": str(home / "none.toml"),
    }
    (home / "none.toml").write_text("")
    told = [
        subprocess.run([*OMC, "sources", "list", *more], capture_output=True, text=True, env=environ, timeout=120, check=True)
        for more in ((), ("--json",))
    ]
    return told[0].stdout, told[1].stdout


def test_a_person_reads_what_works_and_what_each_other_source_wants(listed: tuple[str, str]) -> None:
    sources = discover_sources()
    table, _, remarks = listed[0].partition(f"{len(sources)} sources: ")

    assert remarks.splitlines() == [
        f"{len(sources) - len(WANTING)} never collected, {len(WANTING)} not configured",
        *(f"{name} is not configured: {wanted}" for name, wanted in sorted(WANTING.items(), key=lambda item: [*sources].index(item[0]))),
    ]
    assert table.splitlines()[0].strip() == "sources · live"
    for source in sources.values():
        (row,) = re.findall(rf"(?m)^.*\b{source.name}\b .*$", table)
        assert source.title in row
        assert source.cron in row
        assert ("not configured" if source.name in WANTING else "never collected") in row
        assert "never" in row


def test_a_tool_reads_the_same(listed: tuple[str, str]) -> None:
    document = json.loads(listed[1])

    assert document["profile"] == "live"
    assert document["broken"] == []
    assert {each["source"] for each in document["sources"] if not each["configured"]} == WANTING.keys()
    for each in document["sources"]:
        assert each["homepage"].startswith("https://")
        assert each["keys_at"].startswith("https://")
        assert not any(key["set"] for key in each["keys"])
        assert {"source", "title", "ledger", "cadence", "status", "keys"} <= each.keys()
        named = [key["variable"] for key in each["keys"]]
        assert all(variable in WANTING[each["source"]] for variable in named)


def test_every_source_that_needs_a_key_says_where_it_is_made() -> None:
    for source in discover_sources().values():
        assert not source.keys_at or source.keys_at.startswith("https://")
        assert source.keys or not source.keys_at
