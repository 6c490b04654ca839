"""``omc quality``: run the suites now; scores a ledger and dimension, failing checks, open alerts; of a named ledger, every check."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from omc_infra.cli import emit, json_option
from omc_infra.clock import utc_now
from omc_infra.errors import BadInputError
from omc_infra.settings import Settings, load_settings
from omc_infra.terminal import open_console, say
from omc_pipeline.ledgers.table import LEDGERS, LedgerName
from omc_pipeline.quality.check import DIMENSIONS

if TYPE_CHECKING:
    from rich.table import Table

    from omc_pipeline.quality import CheckOutcome, QualityReport


@click.command(epilog="Exit code 1: an alert is open.")
@click.argument("ledger", required=False, type=click.Choice(LEDGERS))
@click.option(
    "--explain", "check", metavar="CHECK", help="Explain a check instead: what it says, its SQL, its newest result, failing rows."
)
@click.option("--source", metavar="SOURCE", help="With `--explain`: the check of this source only.")
@json_option
def quality(ledger: LedgerName | None, check: str | None, source: str | None, as_json: bool) -> None:
    """Show the scores of all ledgers, or all checks of one ledger."""
    from omc_infra.postgres.database import open_database
    from omc_pipeline.collection.discovery import discover
    from omc_pipeline.quality.run import run_suites

    settings = load_settings()
    if check is not None:
        return _explain(settings, check, ledger, source, as_json=as_json)
    if source is not None:
        raise BadInputError("--source is used with --explain only")
    with open_database(settings) as database:
        found, asked = discover(), (ledger,) if ledger else LEDGERS
        report = run_suites(database, list(found.sources.values()), settings, utc_now(), asked, list(found.broken.values()))
    if as_json:
        emit(report.as_document())
    else:
        _print(report, settings.profile, every_check=ledger is not None)
    if report.alerts:
        raise click.exceptions.Exit(1)
    return None


def _explain(settings: Settings, check: str, ledger: LedgerName | None, source: str | None, *, as_json: bool) -> None:
    from omc_infra.postgres.database import open_database
    from omc_pipeline.collection.discovery import discover
    from omc_pipeline.quality.explain import asked_checks, explained

    found = asked_checks(discover().sources.values(), check, ledger, source)
    with open_database(settings) as database:
        explanations = explained(database, found, utc_now())
    if as_json:
        emit({"checks": [each.as_document() for each in explanations]})
        return
    for each in explanations:
        say("\n".join(each.lines()))


def _print(report: QualityReport, profile: str, *, every_check: bool) -> None:
    from omc_infra.tables import print_rows

    console = open_console()
    console.print(_scores(report, profile))
    for ledger in report.ledgers.values() if every_check else ():
        for dimension in DIMENSIONS:
            found = [check for check in ledger.checks if check.dimension == dimension]
            print_rows(console, [_checked(check) for check in found], f"{dimension} · {len(found)} checks")
    failing = _failing(report)
    if failing.row_count:
        console.print(failing)
    for alert in report.alerts:
        console.print(
            f"alert: {alert.ledger} {alert.dimension} {alert.score:.3f}, below {alert.threshold:g}, open since {alert.opened_at:%F %T}Z"
        )
    causes = sorted({cause for alert in report.alerts for cause in alert.causes})
    if causes:
        console.print(f"alerts {', '.join(map(str, causes))} say why and what to do: omc alerts list")


def _checked(check: CheckOutcome) -> dict[str, str]:
    observed = "nothing to judge" if check.observed is None else check.observed
    return {
        "source": check.source,
        "check": check.name,
        "passed": "yes" if check.passed else "NO",
        "observed": observed,
        "expected": check.expected,
    }


def _scores(report: QualityReport, profile: str) -> Table:
    from rich.table import Table

    table = Table("ledger", "completeness", "timeliness", "accuracy", "overall", "mean", title=f"quality · {profile}")
    for name, ledger in report.ledgers.items():
        scores = ledger.scores.as_document() if ledger.scores else {}
        table.add_row(name, *(f"{score:.3f}" for score in scores.values()) if scores else ["not configured"])
    return table


def _failing(report: QualityReport) -> Table:
    from rich.table import Table

    table = Table("source", "check", "severity", "observed", "expected", "for example", title="failing checks")
    for ledger in report.ledgers.values():
        for check in ledger.checks:
            if not check.passed:
                observed = "nothing to judge" if check.observed is None else check.observed
                table.add_row(check.source, check.name, check.severity, observed, check.expected, "\n".join(check.examples))
    return table
