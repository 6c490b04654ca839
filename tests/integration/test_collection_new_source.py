"""A source is added as the how-to says: one file and one sample body, taken from its page, in a copy of the package.

It has a key, asks by POST in pages, answers in XML, hides names, and reads the past.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from sandboxed import one

from omc_infra.errors import NotConfiguredError
from omc_infra.postgres.database import Database, open_database
from omc_infra.postgres.migrate import migrate
from omc_infra.settings import PROJECT_ROOT, Settings, load_settings
from omc_pipeline.collection.collecting import collect
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.replay import replay
from omc_pipeline.collection.source import Source
from omc_pipeline.definitions import build_definitions
from omc_pipeline.ledgers.raw import PostgresRawStore
from omc_pipeline.orchestration.history import history_assets
from omc_pipeline.orchestration.resources import Platform

PAGE = (PROJECT_ROOT / "docs/how-to/add-a-source.md").read_text()
NAME, AUTHOR, KEY = "human_gazette", "Ada Votes Herself", "k-7f3a9c-gazette"
DAYS_A_PAGE = 10
EVER = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


class Gazette(ThreadingHTTPServer):
    """The upstream: refuses wrong keys, and answers a range of days in pages of XML."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Gazette

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(asked)
        self.server.keys.append(self.headers.get("X-Api-Key"))
        is_known = self.headers.get("X-Api-Key") == KEY
        body = _votes(asked).encode() if is_known else b"<error>who are you</error>"
        self.send_response(200 if is_known else 401)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class's name
        pass


def _votes(asked: Mapping[str, Any]) -> str:
    first, last = date.fromisoformat(asked["from"]), date.fromisoformat(asked["to"])
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    pages, page = -(-len(days) // DAYS_A_PAGE), int(asked["page"])
    votes = "".join(
        f'<vote day="{day}"><share>{day.day}.25</share><author>{AUTHOR}</author></vote>'
        for day in days[(page - 1) * DAYS_A_PAGE : page * DAYS_A_PAGE]
    )
    return f'<?xml version="1.0"?><votes page="{page}" pages="{pages}">{votes}</votes>'


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the package, and add the file and the sample body of the how-to."""
    copy = tmp_path_factory.mktemp("copy")
    for folder in ("omc_pipeline", "tests/contract", "tests/fixtures"):
        shutil.copytree(PROJECT_ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "omc_pipeline/sources" / f"{NAME}.py").write_text(_block("python"))
    (copy / "tests/fixtures" / NAME).mkdir()
    (copy / "tests/fixtures" / NAME / "votes.xml").write_text(_block("xml"))
    return copy


def _block(language: str) -> str:
    (block,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(block)


@pytest.fixture(scope="module")
def gazette() -> Iterator[Gazette]:
    server = Gazette()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def source(package: Path, gazette: Gazette) -> Source:
    """Return the source as discovery finds it in the copy, pointed at the stand-in of its host."""
    found = discover_sources(package / "omc_pipeline/sources")[NAME]
    assert found.policy is not None
    return dataclasses.replace(found, policy=dataclasses.replace(found.policy, live_urls=(gazette.url,)))


@pytest.fixture(scope="module")
def live(home: Path, server_url: str) -> Settings:
    url = server_url.replace("{database}", "t_new_source_live")
    return load_settings({"OMC_PROFILE": "live", "OMC_HOME": str(home), "OMC_DATABASE_URL": url, "OMC_KEY_GAZETTE": KEY})


@pytest.fixture(scope="module")
def ledger(live: Settings) -> Iterator[Database]:
    with open_database(live, check=False) as opened:
        migrate(opened)
        yield opened


def _run(package: Path, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command with the copy in front of the package itself."""
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1", **environ}
    return subprocess.run(command, capture_output=True, text=True, cwd=package, env=variables, timeout=240, check=False)


def _omc(package: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return _run(package, sys.executable, "-c", "from omc_infra.cli import main; main()", *arguments, **environ)


@pytest.mark.slow
def test_it_passes_the_contract_tests_of_every_source(package: Path) -> None:
    options = ("-q", "-n", "0", "-p", "no:cacheprovider", "--import-mode=importlib", "-c", os.devnull, "--rootdir", str(package))

    answer = _run(package, sys.executable, "-m", "pytest", *options, "tests/contract/test_sources_every.py", "-k", NAME)

    assert answer.returncode == 0, answer.stdout[-3_000:]
    assert int(re.findall(r"(\d+) passed", answer.stdout)[0]) > 25


def test_its_sample_is_parsed_by_command(package: Path, tmp_path: Path) -> None:
    sample = f"tests/fixtures/{NAME}/votes.xml"

    answer = _omc(package, "collect", NAME, "--payload", sample, "--json", OMC_HOME=str(tmp_path))

    document = json.loads(answer.stdout)
    assert [row["score"] for row in document["rows"]] == ["48.25", "61.50"]
    assert [refused["reason"] for refused in document["quarantined"]] == ["share 160 is above 100"]
    assert "Invented Name" not in answer.stdout


def test_without_its_key_it_is_not_configured_and_nothing_is_asked(
    source: Source, live: Settings, ledger: Database, gazette: Gazette, package: Path, tmp_path: Path
) -> None:
    with pytest.raises(NotConfiguredError, match="set OMC_KEY_GAZETTE"):
        collect(source, ledger, live.model_copy(update={"keys": {}}))
    answer = _omc(package, "collect", NAME, OMC_HOME=str(tmp_path), OMC_PROFILE="live")

    assert gazette.asked == []
    assert (answer.returncode, answer.stderr) == (2, f"omc: {NAME} is not configured: set OMC_KEY_GAZETTE\n")


def test_with_its_key_it_is_collected_and_neither_key_nor_names_are_kept(
    source: Source, live: Settings, ledger: Database, gazette: Gazette
) -> None:
    collection = collect(source, ledger, live)

    assert collection.tables["human.sentiment"].inserted == 8
    assert set(gazette.keys) == {KEY}
    bodies = [payload.body.decode() for payload in _stored(ledger)]
    assert bodies
    assert not any(AUTHOR in body or KEY in body for body in bodies)


def test_thirty_days_of_its_past_are_one_run_of_dagster(source: Source, live: Settings, ledger: Database, gazette: Gazette) -> None:
    asked, (asset,) = len(gazette.asked), history_assets([source])
    last = datetime.now(UTC).date() - timedelta(days=40)
    first = last - timedelta(days=29)

    result = dg.materialize(
        [asset],
        resources={"platform": Platform(variables=live.environ())},
        tags={"dagster/asset_partition_range_start": first.isoformat(), "dagster/asset_partition_range_end": last.isoformat()},
    )

    days = "SELECT count(DISTINCT observed_at) FROM human.sentiment WHERE source = %s AND observed_at BETWEEN %s AND %s"
    assert len(result.asset_materializations_for_node("human__gazette_history")) == 30
    assert one(ledger, days, NAME, first, last) == 30
    assert [(each["from"], each["to"], each["page"]) for each in gazette.asked[asked:]] == [
        (first.isoformat(), last.isoformat(), page) for page in (1, 2, 3)
    ]
    assert one(ledger, "SELECT count(DISTINCT run_id) FROM raw.fetch WHERE source = %s AND context->>'endpoint' = 'history'", NAME) == 1


def test_it_is_replayed_without_network(source: Source, ledger: Database, gazette: Gazette) -> None:
    asked = len(gazette.asked)
    with ledger.connect("owner") as connection:
        connection.execute("DELETE FROM human.sentiment WHERE source = %s", [NAME])
    assert source.policy is not None
    unreachable = dataclasses.replace(source, policy=dataclasses.replace(source.policy, live_urls=("http://127.0.0.1:9",)))

    collection = replay(unreachable, ledger, *EVER)

    assert collection.tables["human.sentiment"].inserted == 38
    assert len(gazette.asked) == asked


def test_the_platform_has_its_assets_job_and_checks_unlisted(source: Source) -> None:
    definitions = build_definitions({**discover_sources(), NAME: source})
    keys = {key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys()}

    checked = {check.asset_key for check in definitions.resolve_asset_graph().asset_check_keys}
    job = definitions.resolve_job_def("collect_human")

    asset = dg.AssetKey(["human", "gazette"])
    assert {"human/gazette", "human/gazette_history"} <= keys
    assert asset in job.asset_layer.selected_asset_keys
    assert asset in checked


def _stored(database: Database) -> list[Any]:
    with database.connect("writer") as connection:
        connection.autocommit = True
        return list(PostgresRawStore(connection).stored(NAME, *EVER))
