"""The page of checks: what each asks, its bounds, and what to do when it fails."""

from __future__ import annotations

from collections.abc import Iterator

from generator.page import code, prose, span, table
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.quality.check import Check
from omc_pipeline.quality.fold import folded_checks
from omc_pipeline.quality.suite import Suite, suite_of

HEAD = ("check", "severity", "passes when", "meaning", "what to do when it fails")


def block() -> str:
    """Return a section for each source and in it a table for each folded check."""
    parts: list[str] = []
    for name, source in sorted(discover_sources().items()):
        parts += [f"## {name}", f"Asset `{source.ledger}/{name.removeprefix(source.ledger + '_')}`.", *_sections(suite_of(source))]
    return "\n\n".join(parts)


def _sections(suite: Suite) -> Iterator[str]:
    by_name = {check.name: check for check in suite.checks}
    for folded in folded_checks(suite):
        blocking = " **Blocking**: what comes after it waits while one of its blocking checks fails." if folded.blocking else ""
        yield f"### {folded.name}"
        yield f"{folded.description}{blocking}"
        yield table(HEAD, [_row(by_name[name]) for name in folded.members])


def _row(check: Check) -> tuple[str, str, str, str, str]:
    severity = f"{check.severity}, blocking" if check.blocking else check.severity
    return code(check.name), severity, _bounds(check), prose(check.description), check.advice


def _bounds(check: Check) -> str:
    what = {"share": "share", "count": "number", "ratio": "value", "s": "age"}[check.unit]
    shown = span if check.unit == "s" else "{:g}".format
    if check.low is not None and check.high is not None:
        return f"{what} from {shown(check.low)} to {shown(check.high)}"
    return f"{what} at least {shown(check.low)}" if check.low is not None else f"{what} at most {shown(check.high or 0)}"
