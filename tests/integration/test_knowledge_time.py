"""What was known at a time is the same whenever it is asked, while eight writers write: of every ledger table and every agents' tool."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

sys.path.insert(0, str(Path(__file__).parent))

from knowledge_load import ROWS, TABLES, TOOLS, Step, changed_answers, hard, plans

from omc_agents.tools.toolbox import Toolbox
from omc_infra.postgres.database import Database
from omc_pipeline.ledgers.knowledge import advance_watermarks
from omc_pipeline.ledgers.read import LedgerReader
from omc_pipeline.ledgers.table import LEDGERS


def test_every_ledger_has_tables_in_this_test() -> None:
    assert {name.partition(".")[0] for name in TABLES} == set(LEDGERS)
    assert set(ROWS) == set(TABLES)


@pytest.mark.slow
@given(plan=plans)
@hard
def test_a_ledger_read_as_of_a_time_gives_the_same_rows_ever_after(database: Database, plan: list[list[Step]]) -> None:
    def read(as_of: datetime, table: str) -> Sequence[Any]:
        return LedgerReader(database.engine("reader"), as_of=as_of).rows(TABLES[table])

    assert changed_answers(database, plan, read, list(TABLES)) == []


@pytest.mark.slow
@given(plan=plans)
@hard
def test_watermarks_that_move_meanwhile_change_no_answer(database: Database, plan: list[list[Step]]) -> None:
    def read(as_of: datetime, table: str) -> Sequence[Any]:
        return LedgerReader(database.engine("reader"), as_of=as_of).rows(TABLES[table])

    def advance() -> None:
        with database.connect("writer") as connection:
            advance_watermarks(connection)

    assert changed_answers(database, plan, read, list(TABLES), advance) == []


@pytest.mark.slow
@given(plan=plans)
@hard
def test_an_agents_tool_as_of_a_time_gives_the_same_rows_ever_after(database: Database, plan: list[list[Step]]) -> None:
    def read(as_of: datetime, tool: str) -> Sequence[Any]:
        return TOOLS[tool](Toolbox(database.engine("agent"), as_of, "ada"))

    assert changed_answers(database, plan, read, list(TOOLS)) == []
