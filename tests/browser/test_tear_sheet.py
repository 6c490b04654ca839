"""The tear sheet in a real browser: at a desk, on a phone, in the dark and on paper; nothing loads, nothing scrolls sideways."""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from omc_infra.settings import PROJECT_ROOT
from omc_pipeline.pnl.amounts import UNIT
from omc_pipeline.pnl.report.document import Question, report_of
from omc_pipeline.pnl.report.record import MatchRow
from omc_pipeline.pnl.report.sheet import tear_sheet

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
]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]
if CHROMIUM is None:
    warnings.warn("SKIPPED for want of a Chromium: the tear sheet in a real browser", stacklevel=1)
    pytest.skip("no Chromium installed", allow_module_level=True)

playwright = pytest.importorskip("playwright.sync_api")


@pytest.fixture(scope="module")
def sheet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a sheet of the golden record with a tax year, a very large gain and a very long id."""
    spec = importlib.util.spec_from_file_location("report_record", PROJECT_ROOT / "tests/golden/report_record.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    record = module.record()
    large: MatchRow = record.matches[-1]._replace(
        symbol="LONGESTCOINNAME", sell="s" * 200, lot="l" * 200, proceeds=10**19 * UNIT, qty=10**12 * UNIT + 1
    )
    found = replace(record, matches=[*record.matches, large])
    path: Path = tmp_path_factory.mktemp("sheet") / "sheet.html"
    path.write_text(tear_sheet(report_of(found, Question(tax_year=2026, zone=ZoneInfo("Australia/Sydney")))))
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start one headless Chromium."""
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield opened
        opened.close()


def opened(browser: Any, sheet: Path, width: int, scheme: str = "light") -> tuple[Any, list[str]]:
    """Open the sheet and answer the page and everything it complained of or asked for."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    seen: list[str] = []
    page.on("console", lambda message: seen.append(message.text))
    page.on("pageerror", lambda error: seen.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(("file:", "data:")) else seen.append(request.url))
    page.on("dialog", lambda dialog: seen.append(dialog.message))
    page.goto(sheet.as_uri())
    if "SCREENSHOTS" in os.environ:
        page.screenshot(path=str(Path(os.environ["SCREENSHOTS"]) / f"tear-sheet-{width}-{scheme}.png"), full_page=True)
    return page, seen


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (320, "dark")])
def test_nothing_scrolls_sideways_and_nothing_complains_with_all_lots_open(width: int, scheme: str, browser: Any, sheet: Path) -> None:
    page, seen = opened(browser, sheet, width, scheme)

    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")

    wide = page.evaluate(
        "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('svg'))"
        ".map(e => e.tagName + '.' + e.className)"
    )
    assert wide == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert seen == []


def test_a_gain_opens_to_the_lots_behind_it_by_keyboard(browser: Any, sheet: Path) -> None:
    page, _ = opened(browser, sheet, 390)
    coin = page.locator("details.coin", has_text="BTC").first

    coin.locator("summary").first.focus()
    page.keyboard.press("Enter")
    coin.locator("details.sale summary").first.focus()
    page.keyboard.press("Enter")

    lots = coin.locator("details.sale tbody tr")
    assert lots.count() == 2
    assert lots.first.is_visible()
    assert "26,925.00" in lots.first.inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(scheme: str, browser: Any, sheet: Path) -> None:
    page, _ = opened(browser, sheet, 1280, scheme)

    found = page.evaluate(CONTRASTS)

    assert found["checked"] > 100
    assert found["poor"] == []


def test_paper_shows_the_lots_and_no_dark_ground(browser: Any, sheet: Path) -> None:
    page, _ = opened(browser, sheet, 794, "dark")

    page.emulate_media(media="print", color_scheme="dark")

    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("details.sale tbody tr").first.bounding_box()["height"] > 0
    assert page.locator("details.daily").bounding_box() is None


def test_everything_has_a_name_for_those_who_listen(browser: Any, sheet: Path) -> None:
    page, _ = opened(browser, sheet, 1280)

    assert page.title() == "SANDBOX · ada: profit and loss · tax year 2026"
    assert page.get_by_role("heading", level=1).count() == 1
    assert all(svg.get_attribute("aria-label") for svg in page.locator("svg").all())
    assert page.evaluate(
        "[...document.querySelectorAll('section')].every(s => s.ariaLabel || document.getElementById(s.getAttribute('aria-labelledby')))"
    )
    assert page.get_by_role("table").count() >= 4


CONTRASTS = """() => {
  const parse = text => {
    const scale = text.startsWith('color(srgb') ? 255 : 1;
    const [r, g, b, alpha] = text.match(/[\\d.]+/g).map(Number);
    return [r * scale, g * scale, b * scale, alpha ?? 1];
  };
  const linear = value => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const ground = element => {
    for (; element; element = element.parentElement) {
      const colour = parse(getComputedStyle(element).backgroundColor);
      if (colour[3] > 0.99) return colour;
    }
    return [255, 255, 255, 1];
  };
  const hasText = element => [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
  const poor = [];
  let checked = 0;
  for (const element of document.querySelectorAll('body *')) {
    if (element.closest('svg, .unseen, .skip') || !hasText(element) || !element.offsetParent) continue;
    const [one, other] = [light(parse(getComputedStyle(element).color)), light(ground(element))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    checked++;
    if (ratio < 4.5) poor.push(`${element.tagName}.${element.className} ${element.textContent.slice(0, 20)} ${ratio.toFixed(2)}`);
  }
  return {checked, poor};
}"""
"""Return every text whose contrast with the ground behind it is below 4.5 to 1."""
