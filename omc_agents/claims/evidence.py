"""One ledger row as an agent's session holds it: plain JSON values under a reference that names the row for good."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from omc_pipeline.ledgers.table import number_text

_REF_SAFE = ":+.-_"


@dataclass(frozen=True)
class Evidence:
    """A row and how it was found.

    Attributes:
        ref: ``<table>/<source>/<natural key>@<version>``; only characters that need no escaping in text.
        tool: Name of the tool that read it.
        row: The columns; decimals as exact strings, times as ISO 8601.
    """

    ref: str
    tool: str
    row: Mapping[str, Any]

    @property
    def table(self) -> str:
        """Schema and name of the table the row stands in."""
        return self.ref.partition("/")[0]

    @property
    def sha256(self) -> str:
        """Hex digest of the row's canonical JSON."""
        return canonical_sha256(self.row)


def ref_of(table: str, key: Sequence[object], version: object) -> str:
    """Return the reference of a row; parts of the key are percent-encoded, so that a hostile key can't carry text."""
    parts = "/".join(quote(str(json_value(part)), safe=_REF_SAFE)[:120] for part in key)
    return f"{table}/{parts}@{version}"


def json_value(value: object) -> Any:
    """Return a column's JSON form: decimals exact and without trailing zeros, times ISO 8601, the rest as it is."""
    if isinstance(value, Decimal):
        return number_text(value)
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def canonical_sha256(document: object) -> str:
    """Return a digest that two equal JSON documents share, whatever the order of their fields."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
