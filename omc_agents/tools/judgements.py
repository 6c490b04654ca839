"""What the quality suites found, as it was known at a time: the newest score of each ledger, and the newest results of checks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, text

from omc_pipeline.ledgers.knowledge import await_known

SCORES, CHECKS = "quality.score", "quality.check_result"
MOST_CHECKS = 10
_SCORES = text("""
SELECT DISTINCT ON (ledger) run_id, ledger, completeness_score, timeliness_score, accuracy_score, overall_score, recorded_at
FROM quality.score WHERE recorded_at <= :as_of ORDER BY ledger, recorded_at DESC
""")
_CHECKS = text("""
SELECT run_id, ledger, source, name, dimension, severity, passed, score, rows, recorded_at FROM quality.check_result
WHERE ledger = :ledger AND source = :source AND name = ANY(:names) AND recorded_at <= :as_of AND run_id = (
    SELECT run_id FROM quality.check_result
    WHERE ledger = :ledger AND source = :source AND recorded_at <= :as_of ORDER BY recorded_at DESC LIMIT 1)
ORDER BY score, name LIMIT :most
""")


def newest_scores(engine: Engine, as_of: datetime) -> list[dict[str, Any]]:
    """Return the newest score of each ledger, by ledger."""
    with engine.connect() as connection:
        await_known(connection, [SCORES], as_of)
        return [dict(row) for row in connection.execute(_SCORES, {"as_of": as_of}).mappings()]


def newest_check_results(engine: Engine, as_of: datetime, ledger: str, source: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the results of some checks of a source in its newest run, the lowest score first; none where none was judged."""
    asked = {"as_of": as_of, "ledger": ledger, "source": source, "names": list(names), "most": MOST_CHECKS}
    with engine.connect() as connection:
        await_known(connection, [CHECKS], as_of)
        return [dict(row) for row in connection.execute(_CHECKS, asked).mappings()]
