"""Every how-to works to the letter: its commands are executed in a home of their own, and print what the page shows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from http_upstream import upstream
from pages import BIN, DOCS, blocks, code_blocks, follow, missing_lines

from omc_infra import http
from omc_infra.alerts.announcing import announce
from omc_infra.alerts.options import alerts_section
from omc_infra.delivery.channels import channel_of
from omc_infra.delivery.dispatching import deliver_due
from omc_infra.delivery.persistence import Persistence
from omc_infra.postgres.backup import back_up
from omc_infra.postgres.database import Database, open_database
from omc_infra.postgres.embedded import running
from omc_infra.settings import PROJECT_ROOT, Settings, load_settings

pytestmark = pytest.mark.timeout(200)

FOLLOWED_HERE = (
    "how-to/accounts.md",
    "how-to/choose-a-model.md",
    "how-to/go-live.md",
    "how-to/import-a-spreadsheet.md",
    "how-to/import-several-venues.md",
    "how-to/keep-the-disk-free.md",
    "how-to/look-after-database-roles.md",
    "how-to/migrate.md",
    "how-to/read-the-lake.md",
    "how-to/report-coinspot-taxes.md",
    "how-to/report-pnl.md",
    "how-to/when-a-source-breaks.md",
)
"""The others have a test of their own, which names them."""
COLLECTED = ("exchange_coinspot_account", "exchange_coinspot_prices", "human_fear_greed")


@pytest.fixture(scope="module")
def seeded_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a home in which the sandbox was collected once; its server runs until the end."""
    home = tmp_path_factory.mktemp("home")
    with running(home):
        for arguments in (["db", "migrate"], *(["collect", source] for source in COLLECTED)):
            subprocess.run([BIN / "omc", *arguments], env=_environ(home), check=True, capture_output=True, timeout=120)
        yield home


def _environ(home: Path) -> dict[str, str]:
    return {**{name: value for name, value in os.environ.items() if not name.startswith("OMC_")}, "OMC_HOME": str(home)}


@pytest.mark.slow
@pytest.mark.parametrize("page", FOLLOWED_HERE)
def test_a_how_to_works_to_the_letter(page: str, seeded_home: Path, tmp_path: Path) -> None:
    if page == "how-to/migrate.md":
        _make_backup(seeded_home)

    outputs = follow(page, seeded_home, tmp_path)

    assert missing_lines(page, outputs) == []


@pytest.mark.slow
def test_a_ticker_is_mapped_to_the_letter(seeded_home: Path, tmp_path: Path) -> None:
    try:
        outputs = follow("how-to/map-a-ticker.md", seeded_home, tmp_path)
    finally:
        (seeded_home / "omc.toml").unlink(missing_ok=True)  # the other pages know no such asset

    assert outputs[-1].splitlines()[-1] == "nothing was renamed"


def _make_backup(home: Path) -> None:
    """Make what the migration of an older home would have made."""
    with open_database(load_settings({"OMC_HOME": str(home)})) as database:
        back_up(database, "an-earlier-revision", datetime.now(UTC))


def test_every_page_with_commands_is_executed() -> None:
    tests = {path: path.read_text(encoding="utf-8") for path in (PROJECT_ROOT / "tests").rglob("*.py")}

    forgotten = [
        name
        for page in [*DOCS.glob("how-to/**/*.md"), *DOCS.glob("tutorial/*.md")]
        if (name := str(page.relative_to(DOCS))) not in FOLLOWED_HERE and not any(name in text for text in tests.values())
    ]

    assert forgotten == []


def test_what_when_the_machine_fails_quotes_is_what_the_product_says() -> None:
    page = (DOCS / "how-to/when-the-machine-fails.md").read_text(encoding="utf-8")
    code = "".join(
        path.read_text() for package in ("omc_infra", "omc_pipeline", "omc_agents") for path in (PROJECT_ROOT / package).rglob("*.py")
    )
    quoted = [piece.strip() for line in re.findall(r"^\| `([^`]+)`", page, re.MULTILINE) for piece in re.split(r"\.\.\.|NAME|omc: ", line)]
    own = [piece.strip(": ") for piece in quoted if len(piece) > 8 and not piece.startswith(("No space", "Read-only", "/"))]

    assert len(own) >= 4
    assert [piece for piece in own if piece not in code] == []


@pytest.mark.parametrize("page", FOLLOWED_HERE)
def test_a_page_that_is_followed_has_commands(page: str) -> None:
    assert blocks(page)


def test_the_service_of_the_how_to_is_one_and_its_entry_point_names_it() -> None:
    from omc_infra.services.table import ServiceSpec

    (code,), (entry,) = code_blocks("how-to/add-a-service.md", "python"), code_blocks("how-to/add-a-service.md", "toml")
    names: dict[str, Any] = {}

    exec(code, names)  # noqa: S102 the page's own example

    service = names[entry.rsplit(":", 1)[1].strip().strip('"')]
    assert isinstance(service, ServiceSpec)
    assert service.name == re.findall(r"^(\w+) = ", entry, re.MULTILINE)[0]


def test_the_policy_of_the_how_to_is_one_and_every_way_to_authenticate_exists() -> None:
    (code,) = code_blocks("how-to/ask-an-upstream.md", "python")
    names: dict[str, Any] = {}

    exec(code, names)  # noqa: S102 the page's own example

    named = re.findall(r"^\| `(\w+)\(", (DOCS / "how-to/ask-an-upstream.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert names["HOST"].auth.key_names == ("venue",)
    assert named
    assert all(hasattr(http, name) for name in named)


@pytest.mark.slow
def test_an_alert_arrives_in_slack_to_the_letter(seeded_home: Path, tmp_path: Path) -> None:
    page = "how-to/alert-in-slack.md"
    with upstream() as slack:
        variables = {"OMC_KEY_ALERT_SLACK": f"slack+{slack.url}/services/T0/B0/secret"}
        try:
            outputs = follow(page, seeded_home, tmp_path, variables)
            settings = load_settings({"OMC_HOME": str(seeded_home), **variables})
            with open_database(settings) as database:
                announce_and_deliver(database, settings)
        finally:
            (seeded_home / "omc.toml").unlink(missing_ok=True)  # the other pages know no channel
        arrived = [json.loads(asked.body)["text"] for asked in slack.asked]

    assert missing_lines(page, outputs) == []
    assert "TEST: alerts arrive here" in arrived[0]
    assert any("human_" in text and "What to do: " in text and "Playbook: docs/how-to/" in text for text in arrived[1:])
    assert all((PROJECT_ROOT / re.findall(r"Playbook: (\S+)", text)[0]).is_file() for text in arrived[1:])


def announce_and_deliver(database: Database, settings: Settings) -> None:
    """Do once what a platform does every few seconds."""
    with database.engine("writer").begin() as connection:
        announce(connection, alerts_section(settings), settings.profile, datetime.now(UTC))
    deliver_due(database, lambda name: channel_of(name, settings), Persistence())
