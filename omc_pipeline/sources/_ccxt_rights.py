"""Rights of a key, if its venue reports them: a key that can trade or withdraw is refused before it is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from omc_infra.errors import AccessDeniedError, PayloadChangedError


@dataclass(frozen=True)
class Rights:
    """How a venue reports the rights of a key.

    Attributes:
        method: Of ccxt, by its implicit name; it takes no parameters.
        more_than_reading: Returns the rights that go beyond reading, given the answer; raises ``LookupError`` or ``TypeError`` for
            an answer of another shape.
    """

    method: str
    more_than_reading: Callable[[Any], list[str]]


def _kraken(answer: Any) -> list[str]:
    reading = {"query-funds", "query-open-trades", "query-closed-trades", "query-ledger", "export-data", "access-websockets"}
    return sorted(set(answer["result"]["permissions"]) - reading)


def _binance(answer: Any) -> list[str]:
    reading = {"enableReading", "enableFixReadOnly", "ipRestrict"}
    if "enableReading" not in answer:
        raise LookupError("enableReading")
    granted = {name for name, value in answer.items() if value is True or value == "true"}
    return sorted(name for name in granted - reading if name.startswith(("enable", "permits")))


def _bybit(answer: Any) -> list[str]:
    is_read_only = str(answer["result"]["readOnly"]) == "1"
    return [] if is_read_only else ["readOnly is 0"]


def _okx(answer: Any) -> list[str]:
    return sorted(set(answer["data"][0]["perm"].split(",")) - {"read_only"})


def _coinbase(answer: Any) -> list[str]:
    if "can_view" not in answer:
        raise LookupError("can_view")
    return [name for name in ("can_trade", "can_transfer") if answer[name] is True]


RIGHTS: Mapping[str, Rights] = {
    "kraken": Rights("private_post_getapikeyinfo", _kraken),
    "binance": Rights("sapi_get_account_apirestrictions", _binance),
    "bybit": Rights("private_get_v5_user_query_api", _bybit),
    "okx": Rights("private_get_account_config", _okx),
    "coinbase": Rights("v3_private_get_brokerage_key_permissions", _coinbase),
}


def require_read_only(venue: str, rights: Rights, answer: Any) -> None:
    """Raise if a key can do more than read.

    Raises:
        AccessDeniedError: It may; the message names its rights.
        PayloadChangedError: The answer is of another shape, so nobody knows what the key may do.
    """
    try:
        more = rights.more_than_reading(answer)
    except (LookupError, TypeError, AttributeError) as error:
        raise PayloadChangedError(
            f"the answer of {venue} about the rights of a key has another shape: {type(error).__name__} {error}"
        ) from error
    if more:
        raise AccessDeniedError(f"the key at {venue} can do more than read ({', '.join(more)}): create a read-only key and use it")
