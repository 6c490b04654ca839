"""Write the generated blocks of the reference pages: ``make reference``.

A page is a file of ``docs/reference/`` with two marks; what stands outside of them is written by people. ``tests/contract`` fails where a
committed page differs from what the code says.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from generator import checks, commands, data_interface, dictionary, errors, settings, sources
from generator.database import TableFacts, new_database, read_tables
from generator.page import with_block

FOLDER = Path(__file__).parent / "reference"
FROM_CODE: Mapping[str, Callable[[], str]] = {
    "commands.md": commands.block,
    "settings.md": settings.block,
    "sources.md": sources.block,
    "checks.md": checks.block,
    "errors.md": errors.block,
    "agent-data-interface.md": data_interface.block,
}
"""Blocks that need no database."""
DICTIONARY = "data-dictionary.md"


def page(name: str, tables: Sequence[TableFacts] = ()) -> str:
    """Return a page as it should be; ``tables`` are needed for the data dictionary only."""
    block = dictionary.block(tables) if name == DICTIONARY else FROM_CODE[name]()
    return with_block((FOLDER / name).read_text(encoding="utf-8"), block)


def main() -> None:
    """Write every page that differs, and say which."""
    with new_database() as database:
        tables = read_tables(database)
    for name in [*FROM_CODE, DICTIONARY]:
        wanted = page(name, tables)
        if wanted != (FOLDER / name).read_text(encoding="utf-8"):
            (FOLDER / name).write_text(wanted, encoding="utf-8")
            sys.stdout.write(f"docs/reference/{name}: written\n")


if __name__ == "__main__":
    main()
