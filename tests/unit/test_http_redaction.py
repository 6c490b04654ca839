"""Secrets are cut out in every spelling, and what is left is still what it was."""

from __future__ import annotations

import html
import json
import sys
from typing import NoReturn
from urllib.parse import quote, quote_plus

import pytest
from dagster._utils.error import serializable_error_info_from_exc_info
from hypothesis import given
from hypothesis import strategies as st

from omc_infra.errors import AccessDeniedError, PayloadChangedError
from omc_infra.http import Redactor

KEY = "k3y/of+fourteen"
AWKWARD = 'a"b\\c/d e&f<ü>%g'
SECRETS = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=6, max_size=30).filter(lambda text: text == text.strip())


def spelled(secret: str) -> list[str]:
    return [
        secret,
        quote(secret, safe=""),
        quote(secret),
        quote(quote(secret, safe=""), safe=""),
        quote_plus(secret),
        quote(secret, safe="").lower() if secret.islower() else quote(secret, safe=""),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        json.dumps(secret)[1:-1].replace("/", "\\/"),
        json.dumps(secret)[1:-1].replace("&", "\\u0026").replace("<", "\\u003C"),
        html.escape(secret),
    ]


@pytest.mark.parametrize("spelling", [spelling for secret in (KEY, AWKWARD) for spelling in spelled(secret)])
def test_a_secret_is_cut_out_in_every_usual_spelling(spelling: str) -> None:
    redactor = Redactor([KEY, AWKWARD])

    assert redactor.text(f"<{spelling}>") == "<[redacted]>"
    assert redactor.body(f"<{spelling}>".encode()) == b"<[redacted]>"


@given(SECRETS)
def test_any_secret_is_cut_out_of_a_json_text_which_stays_valid(secret: str) -> None:
    document = {"message": f"key {secret} is wrong", "n": 1, secret: [secret]}
    redactor = Redactor([secret])

    for text in (json.dumps(document), json.dumps(document, ensure_ascii=False)):
        cut = json.loads(redactor.body(text.encode()))

        if not secret.isdecimal():
            assert cut["message"] == "key [redacted] is wrong"
        assert secret not in cut
        assert cut["n"] == 1


def test_a_secret_number_becomes_zero_and_other_numbers_stay() -> None:
    redactor = Redactor(["123456"])
    body = b'{"id": 123456, "price": 0.123456, "big": 91234567, "exact": 123456.5, "text": "key 123456 is wrong"}'

    assert json.loads(redactor.body(body)) == {"id": 0, "price": 0.123456, "big": 91234567, "exact": 123456.5, "text": "key 0 is wrong"}


def test_a_secret_that_contains_another_goes_whole() -> None:
    assert Redactor(["secret-1", "secret-1-and-more"]).text("x secret-1-and-more x secret-1 x") == "x [redacted] x [redacted] x"


def test_what_is_learned_is_cut_out_from_then_on() -> None:
    redactor = Redactor()
    before = redactor.body(b"t0ken-of-the-run")

    redactor.learn("t0ken-of-the-run", "")

    assert (before, redactor.body(b"t0ken-of-the-run")) == (b"t0ken-of-the-run", b"[redacted]")


def test_a_document_is_cleaned_wherever_it_holds_a_text() -> None:
    row = {"note": [f"x {KEY}", {"deep": (KEY, 5, None)}], KEY: True}

    assert Redactor([KEY]).document(row) == {"note": ["x [redacted]", {"deep": ["[redacted]", 5, None]}], "[redacted]": True}


def test_a_parameter_that_holds_a_secret_is_cut_out_of_a_text_and_not_of_a_body() -> None:
    redactor = Redactor((), ["sid"])

    assert redactor.text("https://x/y?sid=whatever&a=1") == "https://x/y?sid=[redacted]&a=1"
    assert redactor.body(b"https://x/y?sid=whatever&a=1") == b"https://x/y?sid=whatever&a=1"


def test_a_failure_as_dagster_serializes_it_holds_no_secret_in_any_of_its_causes() -> None:
    caught = _caught()

    cleaned = Redactor([KEY]).failure(caught)

    assert cleaned is caught
    details = str(serializable_error_info_from_exc_info((type(cleaned), cleaned, cleaned.__traceback__)))  # type: ignore[arg-type] # it has one
    assert KEY not in details
    assert details.count("[redacted]") >= 4
    assert "LookupError: no [redacted]" in details
    assert "test_http_redaction.py" in details


def test_an_exception_of_a_library_is_replaced_where_its_message_holds_a_secret() -> None:
    clean, telling = ValueError("fine"), ValueError(f"no {KEY}")
    redactor = Redactor([KEY])

    assert redactor.failure(clean) is clean
    assert str(redactor.failure(telling)) == "ValueError: no [redacted]"


def _caught() -> Exception:
    try:
        try:
            try:
                _fail(LookupError(f"no {KEY}"))
            except LookupError:
                _fail(ValueError(f"illegal header {KEY}"))
        except ValueError as error:
            raise PayloadChangedError(f"changed {KEY}") from error
    except PayloadChangedError as error:
        try:
            _fail(AccessDeniedError(f"refused {KEY}"), error)
        except AccessDeniedError as last:
            return last


def _fail(error: Exception, cause: Exception | None = None) -> NoReturn:
    if cause is None:
        raise error
    raise error from cause


def test_looking_for_secrets_in_a_large_body_takes_no_time_that_counts() -> None:
    import time

    body = json.dumps([{"slug": f"protocol-{n}", "tvl": n * 1.5, "k": "k3"} for n in range(200_000)]).encode()
    redactor = Redactor([KEY, AWKWARD, "another-one-of-them"])
    start = time.process_time()

    assert redactor.body(body) == body

    assert time.process_time() - start < 1
    assert sys.getsizeof(body) > 8_000_000
