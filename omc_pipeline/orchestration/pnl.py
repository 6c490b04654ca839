"""Profit and loss as assets by bucket of users: positions from fills, their value from quotes, a snapshot of each day.

The conservation checks are blocking; an open exception fails a check, but doesn't stop anything.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from decimal import Decimal

import dagster as dg
import structlog

from omc_infra.clock import utc_now
from omc_infra.errors import BadInputError
from omc_infra.markdown import escape_markdown
from omc_infra.postgres.database import Database
from omc_pipeline.collection.source import Source
from omc_pipeline.ledgers.exchange import FILL, QUOTE
from omc_pipeline.ledgers.table import LedgerTable
from omc_pipeline.orchestration.accounts import account_of_run
from omc_pipeline.orchestration.buckets import Buckets
from omc_pipeline.orchestration.collection import asset_key
from omc_pipeline.orchestration.failures import translate_failures
from omc_pipeline.orchestration.resources import Platform
from omc_pipeline.pnl.conservation import Finding
from omc_pipeline.positions import PositionsRun, Summary, compute_positions, conservation_findings, summary, value_positions
from omc_pipeline.positions.basis import Basis
from omc_pipeline.positions.identity import broken_identities
from omc_pipeline.positions.snapshot import snapshot_positions
from omc_pipeline.positions.users import Kind, count_rows, red_exceptions, stale_users, users_with_fills, users_with_positions

log = structlog.get_logger()
POSITIONS = dg.AssetKey(["pnl", "positions"])
VALUATION = dg.AssetKey(["pnl", "valuation"])
SNAPSHOTS = dg.AssetKey(["pnl", "snapshots"])
_CONSERVED = "lots_balance"
_RESOLVED = "no_open_exceptions"
_IDENTITY = "profit_and_loss_adds_up"
_SHOWN = 20
_TURN_S = 900
_GROUP, _KINDS, _OWNERS, _TAGS = "pnl", {"python", "postgres"}, ["team:trading"], {"ledger": "exchange"}


READS: Mapping[dg.AssetKey, LedgerTable] = {POSITIONS: FILL, VALUATION: QUOTE, SNAPSHOTS: QUOTE}
"""The ledger table that each asset is computed from; every source that writes it comes before the asset."""
_IN_THE_SAME_RUN = (POSITIONS, VALUATION)
"""Computed in the run that collected what they read; snapshots have a time of their own."""


def pnl_assets(buckets: Buckets, sources: Sequence[Source]) -> list[dg.AssetsDefinition]:
    """Make the assets of profit and loss, with a partition for each bucket of users where there are several.

    Args:
        buckets: Of users.
        sources: All there are; an asset depends on those that write the table it reads.
    """

    def read_by(asset: dg.AssetKey) -> list[dg.AssetKey]:
        return [asset_key(source) for source in sources if READS[asset] in source.tables]

    return [
        _positions(buckets, read_by(POSITIONS)),
        _valuation(buckets, [POSITIONS, *read_by(VALUATION)]),
        _snapshots(buckets, [POSITIONS, *read_by(SNAPSHOTS)]),
    ]


def computed_from(source: Source) -> list[dg.AssetKey]:
    """Return the assets to compute in the run that collected a source; empty if they don't depend on it."""
    return [asset for asset in _IN_THE_SAME_RUN if READS[asset] in source.tables]


def _positions(buckets: Buckets, deps: Sequence[dg.AssetKey]) -> dg.AssetsDefinition:
    checks = [
        dg.AssetCheckSpec(
            _CONSERVED, asset=POSITIONS, blocking=True, description="Every coin bought is matched or open. Units and money add up exactly."
        ),
        dg.AssetCheckSpec(_RESOLVED, asset=POSITIONS, description="No oversell, missing price or history, or duplicate fill is open."),
    ]

    @dg.asset(
        key=POSITIONS,
        deps=deps,
        group_name=_GROUP,
        kinds=_KINDS,
        owners=_OWNERS,
        tags=_TAGS,
        partitions_def=buckets.partitions,
        check_specs=checks,
    )
    def positions(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]
        """Match the sells of every user with new fills to lots, exactly; only changes are written.

        A run of one account computes its user. Users with an account that failed a blocking check wait until it passes. Methods:
        FIFO with fees capitalised, and every other method and policy that was used for the user with `omc pnl positions`.
        """
        with translate_failures():
            account = account_of_run(platform.database, context.run.tags) if buckets.partitions is None else None
            users = buckets.users_in([account.user_id] if account else users_with_fills(platform.database), context)
            stale = buckets.of_users_in(stale_users(platform.database), context)
            stale = [(user, basis) for user, basis in stale if account is None or user == account.user_id]
            runs, refused = _computed(platform.database, stale)
            held = buckets.of_users_in(users_with_positions(platform.database), context)
            held = [(user, kind) for user, kind in held if account is None or user == account.user_id]
            findings = [row for who, run in runs.items() for row in _findings(platform.database, *who, since_run=run.run_id)]
            findings += [row for who in _of_this_turn(held) for row in _findings(platform.database, *who)]
            waiting = red_exceptions(platform.database, list(users), limit=_SHOWN)
        return dg.MaterializeResult(
            metadata={
                "users": len(users),
                "computed": sum(not run.unchanged for run in runs.values()),
                "dagster/row_count": count_rows(platform.database, "position", [user for user, _ in held]),
                "matches_added": sum(run.matches for run in runs.values() if not run.unchanged),
                "exceptions": len(waiting),
            },
            check_results=[
                _result(_CONSERVED, not findings, "findings", map(str, findings)),
                _result(
                    _RESOLVED,
                    not waiting and not refused,
                    "exceptions",
                    [*refused, *(f"exception {row.exception_id}: {row.kind}" for row in waiting)],
                    dg.AssetCheckSeverity.WARN,  # one user's open question is no failure of the others' figures
                ),
            ],
        )

    return positions


def _computed(database: Database, stale: Sequence[tuple[str, Basis]]) -> tuple[dict[tuple[str, Kind], PositionsRun], list[str]]:
    """Compute each user, method and currency; if a user's policy refuses, the last run is kept, and others are not affected.

    Refusals are logged without the user, because Dagster's event log stays after a user is erased.
    """
    runs, refused = dict[tuple[str, Kind], PositionsRun](), list[str]()
    for user, basis in stale:
        policies = (basis.method, basis.fee_policy, basis.oversell_policy, basis.lot_policy)
        try:
            runs[user, Kind(basis.method, basis.currency)] = compute_positions(database, user, *policies, basis.currency)
        except BadInputError as error:
            log.warning("positions are not computed", user=user, method=basis.method, currency=basis.currency, reason=str(error))
            refused.append(f"a user's positions by {basis.method} in {basis.currency} were refused by their oversell policy")
    return runs, refused


def _findings(database: Database, user: str, kind: Kind, since_run: int | None = None) -> Sequence[Finding]:
    return conservation_findings(database, user, kind.method, since_run, kind.currency)


def _valuation(buckets: Buckets, deps: Sequence[dg.AssetKey]) -> dg.AssetsDefinition:
    identity = dg.AssetCheckSpec(
        _IDENTITY,
        asset=VALUATION,
        blocking=True,
        description="Profit and loss adds up to the last digit, also compared with the fills that the run used.",
    )

    @dg.asset(
        key=VALUATION,
        deps=deps,
        group_name=_GROUP,
        kinds=_KINDS,
        owners=_OWNERS,
        tags=_TAGS,
        partitions_def=buckets.partitions,
        check_specs=[identity],
    )
    def valuation(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]
        """Value open lots at the newest quotes, and check that realized and unrealized gains add up with cost, proceeds and value."""
        with translate_failures():
            held = buckets.of_users_in(users_with_positions(platform.database), context)
            for user, (method, currency) in held:
                value_positions(platform.database, user, utc_now(), method, currency)
            summaries = [summary(platform.database, user, method, currency) for user, (method, currency) in held]
            broken = [f"{found.method} {found.currency}" for found in summaries if not found.identity_holds]
            for user, kind in _of_this_turn(held):
                broken += [f"{' '.join(kind)} {coin}" for coin in broken_identities(platform.database, user, *kind)]
        return dg.MaterializeResult(
            metadata={"users": len({user for user, _ in held}), "summary": dg.MetadataValue.md(_table(summaries))},
            check_results=[_result(_IDENTITY, not broken, "broken_for", broken)],
        )

    return valuation


def _snapshots(buckets: Buckets, deps: Sequence[dg.AssetKey]) -> dg.AssetsDefinition:
    @dg.asset(
        key=SNAPSHOTS,
        deps=deps,
        group_name=_GROUP,
        kinds=_KINDS,
        owners=_OWNERS,
        tags=_TAGS,
        partitions_def=buckets.partitions,
    )
    def snapshots(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]
        """Write each position at the end of every past UTC day that is missing or was restated, valued at the day's last quote."""
        today = utc_now().astimezone(UTC).date()
        with translate_failures():
            held = buckets.of_users_in(users_with_positions(platform.database), context)
            written = [snapshot_positions(platform.database, user, today, *kind) for user, kind in held]
        return dg.MaterializeResult(
            metadata={
                "users": len({user for user, _ in held}),
                "dagster/row_count": count_rows(platform.database, "snapshot", [user for user, _ in held]),
                "added": sum(one.added for one in written),
                "restated": sum(one.restated for one in written),
            }
        )

    return snapshots


def _of_this_turn(held: Sequence[tuple[str, Kind]]) -> list[tuple[str, Kind]]:
    """Return the positions to check completely in this quarter of an hour, changed or not; all positions take turns."""
    turn = int(utc_now().timestamp()) // _TURN_S
    return [held[turn % len(held)]] if held else []


def _result(
    name: str, passed: bool, what: str, lines: Iterable[str], severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(check_name=name, passed=passed, severity=severity, metadata={what: "\n".join(lines) or "none"})


def _table(summaries: Sequence[Summary]) -> str:
    """Format the sums of all users by method and currency as Markdown; not by user, because Dagster keeps them after a user is erased.

    The last column counts fills that no run has used yet.
    """
    head = ["| method | currency | users | realized | unrealized | proceeds | value | cost | new fills |", "|-|-|-:|-:|-:|-:|-:|-:|-:|"]
    groups: dict[tuple[str, str], list[Summary]] = {}
    for one in summaries:
        groups.setdefault((one.method, one.currency), []).append(one)
    return "\n".join([*head, *(_sums(method, currency, groups[method, currency]) for method, currency in sorted(groups))])


def _sums(method: str, currency: str, group: Sequence[Summary]) -> str:
    columns = ("realized", "unrealized", "proceeds", "value", "cost")
    amounts = " | ".join(_shown([getattr(one, column) for one in group]) for column in columns)
    return f"| {method} | {escape_markdown(currency)} | {len(group)} | {amounts} | {sum(one.fills_since for one in group)} |"


def _shown(amounts: Sequence[Decimal | None]) -> str:
    """Format a sum of amounts, and the number of positions without an amount because a coin has no price."""
    known = [amount for amount in amounts if amount is not None]
    missing = len(amounts) - len(known)
    without = f"{missing} without a price" if missing else ""
    return ", ".join(part for part in (f"{sum(known, Decimal()):,.2f}" if known else "", without) if part)
