"""What tests of collecting share: a sandbox that can be told to fail, sources without patience, one value of the database."""

from __future__ import annotations

import dataclasses
import json
from typing import Any
from urllib.request import Request, urlopen

from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection.source import Source


def spoil(settings: Settings, upstream: str, kind: str, count: int = 1) -> None:
    """Let the next answers of an upstream be faults."""
    body = json.dumps({"upstream": upstream, "kind": kind, "count": count, "seconds": 0.1}).encode()
    urlopen(Request(f"{settings.sandbox_url}/_control/faults", body, {"Content-Type": "application/json"}), timeout=5).close()


def impatient(source: Source) -> Source:
    """Return a source that tries once and never waits."""
    assert source.policy is not None
    quick: dict[str, Any] = {"attempts": 1, "requests_per_s": 1_000.0, "burst": 100}
    others = {name: dataclasses.replace(policy, **quick) for name, policy in source.policy.others.items()}
    return dataclasses.replace(source, policy=dataclasses.replace(source.policy, others=others, **quick))


def one(database: Database, statement: str, *values: object) -> Any:
    """Return the first value of the first row, or None without rows."""
    with database.connect("reader") as connection:
        row = connection.execute(statement, values).fetchone()
    return row[0] if row else None
