"""The Dagster UI in a real browser: both locations loaded, ledgers as groups, a materialization by a click."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
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
ATTACK = """<!doctype html><title>elsewhere</title><body>
<script>
window.opened = false;
const query = MUTATION;
const image = new Image();
image.src = "UI/graphql?query=" + encodeURIComponent(query);
for (const type of ["application/json", "text/plain", "application/x-www-form-urlencoded"]) {
  fetch("UI/graphql?query=" + encodeURIComponent(query),
        {method: "POST", mode: "no-cors", credentials: "include", headers: {"Content-Type": type}, body: query}).catch(() => 0);
}
fetch("UI/report_asset_materialization/glass/defillama", {method: "POST", mode: "no-cors", credentials: "include"}).catch(() => 0);
const frame = document.createElement("iframe"); frame.src = "UI/runs"; document.body.append(frame);
const socket = new WebSocket("UI/graphql".replace("http", "ws"), "graphql-ws");
socket.onopen = () => { window.opened = true; };
document.body.append("attacked");
</script></body>"""
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(280)]
if CHROMIUM is None:
    warnings.warn("SKIPPED for want of a Chromium: tests in a real browser", stacklevel=1)
    pytest.skip("no Chromium installed", allow_module_level=True)

playwright = pytest.importorskip("playwright.sync_api")


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Run ``omc up`` and return what it printed."""
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
        yield json.loads("".join(lines))
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        log.close()


@pytest.fixture(scope="module")
def ui(printed: dict[str, Any]) -> str:
    """Return the address of the Dagster UI."""
    return str(printed["dagster"])


@pytest.fixture(scope="module")
def link(printed: dict[str, Any]) -> str:
    """Return the link that logs a browser in."""
    return str(printed["open"]["dagster"])


@pytest.fixture(scope="module")
def page(link: str) -> Iterator[playwright.Page]:
    """Open the UI in a headless Chromium by the link that was printed."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        opened = browser.new_context(viewport={"width": 1500, "height": 1000}).new_page()
        opened.set_default_timeout(60_000)
        opened.goto(link)
        yield opened
        browser.close()


def test_the_link_logs_in_and_leaves_no_token_in_the_address(page: playwright.Page, link: str) -> None:
    page.get_by_text("Overview").first.wait_for()

    assert link.partition("token=")[2]
    assert "token" not in page.url


def test_without_the_link_there_is_a_login_page_that_takes_the_token(ui: str, link: str, page: playwright.Page) -> None:
    stranger = page.context.browser.new_context().new_page()

    stranger.goto(f"{ui}/runs")
    stranger.get_by_label("Or paste the token:").fill(link.partition("token=")[2])
    stranger.get_by_role("button", name="Log in").click()
    stranger.get_by_text("Overview").first.wait_for()

    assert "token" not in stranger.url
    stranger.context.close()


@pytest.fixture
def elsewhere(ui: str, tmp_path: Path) -> Iterator[str]:
    """Serve a page of another origin, another port of this machine, that attacks the UI by every means a page has."""
    mutation = 'mutation { launchRun(executionParams: {selector: {repositoryName: "__repository__"}}) { __typename } }'
    (tmp_path / "index.html").write_text(ATTACK.replace("UI", ui).replace("MUTATION", json.dumps(mutation)))
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/index.html"
    server.shutdown()


def test_a_page_of_another_origin_launches_nothing_in_the_browser_of_somebody_who_is_logged_in(
    ui: str, link: str, elsewhere: str, page: playwright.Page
) -> None:
    before = _materializations(link)
    sent: list[str] = []
    ended: dict[str, int] = {"refused": 0, "blocked": 0, "answered": 0}
    tab = page.context.new_page()

    def responded(response: playwright.Response) -> None:
        ended["refused" if response.status == 403 else "answered"] += ui in response.url

    def blocked(request: playwright.Request) -> None:
        ended["blocked"] += ui in request.url

    tab.on("request", lambda request: sent.append(request.method) if ui in request.url else None)
    tab.on("response", responded)
    tab.on("requestfailed", blocked)  # the browser itself keeps an answer from a page that may not have it

    tab.goto(elsewhere)
    tab.get_by_text("attacked").wait_for()
    for _ in range(240):
        if ended["refused"] + ended["blocked"] >= len(sent) >= 6:
            break
        tab.wait_for_timeout(250)

    assert tab.evaluate("window.opened") is False, "a WebSocket of another origin was opened"
    assert {"GET", "POST"} <= set(sent)
    assert ended["refused"] > 0
    assert ended["answered"] == 0, ended
    assert _materializations(link) == before
    tab.close()


def test_both_code_locations_are_loaded(ui: str, page: playwright.Page) -> None:
    page.goto(f"{ui}/deployment/locations")

    page.get_by_text("omc_pipeline", exact=True).first.wait_for()
    page.get_by_text("omc_agents", exact=True).first.wait_for()

    assert page.get_by_text("Loaded", exact=True).count() >= 2


def test_the_asset_graph_shows_the_ledgers_as_groups(ui: str, page: playwright.Page) -> None:
    page.goto(f"{ui}/asset-groups")

    for group in ("glass", "human", "catalyst", "exchange", "pnl", "quality"):
        page.get_by_text(group, exact=True).first.wait_for()


def test_a_click_materializes_defillama_and_its_checks_show(ui: str, link: str, page: playwright.Page) -> None:
    before = _materializations(link)
    page.goto(f"{ui}/assets/glass/defillama")

    page.get_by_role("button", name="Materialize").first.click()

    for _ in range(240):
        if _materializations(link) > before and _last_run_status(link) == "SUCCESS":
            break
        page.wait_for_timeout(500)
    assert _materializations(link) > before
    assert _last_run_status(link) == "SUCCESS"
    page.goto(f"{ui}/assets/glass/defillama?view=checks")
    page.get_by_text("Passed").first.wait_for()
    if "SCREENSHOTS" in os.environ:
        page.screenshot(path=str(Path(os.environ["SCREENSHOTS"]) / "defillama-checks.png"))


def test_a_backfill_of_a_year_is_one_run_and_its_progress_and_its_days_are_seen(ui: str, link: str, page: playwright.Page) -> None:
    asset = ["human", "fear_greed_history"]
    last = datetime.now(UTC).date() - timedelta(days=2)
    days = json.dumps([(last - timedelta(days=age)).isoformat() for age in range(364, -1, -1)])
    asked = f"assetSelection: [{{path: {json.dumps(asset)}}}], partitionNames: {days}"
    launching = "... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }"
    mutation = f"mutation {{ launchPartitionBackfill(backfillParams: {{{asked}}}) {{ __typename {launching} }} }}"
    launched = _graphql(link, mutation)["launchPartitionBackfill"]
    backfill = launched["backfillId"]

    page.goto(f"{ui}/runs/b/{backfill}")
    page.get_by_text(backfill).first.wait_for()
    for _ in range(360):
        wanted = "... on PartitionBackfill {status numPartitions runs(limit: 9) {id status}}"
        found = _graphql(link, f'{{partitionBackfillOrError(backfillId: "{backfill}") {{{wanted}}}}}')
        told = found["partitionBackfillOrError"]
        if told["status"] in ("COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED"):
            break
        page.wait_for_timeout(500)

    assert (told["status"], told["numPartitions"], [run["status"] for run in told["runs"]]) == ("COMPLETED_SUCCESS", 365, ["SUCCESS"])
    page.get_by_text("Completed").first.wait_for()
    page.goto(f"{ui}/assets/{'/'.join(asset)}?view=partitions")
    page.get_by_text(last.isoformat()).first.wait_for()
    page.get_by_text("Materialized (365)").first.wait_for()
    if "SCREENSHOTS" in os.environ:
        page.screenshot(path=str(Path(os.environ["SCREENSHOTS"]) / "backfill.png"))


def _graphql(link: str, query: str) -> dict:  # type: ignore[type-arg]
    ui, _, token = link.partition("/?token=")
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    request = Request(f"{ui}/graphql", data=json.dumps({"query": query}).encode(), headers=headers)
    with urlopen(request, timeout=20) as response:
        return json.load(response)["data"]  # type: ignore[no-any-return]


def _materializations(link: str) -> int:
    found = _graphql(
        link, '{assetOrError(assetKey: {path: ["glass", "defillama"]}) {... on Asset {assetMaterializations(limit: 100) {runId}}}}'
    )
    return len(found["assetOrError"]["assetMaterializations"])


def _last_run_status(link: str) -> str:
    wanted = "assetMaterializations(limit: 1) {runOrError {... on Run {status}}}"
    found = _graphql(link, f'{{assetOrError(assetKey: {{path: ["glass", "defillama"]}}) {{... on Asset {{{wanted}}}}}}}')
    return str(found["assetOrError"]["assetMaterializations"][0]["runOrError"]["status"])
