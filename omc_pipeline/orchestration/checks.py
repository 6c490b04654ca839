"""The checks of a source's asset: its suite, evaluated by Great Expectations, folded into one check per table and dimension."""

from collections.abc import Iterator

import dagster as dg

from omc_infra.clock import utc_now
from omc_pipeline.collection.source import Source
from omc_pipeline.orchestration.accounts import account_of_run, judge_account
from omc_pipeline.orchestration.collection import asset_key
from omc_pipeline.orchestration.failures import translate_failures
from omc_pipeline.orchestration.resources import Platform
from omc_pipeline.quality.fold import FoldedOutcome, fold, folded_checks
from omc_pipeline.quality.report import CheckOutcome
from omc_pipeline.quality.run import run_source_checks
from omc_pipeline.quality.suite import suite_of

_COLUMNS = dg.TableSchema(
    [
        dg.TableColumn("expectation"),
        dg.TableColumn("verdict"),
        dg.TableColumn("severity"),
        dg.TableColumn("score", "float"),
        dg.TableColumn("observed"),
        dg.TableColumn("expected"),
        dg.TableColumn("rows", "int"),
        dg.TableColumn("examples"),
        dg.TableColumn("meaning"),
        dg.TableColumn("what to do"),
    ]
)


def collection_checks(source: Source) -> dg.AssetChecksDefinition:
    """Create the checks of one source's asset: one per table and dimension, and one for the whole source.

    A check is blocking if one of its expectations is. It is an error, which stops downstream assets, only if a blocking
    expectation failed, and a warning otherwise.
    """
    suite = suite_of(source)

    @dg.multi_asset_check(
        name=f"{source.name}_suite",
        specs=[
            dg.AssetCheckSpec(
                name=check.name,
                asset=asset_key(source),
                description=check.description,
                blocking=check.blocking,
                metadata={"expectations": len(check.members), **({"dimension": check.dimension} if check.dimension else {})},
            )
            for check in folded_checks(suite)
        ],
        can_subset=True,
    )
    def judged(context: dg.AssetCheckExecutionContext, platform: Platform) -> Iterator[dg.AssetCheckResult]:
        wanted = {key.name for key in context.selected_asset_check_keys}
        with translate_failures():
            account = account_of_run(platform.database, context.run.tags) if source.per_account else None
            outcomes = run_source_checks(platform.database, source, utc_now(), account_id=account.account_id if account else None)
            if account is not None:
                judge_account(platform.database, account, outcomes)
        for folded in fold(suite, outcomes):
            if folded.check.name in wanted:
                yield check_result(source, folded)

    return judged


def check_result(source: Source, folded: FoldedOutcome) -> dg.AssetCheckResult:
    """Return Dagster's result of a folded check: a sentence, the number of failures, and a table of the expectations."""
    metadata: dict[str, dg.MetadataValue] = {
        "failed": dg.MetadataValue.int(len(folded.failed)),
        "expectations": dg.MetadataValue.table([_record(outcome) for outcome in folded.outcomes], _COLUMNS),
    }
    if folded.score is not None:
        metadata["lowest_score"] = dg.MetadataValue.float(folded.score)
    return dg.AssetCheckResult(
        asset_key=asset_key(source),
        check_name=folded.check.name,
        passed=folded.passed,
        severity=dg.AssetCheckSeverity.ERROR if folded.is_error else dg.AssetCheckSeverity.WARN,
        description=_sentence(folded),
        metadata=metadata,
    )


def _sentence(folded: FoldedOutcome) -> str:
    if folded.passed:
        return f"{len(folded.outcomes)} expectations hold."
    return "; ".join(f"{outcome.name}: {outcome.observed or 'nothing'} instead of {outcome.expected}" for outcome in folded.failed)


def _record(outcome: CheckOutcome) -> dg.TableRecord:
    verdict = "failed" if not outcome.passed else "holds" if outcome.judged else "nothing to judge"
    return dg.TableRecord(
        {
            "expectation": outcome.name,
            "verdict": verdict,
            "severity": f"{outcome.severity}, blocking" if outcome.blocking else outcome.severity,
            "score": outcome.score if outcome.judged else None,
            "observed": outcome.observed or "",
            "expected": outcome.expected,
            "rows": outcome.rows,
            "examples": "; ".join(outcome.examples),
            "meaning": outcome.description,
            "what to do": "" if outcome.passed else outcome.advice,
        }
    )
