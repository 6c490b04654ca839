"""What is true of every source, found as the platform finds it; a new file is held to all of this by being there."""

from __future__ import annotations

import csv
import dataclasses
import inspect
import itertools
import json
import re
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree as ET

import defusedxml.ElementTree
import pytest
from dagster import ScheduleDefinition, job, op
from dagster._utils.schedules import cron_string_iterator

from omc_infra.configuration import UnreadSection, load_configuration
from omc_infra.errors import ConfigurationError, OmcError
from omc_infra.payload import Payload
from omc_pipeline.collection.cadence import is_due
from omc_pipeline.collection.discovery import BrokenSource, discover, discover_sources, source_named
from omc_pipeline.collection.parsing import ENDPOINT, parse_payload
from omc_pipeline.collection.source import Parsed, Source
from omc_pipeline.definitions import build_definitions
from omc_pipeline.ledgers.table import LEDGERS, Row

FIXTURES = Path(__file__).parent.parent / "fixtures"
SOURCES = list(discover_sources().values())
FETCHED_AT = datetime(2026, 9, 21, 14, 35, 7, 123_456, tzinfo=UTC)
DOCSTRING_PARTS = ("Source:", "Shape:", "Units:", "Errors:")
KEYS = ("status", "message", "prices", "data", "metadata", "tvl", "coins", "protocols", "filings", "balances", "orders", "buyorders")
HOSTILE = {
    "empty": b"",
    "blank": b" \n ",
    "truncated": b'{"status": "ok", "prices": {"btc": {"bid": "1',
    "binary": bytes(range(256)) * 10,
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
    "deep list": b"[" * 100_000,
    "deep object": b'{"a":' * 100_000,
    "deep and closed": b"[" * 100_000 + b"]" * 100_000,
    "string": b'"ok"',
    "number": b"5",
    "huge number": b"9" * 100_000,
    "huge exponent": b"1e999999999",
    "null": b"null",
    "empty object": b"{}",
    "empty list": b"[]",
    "list of odds": b'[null, true, 1, "x", [], {}, 1e999999]',
    "html": b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>blocked</body></html>",
    "xml error": b'<?xml version="1.0"?><Error><Code>InternalError</Code><Message>We failed</Message></Error>',
    "entity bomb": b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><l>&b;</l>',
    "comments": b"<!---->" * 600,
    "50 MB": b'{"a": "' + b"x" * 50_000_000 + b'"}',
    "lone surrogate": b'{"status": "\\ud800", "message": "\\u0000", "name": "\\udfff", "data": "\\ud800"}',
    "every key wrong": json.dumps({key: [[[1]]] for key in KEYS}).encode(),
    "every key null": json.dumps(dict.fromkeys(KEYS)).encode(),
}

_DEMANDING = """
import dataclasses
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.sources.human_fear_greed import SOURCE as known

class Demanding(SourceConfig):
    coin: str

SOURCE = dataclasses.replace(known, name="human_broken", config=Demanding)
"""
_FOREIGN = """
import dataclasses
from omc_pipeline.sources.glass_defillama import SOURCE as known
SOURCE = dataclasses.replace(known, name="human_broken")
"""

every_source = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)


def _module(source: Source):  # type: ignore[no-untyped-def]
    return sys.modules[f"omc_pipeline.sources.{source.name}"]


def _samples(source: Source) -> Iterator[Payload]:
    """Yield the sample bodies of a source; a file is named after its endpoint: ``orders.json``, ``feed.empty.xml``."""
    for file in sorted((FIXTURES / source.name).iterdir()):
        yield Payload(
            source.name, file.read_bytes(), FETCHED_AT, "", media_type=file.suffix[1:], context={ENDPOINT: file.name.split(".")[0]}
        )


@every_source
def test_a_source_is_named_as_its_file_and_writes_to_the_ledger_of_its_name(source: Source) -> None:
    assert Path(_module(source).__file__).stem == source.name
    assert source.ledger in LEDGERS
    assert source.name.startswith(f"{source.ledger}_")
    assert {table.ledger for table in source.tables} == {source.ledger}
    assert len(set(source.tables)) == len(source.tables) > 0


@every_source
def test_a_source_says_in_its_docstring_where_what_in_which_units_and_what_goes_wrong(source: Source) -> None:
    documented = inspect.getdoc(_module(source)) or ""

    positions = [documented.find(f"\n{part}") for part in DOCSTRING_PARTS]
    assert -1 not in positions
    assert positions == sorted(positions)
    assert source.title
    assert source.homepage.startswith("https://")
    assert source.owners


@every_source
def test_an_endpoints_cadence_is_the_one_of_its_cron(source: Source) -> None:
    @op
    def nothing() -> None: ...

    @job
    def nowhere() -> None:
        nothing()

    for endpoint in source.endpoints:
        ScheduleDefinition(job=nowhere, cron_schedule=endpoint.cron, execution_timezone="UTC")
        ticks = list(itertools.islice(cron_string_iterator(FETCHED_AT.timestamp(), endpoint.cron, "UTC"), 200))
        gaps = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(ticks)]

        assert max(gaps) == endpoint.every_s
        assert all(is_due(endpoint.cron, tick) for tick in ticks)
        assert not any(is_due(endpoint.cron, tick + timedelta(minutes=1)) for tick in ticks) or endpoint.every_s == 60


@every_source
def test_a_source_asks_over_https_live_and_a_path_of_its_own_in_the_sandbox(source: Source) -> None:
    for host in (source.policy, *source.policy.others.values()) if source.policy else ():
        assert all(url.startswith("https://") for url in host.live_urls)
        assert host.sandbox_path.startswith("/")
        assert 0 < host.requests_per_s <= 10


@every_source
def test_a_source_has_sample_bodies_and_reads_rows_from_each(source: Source) -> None:
    samples = list(_samples(source))
    parsed = [parse_payload(source, payload) for payload in samples]

    missing = {endpoint.name for endpoint in source.endpoints} - {payload.context[ENDPOINT] for payload in samples}
    assert not missing, f"put small invented bodies into tests/fixtures/{source.name}/, each named after its endpoint"
    assert all(each.rows for each in parsed)
    assert {row.table for each in parsed for row in each.rows} == set(source.tables)


@every_source
def test_the_same_bytes_fetched_at_the_same_time_give_the_same_rows(source: Source) -> None:
    for payload in _samples(source):
        again = Payload(payload.source, bytes(payload.body), payload.fetched_at, "", context=payload.context)

        assert _json_value(parse_payload(source, payload)) == _json_value(parse_payload(source, again))


@every_source
def test_rows_hold_exact_numbers_and_times_in_utc_and_stay_readable_when_refused(source: Source) -> None:
    for payload in _samples(source):
        parsed = parse_payload(source, payload)

        for row in parsed.rows:
            for name in row.table.fields:
                _assert_sound(getattr(row, name), f"{source.name} {name}")
        for rejected in parsed.rejected:
            assert rejected.reason
            assert "\n" not in rejected.reason
            json.dumps(rejected.row)


@every_source
@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_body_gives_a_named_error_of_one_line_or_refused_rows_at_once(source: Source, body: bytes) -> None:
    started = time.monotonic()

    outcome = _outcome(source, body)

    assert time.monotonic() - started < 2
    if isinstance(outcome, Parsed):
        assert not outcome.rows
        assert outcome.rejected
    else:
        assert str(outcome).startswith(f"{source.name}: ")
        assert str(outcome).isprintable()
        assert len(str(outcome)) < 400


@every_source
def test_a_body_cut_or_garbled_anywhere_never_breaks_the_parser(source: Source) -> None:
    for payload in _samples(source):
        step = max(1, len(payload.body) // 60)
        for at in range(0, len(payload.body), step):
            garbled = payload.body[:at] + b"\x00" + payload.body[at + 1 :]
            for body in (payload.body[:at], garbled):
                outcome = _outcome(source, body)
                assert isinstance(outcome, Parsed) or str(outcome).isprintable()


@pytest.mark.slow
@every_source
def test_a_value_of_any_wrong_kind_anywhere_never_breaks_the_parser(source: Source) -> None:
    for payload in _samples(source):
        for body in BENT[payload.media_type](payload.body):
            outcome = _outcome(source, body)
            if not isinstance(outcome, Parsed):
                assert str(outcome).isprintable()
                continue
            for row in outcome.rows:
                for name in row.table.fields:
                    _assert_sound(getattr(row, name), f"{source.name} {name}")
            json.dumps([dict(rejected.row) for rejected in outcome.rejected], ensure_ascii=False).encode()


def test_every_file_of_the_folder_holds_a_source_that_loads() -> None:
    assert discover().broken == {}


def test_an_unknown_source_is_told_those_there_are() -> None:
    with pytest.raises(OmcError, match=r"no source 'nope'.*glass_defillama.*human_fear_greed"):
        source_named("nope")


def test_a_file_dropped_into_the_folder_is_found_without_being_listed(tmp_path: Path) -> None:
    here = Path(_module(SOURCES[0]).__file__)
    (tmp_path / "human_dropped.py").write_text(
        "import dataclasses\nfrom omc_pipeline.sources.human_fear_greed import SOURCE as known\n"
        "SOURCE = dataclasses.replace(known, name='human_dropped')\n"
    )
    (tmp_path / "notes.py").write_text("raise RuntimeError('not a source')")

    assert list(discover_sources(tmp_path)) == ["human_dropped"]
    assert list(discover(tmp_path).broken) == ["notes"]
    assert here.stem in discover_sources()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("import nothing_of_this_name", "can't be imported: ModuleNotFoundError"),
        ("SOURCE = (", "can't be imported: SyntaxError"),
        ("SOURCE = 1 + 'x'", "can't be imported: TypeError"),
        ("raise RuntimeError('two\\nlines')", "can't be imported: RuntimeError: two lines"),
        ("import os; open('/no/such/file')", "can't be imported: FileNotFoundError"),
        ("1 / 0", "can't be imported: ZeroDivisionError"),
        ("raise SystemExit(3)", "can't be imported: SystemExit"),
        ("VALUE = 1", "has no SOURCE"),
        ("SOURCE = 'x'", "has no SOURCE"),
        ("from omc_pipeline.sources.human_fear_greed import SOURCE", "not the file's name"),
        (_FOREIGN, "belong to glass"),
        (_DEMANDING, "coin has no default"),
    ],
)
def test_a_broken_source_stops_only_itself_and_is_named_with_its_error(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "human_broken.py").write_text(content)
    (tmp_path / "human_sound.py").write_text(
        "import dataclasses\nfrom omc_pipeline.sources.human_fear_greed import SOURCE as known\n"
        "SOURCE = dataclasses.replace(known, name='human_sound')\n"
    )

    found = discover(tmp_path)

    assert list(found.sources) == ["human_sound"]
    assert re.search(f"human_broken.py.*{said}", found.broken["human_broken"].reason)
    assert "\n" not in found.broken["human_broken"].reason
    assert found.broken["human_broken"].ledger == "human"
    with pytest.raises(ConfigurationError, match=f"human_broken.py.*{said}"):
        source_named("human_broken", tmp_path)


def test_the_section_of_a_broken_source_is_no_mistake_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "omc.toml").write_text("[sources.human_broken]\ncoins = [1, 2]\n")
    models = {"sources.human_broken": UnreadSection, "sources.human_fear_greed": SOURCES[-1].config}

    read = load_configuration({"OMC_HOME": str(tmp_path), "OMC_CONFIG": str(tmp_path / "omc.toml")}, models)

    assert read.section("sources.human_fear_greed") == SOURCES[-1].config()


@pytest.mark.parametrize("name", ["prices.py", "human_fear-greed.py", "binance_quotes.py"])
def test_a_file_whose_name_is_not_a_sources_is_named_and_not_passed_over(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("VALUE = 1")
    (tmp_path / "_part.py").write_text("VALUE = 1")

    assert [each.reason for each in discover(tmp_path).broken.values()] == [
        f"source {name}: the file of a source must be named <ledger>_<name>.py; <ledger> is one of glass, human, catalyst, exchange"
    ]


@pytest.mark.parametrize("name", [source.name for source in SOURCES])
def test_the_location_loads_whichever_source_is_broken_and_shows_it_with_its_error(name: str) -> None:
    sound = {source.name: source for source in SOURCES if source.name != name}
    broken = BrokenSource(name, next(s.ledger for s in SOURCES if s.name == name), f"source {name}.py can't be imported: SyntaxError")

    definitions = build_definitions(sound, broken=[broken])

    specs = {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}
    shown = specs[name.replace("_", "/", 1)]
    assert "SyntaxError" in str(shown.description)
    assert {each.replace("_", "/", 1) for each in sound} <= specs.keys()
    definitions.get_repository_def().load_all_definitions()
    result = definitions.resolve_job_def("report_broken_sources").execute_in_process(raise_on_error=False)
    assert not result.success


def test_a_source_that_dagster_refuses_is_shown_as_broken_and_stops_no_other() -> None:
    odd = dataclasses.replace(SOURCES[0], name=f"{SOURCES[0].ledger}_odd", owners=("not an owner",))

    definitions = build_definitions({source.name: source for source in (*SOURCES, odd)})

    shown = {spec.key.to_user_string(): str(spec.description) for spec in definitions.resolve_all_asset_specs()}
    assert "can't be built" in shown[odd.name.replace("_", "/", 1)].replace("\\", "")
    assert {source.name.replace("_", "/", 1) for source in SOURCES} <= shown.keys()


def _outcome(source: Source, body: bytes) -> Parsed | OmcError:
    try:
        return parse_payload(source, Payload(source.name, body, FETCHED_AT, ""))
    except OmcError as error:
        return error


def _json_value(parsed: Parsed) -> tuple[list[Row], list[object]]:
    return list(parsed.rows), [dataclasses.asdict(rejected) for rejected in parsed.rejected]


def _assert_sound(value: object, where: str) -> None:
    assert value is None or type(value) in (str, int, bool, Decimal, datetime, date), f"{where} is a {type(value).__name__}"
    if isinstance(value, Decimal):
        assert value.is_finite(), where
        assert abs(value) < Decimal(10) ** 20, where
        assert int(value.as_tuple().exponent) >= -18, where
    if isinstance(value, datetime):
        assert value.tzinfo is UTC, f"{where} is not in UTC"
    if isinstance(value, str):
        value.encode()
        assert "\x00" not in value, where


def _bent_json(body: bytes) -> Iterator[bytes]:
    """Yield the document once for each of its values and each wrong kind put in its place."""
    document = json.loads(body)
    wrongs = (
        "null",
        "true",
        "-1",
        "1e999999",
        "NaN",
        '"NaN"',
        '"\\u0000\\ud800"',
        "[]",
        "{}",
        "[[]]",
        '{"a": {}}',
        '""',
        '"' + "y" * 2_000 + '"',
    )
    for path in list(_paths(document)):
        for wrong in wrongs:
            yield json.dumps(_replaced(document, path, "@@wrong@@")).replace('"@@wrong@@"', wrong).encode()


def _paths(document: object, path: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    yield path
    children = document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    for name, child in children:
        yield from _paths(child, (*path, name))


def _replaced(document, path, new):  # type: ignore[no-untyped-def]
    if not path:
        return new
    copy = dict(document) if isinstance(document, dict) else list(document)
    copy[path[0]] = _replaced(copy[path[0]], path[1:], new)
    return copy


WRONG_TEXTS = ("", " ", "-1", "1e999999", "NaN", "9" * 300, "\x7f", "y" * 2_000, "\ud83d", "2026-99-99")


def _bent_xml(body: bytes) -> Iterator[bytes]:
    """Yield the document once for each of its texts and attributes with each wrong value in its place."""
    root = defusedxml.ElementTree.fromstring(body)
    for element in root.iter():
        for wrong in WRONG_TEXTS:
            kept, element.text = element.text, wrong.encode(errors="replace").decode()
            yield ET.tostring(root)
            element.text = kept
            for name, value in list(element.attrib.items()):
                element.attrib[name] = wrong.encode(errors="replace").decode()
                yield ET.tostring(root)
                element.attrib[name] = value


def _bent_csv(body: bytes) -> Iterator[bytes]:
    """Yield the rows once for each of their cells with each wrong value in its place."""
    rows = list(csv.reader(body.decode().splitlines()))
    for row in rows:
        for at, kept in enumerate(row):
            for wrong in WRONG_TEXTS:
                row[at] = wrong.encode(errors="replace").decode()
                yield "\n".join(",".join(cells) for cells in rows).encode()
            row[at] = kept


BENT = {
    "htm": lambda body: (body[::-1], body.replace(b"<", b"&lt;"), body.replace(b" ", b"\x00")),
    "json": _bent_json,
    "xml": _bent_xml,
    "csv": _bent_csv,
}
