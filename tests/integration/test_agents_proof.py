"""``omc agent replay``, ``export`` and ``verify``: the same brief again, and a document in which no field can be changed."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from agent_sessions import brief
from click.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parents[1] / "docs"))
from pages import follow, missing_lines

from omc_agents.claims.evidence import canonical_sha256
from omc_agents.claims.proof import faults_of, read_proof, seal
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
def session(database: Database, settings: Settings) -> str:
    now = datetime.now(UTC)
    filing = CatalystEvent(EVENT, "filing", "BTC", "MSTR", "S", "8-K", "8-K", None, "u", None, now)
    quotes = [Quote("BTC", "AUD", now - timedelta(hours=age), None, None, Decimal(150000 + age)) for age in (0, 5)]
    with database.connect("writer") as connection:
        append(connection, "catalyst_sec_edgar", [filing], None)
        append(connection, "exchange_coinspot_prices", quotes, None)
        connection.commit()
    outcome = brief(database, settings, ScriptedAnalyst(), EVENT)
    assert outcome.outcome == "published"
    return outcome.session_id


@pytest.fixture
def exported(settings: Settings, tmp_path: Path, session: str) -> Path:
    file = tmp_path / "proof.json"
    answer = omc(settings, "export", session, "--out", str(file))
    assert answer.exit_code == 0, answer.output
    return file


def omc(settings: Settings, *words: str) -> Result:
    return CliRunner().invoke(agent, words, env=settings.environ())


def verified_offline(file: Path) -> Result:
    return CliRunner().invoke(agent, ["verify", str(file), "--json"], env={"OMC_HOME": "/nonexistent", "OMC_DATABASE_URL": "nowhere"})


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*path, key))
    else:
        yield path


def changed(document: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    other = copy.deepcopy(document)
    parent = other
    for key in path[:-1]:
        parent = parent[key]
    value = parent[path[-1]]
    parent[path[-1]] = value + 1 if isinstance(value, (int, float)) else f"{value}x" if value is not None else "x"
    return other


def is_refused(document: dict[str, Any]) -> bool:
    try:
        return bool(faults_of(read_proof(json.dumps(document).encode())))
    except BadInputError:
        return True


def test_a_replay_gives_the_published_brief_to_the_letter(settings: Settings, session: str) -> None:
    shown = json.loads(omc(settings, "show", session, "--json").stdout)["brief"]

    answer = omc(settings, "replay", session, "--json")

    assert answer.exit_code == 0, answer.output
    again = json.loads(answer.stdout)
    assert (again["same"], again["title"], again["body"]) == (True, shown["title"], shown["body"])


def test_a_replay_keeps_the_threshold_that_the_brief_was_written_with(database: Database, settings: Settings, session: str) -> None:
    with database.connect("reader") as reader:
        (kept,) = reader.execute("SELECT alert_threshold FROM agents.brief WHERE session_id = %s", [session]).fetchone() or (None,)

    assert kept == settings.alert_threshold


def test_an_export_is_verified_without_a_database(exported: Path) -> None:
    answer = verified_offline(exported)

    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout)["holds"] is True
    assert any(claim["base_ref"] for claim in json.loads(exported.read_text())["claims"])


def test_a_change_of_any_field_is_refused(exported: Path) -> None:
    document = json.loads(exported.read_text())
    paths = list(leaves(document))

    assert len(paths) > 40
    assert not is_refused(document)
    assert [path for path in paths if not is_refused(changed(document, path))] == []


def test_a_change_of_what_the_brief_says_is_refused_though_its_digests_are_made_anew(exported: Path) -> None:
    document = json.loads(exported.read_text())
    numbers = [path for path in leaves(document) if path[0] == "claims" or path[:2] in {("brief", "title"), ("brief", "body")}]
    numbers += [path for path in leaves(document) if path[0] == "rows" and path[-1] == "last"]

    for path in numbers:
        other = changed(document, path)
        for row in other["rows"]:
            row["sha256"] = canonical_sha256(row["row"])
        try:
            sealed = seal(read_proof(json.dumps(other).encode()))
        except BadInputError:
            continue
        assert faults_of(sealed), path


def test_another_digest_than_the_expected_one_is_a_fault(settings: Settings, exported: Path) -> None:
    right = json.loads(exported.read_text())["sha256"]

    assert omc(settings, "verify", str(exported), "--sha256", right).exit_code == 0
    assert omc(settings, "verify", str(exported), "--sha256", "0" * 64).exit_code == 1


def test_a_field_named_twice_or_a_nested_document_is_bad_input() -> None:
    for body in (b'{"format": "a", "format": "b"}', b"[" * 100_000, b"{}", b"\xff", b"NaN"):
        with pytest.raises(BadInputError):
            read_proof(body)


def test_an_export_overwrites_no_file(settings: Settings, exported: Path, session: str) -> None:
    answer = omc(settings, "export", session, "--out", str(exported))

    assert isinstance(answer.exception, BadInputError)


def test_an_unknown_session_is_bad_input(settings: Settings) -> None:
    for command in ("replay", "export"):
        assert isinstance(omc(settings, command, "nothing").exception, BadInputError)


@pytest.mark.slow
def test_the_how_to_works_to_the_letter(settings: Settings, tmp_path: Path) -> None:
    page = "how-to/prove-a-brief.md"

    outputs = follow(page, settings.home, tmp_path, settings.environ())

    assert missing_lines(page, outputs) == []
