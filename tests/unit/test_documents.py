"""Documents: passages as a person reads them, facts that rules find, and the verifier that refuses what the words don't bear."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omc_pipeline.documents.fact import DocumentFact
from omc_pipeline.documents.passage import Document
from omc_pipeline.documents.reader import MOST_BYTES, UnreadableDocumentError, read_document
from omc_pipeline.documents.rules import extract
from omc_pipeline.documents.verify import accepted, refusal

FIXTURES = Path(__file__).parents[1] / "fixtures" / "documents"
NAMES = sorted(path.name.removesuffix(".facts.json") for path in FIXTURES.glob("*.facts.json"))


def document(name: str) -> Document:
    return read_document((FIXTURES / name).read_bytes())


def labelled(folder: Path, name: str) -> list[DocumentFact]:
    facts: list[dict[str, Any]] = json.loads((folder / f"{name}.facts.json").read_text())["facts"]
    return [_fact(each) for each in facts]


def _fact(each: dict[str, Any]) -> DocumentFact:
    return DocumentFact(
        each["kind"], each["subject"], each["value"], each["unit"], 0, each["literal"], each.get("period", ""), each.get("modality"),
        bool(each.get("negated")),
    )  # fmt: skip


def _core(fact: DocumentFact) -> tuple[str, str, str, str, str, str | None]:
    return fact.kind, fact.subject, fact.value, fact.unit, fact.period, fact.modality


@pytest.mark.parametrize("name", NAMES)
def test_rules_find_the_facts_of_a_document_and_no_others(name: str) -> None:
    read = document(name)

    assert {_core(fact) for fact in accepted(extract(read), read)} == {_core(fact) for fact in labelled(FIXTURES, name)}


@pytest.mark.parametrize("name", NAMES)
def test_the_verifier_accepts_every_labelled_fact(name: str) -> None:
    read = document(name)

    assert {fact.kind: refusal(fact, read) for fact in labelled(FIXTURES, name)} == dict.fromkeys(
        fact.kind for fact in labelled(FIXTURES, name)
    )


def mutations(fact: DocumentFact, others: list[DocumentFact]) -> Iterator[DocumentFact]:
    value = Decimal(fact.value)
    yield replace(fact, value=f"{value * 1000:f}")
    yield replace(fact, value=f"{value / 1000:f}")
    yield replace(fact, value=f"{-value:f}")
    yield replace(fact, subject="ETH", unit=fact.unit.replace("BTC", "ETH"))
    yield replace(fact, period="2029-01-01/2029-01-07" if "/" in fact.period else "as of 2029-01-07")
    if fact.modality is None:
        yield replace(fact, modality="proposed")
    for other in others:
        if other.value != fact.value:
            yield replace(fact, value=other.value)
            if other.kind.split("_")[0] != fact.kind.split("_")[0]:
                yield replace(fact, value=other.value, literal=other.literal)
        if other.kind != fact.kind and other.unit != fact.unit:
            yield replace(fact, kind=other.kind)


def test_the_verifier_refuses_what_was_changed() -> None:
    tried, passed = 0, list[tuple[DocumentFact, DocumentFact]]()
    for name in NAMES:
        read, facts = document(name), labelled(FIXTURES, name)
        for fact in facts:
            for mutation in mutations(fact, facts):
                tried += 1
                if refusal(mutation, read) is None:
                    passed.append((fact, mutation))

    assert tried > 300
    assert len(passed) <= 0.01 * tried, passed


def test_a_number_with_a_mark_of_its_own_is_no_number_of_another_unit() -> None:
    read = read_document(b"<p>In May 2031 Example Corp mined bitcoins at 38.6 EH/s and repurchased 10.9% of its outstanding shares.</p>")
    mined = DocumentFact("coins_mined", "BTC", "38.6", "BTC", 0, "mined bitcoins at 38.6 EH/s", "2031-05")
    shares = DocumentFact(
        "shares_repurchased", "Example Corp", "10.9", "shares", 0, "repurchased 10.9% of its outstanding shares", "2031-05"
    )

    assert refusal(mined, read) == "it is a hash rate there"
    assert refusal(shares, read) == "it is a share in percent there"


def test_the_real_documents_keep_their_figures(shared: Path) -> None:
    folder = shared / "documents"
    facts = [(path, _fact(each)) for path in sorted(folder.glob("*/*.facts.json")) for each in _facts_in(path)]
    read = {path: read_document(path.with_name(path.name.removesuffix(".facts.json")).read_bytes()) for path, _ in facts}

    refused = [(path.name, fact, reason) for path, fact in facts if (reason := refusal(fact, read[path]))]
    mutated = [
        (path, replace(fact, value=f"{Decimal(fact.value) * 1000:f}"))
        for path, fact in facts
        if fact.unit == "USD" and " " not in fact.value
    ]

    assert len(refused) <= 0.03 * len(facts), refused
    assert [fact for path, fact in mutated if refusal(fact, read[path]) is None] == []


def _facts_in(path: Path) -> list[dict[str, Any]]:
    found: Any = json.loads(path.read_text())
    return list(found["facts"] if isinstance(found, dict) else found)


def test_a_word_that_tags_split_is_whole_and_hidden_parts_are_left_out() -> None:
    text = " ".join(passage.text for passage in document("purchase.htm").passages)

    assert "approximately 1,250 bitcoins" in text
    assert "hidden" not in text
    assert "ignored" not in text


def test_deep_nesting_and_broken_markup_are_read() -> None:
    assert read_document(b"<div>" * 5000 + b"deep" + b"</div>" * 4000).passages[0].text == "deep"
    assert [passage.text for passage in read_document(b"<p>one<p>two <table><tr><td>three").passages] == ["one", "two", "three"]


@pytest.mark.parametrize("body", [b"%PDF-1.7 ...", b"PK\x03\x04....", b"", b"   \n ", b"<html></html>", b"x" * (MOST_BYTES + 1)])
def test_what_is_no_document_is_refused_with_one_line(body: bytes) -> None:
    with pytest.raises(UnreadableDocumentError) as refused:
        read_document(body)

    assert "\n" not in str(refused.value)


@given(st.binary(max_size=400))
def test_no_bytes_break_the_reader(noise: bytes) -> None:
    for body in (noise, b"<html><body><table><tr><td>" + noise + b"</td></tr></table>"):
        try:
            read = read_document(body)
        except UnreadableDocumentError:
            continue
        accepted(extract(read), read)


def test_shuffled_digits_are_no_facts() -> None:
    chosen = random.Random(7)
    for name in NAMES:
        body = (FIXTURES / name).read_text()
        shuffled = "".join(chosen.choice("0123456789") if letter.isdigit() else letter for letter in body)
        read = read_document(shuffled.encode())
        assert all(refusal(fact, read) is None for fact in accepted(extract(read), read))


def test_the_command_prints_facts_without_a_database(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).parent / "omc"), "documents", "read", str(FIXTURES / "sale.htm"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env={"OMC_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}, check=True)
    printed = json.loads(done.stdout)

    assert printed["passages"] == 3
    assert printed["facts"][0] == {
        "kind": "coins_sold",
        "subject": "BTC",
        "value": "310",
        "unit": "BTC",
        "period": "2031-05-09",
        "passage": 2,
        "literal": "sold approximately 310 bitcoins",
    }
    assert list(tmp_path.iterdir()) == []
