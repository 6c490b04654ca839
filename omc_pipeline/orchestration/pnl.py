"""Profit and loss as assets: positions from fills, their value from quotes, and the laws of conservation as blocking checks."""

from decimal import Decimal

import dagster as dg
import sqlalchemy as sa

from omc_infra.clock import utc_now
from omc_infra.postgres.database import Database
from omc_pipeline.orchestration.failures import told_to_dagster
from omc_pipeline.orchestration.resources import Platform
from omc_pipeline.positions import compute_positions, conservation_findings, summary, value_positions

POSITIONS = dg.AssetKey(["pnl", "positions"])
VALUATION = dg.AssetKey(["pnl", "valuation"])
_ACCOUNT = dg.AssetKey(["exchange", "coinspot_account"])
_PRICES = dg.AssetKey(["exchange", "coinspot_prices"])
_FIGURES = ("realized", "unrealized", "proceeds", "value", "cost")
_CONSERVED = "lots_in_are_lots_out_and_held"
_IDENTITY = "realized_plus_unrealized_is_proceeds_plus_value_less_cost"


@dg.asset(
    key=POSITIONS,
    group_name="pnl",
    deps=[_ACCOUNT],
    kinds={"python", "postgres"},
    owners=["team:trading"],
    tags={"ledger": "exchange"},
    check_specs=[
        dg.AssetCheckSpec(
            _CONSERVED, asset=POSITIONS, blocking=True, description="Every lot bought is matched or open, in units and in money, exactly."
        )
    ],
)
def positions(platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Match every user's sells to lots (FIFO, fees capitalised), exactly; unchanged fills make no new run."""
    with told_to_dagster():
        users = _users(platform.database)
        runs = {user: compute_positions(platform.database, user) for user in users}
        findings = [finding for user in users for finding in conservation_findings(platform.database, user)]
    return dg.MaterializeResult(
        metadata={
            "users": len(users),
            "unchanged": sum(run.unchanged for run in runs.values()),
            "matches": sum(run.matches for run in runs.values()),
            "exceptions": sum(run.exceptions for run in runs.values()),
        },
        check_results=[
            dg.AssetCheckResult(check_name=_CONSERVED, passed=not findings, metadata={"findings": "\n".join(map(str, findings)) or "none"})
        ],
    )


@dg.asset(
    key=VALUATION,
    group_name="pnl",
    deps=[POSITIONS, _PRICES],
    kinds={"python", "postgres"},
    owners=["team:trading"],
    tags={"ledger": "exchange"},
    check_specs=[
        dg.AssetCheckSpec(
            _IDENTITY, asset=VALUATION, blocking=True, description="The identity of profit and loss holds to the last digit for every user."
        )
    ],
)
def valuation(platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Value open lots at the newest quotes; realized and unrealized add up to what was paid, received and is held."""
    with told_to_dagster():
        users = _users(platform.database)
        for user in users:
            value_positions(platform.database, user, utc_now())
        summaries = {user: summary(platform.database, user) for user in users}
    table = "\n".join(
        ["| user | realized | unrealized | proceeds | value | cost |", "|-|-:|-:|-:|-:|-:|"]
        + [
            f"| {user} | {s.realized:,.2f} | {s.unrealized:,.2f} | {s.proceeds:,.2f} | {s.value:,.2f} | {s.cost:,.2f} |"
            for user, s in summaries.items()
        ]
    )
    holds = all(s.identity_holds for s in summaries.values())
    return dg.MaterializeResult(
        metadata={"users": len(users), "summary_aud": dg.MetadataValue.md(table)},
        check_results=[dg.AssetCheckResult(check_name=_IDENTITY, passed=holds, metadata={"users": len(users)})],
    )


def _shown(amount: Decimal | None) -> str:
    return "no price" if amount is None else f"{amount:,.2f}"


def _users(database: Database) -> list[str]:
    with database.engine("reader").connect() as connection:
        return [str(user) for (user,) in connection.execute(sa.text("SELECT DISTINCT user_id FROM exchange.fill ORDER BY 1"))]
