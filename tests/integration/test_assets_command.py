"""``omc assets``: what a person asks of the registry, and how stored rows follow what is mapped later."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from click.testing import CliRunner, Result

from omc_infra.errors import ConfigurationError
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.commands.assets import assets
from omc_pipeline.ledgers.exchange import Quote
from omc_pipeline.ledgers.write import append

MINE = """
[assets.aliases]
"coinspot:AUS" = "AUSC"

[assets.own.AUSC]
name = "Aus Cash"
"""


def _omc(settings: Settings, file: Path | None, *arguments: str) -> Result:
    environ: dict[str, str | None] = {name: None for name in os.environ if name.startswith("OMC_")}
    named = {} if file is None else {"OMC_CONFIG": str(file)}
    return CliRunner().invoke(assets, arguments, env={**environ, **settings.environ(), "COLUMNS": "200", **named})


def test_a_name_is_shown_with_what_it_was_and_became(settings: Settings) -> None:
    answer = _omc(settings, None, "show", "matic", "--venue", "CoinSpot", "--json")

    document = json.loads(answer.stdout)
    assert (answer.exit_code, document["status"], document["asset"]["symbol"]) == (0, "found", "POL")
    assert document["renames"] == [{"old": "MATIC", "on": "2024-09-04"}]
    assert json.loads(_omc(settings, None, "show", "LEND", "--json").stdout)["migrations"] == [
        {"old": "LEND", "new": "AAVE", "on": "2020-10-03", "ratio": "100:1"}
    ]
    assert "was MATIC until 2024-09-04" in _omc(settings, None, "show", "POL").output


def test_what_is_unknown_or_ambiguous_exits_with_one(settings: Settings) -> None:
    unknown, ambiguous = (_omc(settings, None, "show", name, "--json") for name in ("NOSUCHCOIN", "BCC"))

    assert (unknown.exit_code, json.loads(unknown.stdout)["status"]) == (1, "unknown")
    assert (ambiguous.exit_code, json.loads(ambiguous.stdout)["symbols"]) == (1, ["BCH", "BITCONNECT"])
    assert "may be LUNC or LUNA" in _omc(settings, None, "show", "LUNA", "--venue", "binance").output
    assert _omc(settings, None, "show", "LUNA", "--venue", "binance", "--at", "2021-03-01").output.startswith("LUNC ")


def test_the_shipped_registry_passes_its_check_and_own_assets_are_listed(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "omc.toml"
    file.write_text(MINE)

    checked = _omc(settings, None, "check", "--json")

    assert (checked.exit_code, json.loads(checked.stdout)["findings"]) == (0, [])
    listed = json.loads(_omc(settings, file, "list", "--own", "--json").stdout)["assets"]
    assert [(each["symbol"], each["aliases"]) for each in listed] == [("AUSC", ["coinspot:AUS"])]


def test_an_alias_for_no_asset_is_one_line_that_names_it(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "omc.toml"
    file.write_text('[assets.aliases]\n"coinspot:AUS" = "AUSC"\n')

    answer = _omc(settings, file, "check")

    assert isinstance(answer.exception, ConfigurationError)
    assert "coinspot:AUS is mapped to AUSC, but no asset has that symbol" in str(answer.exception)


def test_stored_rows_are_renamed_once_they_are_mapped_and_not_without_a_backup(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "omc.toml"
    file.write_text(MINE)
    at = datetime(2026, 5, 1, tzinfo=UTC)
    with database.connect("writer") as connection:
        append(connection, "exchange_coinspot_prices", [Quote("COINSPOT:AUS", "AUD", at, Decimal(1), None, None)], None)

    seen = json.loads(_omc(settings, file, "apply", "--dry-run", "--json").stdout)
    refused = _omc(settings, file, "apply")
    done = json.loads(_omc(settings, file, "apply", "--without-backup", "--json").stdout)
    again = json.loads(_omc(settings, file, "apply", "--without-backup", "--json").stdout)

    assert (seen["renamed"], seen["rows"]) == ([{"old": "COINSPOT:AUS", "new": "AUSC"}], {})
    assert isinstance(refused.exception, ConfigurationError)
    assert "omc assets apply --without-backup" in str(refused.exception)
    assert (done["rows"], again["rows"], again["renamed"]) == ({"exchange.quote": 1}, {}, [])
    with database.connect("reader") as connection:
        assert connection.execute("SELECT symbol FROM exchange.quote").fetchall() == [("AUSC",)]
