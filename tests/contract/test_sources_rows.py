"""What is true of the rows of every source: keys are unique, and one bad row is refused alone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import defusedxml.ElementTree
import pytest

from omc_infra.errors import OmcError
from omc_infra.payload import Payload
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.parsing import ENDPOINT, parse_payload
from omc_pipeline.collection.source import Parsed, Source
from omc_pipeline.ledgers.table import key_of, row_digest

FIXTURES = Path(__file__).parent.parent / "fixtures"
FETCHED_AT = datetime(2026, 9, 21, 14, 35, 7, 123_456, tzinfo=UTC)
BAD = (None, 7, "x", [], {}, [[]], {"bad": {"deep": None}})
Steps = tuple[Any, ...]

every_source = pytest.mark.parametrize("source", discover_sources().values(), ids=lambda source: source.name)


def _samples(source: Source) -> Iterator[Payload]:
    for file in sorted((FIXTURES / source.name).iterdir()):
        context = {ENDPOINT: file.name.split(".")[0]}
        yield Payload(source.name, file.read_bytes(), FETCHED_AT, "", media_type=file.suffix[1:], context=context)


def _read(source: Source, sample: Payload, body: bytes) -> Parsed | None:
    try:
        return parse_payload(source, Payload(source.name, body, FETCHED_AT, "", context=sample.context))
    except OmcError:
        return None


def _facts(parsed: Parsed) -> Counter[tuple[str, str]]:
    return Counter((row.table.qualified, row_digest(row)) for row in parsed.rows)


@every_source
def test_no_two_rows_of_a_body_have_one_natural_key(source: Source) -> None:
    for sample in _samples(source):
        rows = source.parse(sample, source.config()).rows

        keys = Counter((row.table.qualified, key_of(row)) for row in rows)
        assert [key for key, times in keys.items() if times > 1] == [], sample.context


def _without(value: Any, steps: Steps) -> Any:
    """Return a copy of a document without the member that some steps lead to."""
    head, *rest = steps
    copy = dict(value) if isinstance(value, dict) else list(value)
    if rest:
        copy[head] = _without(copy[head], tuple(rest))
    else:
        del copy[head]
    return copy


def _with(value: Any, steps: Steps, new: Any) -> Any:
    head, *rest = steps
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[head] = _with(copy[head], tuple(rest), new) if rest else new
    return copy


def _members(value: Any, steps: Steps = ()) -> Iterator[Steps]:
    """Yield the way to each object or list that has siblings: a row, wherever rows are."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in children:
        if isinstance(child, (dict, list)):
            if len(value) > 1:
                yield (*steps, name)
            yield from _members(child, (*steps, name))


@every_source
def test_a_malformed_row_is_refused_and_its_neighbours_are_read(source: Source) -> None:
    tried = 0
    for sample in _samples(source):
        if sample.media_type != "json" or source.extra:  # a library reads its answers, each as a whole
            continue
        parsed = parse_payload(source, sample)
        whole, document = _facts(parsed), json.loads(sample.body)
        for steps in _members(document):
            neighbours = _read(source, sample, json.dumps(_without(document, steps)).encode())
            if neighbours is None or not neighbours.rows or not _facts(neighbours) < whole:
                continue  # no row of its own, or what all rows need
            for bad in BAD:
                if isinstance(bad, dict) and not bad and isinstance(document, dict) and len(steps) == 1:
                    continue  # an empty collection of rows
                found = _read(source, sample, json.dumps(_with(document, steps, bad)).encode())
                assert found is not None, (sample.context, steps, bad)
                assert not _facts(neighbours) - _facts(found), (sample.context, steps, bad)
                if isinstance(steps[-1], int):  # a member of an object may be absent, or empty
                    least = min(len(neighbours.rejected), len(parsed.rejected))
                    assert len(found.rejected) > least, (sample.context, steps, bad)
                tried += 1
    assert tried or all(sample.media_type != "json" for sample in _samples(source)) or source.name in SINGLE or source.extra


SINGLE = {"glass_chain", "human_sentiment", "catalyst_sec_edgar"}
"""Sources of which a sample tells one row, or whose JSON holds columns."""


@every_source
def test_a_malformed_element_of_a_feed_is_refused_and_its_neighbours_are_read(source: Source) -> None:
    tried = 0
    for sample in _samples(source):
        if sample.media_type != "xml":
            continue
        whole = _facts(parse_payload(source, sample))
        root = defusedxml.ElementTree.fromstring(sample.body)
        for parent in root.iter():
            for at, element in enumerate(list(parent)):
                parent.remove(element)
                neighbours = _read(source, sample, ET.tostring(root))
                if neighbours is not None and neighbours.rows and _facts(neighbours) < whole and len(element):
                    parent.insert(at, ET.Element(element.tag))
                    found = _read(source, sample, ET.tostring(root))
                    assert found is not None, (sample.context, element.tag)
                    assert not _facts(neighbours) - _facts(found), (sample.context, element.tag)
                    parent.remove(parent[at])
                    tried += 1
                parent.insert(at, element)
    assert tried or all(sample.media_type != "xml" for sample in _samples(source))
