"""One asset per ledger for its score: completeness, timeliness, accuracy, and the alert if one is below the threshold."""

from collections.abc import Sequence

import dagster as dg
import sqlalchemy as sa

from omc_infra.clock import utc_now
from omc_infra.postgres.database import Database
from omc_pipeline.collection.discovery import BrokenSource
from omc_pipeline.collection.readiness import not_configured_reason
from omc_pipeline.collection.source import Source
from omc_pipeline.collection.state import CollectorKey, record_configured
from omc_pipeline.ledgers.table import LedgerName
from omc_pipeline.orchestration.collection import asset_key
from omc_pipeline.orchestration.failures import translate_failures
from omc_pipeline.orchestration.plots import line_plot
from omc_pipeline.orchestration.resources import Platform
from omc_pipeline.quality.run import run_suites

THRESHOLD_CHECK = "above_alert_threshold"


def score_asset(ledger: LedgerName, sources: Sequence[Source], broken: Sequence[BrokenSource] = ()) -> dg.AssetsDefinition:
    """Create the asset ``quality/<ledger>``; its check fails while an alert is open.

    Args:
        ledger: Which is scored; one without a source scores 0.
        sources: Those of the ledger.
        broken: Those of the ledger whose file doesn't load.
    """

    @dg.asset(
        key=["quality", ledger],
        group_name="quality",
        description=f"Score of the {ledger} ledger: the lowest of completeness, timeliness and accuracy in its recent window.",
        deps=[asset_key(source) for source in sources],
        kinds={"greatexpectations", "postgres"},
        owners=["team:data-platform"],
        tags={"ledger": ledger},
        check_specs=[
            dg.AssetCheckSpec(
                THRESHOLD_CHECK, asset=dg.AssetKey(["quality", ledger]), description="All scores are at or above the alert threshold."
            )
        ],
    )
    def scored(platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with translate_failures():
            _record_configured(platform, sources)
            report = run_suites(platform.database, sources, platform.settings, utc_now(), (ledger,), broken)
        scores = report.ledgers[ledger].as_document()
        alerts = [alert for alert in report.alerts if alert.ledger == ledger]
        history = _history(platform.database, ledger)
        return dg.MaterializeResult(
            metadata={
                **scores,
                "alerts": len(alerts),
                "history": line_plot(f"{ledger}: overall score, last {len(history)} runs", history, (0.0, 1.0)),
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name=THRESHOLD_CHECK,
                    passed=not alerts,
                    metadata=scores,
                )
            ],
        )

    return scored


def _record_configured(platform: Platform, sources: Sequence[Source]) -> None:
    """Store which sources this platform can collect, for processes without keys."""
    reasons = {CollectorKey(source.name): not_configured_reason(source, platform.settings) for source in sources}
    with platform.database.connect("writer") as connection:
        record_configured(connection, reasons)


def _history(database: Database, ledger: str) -> list[float]:
    query = sa.text("SELECT overall_score FROM quality.score WHERE ledger = :ledger ORDER BY recorded_at DESC LIMIT 100")
    with database.engine("reader").connect() as connection:
        return [float(score) for (score,) in connection.execute(query, {"ledger": ledger})][::-1]
