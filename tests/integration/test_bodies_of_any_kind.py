"""Bodies of any kind in a run: nothing crashes or hangs it, takes its memory, or costs a good row beside a bad one."""

from __future__ import annotations

import dataclasses
import itertools
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from omc_infra.errors import OmcError, PayloadChangedError
from omc_infra.payload import Payload
from omc_infra.postgres.database import Database
from omc_pipeline.collection.accounts import add_account
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.parsing import ENDPOINT, parse_payload
from omc_pipeline.collection.source import Parsed, Source
from omc_pipeline.collection.tally import Tally
from omc_pipeline.ledgers.raw import PostgresRawStore
from omc_pipeline.ledgers.table import key_of

FIXTURES = Path(__file__).parent.parent / "fixtures"
FETCHED_AT = datetime(2026, 9, 21, 14, 35, 7, 123_456, tzinfo=UTC)
SOURCES = discover_sources()
SECOND = itertools.count()
LONGEST_S = 20

a_text = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["🌱 E/ACC", "\u202eevil", "\x00", "\x1b[31m", "NaN", "1e400", "-0", "٣", "9" * 400, "<b>&amp;</b>", "2026-02-30", "A" * 5_000]
    ),
)
a_number = st.one_of(st.integers(), st.floats(), st.sampled_from([10**30, -(10**30), 10**400, 1e308, 5e-324, 253402300800, 2**63]))
a_value = st.recursive(
    st.one_of(st.none(), st.booleans(), a_number, a_text),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(a_text, inner, max_size=3)),
    max_leaves=6,
)
a_mutation = st.tuples(st.integers(0, 10_000), st.sampled_from(["drop", "replace", "add"]), a_value)


def _bodies(shared: Path | None) -> list[tuple[Source, str, bytes]]:
    """Return every sample body with its source and endpoint, and each recorded body with every source that reads rows from it."""
    found = [
        (source, file.name.split(".")[0], file.read_bytes())
        for source in SOURCES.values()
        for file in sorted((FIXTURES / source.name).iterdir())
    ]
    recorded = sorted(file for file in (shared / "payloads").rglob("*") if file.suffix in (".json", ".xml")) if shared else []
    for file, source in itertools.product(recorded, SOURCES.values()):
        body = file.read_bytes()
        try:
            if parse_payload(source, Payload(source.name, body, FETCHED_AT, "")).rows and len(body) < 200_000:
                found.append((source, source.endpoints[0].name, body))
        except OmcError:
            continue
    return found


@pytest.fixture(scope="module")
def bodies(shared: Path) -> list[tuple[Source, str, bytes]]:
    return _bodies(shared)


def _payload(source: Source, endpoint: str, body: bytes, user: str = "ada") -> Payload:
    whose = {"user_id": user, "account_id": f"{user}-{source.venue}"} if source.per_account else {}
    at = FETCHED_AT + timedelta(seconds=next(SECOND))
    return Payload(source.name, body, at, "https://example.org/", context={ENDPOINT: endpoint, **whose})


def _taken(database: Database, source: Source, payload: Payload) -> Tally:
    """Store a body and its rows as a run does; what is wrong with the body alone is kept in the tally."""
    with database.connect("writer") as connection:
        PostgresRawStore(connection).store(payload, etag=None, last_modified=None)
        tally, began = Tally(source), time.monotonic()
        tally.take(connection, payload, source.config())
    assert time.monotonic() - began < LONGEST_S
    return tally


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in children:
        yield (*path, name)
        yield from _paths(child, (*path, name))


def _mutated(document: Any, mutations: list[tuple[int, str, Any]]) -> Any:
    for place, how, value in mutations:
        paths = list(_paths(document))
        if not paths:
            return value
        *way, last = paths[place % len(paths)]
        holder = document
        for step in way:
            holder = holder[step]
        if how == "drop":
            del holder[last]
        elif how == "replace":
            holder[last] = value
        elif isinstance(holder, list):
            holder.insert(last, value)
        else:
            holder[str(value)[:50]] = value
    return document


def _body(document: Any) -> bytes:
    return json.dumps(document, default=str).encode("utf-8", "surrogatepass")


@pytest.fixture(scope="module", autouse=True)
def accounts(database: Database) -> None:
    with database.connect("writer") as connection:
        for user in ("ada", "eve"):
            add_account(connection, user, "coinspot", "exchange_coinspot_account", f"{user}-coinspot")


def _is_json(body: bytes) -> bool:
    return body.lstrip()[:1] in (b"{", b"[")


@pytest.mark.slow
@hypothesis.settings(max_examples=150, suppress_health_check=list(hypothesis.HealthCheck))
@hypothesis.given(data=st.data())
def test_a_body_that_is_mutated_anyhow_ends_in_rows_refused_rows_or_a_named_error(
    database: Database, bodies: list[tuple[Source, str, bytes]], data: st.DataObject
) -> None:
    source, endpoint, body = data.draw(st.sampled_from(bodies))
    if _is_json(body):
        body = _body(_mutated(json.loads(body), data.draw(st.lists(a_mutation, min_size=1, max_size=4))))
    for _ in range(data.draw(st.integers(0, 2))):
        at, new = data.draw(st.integers(0, max(1, len(body)))), data.draw(st.binary(max_size=4))
        body = body[:at] if data.draw(st.booleans()) else body[:at] + new + body[at + len(new) :]

    tally = _taken(database, source, _payload(source, endpoint, body))

    if tally.failure is not None:
        assert str(tally.failure).isprintable()
        assert "PostgreSQL refuses" not in str(tally.failure), tally.failure
    for reason, row in tally.refused:
        assert "\n" not in reason
        json.dumps(dict(row), default=str)


@pytest.fixture(scope="module")
def row_lists(bodies: list[tuple[Source, str, bytes]]) -> list[tuple[Source, str, bytes, tuple[Any, ...]]]:
    """Return the lists of rows within the bodies."""
    found = []
    for source, endpoint, body in bodies:
        document = json.loads(body) if _is_json(body) else None
        found += [(source, endpoint, body, path) for path in _paths(document) if _holds_rows(source, endpoint, document, path)]
    assert len(found) > 20
    return found


@pytest.mark.slow
@hypothesis.settings(max_examples=100, suppress_health_check=list(hypothesis.HealthCheck))
@hypothesis.given(data=st.data())
def test_a_bad_row_between_good_ones_costs_none_of_them(
    database: Database, row_lists: list[tuple[Source, str, bytes, tuple[Any, ...]]], data: st.DataObject
) -> None:
    source, endpoint, body, way = data.draw(st.sampled_from(row_lists))
    document = json.loads(body)
    rows = _at(document, way)
    bad = data.draw(st.one_of(a_value, st.sampled_from(rows).flatmap(_bent)))
    rows.insert(data.draw(st.sampled_from([0, len(rows)])), bad)
    payload = _payload(source, endpoint, _body(document), "eve")

    tally = _taken(database, source, payload)

    assert tally.failure is None, tally.failure
    good, found = (_keys(parse_payload(source, each)) for each in (dataclasses.replace(payload, body=body), payload))
    lost = good - found  # a bent copy that stands before its row, and has its key, is the one that counts
    assert sum(lost.values()) <= sum("twice" in reason for reason, _ in tally.refused), lost


def _keys(parsed: Parsed) -> Counter[tuple[Any, ...]]:
    return Counter((row.table.qualified, *key_of(row)) for row in parsed.rows)


def _bent(row: Any) -> st.SearchStrategy[Any]:
    """Return a copy of a row with one or two of its members changed; a copy of a good row would be one more of its key."""
    return st.lists(a_mutation, min_size=1, max_size=2).map(lambda mutations: _mutated(json.loads(json.dumps(row)), mutations))


def _at(document: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        document = document[step]
    return document


def _holds_rows(source: Source, endpoint: str, document: Any, path: tuple[Any, ...]) -> bool:
    """Return whether a list holds the rows of a body: more than one, and the body is still read where one is null."""
    rows = _at(document, path)
    if not isinstance(rows, list) or len(rows) < 2 or not all(isinstance(row, (dict, list)) for row in rows):
        return False
    kept = rows[:]
    try:
        rows[0] = None
        one_less = parse_payload(source, _payload(source, endpoint, _body(document)))
        rows[:] = kept
        whole = parse_payload(source, _payload(source, endpoint, _body(document)))
    except OmcError:
        return False
    finally:
        rows[:] = kept
    return 0 < len(one_less.rows) < len(whole.rows) and len(one_less.rejected) > len(whole.rejected)


HUGE = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from omc_infra.errors import OmcError
from omc_infra.payload import Payload
from omc_pipeline.collection.discovery import source_named
from omc_pipeline.collection.parsing import ENDPOINT, parse_payload
name, endpoint, head, item, tail, size = sys.argv[1:7]
parts = [head.encode(), (item.encode() * (int(size) // len(item) + 1))[: int(size)].rpartition(b",")[0], tail.encode()]
body = b"".join(parts)
began = time.monotonic()
try:
    parsed = parse_payload(source_named(name), Payload(name, body, datetime.now(UTC), "", context={ENDPOINT: endpoint}))
    told = f"{len(parsed.rows)} rows"
except OmcError as error:
    told = type(error).__name__
status = Path("/proc/self/status").read_text()  # a child's ru_maxrss begins with what its parent had
print(told, round(time.monotonic() - began), int(status.split("VmHWM:")[1].split()[0]) // 1024)
"""
FRAMES = {
    "human_fear_greed": ("index", '{"name":"Fear and Greed Index","metadata":{"error":null},"data":[', "]}"),
    "glass_defillama": ("protocols", "[", "]"),
    "human_reddit": ("posts", '{"kind":"Listing","data":{"children":[', "]}}"),
    "human_news": ("coindesk", '<rss version="2.0"><channel><title>t</title>', "</channel></rss>"),
    "glass_fx": ("rates", '<Envelope xmlns="http://www.gesmes.org/xml/2002-08-01"><Cube>', "</Cube></Envelope>"),
}
ITEMS = {
    "json": ("1.25,", '{"a":1.5},', '[1.5,"x"],', "{},", "[],", '"x",'),
    "xml": ("<a/>,", '<a b="c" d="e"/>,', "<item><title>x</title></item>,"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("size", [50_000_000, 11_900_000])
def test_a_huge_body_of_anything_takes_less_than_500_mb_and_no_minute(name: str, size: int) -> None:
    endpoint, head, tail = FRAMES[name]
    for item in ITEMS["xml" if head.startswith("<") else "json"]:
        told = subprocess.run(
            [sys.executable, "-c", HUGE, name, endpoint, head, item, tail, str(size)],
            capture_output=True,
            text=True,
            timeout=170,
            check=True,
        )
        outcome, seconds, megabytes = told.stdout.rsplit(maxsplit=2)
        assert int(megabytes) < 500, (item, told.stdout)
        assert int(seconds) < 60, (item, told.stdout)
        assert outcome in ("0 rows", PayloadChangedError.__name__) or "rows" in outcome, (item, told.stdout)
