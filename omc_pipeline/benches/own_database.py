"""A database of a bench's own, on an embedded server in a temporary folder, which keeps its promises to the disk."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from omc_infra.settings import load_settings

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database


@contextmanager
def bench_database() -> Iterator[Database]:
    """Open a migrated database that ends with the block."""
    from omc_infra.postgres.database import open_database
    from omc_infra.postgres.migrate import migrate

    with (
        TemporaryDirectory(prefix="omc-bench-") as home,
        open_database(load_settings({"OMC_HOME": str(Path(home))}), check=False) as database,
    ):
        migrate(database)
        yield database


def peak_mb() -> float:
    """Return the most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
