"""Where a database is, and what is said when it can't be reached."""

from __future__ import annotations

import psycopg
import pytest

from omc_infra.errors import ConfigurationError, DatabaseUnavailableError
from omc_infra.postgres.address import Address, refusal


def test_a_url_is_read_with_its_escapes_and_options() -> None:
    address = Address.parse("postgresql://ad%40min:p%2Fw@db.example:6000/crypto?sslmode=require")

    assert (address.host, address.port, address.database) == ("db.example", 6000, "crypto")
    assert (address.user, address.password, address.options) == ("ad@min", "p/w", {"sslmode": "require"})


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:s3cr@et@host/db", "postgresql://u:1:s3cret@host:s3cret/db", "postgresql://host/db", "postgresql://u:s3cret@a,b/db"],
)
def test_a_malformed_url_is_refused_in_one_line_that_shows_no_part_of_it(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Address.parse(url)

    assert "s3cr" not in str(refused.value)
    assert "OMC_DATABASE_URL" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_address_shows_no_password() -> None:
    address = Address.parse("postgresql://u:s3cret@host/db")

    assert "s3cret" not in f"{address} {address!r}"


def test_urls_carry_driver_options_and_a_connect_timeout() -> None:
    address = Address.parse("postgresql://u:p@host:6000/db?sslmode=require")

    url = address.url("r", "x y", "psycopg2", {"options": "-csearch_path=dagster"}).render_as_string(hide_password=False)

    assert url == "postgresql+psycopg2://r:x y@host:6000/db?connect_timeout=5&options=-csearch_path%3Ddagster&sslmode=require"


def test_the_folder_of_a_unix_socket_goes_into_the_query() -> None:
    address = Address.parse("postgresql://u:p@%2Fsrv%2Fsockets:6000/db")

    url = address.url("u", "p", "", {}).render_as_string(hide_password=False)

    assert psycopg.conninfo.conninfo_to_dict(url)["host"] == "/srv/sockets"
    assert psycopg.conninfo.conninfo_to_dict(url)["port"] == "6000"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ('FATAL:  password authentication failed for user "u"', "login"),
        ('FATAL:  role "u" does not exist', "login"),
        ('FATAL:  database "d" does not exist', "database"),
        ('FATAL:  permission denied for database "d"', "rights"),
        ("FATAL:  the database system is starting up", "waking"),
        ("Connection refused", "unreachable"),
    ],
)
def test_the_reason_of_a_refused_connection_is_read_from_its_words(words: str, why: str) -> None:
    assert refusal(psycopg.OperationalError(f'connection failed: connection to server at "h", port 1 failed: {words}')) == why


def test_an_unreachable_server_is_retryable_and_a_refused_login_is_not() -> None:
    address = Address.parse("postgresql://u:s3cret@host:6000/db")

    unreachable = address.failure(psycopg.OperationalError("connection failed: server said s3cret\n\tIs it running?"), "u")
    refused = address.failure(psycopg.OperationalError('FATAL:  password authentication failed for user "u"'), "u")

    assert isinstance(unreachable, DatabaseUnavailableError)
    assert isinstance(refused, ConfigurationError)
    assert str(unreachable) == "OMC_DATABASE_URL: host:6000 does not answer: server said [redacted]"
