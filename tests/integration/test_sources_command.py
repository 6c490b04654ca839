"""``omc collect`` and ``omc replay`` as a person runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from omc_infra.postgres.database import Database
from omc_infra.settings import Settings

FIXTURES = Path(__file__).parent.parent / "fixtures"
OMC = [sys.executable, "-c", "from omc_infra.cli import main; main()"]


def _omc(*arguments: str, settings: Settings | None = None, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    environ = settings.environ() if settings else {"OMC_HOME": str(home)}
    return subprocess.run(
        [*OMC, *arguments], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", **environ}, timeout=120, check=False
    )


def test_a_saved_body_is_printed_as_rows_without_any_database(tmp_path: Path) -> None:
    file = FIXTURES / "exchange_coinspot_prices" / "latest.json"

    answer = _omc("collect", "exchange_coinspot_prices", "--payload", str(file), "--json", home=tmp_path)

    document = json.loads(answer.stdout)
    assert answer.returncode == 0
    assert set(document) == {"source", "rows", "quarantined", "payload_sha256"}
    assert document["rows"][0]["bid"] == "98000.5"
    assert document["quarantined"][0] == {
        "reason": "no usable price: bid is 'NaN', ask is '0', last is ''",
        "row": {"bid": "NaN", "ask": 0, "last": "", "market": "dead"},
    }
    assert list(tmp_path.iterdir()) == []


def test_a_saved_body_of_which_every_row_is_refused_exits_2_and_still_shows_the_rows(tmp_path: Path) -> None:
    file = tmp_path / "saved.json"
    file.write_text('{"status": "ok", "prices": {"dead": {"bid": "NaN", "ask": 0, "last": ""}}}')
    home = tmp_path / "home"

    as_json = _omc("collect", "exchange_coinspot_prices", "--payload", str(file), "--json", home=home)
    for_a_person = _omc("collect", "exchange_coinspot_prices", "--payload", str(file), home=home)

    document = json.loads(as_json.stdout)
    assert (as_json.returncode, for_a_person.returncode) == (2, 2)
    assert (document["rows"], len(document["quarantined"]), document["error"]["type"]) == ([], 1, "PayloadChangedError")
    for answer in (as_json, for_a_person):
        assert "all 1 rows were refused; reason of the first one: no usable price" in answer.stderr
        assert answer.stderr.count("\n") == 1


def test_a_person_sees_a_table(tmp_path: Path) -> None:
    answer = _omc("collect", "human_fear_greed", "--payload", str(FIXTURES / "human_fear_greed" / "index.json"), home=tmp_path)

    assert answer.returncode == 0
    assert "Extreme Fear" in answer.stdout
    assert "2 rows, 0 refused" in answer.stdout


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        (("collect", "nope"), "BadInputError", "no source 'nope'; choose one of"),
        (("collect", "human_fear_greed", "--payload", "/no/such/file"), "BadInputError", "No such file"),
        (("collect", "human_fear_greed", "--payload", "/"), "BadInputError", "directory"),
        (("collect", "human_fear_greed", "--payload", "/dev/null"), "PayloadChangedError", "empty"),
        (("collect", "human_fear_greed", "--payload", "/dev/zero"), "PayloadChangedError", "over the limit"),
        (("replay", "human_fear_greed", "--from", "yesterday"), "BadInputError", "--from 'yesterday'"),
        (("replay", "human_fear_greed", "--from", "2026-09-22", "--to", "2026-09-21"), "BadInputError", "not before"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path: Path, arguments: tuple[str, ...], kind: str, said: str) -> None:
    answer = _omc(*arguments, "--json", home=tmp_path)

    assert answer.returncode == 2
    assert answer.stderr.count("\n") == 1
    assert said in answer.stderr
    error = json.loads(answer.stdout)["error"]
    assert (error["type"], error["retryable"]) == (kind, False)
    assert said in error["message"]


@pytest.mark.slow
def test_a_source_is_collected_from_a_sandbox_of_its_own_and_replayed(database: Database, settings: Settings) -> None:
    collected = _omc("collect", "human_fear_greed", "--json", settings=settings)
    replayed = _omc("replay", "human_fear_greed", "--from", "2020-01-01", "--json", settings=settings)

    first, again = json.loads(collected.stdout), json.loads(replayed.stdout)
    assert (collected.returncode, replayed.returncode) == (0, 0), collected.stderr + replayed.stderr
    assert first["profile"] == "sandbox"
    assert first["tables"]["human.sentiment"]["inserted"] == first["rows"] == 31
    assert again["tables"]["human.sentiment"] == {"inserted": 0, "changed": 0, "unchanged": 31}
    assert _omc("collect", "human_fear_greed", settings=settings).returncode == 0


def test_a_live_source_without_its_keys_is_not_configured(tmp_path: Path, settings: Settings) -> None:
    live = settings.model_copy(update={"profile": "live", "home": tmp_path, "database_url": None})

    answer = _omc("collect", "exchange_coinspot_account", "--json", settings=live)

    assert answer.returncode == 2
    assert answer.stderr == "omc: exchange_coinspot_account is not configured: set OMC_KEY_COINSPOT and OMC_KEY_COINSPOT_SECRET\n"
    assert json.loads(answer.stdout)["error"]["type"] == "NotConfiguredError"
