"""``omc seed``: invented users, trades and quotes in a sandbox home."""

from __future__ import annotations

import re
from typing import Any

import click

from omc_infra.cli import emit, json_option
from omc_infra.clock import utc_now
from omc_infra.errors import BadInputError
from omc_infra.settings import load_settings
from omc_infra.terminal import say

_ROWS = re.compile(r"(\d{1,10})([kKmM]?)", re.ASCII)
_TIMES = {"": 1, "k": 1_000, "m": 1_000_000}
LEAST_ROWS, MOST_ROWS = 500, 1_000_000_000


class RowCount(click.ParamType[int]):
    """A number of rows: ``250000``, ``250k`` or ``10M``."""

    name = "rows"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        found = _ROWS.fullmatch(str(value))
        rows = int(found[1]) * _TIMES[found[2].lower()] if found else 0
        if not LEAST_ROWS <= rows <= MOST_ROWS:
            self.fail(f"{value!r} is not a number of rows from {LEAST_ROWS} to {MOST_ROWS:,}, such as 250k or 10M", param, ctx)
        return rows


@click.command(help="Fill the sandbox home with made-up users, fills, balances and quotes. Running it again adds nothing.")
@click.option(
    "--users",
    type=click.IntRange(1, 10_000),
    default=5,
    show_default=True,
    help="Number of users, named seed-1, seed-2, ...; each has one account.",
)
@click.option("--days", type=click.IntRange(1, 3_650), default=90, show_default=True, help="Number of days up to now.")
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), default=1, show_default=True, help="Random seed. The same seed creates the same rows."
)
@click.option(
    "--scale",
    type=RowCount(),
    metavar="ROWS",
    help="Instead of users and days: a number of quotes of 500 symbols, such as 10M, and a tenth as many fills.",
)
@click.option("--clear", is_flag=True, help="Remove all seeded rows, and everything computed from them.")
@json_option
def seed(users: int, days: int, seed: int, scale: int | None, clear: bool, as_json: bool) -> None:
    """Seed, or clear what was seeded."""
    from omc_infra.postgres.database import open_database
    from omc_pipeline.seeding import seed as seeding
    from omc_pipeline.seeding.bulk import seed_bulk

    if clear and scale is not None:
        raise BadInputError("--clear removes everything that was seeded; it can't be combined with --scale")
    settings = load_settings()
    seeding.refuse_live(settings.profile)
    with open_database(settings) as database:
        if clear:
            rows = seeding.clear(database)
        elif scale is not None:
            rows = seed_bulk(database, scale, days, seed, utc_now(), progress=lambda table, done: say(f"{table}: {done:,}", err=True))
        else:
            rows = seeding.seed_people(database, users, days, seed, utc_now())
    if as_json:
        emit({"profile": settings.profile, "removed" if clear else "added": dict(rows)})
        return
    for table, count in rows.items():
        say(f"{'removed' if clear else 'added'} {count:,} in {table}")
    if not any(rows.values()):
        say("nothing to remove" if clear else "nothing to add: it was seeded before")
