"""Governance proposals of configured spaces on Snapshot, and how they ended.

Source: Snapshot hub, ``POST https://hub.snapshot.org/graphql``, no key, 100 requests a minute and address; ``first`` is at most 1,000 and
    ``skip`` at most 5,000, so pages go by ``created_gt``. Anybody can open a space, and most are spam: only configured ones are asked for.
Shape: ``{"data": {"proposals": [{"id", "title", "body", "space": {"id"}, "choices", "state", "created", "start", "end", "scores",
    "scores_state", "scores_total", "votes", "quorum", "network", "symbol"}]}}``; ``body`` is Markdown, the event's document. While a
    vote is open ``scores`` may be [] and ``scores_state`` "".
Units: ``created``, ``start``, ``end`` epoch seconds; ``scores`` voting power of each choice, in the order of ``choices``; ``quorum`` may be
    0; ``network`` is a text. A proposal is an event by its id, published when it was created; its state and outcome are new versions.
Errors: ``{"errors": [{"message"}], "data": {"proposals": null}}`` with status 200; 429 says ``{"error": "unauthorized"}``, as every
    error does, with the reason in ``error_description``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated

from pydantic import Field

from omc_infra.errors import PayloadChangedError, RateLimitedError, UpstreamRefusedError
from omc_infra.http import HostPolicy
from omc_infra.payload import Payload
from omc_pipeline.collection.body import one_line
from omc_pipeline.collection.items import Item, read_items, refusal
from omc_pipeline.collection.json_body import Json, read_json
from omc_pipeline.collection.options import SourceConfig, Symbol
from omc_pipeline.collection.source import Endpoint, FetchContext, Parsed, Source
from omc_pipeline.collection.values import described, instant_of_epoch, text, usable_amount
from omc_pipeline.ledgers.catalyst import DOCUMENT, EVENT, CatalystEvent
from omc_pipeline.ledgers.table import number_text
from omc_pipeline.sources._catalyst_rules import impact_of
from omc_pipeline.sources._event_texts import with_texts

_NAME = "catalyst_snapshot"
_PAGE_ROWS = 200
_MOST_PAGES = 50
_ID = re.compile(r"0x[0-9a-f]{64}|Qm[1-9A-HJ-NP-Za-km-z]{44}|bafkrei[a-z2-7]{52}", re.ASCII)
_STATES = ("pending", "active", "closed")
_LONGEST_ITEMS, _LONGEST_CHOICE = 300, 60
_QUERY = """query Proposals($spaces: [String], $after: Int, $first: Int) {
  proposals(first: $first, skip: 0, orderBy: "created", orderDirection: asc, where: {space_in: $spaces, created_gt: $after}) {
    id title body choices state created start end scores scores_state scores_total votes quorum network symbol space { id }
  }
}"""

SpaceName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,80}$")]


class SnapshotConfig(SourceConfig):
    """Options: which votes are followed."""

    spaces: dict[SpaceName, Symbol] = Field(
        default_factory=lambda: {
            "aavedao.eth": "AAVE",
            "arbitrumfoundation.eth": "ARB",
            "cvx.eth": "CVX",
            "ens.eth": "ENS",
            "lido-snapshot.eth": "LDO",
            "uniswapgovernance.eth": "UNI",
        },
        min_length=1,
        description="Spaces to follow, each with the coin that its votes are about.",
    )
    days: int = Field(
        60, ge=1, le=3_650, description="Number of days after its creation for which a proposal is read again, to get its result."
    )


def fetch(context: FetchContext) -> Iterator[Payload]:
    """Fetch the proposals of the last days, oldest first, page by page."""
    after = int((context.now - timedelta(days=context.config.days)).timestamp())
    for _ in range(_MOST_PAGES):
        variables = {"spaces": sorted(context.config.spaces), "after": after, "first": _PAGE_ROWS}
        payload = context.http.post("/graphql", json={"query": _QUERY, "variables": variables}, repeatable=True)
        yield payload
        proposals = _proposals(payload)
        if len(proposals) < _PAGE_ROWS:
            return
        after = _created_last(proposals, after)
    raise PayloadChangedError(f"{_NAME}: more than {_MOST_PAGES} pages of proposals")


def _created_last(proposals: Sequence[Json], after: int) -> int:
    """Return the newest time of a page that went up in full; rows of its very second may lie on the next page, too."""
    times = [each["created"] for each in proposals if isinstance(each, dict) and isinstance(each.get("created"), int)]
    newest = max((at for at in times if isinstance(at, int)), default=after)
    if newest - 1 <= after:
        raise PayloadChangedError(f"{_NAME}: a page of proposals leads back to itself")
    return newest - 1


def parse(payload: Payload, config: SnapshotConfig) -> Parsed:
    """Read one event for each proposal of a followed space, and its text as the event's document."""
    proposals = _proposals(payload)
    if any(isinstance(each, dict) and "voter" in each for each in proposals):
        raise PayloadChangedError(f"{_NAME}: votes instead of proposals")
    return with_texts(read_items(proposals, lambda proposal: _event(proposal, config)), proposals, lambda item: str(item.get("id")), "body")


def _proposals(payload: Payload) -> list[Json]:
    """Return the proposals of an answer.

    Raises:
        RateLimitedError: Too many requests, told in the body.
        UpstreamRefusedError: Any other error that the hub reports.
        PayloadChangedError: The body is no answer of the hub.
    """
    document = read_json(payload)
    if not isinstance(document, dict):
        raise PayloadChangedError(f"{_NAME}: a list instead of a GraphQL answer")
    if isinstance(error := document.get("error"), str):
        details = one_line(str(document.get("error_description") or error))
        kind = RateLimitedError if "too many requests" in details.lower() else UpstreamRefusedError
        raise kind(f"{_NAME}: Snapshot reports: {details}")
    errors, data = document.get("errors"), document.get("data")
    if isinstance(errors, list) and errors:
        first = errors[0]
        details = one_line(str(first.get("message"))) if isinstance(first, dict) else "an error without a message"
        raise UpstreamRefusedError(f"{_NAME}: Snapshot reports: {details}")
    proposals = data.get("proposals") if isinstance(data, dict) else None
    if not isinstance(proposals, list):
        raise PayloadChangedError(f"{_NAME}: no list 'data.proposals': not an answer about proposals")
    return proposals


def _event(proposal: Item, config: SnapshotConfig) -> CatalystEvent:
    number, state = text(proposal, "id", 100), text(proposal, "state", 20)
    if not _ID.fullmatch(number):
        raise ValueError(f"id is {described(number)}, not the digest of a proposal")
    if state not in _STATES:
        raise ValueError(f"state is {described(state)}, not one of {', '.join(_STATES)}")
    name = _space(proposal, config)
    outcome = _outcome(proposal) if state == "closed" else None
    return CatalystEvent(
        event_id=number,
        event_type="proposal",
        symbol=config.spaces[name] or None,
        ticker=None,
        issuer=name,
        title=" ".join(text(proposal, "title", 1_000).split())[:500],
        form=None,
        items=f"{state}: {outcome}" if outcome else state,
        url=f"https://snapshot.box/#/s:{name}/proposal/{number}",
        filed_on=None,
        published_at=instant_of_epoch(proposal, "created"),
        impact=impact_of("proposal", state),
    )


def _space(proposal: Item, config: SnapshotConfig) -> str:
    """Return the followed space of a proposal; where an answer names none, the one whose coin it names, if that is one alone."""
    space = proposal.get("space")
    if isinstance(space, dict):
        name = text(space, "id", 100).lower()
        if name not in config.spaces:
            raise ValueError(f"space {described(name)} is not followed")
        return name
    coin = text(proposal, "symbol", 30).upper()
    found = [name for name, symbol in config.spaces.items() if symbol == coin]
    if len(found) != 1:
        raise ValueError("space is missing")
    return found[0]


def _outcome(proposal: Item) -> str | None:
    """Return the choice with most voting power and its share; None while scores are not final."""
    scores, choices = proposal.get("scores"), proposal.get("choices")
    if proposal.get("scores_state") not in (None, "final") or not isinstance(scores, list) or not isinstance(choices, list):
        return None
    powers = [usable_amount({"score": score}, "score", least=0) for score in scores]
    if not powers or len(powers) != len(choices) or None in powers:
        return None
    known = [power for power in powers if power is not None]
    total, most = sum(known, Decimal(0)), max(known)
    if not total:
        return "no votes"
    chosen = refusal("", {"choice": choices[known.index(most)]}).row["choice"]
    share = number_text((100 * most / total).quantize(Decimal("0.1"), ROUND_HALF_EVEN))
    return f"{one_line(str(chosen), _LONGEST_CHOICE)} {share} %"[:_LONGEST_ITEMS]


SOURCE = Source(
    name=_NAME,
    title="Snapshot votes",
    tables=(EVENT, DOCUMENT),
    endpoints=(Endpoint("proposals", cron="*/10 * * * *", every_s=600, fetch=fetch),),
    policy=HostPolicy(live_urls=("https://hub.snapshot.org",), sandbox_path="/snapshot", requests_per_s=1.0, burst=2),
    parse=parse,
    config=SnapshotConfig,
    homepage="https://docs.snapshot.box/tools/api",
)
