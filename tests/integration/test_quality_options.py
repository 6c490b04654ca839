"""What ``[quality]`` of ``omc.toml`` changes: thresholds of single ledgers, weights of the mean, what is severe."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from omc_infra.alerts.store import open_alerts
from omc_infra.errors import ConfigurationError
from omc_infra.settings import Settings
from omc_pipeline.ledgers.table import LEDGERS
from omc_pipeline.quality import QualityReport, run_suites
from omc_pipeline.quality.causes import raised_by
from omc_pipeline.quality.options import LedgersOptions, quality_section
from tests.integration.test_quality_run import ACCOUNT, CATALYST, DAY, GLASS, NOW, PRICES, SOURCES, Platform
from tests.integration.test_quality_run import platform as empty_platform  # noqa: F401 a fixture


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "omc.toml"


@pytest.fixture
def configured(settings: Settings, file: Path) -> Settings:
    """Return settings whose file is ``file``."""
    return settings.model_copy(update={"home": file.parent, "config": file, "alert_threshold": 0.0})


def report(platform: Platform, settings: Settings) -> QualityReport:
    return run_suites(platform.database, SOURCES, settings, NOW, LEDGERS)


def test_every_ledger_has_its_options() -> None:
    assert set(LedgersOptions.model_fields) == set(LEDGERS)


def test_the_threshold_of_one_ledger_opens_alerts_there_only_without_a_restart(
    empty_platform: Platform,  # noqa: F811
    configured: Settings,
    file: Path,
) -> None:
    file.write_text("")
    before = report(empty_platform, configured)
    file.write_text("[quality.ledgers.glass]\nthreshold = 0.4\n")
    after = report(empty_platform, configured)

    assert list(before.alerts) == []
    assert {(alert.ledger, alert.threshold) for alert in after.alerts} == {("glass", 0.4)}
    thresholds = {name: ledger["threshold"] for name, ledger in after.as_document()["ledgers"].items()}
    assert thresholds == {**dict.fromkeys(LEDGERS, 0.0), "glass": 0.4}
    with empty_platform.database.engine("reader").connect() as connection:
        causes = {ledger: open_alerts(connection, raised_by(ledger)) for ledger in LEDGERS}
    assert {ledger for ledger, found in causes.items() if found} == {"glass"}
    assert {alert.severity for alert in causes["glass"]} == {"high"}


def test_what_is_severe_is_configured(empty_platform: Platform, configured: Settings, file: Path) -> None:  # noqa: F811
    file.write_text("[quality]\nsevere_below = 0.0\n[quality.ledgers.glass]\nthreshold = 0.4\n")

    report(empty_platform, configured)

    with empty_platform.database.engine("reader").connect() as connection:
        assert {alert.severity for alert in open_alerts(connection, raised_by("glass"))} == {"medium"}


def test_weights_change_the_mean_and_nothing_else(empty_platform: Platform, configured: Settings, file: Path) -> None:  # noqa: F811
    empty_platform.collect_all(GLASS, CATALYST, PRICES, ACCOUNT, at=NOW - 3 * DAY)
    file.write_text("")
    before = report(empty_platform, configured).ledgers["human"].scores
    file.write_text("[quality.weights]\ncompleteness = 0.0\ntimeliness = 0.0\naccuracy = 1.0\n")
    after = report(empty_platform, configured).ledgers["human"].scores

    assert before is not None
    assert after is not None
    weighted = 0.3 * before.completeness_score + 0.4 * before.timeliness_score + 0.3 * before.accuracy_score
    assert before.mean_score == pytest.approx(weighted)
    assert before.mean_score != after.mean_score
    assert (after.mean_score, after.overall_score) == (before.accuracy_score, before.overall_score)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("[quality.weights]\naccuracy = 0.5\n", "quality.weights: completeness, timeliness and accuracy must sum to 1; they sum to 1.2"),
        ("[quality.ledgers.glass]\nthreshold = 7\n", "quality.ledgers.glass.threshold: must be at most 1"),
        ("[quality.ledgers.glas]\nthreshold = 0.7\n", "quality.ledgers.glas: no such key; allowed: catalyst, exchange, glass, human"),
        ("[quality]\nsevere_below = true\n", "quality.severe_below: must be a number, not true or false"),
    ],
    ids=["weights", "threshold", "ledger", "severe"],
)
def test_a_mistake_is_one_line_and_exit_two(configured: Settings, file: Path, written: str, said: str) -> None:
    file.write_text(written)
    omc, environ = Path(sys.executable).parent / "omc", {**os.environ, "OMC_CONFIG": str(file)}

    answer = subprocess.run([omc, "config", "check"], env=environ, capture_output=True, text=True, timeout=120, check=False)

    assert answer.returncode == 2
    (line,) = answer.stderr.strip().splitlines()
    assert str(file) in line
    assert said in line
    with pytest.raises(ConfigurationError):
        quality_section(configured)
