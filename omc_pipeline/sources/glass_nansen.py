"""Smart-money netflow: what wallets with a record of good trades moved into tokens, minus what they moved out.

Source: Nansen, ``POST https://api.nansen.ai/api/v1/smart-money/netflow`` with ``{"chains", "filters", "pagination", "order_by"}``; key in
    the header ``apiKey``, 20 requests a second and 300 a minute. Contract from the documentation and public clients, not verified against a
    live answer. A request costs credits, one that is refused likewise; the headers ``x-nansen-credits-{cost,used,remaining}`` tell.
    Redistribution is restricted.
Shape: ``{"data": [{"chain", "token_address", "token_symbol", "net_flow_1h_usd", .., "trader_count", "market_cap_usd"}], "pagination":
    {"page", "per_page", "is_last_page"}}``. Symbols are not unique; a seedling or a warning sign in front is a mark of Nansen's.
Units: US dollars over the last hour, day, 7 and 30 days, negative where more left than came; observed in the quarter of an hour of the
    fetch. Credits in the units of the plan.
Errors: 402, or 403 that speaks of credits, when credits are used up; 422 for a wrong body; 404 costs a credit, too. Bodies have ``error``,
    ``message`` or ``detail``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Annotated

from pydantic import Field, StringConstraints

from omc_infra.errors import OmcError, PayloadChangedError, QuotaExhaustedError, UpstreamRefusedError
from omc_infra.http import HeaderKey, HostPolicy
from omc_infra.payload import Payload
from omc_pipeline.assets.names import clean_ticker
from omc_pipeline.assets.registry import Registry
from omc_pipeline.collection.body import one_line
from omc_pipeline.collection.items import Item, read_items
from omc_pipeline.collection.json_body import read_json
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.source import Endpoint, FetchContext, Parsed, Source
from omc_pipeline.collection.values import optional_amount, optional_text, text
from omc_pipeline.ledgers.glass import API_CREDIT, SMART_MONEY_FLOW, ApiCredit, SmartMoneyFlow

_NAME = "glass_nansen"
_REQUEST = "smart-money/netflow"
_CREDITS = ("x-nansen-credits-cost", "x-nansen-credits-used", "x-nansen-credits-remaining")
_MARKS = "\U0001f331\u26a0\ufe0f "
"""Seedling, warning sign and what stands between them and the symbol."""
_QUARTER = timedelta(minutes=15)

ChainName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{2,30}$")]


class NansenConfig(SourceConfig):
    """Options: which chains are collected, and the limit of credits."""

    chains: tuple[ChainName, ...] = Field(("ethereum", "solana", "base"), min_length=1, description="Chains to collect flows of.")
    tokens: int = Field(100, ge=1, le=1000, description="Number of tokens on a page. The tokens with the largest flow of a day come first.")
    pages: int = Field(1, ge=1, le=50, description="Maximum number of pages of one collection. Each page costs credits.")
    stablecoins: bool = Field(False, description="Whether to include flows of stablecoins.")


def fetch(context: FetchContext) -> Iterator[Payload]:
    """Fetch page by page until the last one, or up to the configured maximum."""
    for page in range(1, context.config.pages + 1):
        payload = context.http.post("/smart-money/netflow", json=_asked(context.config, page), repeatable=True)
        yield payload
        if _is_last(payload):
            return


def _asked(config: NansenConfig, page: int) -> dict[str, object]:
    return {
        "chains": list(config.chains),
        "filters": {"include_stablecoins": config.stablecoins, "include_native_tokens": True},
        "pagination": {"page": page, "per_page": config.tokens},
        "order_by": [{"field": "net_flow_24h_usd", "direction": "DESC"}],
    }


def _is_last(payload: Payload) -> bool:
    document = read_json(payload)
    pagination = document.get("pagination") if isinstance(document, dict) else None
    return not isinstance(pagination, dict) or pagination.get("is_last_page") is not False


def error_of(status: int, body: bytes) -> OmcError | None:
    """Return the failure of a refusal that means that credits are used up; other statuses speak for themselves."""
    if status == 403 and b"credit" in body.lower():
        return QuotaExhaustedError("no credits are left")
    return None


def parse(payload: Payload, config: NansenConfig) -> Parsed:
    """Read one row per token, and one for the cost of the answer; no rows if no token is valid."""
    document = read_json(payload)
    tokens = document.get("data") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(tokens, list):
        raise _refusal(document if isinstance(document, dict) else {})
    observed_at = payload.fetched_at - (payload.fetched_at - datetime(2020, 1, 1, tzinfo=UTC)) % _QUARTER
    flows = read_items(tokens, partial(_flow, observed_at=observed_at, assets=config.assets))
    return flows if flows.rejected and not flows.rows else Parsed([*flows.rows, _credit(payload)], flows.rejected)


def _refusal(document: Item) -> OmcError:
    details = next((document[name] for name in ("message", "error", "detail") if document.get(name)), None)
    if details is None:
        return PayloadChangedError(f"{_NAME}: no list 'data': not flows as Nansen gives them")
    said = f"{_NAME}: Nansen answered: {one_line(str(details))}"
    return QuotaExhaustedError(said) if "credit" in str(details).lower() else UpstreamRefusedError(said)


def _flow(token: Item, observed_at: datetime, assets: Registry) -> SmartMoneyFlow:
    written, marks = _symbol(optional_text(token, "token_symbol", 100))
    chain, address = text(token, "chain", 30).lower(), text(token, "token_address", 120)
    symbol = _asset_symbol(written, chain, address, assets)
    flow = partial(optional_amount, token)
    traders = token.get("trader_count")
    if traders is not None and (isinstance(traders, bool) or not isinstance(traders, int) or not 0 <= traders < 2**31):
        raise ValueError("trader_count is no count")
    row = SmartMoneyFlow(
        chain=chain,
        token_address=address.lower() if address.lower().startswith("0x") else address,
        observed_at=observed_at,
        symbol=symbol,
        marks=marks,
        net_flow_1h_usd=flow("net_flow_1h_usd"),
        net_flow_24h_usd=flow("net_flow_24h_usd"),
        net_flow_7d_usd=flow("net_flow_7d_usd"),
        net_flow_30d_usd=flow("net_flow_30d_usd"),
        traders=traders,
        market_cap_usd=flow("market_cap_usd", least=0),
    )
    if all(value is None for value in (row.net_flow_1h_usd, row.net_flow_24h_usd, row.net_flow_7d_usd, row.net_flow_30d_usd)):
        raise ValueError("no flow is told of any span")
    return row


def _asset_symbol(written: str | None, chain: str, address: str, assets: Registry) -> str | None:
    """Return the symbol of a known contract, else what the token calls itself, unless that is or imitates another coin's symbol."""
    if known := assets.of_contract(chain, address):
        return known.symbol
    if written is None:
        return None
    try:
        ticker = clean_ticker(written)
    except ValueError:
        return None
    return f"{chain.upper()}:{ticker}" if assets.asset(ticker) else written


def _symbol(details: str | None) -> tuple[str | None, str | None]:
    """Separate the symbol from the markers in front of it."""
    if details is None:
        return None, None
    symbol = details.lstrip(_MARKS)
    marks = details[: len(details) - len(symbol)].strip()
    return symbol or None, marks or None


def _credit(payload: Payload) -> ApiCredit:
    details = {name: payload.context.get(f"header.{name}") for name in _CREDITS}
    cost, used, remaining = (_credits(details[name]) for name in _CREDITS)
    return ApiCredit("nansen", _REQUEST, payload.fetched_at, cost, used, remaining)


def _credits(details: str | None) -> Decimal | None:
    """Read a header; return None if it is not a number, because the flows are valid without it."""
    try:
        return optional_amount({"credits": details}, "credits", least=0)
    except ValueError:
        return None


SOURCE = Source(
    name=_NAME,
    title="Nansen smart-money netflow",
    tables=(SMART_MONEY_FLOW, API_CREDIT),
    endpoints=(Endpoint("netflow", cron="*/15 * * * *", every_s=900, fetch=fetch),),
    policy=HostPolicy(
        live_urls=("https://api.nansen.ai/api/v1",),
        sandbox_path="/nansen",
        requests_per_s=2.0,
        burst=4,
        attempts=2,
        auth=HeaderKey("apiKey", "nansen"),
        error_of=error_of,
        kept_headers=_CREDITS,
    ),
    parse=parse,
    config=NansenConfig,
    homepage="https://docs.nansen.ai/api/smart-money/netflows",
    keys_at="https://docs.nansen.ai/getting-started/authentication",
)
