"""Reads the rows of one call, and finds out why there are none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from omc_agents.claims.evidence import Evidence
from omc_agents.mcp_server.pages import Part
from omc_agents.mcp_server.rows import Seen, seen
from omc_agents.tools.toolbox import Toolbox, evidence_of
from omc_pipeline.ledgers.read import LedgerReader, Record
from omc_pipeline.ledgers.table import LedgerTable


@dataclass(frozen=True)
class Reading:
    """What the tools read with: the toolbox of agents, and the ledgers themselves; both at one knowledge time, for one user."""

    box: Toolbox
    tool: str

    @cached_property
    def ledgers(self) -> LedgerReader:
        """The ledgers as the agent role sees them."""
        return LedgerReader(self.box.engine, as_of=self.box.as_of, user_id=self.box.user_id, session_token=self.box.token)

    @cached_property
    def scores(self) -> dict[str, float]:
        """The newest score of each ledger."""
        return {row.row["ledger"]: float(row.row["overall_score"]) for row in self.box.get_ledger_quality()}

    def rows(self, table: LedgerTable, what: str, since: datetime | None = None, **equals: Any) -> Part:
        """Return a part of the newest rows of a table, as ``LedgerReader.rows`` has them."""
        return Part(
            lambda most: self.of(table, self.ledgers.rows(table, since=since, limit=most, **equals)),
            lambda: self._why_none(table, what, since, equals),
        )

    def latest(self, table: LedgerTable, what: str, read: Callable[[], Sequence[Record]], **equals: Any) -> Part:
        """Return a part of the rows that a function reads from a table."""
        return Part(lambda _most: self.of(table, read()), lambda: self._why_none(table, what, None, equals))

    def found(self, read: Callable[[], Sequence[Evidence]], why_none: str) -> Part:
        """Return a part of what a tool of the agents finds."""
        return Part(lambda _most: [seen(row) for row in read()], lambda: why_none)

    def of(self, table: LedgerTable, rows: Sequence[Record]) -> list[Seen]:
        """Return rows of a table as they are shown, each once."""
        return list({each.ref: each for each in (seen(evidence_of(table, row, self.tool)) for row in rows)}.values())

    def _why_none(self, table: LedgerTable, what: str, since: datetime | None, equals: dict[str, Any]) -> str:
        known = f"as of {self.box.as_of.isoformat()}"
        if since is not None and (older := self.ledgers.rows(table, limit=1, **equals)):
            return f"of {what}, because the newest is of {older[0][table.clock].isoformat()}, before {since.isoformat()}"
        if self.ledgers.rows(table, limit=1):
            return f"of {what}, because {table.qualified} holds others, but none of it, {known}"
        return (
            f"of {what}, because {table.qualified} holds nothing {known}: its sources are not configured, or had not been collected;"
            " `omc sources list` shows them"
        )
