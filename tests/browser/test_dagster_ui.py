"""The Dagster UI in a real browser: both locations loaded, ledgers as groups, a materialization by a click."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from omc_infra.settings import PROJECT_ROOT

CHROMIUM = next(
    (Path(path) for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome") if Path(path).exists()), None
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(280)]
if CHROMIUM is None:
    warnings.warn("SKIPPED for want of a Chromium: tests in a real browser", stacklevel=1)
    pytest.skip("no Chromium installed", allow_module_level=True)

playwright = pytest.importorskip("playwright.sync_api")


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run ``omc up`` and answer the address of the Dagster UI."""
    home = tmp_path_factory.mktemp("up")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OMC_") and name != "PYTHONDONTWRITEBYTECODE"}
    command = [str(Path(sys.executable).parent / "omc"), "up", "--json", "--port", "0"]
    log = (home / "up.log").open("wb")
    process = subprocess.Popen(
        command, env={**environ, "OMC_HOME": str(home)}, stdout=subprocess.PIPE, stderr=log, cwd=PROJECT_ROOT, text=True
    )
    try:
        assert process.stdout
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("}"):
                break
        assert lines, (home / "up.log").read_text()[-3000:]
        yield json.loads("".join(lines))["dagster"]
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        log.close()


@pytest.fixture(scope="module")
def page(ui: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[playwright.Page]:
    """Open the UI in a headless Chromium."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        opened = browser.new_page(viewport={"width": 1500, "height": 1000})
        opened.set_default_timeout(60_000)
        yield opened
        browser.close()


def test_both_code_locations_are_loaded(ui: str, page: playwright.Page) -> None:
    page.goto(f"{ui}/deployment/locations")

    page.get_by_text("omc_pipeline", exact=True).first.wait_for()
    page.get_by_text("omc_agents", exact=True).first.wait_for()

    assert page.get_by_text("Loaded", exact=True).count() >= 2


def test_the_asset_graph_shows_the_ledgers_as_groups(ui: str, page: playwright.Page) -> None:
    page.goto(f"{ui}/asset-groups")

    for group in ("glass", "human", "catalyst", "exchange", "pnl", "quality"):
        page.get_by_text(group, exact=True).first.wait_for()


def test_a_click_materializes_defillama_and_its_checks_show(ui: str, page: playwright.Page) -> None:
    before = _materializations(ui)
    page.goto(f"{ui}/assets/glass/defillama")

    page.get_by_role("button", name="Materialize").first.click()

    for _ in range(240):
        if _materializations(ui) > before and _last_run_status(ui) == "SUCCESS":
            break
        page.wait_for_timeout(500)
    assert _materializations(ui) > before
    assert _last_run_status(ui) == "SUCCESS"
    page.goto(f"{ui}/assets/glass/defillama?view=checks")
    page.get_by_text("Passed").first.wait_for()
    if "SCREENSHOTS" in os.environ:
        page.screenshot(path=str(Path(os.environ["SCREENSHOTS"]) / "defillama-checks.png"))


def _graphql(ui: str, query: str) -> dict:  # type: ignore[type-arg]
    request = Request(f"{ui}/graphql", data=json.dumps({"query": query}).encode(), headers={"Content-Type": "application/json"})
    with urlopen(request, timeout=20) as response:
        return json.load(response)["data"]  # type: ignore[no-any-return]


def _materializations(ui: str) -> int:
    found = _graphql(
        ui, '{assetOrError(assetKey: {path: ["glass", "defillama"]}) {... on Asset {assetMaterializations(limit: 100) {runId}}}}'
    )
    return len(found["assetOrError"]["assetMaterializations"])


def _last_run_status(ui: str) -> str:
    wanted = "assetMaterializations(limit: 1) {runOrError {... on Run {status}}}"
    found = _graphql(ui, f'{{assetOrError(assetKey: {{path: ["glass", "defillama"]}}) {{... on Asset {{{wanted}}}}}}}')
    return str(found["assetOrError"]["assetMaterializations"][0]["runOrError"]["status"])
