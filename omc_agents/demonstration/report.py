"""What the demonstration found, as the one document that ``omc demo --json`` prints."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from omc_agents.demonstration.stages import StageResult, rows_of
from omc_agents.sessions.briefs import BriefSummary
from omc_infra.services.platform import RunningPlatform
from omc_pipeline.ledgers.table import LEDGERS

_SCORES = ("completeness_score", "timeliness_score", "accuracy_score", "overall_score")


def demonstration_document(
    platform: RunningPlatform, stages: Sequence[StageResult], briefs: Sequence[BriefSummary], since: datetime
) -> dict[str, Any]:
    """Assemble rows, scores, profit and loss, briefs and stages, each read back from the database; only scores given since ``since``."""
    rows = {ledger: rows_of(platform, ledger) for ledger in LEDGERS}
    return {
        "profile": platform.settings.profile,
        "ledgers": {ledger: {"rows": sum(sources.values()), "sources": sources} for ledger, sources in rows.items()},
        "quality": _scores(platform, since),
        "pnl": _profit_and_loss(platform),
        "briefs": [{**dataclasses.asdict(brief)} for brief in briefs],
        "stages": [
            {"name": s.name, "seconds": round(s.seconds, 3), "ok": s.failure is None, **({"failure": s.failure} if s.failure else {})}
            for s in stages
        ],
    }


def _scores(platform: RunningPlatform, since: datetime) -> dict[str, dict[str, float]]:
    query = sa.text(
        f"SELECT DISTINCT ON (ledger) ledger, {', '.join(_SCORES)} FROM quality.score WHERE recorded_at >= :since"
        " ORDER BY ledger, recorded_at DESC"
    )
    with platform.database.engine("reader").connect() as connection:
        return {
            row["ledger"]: {name: float(row[name]) for name in _SCORES} for row in connection.execute(query, {"since": since}).mappings()
        }


def _profit_and_loss(platform: RunningPlatform) -> dict[str, Any]:
    from omc_infra.errors import BadInputError
    from omc_pipeline.positions import summary

    try:
        found = summary(platform.database, platform.settings.user)
    except BadInputError:  # no position was ever computed: an earlier stage failed
        return {"user": platform.settings.user, "currency": None, "identity_holds": False}
    figures = {name: getattr(found, name) for name in ("realized", "unrealized", "proceeds", "value", "cost")}
    return {"user": platform.settings.user, "currency": found.currency, **figures, "identity_holds": found.identity_holds}
