"""Calls of ccxt's unified methods: with OMC's HTTP client while an account is read, from a stored answer while it is parsed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from omc_infra.errors import OmcError, PayloadChangedError, UpstreamRefusedError
from omc_infra.http import HttpClient, SignedParts
from omc_infra.payload import Payload
from omc_pipeline.collection.accounts import Account
from omc_pipeline.collection.body import one_line
from omc_pipeline.collection.json_body import Json, read_json
from omc_pipeline.sources._ccxt_objects import Unread, only_objects
from omc_pipeline.sources._ccxt_rights import require_read_only
from omc_pipeline.sources._ccxt_venue import Traits, host_of, key_names, made, policy_of, spelled, traits, translated, with_own_decimals

VENUE, METHOD, MARKET, NAMES, HELD = "venue", "method", "market", "names", "held"
"""Where the context of a payload names the venue, the method of ccxt that asked, the market, what names of the answer mean, and the coins
that the ledger holds."""

Names = Mapping[str, Mapping[str, Any]]
"""Of a venue: ``markets`` by id as base and quote, ``currencies`` by id as code."""

READING = frozenset(
    {"fetch_my_trades", "fetch_deposits", "fetch_withdrawals", "fetch_deposits_withdrawals", "fetch_ledger", "fetch_balance"}
)
"""Methods of ccxt that may ask for what is an account's."""
_PUBLIC = "public"


@dataclass
class Conversation:
    """Connection to one account's venue: only read-only methods can send requests, and the client stores every answer.

    Attributes:
        http: The polite client.
        account: Whose.
        names_age_s: How old a stored list of markets or currencies may be.
        context: Added to the context of payloads.
    """

    http: HttpClient
    account: Account
    names_age_s: float
    context: Mapping[str, str] = field(default_factory=dict)
    _heard: list[Payload] = field(default_factory=list)
    _asking: str = ""
    _market: str = ""

    @property
    def venue(self) -> str:
        """The venue's name in ccxt."""
        return self.account.venue

    @cached_property
    def traits(self) -> Traits:
        """What OMC knows about the venue in addition to ccxt."""
        return traits(self.venue)

    @cached_property
    @with_own_decimals
    def exchange(self) -> Any:
        """The exchange of ccxt with its markets."""
        exchange = made(self.venue, self._ask)
        self._asking = "load_markets"
        try:
            exchange.load_markets()
        except OmcError:
            raise
        except Exception as error:
            raise _named(error, self.venue, "load_markets") from error
        finally:
            self._asking = ""
        return exchange

    def require_read_only(self) -> None:
        """Raise if a key can do more than read, if the venue reports it.

        Raises:
            AccessDeniedError: It may.
        """
        rights = self.traits.rights
        if rights is not None:
            require_read_only(self.venue, rights, self._called(rights.method)[0])

    def call(self, method: str, *arguments: Any, market: str = "", **parameters: Any) -> tuple[Any, Sequence[Payload]]:
        """Call one of the read-only methods.

        Returns:
            The answer as ccxt converts it, and the original answers.

        Raises:
            OmcError: Refused, unreachable, or an answer of another shape.
        """
        if method not in READING:
            raise UpstreamRefusedError(f"{method} is not a read-only method")
        self._market = market
        return self._called(method, *([market or None] if method == "fetch_my_trades" else []), *arguments, parameters)

    def rows_of(self, found: Any) -> int:
        """Return how many rows the venue sent in the last call, given those that ccxt could read: unreadable rows fill a page, too."""
        return len(found) + len(self.exchange.unread)

    @with_own_decimals
    def _called(self, method: str, *arguments: Any) -> tuple[Any, Sequence[Payload]]:
        call = getattr(self.exchange, method)
        self._asking, self._heard = method, []
        self.exchange.unread.clear()
        try:
            return call(*arguments), tuple(self._heard)
        except OmcError:
            raise
        except Exception as error:
            raise _named(error, self.venue, method) from error
        finally:
            self._asking = ""

    def _ask(self, path: str, api: str, method: str, params: Mapping[str, Any]) -> Any:
        if not self._asking:
            raise UpstreamRefusedError(f"ccxt requests {path} of {self.venue}, which is not read-only")
        asked, exchange = (path, api, method, params), self._bare
        url = str(spelled(exchange, asked, {}, 0)["url"])
        target, host = urlsplit(url).path, host_of(url, policy_of(self.venue))
        shown = {name: value if isinstance(value, str) else json.dumps(value) for name, value in sorted(params.items())}
        if self._asking == "load_markets" or _PUBLIC in api.lower():
            query, about = dict(parse_qsl(urlsplit(url).query)), {VENUE: self.venue, METHOD: "load_markets"}
            found = self.http.get(target, host=host, params=query, conditional=False, max_age_s=self.names_age_s, context=about)
            return _texts(read_json(found))

        names = key_names(self.venue)

        def sign(keys: Mapping[str, str], nonce: int) -> SignedParts:
            request = spelled(exchange, asked, {ours: keys[name] for ours, name in names.items()}, nonce)
            parts, body = urlsplit(request["url"]), request["body"]
            signed = f"{parts.path}?{parts.query}" if parts.query else parts.path
            return SignedParts(signed, body.encode() if isinstance(body, str) else body, request["headers"] or {})

        context = {**self.account.context, VENUE: self.venue, METHOD: self._asking, **({MARKET: self._market} if self._market else {})}
        if method == "GET":
            payload = self.http.get(target, host=host, params=shown, conditional=False, context=context, sign=sign, note=self._note)
        else:
            payload = self.http.post(target, json=shown, host=host, repeatable=True, context=context, sign=sign, note=self._note)
        self._heard.append(payload)
        document, unread = only_objects(_texts(read_json(payload)), self.traits.rows.get(self._asking))
        self.exchange.unread += unread
        return document

    @cached_property
    def _bare(self) -> Any:
        """An exchange of its own to spell requests with, for these hold keys while they are signed."""
        return made(self.venue, self._ask)

    def _note(self, body: bytes) -> Mapping[str, str]:
        """Return what its names mean, as far as they occur in a body, so that it can be parsed without a network for ever."""
        exchange = self.exchange if self._asking in READING else None
        if exchange is None:
            return {}
        occurring = _occurring(body)
        spot = {key: found[0] for key, found in exchange.markets_by_id.items() if found[0].get("spot")}
        markets = {key: market for key, market in spot.items() if key in occurring or market["symbol"] == self._market}
        known = {key: currency["code"] for key, currency in exchange.currencies_by_id.items() if key in occurring}
        names = {
            "markets": {key: [market["base"], market["quote"]] for key, market in markets.items()},
            "currencies": {key: code for key, code in known.items() if key != code},
        }
        return {NAMES: json.dumps(names, sort_keys=True, separators=(",", ":")), **self.context}


@dataclass
class StoredAnswer:
    """One stored answer of a venue, read with the ccxt method that requested it; nothing is sent.

    Attributes:
        payload: The answer.
        venue: Its venue.
        method: The method.
        quotes: What markets are quoted in, to split the names of those that the venue no longer lists.
    """

    payload: Payload
    venue: str
    method: str
    quotes: Sequence[str] = ()

    @with_own_decimals
    def read(self) -> tuple[Any, Unread]:
        """Return the answer as ccxt converts it, and the rows that it could not read.

        Raises:
            PayloadChangedError: Of another shape than the method's answers.
        """
        document = _texts(read_json(self.payload))
        self._require_shape(document)
        document, unread = only_objects(document, traits(self.venue).rows.get(self.method))
        answers = [document]

        def answer(path: str, _api: str, _method: str, _params: Mapping[str, Any]) -> Any:
            if not answers:
                raise UpstreamRefusedError(f"ccxt also requests {path}")
            return answers.pop()

        exchange, market = made(self.venue, answer), self.payload.context.get(MARKET)
        exchange.set_markets(*self._names(exchange))
        try:
            found = getattr(exchange, self.method)(*([market] if market else []))
        except OmcError:
            raise
        except Exception as error:
            raise _named(error, self.venue, self.method, self.payload.source) from error
        unread += exchange.unread
        if self.method == "fetch_my_trades":
            return [self._with_market(exchange, trade) for trade in found], unread
        return found, unread

    def _with_market(self, exchange: Any, trade: Mapping[str, Any]) -> Mapping[str, Any]:
        """Split the name of a market that is not listed by what markets are quoted in, the longest name first."""
        name = trade.get("symbol")
        if not isinstance(name, str) or "/" in name:
            return trade
        codes = exchange.commonCurrencies
        for quote in sorted({*self.quotes, *(traits(self.venue).codes or {}), *codes}, key=lambda each: (-len(each), each)):
            base = name.removesuffix(quote)
            if base not in ("", name) and (base in codes or quote in self.quotes):
                return {**trade, "symbol": f"{codes.get(base, base)}/{codes.get(quote, quote)}"}
        return trade

    def _require_shape(self, document: Any) -> None:
        expected = (traits(self.venue).shapes or {}).get(self.method)
        name = f"{self.payload.source}: {self.venue}"
        if expected == "" and not isinstance(document, list):
            raise PayloadChangedError(f"{name}: not a list, as {self.method} is answered")
        if expected and (not isinstance(document, dict) or not isinstance(document.get(expected), (dict, list))):
            raise PayloadChangedError(f"{name}: no '{expected}', as {self.method} is answered")
        if expected is None and not document:
            raise PayloadChangedError(f"{name}: an empty answer")

    def _names(self, exchange: Any) -> tuple[list[Any], dict[str, Any]]:
        names: Names = json.loads(self.payload.context.get(NAMES, "{}"))
        markets = [
            exchange.safe_market_structure(
                {"id": key, "symbol": f"{base}/{quote}", "base": base, "quote": quote, "baseId": base, "quoteId": quote, "type": "spot"}
                | {"spot": True, "active": True}
            )
            for key, (base, quote) in names.get("markets", {}).items()
        ]
        codes = {**(traits(self.venue).codes or {}), **names.get("currencies", {})}
        exchange.commonCurrencies = {**exchange.commonCurrencies, **codes}
        return markets, {}


def _named(error: Exception, venue: str, method: str, source: str = "") -> OmcError:
    """Convert an exception of ccxt to an error of OMC."""
    import ccxt

    lead = f"{source}: " if source else ""
    if isinstance(error, ccxt.BaseError):
        details = translated(error)
        return type(details)(f"{lead}{venue}, {method}: {details}")
    return PayloadChangedError(f"{lead}{venue}, {method}: ccxt can't read the answer: {type(error).__name__}: {one_line(str(error))}")


def _texts(document: Json | Mapping[str, Any]) -> Any:
    """Return a document with numbers as text, with all digits, as ccxt accepts them."""
    if isinstance(document, dict):
        return {name: _texts(value) for name, value in document.items()}
    if isinstance(document, list):
        return [_texts(value) for value in document]
    if isinstance(document, Decimal):
        return format(document, "f")
    return str(document) if isinstance(document, int) and not isinstance(document, bool) else document


def _occurring(body: bytes) -> set[str]:
    """Return all texts of a body; none if it is not JSON, which must be stored all the same and is refused by the parser."""
    try:
        return set(_strings(json.loads(body)))
    except (ValueError, RecursionError):
        return set()


def _strings(document: Any) -> Iterator[str]:
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict):
        yield from document
        for value in document.values():
            yield from _strings(value)
    elif isinstance(document, list):
        for value in document:
            yield from _strings(value)
