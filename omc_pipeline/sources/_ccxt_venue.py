"""Venues in ccxt, without network access: their hosts, keys and errors, and facts that ccxt doesn't have.

Importing this module imports no ccxt, which takes 0.3 s and 76 MB; the functions do.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import localcontext
from functools import lru_cache, wraps
from importlib.util import find_spec
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

from omc_infra.errors import (
    AccessDeniedError,
    BadInputError,
    OmcError,
    RateLimitedError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)
from omc_infra.http import HostPolicy, SignedRequest
from omc_pipeline.collection.body import one_line
from omc_pipeline.sources._ccxt_rights import RIGHTS, Rights

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
EXTRA = "ccxt"
"""The optional dependency, ``omc[ccxt]``."""

_KEY_NAMES = {"apiKey": "", "secret": "_secret", "password": "_password", "uid": "_uid"}
"""Credentials of ccxt by the ending of their key's name; a venue that demands others has no key that can only read."""
_PLACEHOLDER = "A" * 88
"""Stands for a key where a request is only spelled, not sent."""
_FASTEST = 2.0
_BANNED = 418
_BAN_S = 300.0


@dataclass(frozen=True)
class Traits:
    """Facts of a venue that ccxt's unified methods don't define.

    Attributes:
        asks_by_market: Its trades are told a market at a time only.
        pages_by_offset: A page of trades is asked for by the number of rows to leave out, else by the time of the last one.
        page_rows: Rows of a full page of trades.
        most_days: Longest span that its transfers can be asked for.
        numbers_all_trades: No two trades have one id, whatever their market.
        movements: Methods that tell what came and went, in place of deposits and withdrawals.
        rights: How it tells what a key may do; None: it doesn't.
        shapes: By method, the key that an answer holds, empty for a list; a body of another shape is no answer to it.
        rows: By method, the keys that lead to the rows of an answer.
        codes: Names of currencies that ccxt learns from the network only.
    """

    asks_by_market: bool = False
    pages_by_offset: bool = False
    page_rows: int = 100
    most_days: int | None = None
    numbers_all_trades: bool = False
    movements: tuple[str, ...] = ("fetch_deposits", "fetch_withdrawals")
    rights: Rights | None = None
    shapes: Mapping[str, str] | None = None
    rows: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    codes: Mapping[str, str] | None = None


_LEGACY = {f"X{code}": ours for code, ours in {"XBT": "BTC", "XDG": "DOGE"}.items()} | {
    f"X{code}": code for code in ("ETH", "ETC", "LTC", "MLN", "REP", "XLM", "XMR", "XRP", "ZEC")
} | {f"Z{code}": code for code in ("AUD", "CAD", "EUR", "GBP", "JPY", "USD")}  # fmt: skip
"""Kraken's four-letter codes of its first currencies; it makes no new ones."""

TRAITS: Mapping[str, Traits] = {
    "kraken": Traits(
        pages_by_offset=True,
        page_rows=50,
        numbers_all_trades=True,
        movements=("fetch_ledger",),
        shapes={"fetch_my_trades": "result", "fetch_ledger": "result", "fetch_balance": "result"},
        rows={"fetch_my_trades": ("result", "trades"), "fetch_ledger": ("result", "ledger")},
        codes=_LEGACY,
    ),
    "binance": Traits(
        asks_by_market=True,
        page_rows=1000,
        most_days=90,
        shapes={"fetch_my_trades": "", "fetch_deposits": "", "fetch_withdrawals": "", "fetch_balance": "balances"},
        rows={"fetch_my_trades": (), "fetch_deposits": (), "fetch_withdrawals": (), "fetch_balance": ("balances",)},
    ),
}


def with_own_decimals(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Let a function that calls ccxt keep its decimal context to itself: ccxt changes the rounding of the whole thread."""

    @wraps(function)
    def called(*arguments: Arguments.args, **named: Arguments.kwargs) -> Result:
        with localcontext():
            return function(*arguments, **named)

    return called


def is_installed() -> bool:
    """Return whether the extra is installed."""
    return find_spec("ccxt") is not None


def knows(venue: str) -> bool:
    """Return whether accounts at a venue can be read: ccxt knows it, it uses API keys, and it has fills and balances."""
    return is_installed() and _exchange_class(venue) is not None and _is_readable(venue)


@lru_cache
def _is_readable(venue: str) -> bool:
    exchange = shared_exchange(venue)
    demanded = {name for name, is_needed in exchange.requiredCredentials.items() if is_needed}
    return demanded <= _KEY_NAMES.keys() and bool(exchange.has["fetchMyTrades"]) and bool(exchange.has["fetchBalance"])


def traits(venue: str) -> Traits:
    """Return what OMC knows about a venue in addition to ccxt."""
    return replace(TRAITS.get(venue, Traits()), rights=RIGHTS.get(venue))


def key_names(venue: str) -> dict[str, str]:
    """Return the names of a venue's keys by their names in ccxt: ``{"apiKey": "kraken", "secret": "kraken_secret"}``."""
    demanded = shared_exchange(venue).requiredCredentials
    return {name: f"{venue}{ending}" for name, ending in _KEY_NAMES.items() if demanded.get(name)}


@lru_cache
def shared_exchange(venue: str) -> Any:
    """Return the exchange of ccxt, which sends nothing and holds no key; shared, so nothing of it may be changed.

    Raises:
        BadInputError: ccxt knows no venue of that name.
    """
    return made(venue, _refuse)


Ask = Callable[[str, str, str, Mapping[str, Any]], Any]
"""Send what ccxt asks for (path, section of the API, HTTP method, parameters), and return the document of the answer."""


def made(venue: str, ask: Ask) -> Any:
    """Make an exchange of ccxt that asks through ``ask`` alone; numbers are texts, and no row it can't read stops the others.

    Its attribute ``unread`` lists those rows with the reason.

    Raises:
        BadInputError: ccxt knows no venue of that name.
    """
    found = _exchange_class(venue)
    if found is None:
        raise BadInputError(f"ccxt knows no venue '{venue}'")
    exchange = type("Reading", (_Reading, found), {})({"enableRateLimit": False, "number": str})
    exchange.ask = ask
    exchange.unread = []
    exchange.given_nonce = 0
    exchange.options["fetchMarkets"] = {"types": ["spot"]} if venue == "binance" else exchange.options.get("fetchMarkets")
    exchange.options |= {"fetchCurrencies": venue != "binance", "fetchMargins": False, "adjustForTimeDifference": False}
    return exchange


class _Reading:
    """What an exchange of ccxt does otherwise here."""

    ask: Ask
    unread: list[tuple[str, Any]]
    given_nonce: int

    def fetch2(self, path: str, api: Any = "public", method: str = "GET", params: Any = None, config: Any = None) -> Any:
        return self.ask(path, api[0] if isinstance(api, list) else api, method, params or {})

    def fetch(self, *_args: Any, **_named: Any) -> Any:
        raise UpstreamRefusedError("ccxt tried to use the network directly")

    def nonce(self) -> int:
        return self.given_nonce

    def base64_to_binary(self, text: str) -> bytes:
        """Decode what can be decoded: a mistyped secret is refused by the venue, not by an exception that shows it."""
        letters = "".join(c for c in text if c.isascii() and (c.isalnum() or c in "+/"))
        return base64.b64decode(letters[: len(letters) // 4 * 4])

    def parse_trades(self, trades: Any, market: Any = None, since: Any = None, limit: Any = None, params: Any = None) -> list[Any]:
        return self._each(trades, lambda trade: self.parse_trade(trade, market))  # type: ignore[attr-defined]

    def parse_transactions(self, rows: Any, currency: Any = None, since: Any = None, limit: Any = None, params: Any = None) -> list[Any]:
        return self._each(rows, lambda row: {**self.parse_transaction(row, currency), **(params or {})})  # type: ignore[attr-defined]

    def parse_transactions_by_type(self, kind: str, rows: Any, code: Any = None, since: Any = None, limit: Any = None) -> list[Any]:
        return self._each(rows, lambda row: self.parse_transaction({"type": kind, **row}))  # type: ignore[attr-defined]

    def parse_ledger(self, rows: Any, currency: Any = None, since: Any = None, limit: Any = None, params: Any = None) -> list[Any]:
        return self._each(rows, lambda row: self.parse_ledger_entry(row, currency))  # type: ignore[attr-defined]

    def safe_balance(self, balance: Any) -> Any:
        return balance

    def _each(self, rows: Any, read: Callable[[Any], Any]) -> list[Any]:
        found = []
        for row in rows.values() if isinstance(rows, dict) else rows or ():
            try:
                found.append(read(row))
            except Exception as error:  # noqa: BLE001 what ccxt's parsers raise on a strange row has no common base
                self.unread.append((f"ccxt can't read it: {type(error).__name__}: {one_line(str(error))}", row))
        return found


@with_own_decimals
def spelled(exchange: Any, asked: tuple[str, str, str, Mapping[str, Any]], credentials: Mapping[str, str], nonce: int) -> Mapping[str, Any]:
    """Return what ccxt makes of a request: ``url``, ``method``, ``headers`` and ``body``, signed where it has to be.

    Args:
        exchange: Of ``made``; it holds the credentials only while this runs.
        asked: As ``Ask`` receives it.
        credentials: By their names in ccxt; where one is missing, something stands in for it.
        nonce: Or the timestamp in milliseconds.
    """
    path, api, method, params = asked
    names = [name for name in _KEY_NAMES if exchange.requiredCredentials.get(name)]
    for name in names:
        setattr(exchange, name, credentials.get(name, _PLACEHOLDER))
    exchange.given_nonce = nonce
    try:
        request: Mapping[str, Any] = exchange.sign(path, [api], method, dict(params))
        return request
    finally:
        for name in names:
            setattr(exchange, name, "")


@lru_cache
def policy_of(venue: str) -> HostPolicy:
    """Return the host policy of a venue; further hosts have their own names."""
    exchange = shared_exchange(venue)
    origins = list(dict.fromkeys(_origin(url, exchange) for url in _texts(exchange.urls["api"])))
    main = _origin(next(_texts(exchange.urls["api"].get("private", exchange.urls["api"]))), exchange)
    first = HostPolicy(
        live_urls=(main,),
        sandbox_path=f"/{venue}",
        requests_per_s=min(_FASTEST, 1000 / max(float(exchange.rateLimit), 1)),
        burst=2,
        group=venue,
        auth=SignedRequest(tuple(key_names(venue).values())),
        secret_parameters=("signature",),
        error_of=error_of(venue),
    )
    others = {urlsplit(url).netloc: replace(first, live_urls=(url,), sandbox_path=f"/{venue}/{urlsplit(url).netloc}") for url in origins}
    return replace(first, others={name: each for name, each in others.items() if each.live_urls != first.live_urls})


def host_of(url: str, policy: HostPolicy) -> str:
    """Return the name of the host in a venue's policy that a URL belongs to; empty for the first."""
    parts = urlsplit(url)
    return "" if f"{parts.scheme}://{parts.netloc}" in policy.live_urls else parts.netloc


def error_of(venue: str) -> Callable[[int, bytes], OmcError | None]:
    """Return what finds the failure in a venue's answer, as ccxt reads it, whatever its status."""

    def found(status: int, body: bytes) -> OmcError | None:
        if status == _BANNED:
            return RateLimitedError("banned because of too many requests", retry_after_s=_BAN_S)
        text = body.decode("utf-8", "replace").strip()
        return None if status == 429 or not text.startswith(("{", "[")) else _failure(venue, status, text)

    return found


@with_own_decimals
def _failure(venue: str, status: int, text: str) -> OmcError | None:
    import ccxt

    try:
        document = json.loads(text, parse_float=str, parse_int=str)
        shared_exchange(venue).handle_errors(status, "", "", "GET", {}, text, document, {}, "")
    except ValueError:
        return None
    except ccxt.BaseError as error:
        return translated(error)
    except Exception:  # noqa: BLE001 what ccxt raises on a strange body has no common base; the parser tells what is wrong with it
        return None
    return None


def translated(error: Exception) -> OmcError:
    """Convert an exception of ccxt to an error of OMC."""
    import ccxt

    said = f"{type(error).__name__}: {one_line(str(error))}"
    if isinstance(error, ccxt.AuthenticationError):
        return AccessDeniedError(said)
    if isinstance(error, (ccxt.RateLimitExceeded, ccxt.DDoSProtection)):
        return RateLimitedError(said)
    if isinstance(error, ccxt.OperationFailed):
        return UpstreamUnavailableError(said)
    return UpstreamRefusedError(said)


def _exchange_class(venue: str) -> Any:
    import ccxt

    return getattr(ccxt, venue) if venue in ccxt.exchanges else None


def _texts(urls: Any) -> Iterator[str]:
    if isinstance(urls, str):
        yield urls
    elif isinstance(urls, dict):
        for url in urls.values():
            yield from _texts(url)


def _origin(url: str, exchange: Any) -> str:
    parts = urlsplit(exchange.implode_hostname(url))
    return f"{parts.scheme}://{parts.netloc}"


def _refuse(path: str, _api: str, _method: str, _params: Mapping[str, Any]) -> Any:
    raise UpstreamRefusedError(f"ccxt requests {path}, but no request is allowed here")
