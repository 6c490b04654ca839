"""Keys of answers: which vanished, are new, or hold another type than in the answers of the day before.

Keys are read from the bodies of the raw store when they are judged; those of one body are read once a process.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import zstandard
from sqlalchemy import Connection, text

from omc_pipeline.quality.check import Check

LARGEST_BODY = 1_000_000
REFERENCES = 4
"""Earlier answers that must agree on a key before it is missed."""
DYNAMIC = 20
"""An object of more keys than these holds data by name."""
_SHOWN = 5

_ANSWERS = text("""
SELECT endpoints.endpoint, newest.sha, newest.request, older.shas
FROM (SELECT DISTINCT endpoint FROM collection.state WHERE source = :source UNION SELECT NULL) AS endpoints
CROSS JOIN LATERAL (
    SELECT f.payload_sha256 AS sha, f.request_sha256 AS request FROM raw.fetch AS f
    WHERE f.source = :source AND f.status = 200 AND f.fetched_at <= CAST(:now AS timestamptz)
        AND f.fetched_at > CAST(:now AS timestamptz) - interval '26 h' AND f.context ->> 'endpoint' IS NOT DISTINCT FROM endpoints.endpoint
    ORDER BY f.fetched_at DESC LIMIT 1) AS newest
CROSS JOIN LATERAL (
    SELECT array_agg(DISTINCT sha) AS shas FROM (
        SELECT f.payload_sha256 AS sha FROM raw.fetch AS f
        WHERE f.source = :source AND f.status = 200 AND f.fetched_at > CAST(:now AS timestamptz) - interval '26 h'
            AND f.fetched_at < CAST(:now AS timestamptz) - CAST(:apart_s AS float8) * interval '1 s'
            AND f.context ->> 'endpoint' IS NOT DISTINCT FROM endpoints.endpoint AND f.request_sha256 = newest.request
        ORDER BY f.fetched_at DESC LIMIT :references) AS shas) AS older
WHERE older.shas IS NOT NULL
""")
_BODY = text("SELECT body, size_bytes FROM raw.payload WHERE sha256 = :sha AND size_bytes <= :largest")


@dataclass(frozen=True)
class KeyChanges:
    """What changed in the keys of a source's answers; None where there was nothing to compare."""

    gone: tuple[str, ...] | None
    new: tuple[str, ...] | None

    @property
    def bound(self) -> dict[str, list[str] | None]:
        """What the statements bind."""
        return {"keys_gone": None if self.gone is None else list(self.gone), "keys_new": None if self.new is None else list(self.new)}


def payload_checks() -> Iterator[Check]:
    """Yield the checks of a source's keys; their facts are bound by ``key_changes``."""
    yield Check(
        "payload_keys", "accuracy", "critical", "No key of the answers has vanished or holds another type.", unit="count", high=0,
        fact="cardinality(CAST(:keys_gone AS text[]))", failing="SELECT unnest(CAST(:keys_gone AS text[]))", needs_rows=False,
        advice="The upstream has changed its format. Compare the newest body in `raw.payload` with one of yesterday, correct the "
        "parser and run `omc replay`. If nothing reads the key, nothing: the check holds again after a day.",
    )  # fmt: skip
    yield Check(
        "payload_new_keys", "accuracy", "info", "The answers have no new key.", unit="count", high=0,
        fact="cardinality(CAST(:keys_new AS text[]))", failing="SELECT unnest(CAST(:keys_new AS text[]))", needs_rows=False,
        advice="Read the upstream's documentation: the key may replace one that is read, or hold what was wanted. The check holds "
        "again after a day.",
    )  # fmt: skip


def key_changes(connection: Connection, source: str, every_s: int, now: datetime) -> KeyChanges:
    """Compare the keys of each endpoint's newest answer with those of earlier answers to the same request.

    Earlier is an hour, or six cadences where that is longer, so that a change stays visible for a day.
    """
    bound = {"source": source, "now": now, "apart_s": max(3600, 6 * every_s), "references": REFERENCES}
    gone, new, is_judged = list[str](), list[str](), False
    for endpoint, sha, _, older in connection.execute(_ANSWERS, bound):
        if older == [sha]:
            is_judged = True
            continue
        now_has = _keys(connection, sha)
        had = [keys for keys in (_keys(connection, each) for each in older) if keys]
        if not now_has or not had:
            continue
        is_judged = True
        always = [path for path in had[0] if all(path in keys for keys in had)]
        gone += [f"{endpoint or source}: {path} vanished" for path in always if path not in now_has]
        gone += [
            f"{endpoint or source}: {path} was {' or '.join(sorted(had[0][path]))}, is {' or '.join(sorted(now_has[path]))}"
            for path in always
            if path in now_has and now_has[path] and _types(had, path) and not now_has[path] & _types(had, path)
        ]
        new += [f"{endpoint or source}: {path}" for path in now_has if not any(path in keys for keys in had)]
    return KeyChanges(tuple(gone[:_SHOWN]), tuple(new[:_SHOWN])) if is_judged else KeyChanges(None, None)


def _types(had: list[Mapping[str, frozenset[str]]], path: str) -> frozenset[str]:
    return frozenset().union(*(keys[path] for keys in had))


def _keys(connection: Connection, sha: str) -> Mapping[str, frozenset[str]]:
    if sha not in _KNOWN:
        row = connection.execute(_BODY, {"sha": sha, "largest": LARGEST_BODY}).one_or_none()
        if len(_KNOWN) > _MOST_KNOWN:
            _KNOWN.clear()
        _KNOWN[sha] = keys_of(_unpacked(bytes(row[0]), row[1])) if row and row[0] is not None else {}
    return _KNOWN[sha]


_MOST_KNOWN = 500
_KNOWN: dict[str, Mapping[str, frozenset[str]]] = {}


def _unpacked(body: bytes, size_bytes: int) -> bytes:
    try:
        return zstandard.ZstdDecompressor().decompress(body, max_output_size=size_bytes)
    except zstandard.ZstdError:  # it lies elsewhere, or was damaged, which is not asked here
        return b""


def keys_of(body: bytes) -> Mapping[str, frozenset[str]]:
    """Return the types by path of a JSON body, such as ``data[].price``; empty for a body that is no JSON.

    Types are ``object``, ``list``, ``text``, ``number``, ``boolean``; null is none. The names in an object that holds data by name
        are ``*``.
    """
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    found: dict[str, set[str]] = {}
    _collect(document, "", found)
    return {path: frozenset(types) for path, types in found.items() if path}


def _collect(value: Any, path: str, found: dict[str, set[str]]) -> None:
    types = found.setdefault(path, set())
    if isinstance(value, dict):
        types.add("object")
        holds_data = _holds_data(value)
        for name, inner in value.items():
            _collect(inner, f"{path}.*" if holds_data else f"{path}.{name}".lstrip("."), found)
    elif isinstance(value, list):
        types.add("list")
        for inner in value:
            _collect(inner, f"{path}[]", found)
    elif value is not None:
        types.add("boolean" if isinstance(value, bool) else "number" if isinstance(value, (int, float)) else "text")


def _holds_data(value: dict[str, Any]) -> bool:
    """Tell whether an object's keys are data: there are many, they are no names of fields, or the values are alike."""
    if len(value) > DYNAMIC or any(not name.isidentifier() for name in value):
        return True
    if len(value) < 2 or not all(isinstance(inner, dict) and inner for inner in value.values()):
        return False
    every = set().union(*value.values())
    return all(2 * len(inner) >= len(every) for inner in value.values())
