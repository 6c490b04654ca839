"""The runbook of deployments works to the letter, against a local AWS."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest
from aws_account import COMMIT, DEPLOYED
from conftest import Place

from omc_infra.deploy.options import DeploySection
from omc_infra.deploy.steps import Steps
from omc_infra.settings import PROJECT_ROOT

sys.path.insert(0, str(PROJECT_ROOT / "tests/docs"))
from pages import DOCS, code_blocks, follow, missing_lines

PAGE = "how-to/operate/deploy.md"


@pytest.mark.slow
def test_the_runbook_works_to_the_letter(place: Place) -> None:
    variables = {name: value for name, value in place.environ.items() if name.startswith(("AWS_", "OMC_"))}

    outputs = follow(PAGE, Path(place.environ["OMC_HOME"]), place.toml.parent, {**variables, "COMMIT": COMMIT, "URL": place.web.url})

    assert missing_lines(PAGE, outputs) == []
    assert {name.rpartition(":")[2] for name in place.account.running().values()} == {"1"}


def test_the_section_of_the_runbook_is_complete() -> None:
    (text,) = code_blocks(PAGE, "toml")

    section = DeploySection.model_validate(tomllib.loads(text)["deploy"]["staging"])

    assert section.migration_command == ("omc", "db", "migrate")
    assert set(section.health_urls) <= {spec.name for spec in DEPLOYED}


def test_the_runbook_quotes_messages_of_the_product(place: Place) -> None:
    page = (DOCS / PAGE).read_text(encoding="utf-8")
    table = page[page.index("## Troubleshooting") :]
    code = "".join(path.read_text() for path in (PROJECT_ROOT / "omc_infra/deploy").rglob("*.py")) + "Task failed ELB health checks"
    quoted = [piece for line in table.splitlines() if line.startswith("| `") for piece in line.split("`")[1].split("...")]

    assert [piece for piece in map(str.strip, quoted) if len(piece) > 5 and piece not in code.replace("{longest:.0f}", "")] == []
    steps = [step.name for step in Steps(place.context(), None, place.wanted())]  # type: ignore[arg-type]
    assert [name for name in steps if name not in page and not name.startswith("service ")] == []
