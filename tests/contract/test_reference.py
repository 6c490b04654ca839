"""The reference says what the code does: each page is generated, each thing in it is described."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args, get_type_hints

import click
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))

import generate
from generator.commands import ARGUMENTS, leaves
from generator.database import read_tables, undescribed
from generator.errors import error_classes

from omc_agents.models.options import SCRIPTED, AgentsSection
from omc_infra.cli import root
from omc_infra.postgres.comments import contributed_comments
from omc_infra.postgres.database import Database
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.ledgers.comments import LEDGER_TABLES
from omc_pipeline.ledgers.descriptions import field_descriptions, table_description
from omc_pipeline.ledgers.table import LedgerTable
from omc_pipeline.quality.suite import suite_of

STALE = "is not what the code says: run `make reference` and commit the page"
every_ledger_table = pytest.mark.parametrize("table", LEDGER_TABLES, ids=lambda table: table.qualified)


@pytest.mark.parametrize("name", generate.FROM_CODE)
def test_a_page_of_the_reference_is_what_the_code_says(name: str) -> None:
    assert generate.page(name) == (generate.FOLDER / name).read_text(encoding="utf-8"), f"docs/reference/{name} {STALE}"


def test_the_data_dictionary_is_what_the_database_says(database: Database) -> None:
    committed = (generate.FOLDER / generate.DICTIONARY).read_text(encoding="utf-8")

    assert generate.page(generate.DICTIONARY, read_tables(database)) == committed, f"docs/reference/{generate.DICTIONARY} {STALE}"


def test_every_table_and_column_has_a_comment(database: Database) -> None:
    assert undescribed(read_tables(database)) == [], "add them to the comments.toml beside the migrations, or to the row type"


def test_no_comment_is_of_a_table_or_column_that_does_not_exist(database: Database) -> None:
    tables = read_tables(database)
    known = {table.qualified for table in tables} | {f"{table.qualified}.{column.name}" for table in tables for column in table.columns}

    assert {name for storey in contributed_comments() for name in storey.named} - known == set()


@every_ledger_table
def test_the_docstring_of_a_row_type_describes_each_of_its_fields(table: LedgerTable) -> None:
    described = field_descriptions(table.row)

    assert tuple(described) == table.fields, "the Attributes section names each field, in their order"
    assert all(each.text.endswith(".") for each in described.values())
    assert table_description(table.row).endswith(".")


@every_ledger_table
def test_every_amount_has_a_unit(table: LedgerTable) -> None:
    hints = get_type_hints(table.row)

    without = [
        name for name, each in field_descriptions(table.row).items() if Decimal in (hints[name], *get_args(hints[name])) and not each.unit
    ]

    assert without == []


def test_every_check_says_what_to_do_when_it_fails() -> None:
    silent = {check.name for source in discover_sources().values() for check in suite_of(source).checks if not check.advice.endswith(".")}

    assert silent == set()


def test_every_error_says_what_it_means_and_what_to_do() -> None:
    silent = [kind.__name__ for kind in error_classes() if not (inspect.getdoc(kind) and str(vars(kind).get("advice", "")).endswith("."))]

    assert silent == [], "each needs an `advice` of its own"


def test_every_option_and_argument_of_every_command_has_a_meaning() -> None:
    silent = []
    for path, command, context in leaves(root, click.Context(root, info_name="omc")):
        for parameter in command.params:
            is_choice = isinstance(parameter.type, click.Choice)
            name = parameter.human_readable_name.upper() if is_choice else parameter.make_metavar(context).strip("[]")
            has_meaning = bool(parameter.help) if isinstance(parameter, click.Option) else name in ARGUMENTS
            if not has_meaning:
                silent.append(f"{path} {name}")

    assert silent == []


def test_a_command_that_may_end_with_one_says_when() -> None:
    silent = []
    for path, command, _ in leaves(root, click.Context(root, info_name="omc")):
        body = inspect.getsource(inspect.unwrap(command.callback)) if command.callback else ""
        if "Exit(1)" in body and "Exit code 1: " not in (command.epilog or ""):
            silent.append(path)

    assert silent == []


def test_the_readme_says_that_rules_stand_for_a_model_as_long_as_they_do() -> None:
    readme = (generate.FOLDER.parents[1] / "README.md").read_text(encoding="utf-8")

    assert AgentsSection().names == (SCRIPTED,), "a model is asked by default: the README says that none is"
    assert "**No language model is called unless you choose one**" in readme
    assert "`omc_agents/models/scripted.py`" in readme


def test_the_readme_links_every_page_that_a_user_needs() -> None:
    docs = generate.FOLDER.parent
    readme = (docs.parent / "README.md").read_text(encoding="utf-8")
    pages = [page for folder in ("tutorial", "how-to", "reference") for page in (docs / folder).glob("*.md")]

    assert [page.name for page in pages if f"(docs/{page.relative_to(docs)})" not in readme] == []


def _glossary() -> Mapping[str, str]:
    page = (generate.FOLDER / "glossary.md").read_text(encoding="utf-8")
    return {word: module for word, module in re.findall(r"^\| ([^|]+) \| .+ \| `([\w.]+)` \|$", page, re.MULTILINE) if word != "word"}


@pytest.mark.parametrize(("word", "module"), _glossary().items())
def test_a_word_of_the_glossary_lives_in_a_module_that_exists(word: str, module: str) -> None:
    assert importlib.util.find_spec(module) is not None, word


def test_the_glossary_is_sorted_and_complete_in_each_row() -> None:
    page = (generate.FOLDER / "glossary.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ")][1:]

    words: list[Any] = list(_glossary())

    assert len(rows) == len(words), "each row names a module in backticks"
    assert words == sorted(words, key=str.lower)
