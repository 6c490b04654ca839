"""The page of sources: what each asks, how often and how fast, its keys, tables and options."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator

from generator.page import code, codes, prose, span, table
from generator.settings import options
from omc_infra.http import HostPolicy
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.sections import config_model, section_of
from omc_pipeline.collection.source import Endpoint, Source

INDEX_HEAD = ("source", "what", "asset", "keys in the live profile")
ENDPOINT_HEAD = ("endpoint", "cron (UTC)", "at most every", "tables", "remarks")
LIMIT_HEAD = ("hosts", "requests", "quota", "counted together as")
_PART = re.compile(r"^(Source|Shape|Units|Errors): ", re.MULTILINE)


def block() -> str:
    """Return an index, then a section for each source."""
    sources = [source for _, source in sorted(discover_sources().items())]
    rows = [(f"[`{each.name}`](#{each.name})", each.title, code(_asset(each)), _variables(each) or "none") for each in sources]
    return "\n\n".join([table(INDEX_HEAD, rows), *map(_section, sources)])


def _section(source: Source) -> str:
    parts = [f"## {source.name}", f"{source.title}. Documentation of the upstream: <{source.homepage}>.", *_description(source)]
    parts.append(table(ENDPOINT_HEAD, [_endpoint(source, each) for each in source.endpoints]))
    if source.policy:
        parts.append(table(LIMIT_HEAD, [_limits(policy) for policy in (source.policy, *source.policy.others.values())]))
    parts += [_needs(source), f"Options, `[{section_of(source)}]` in `omc.toml`:", options(config_model(source))]
    return "\n\n".join(part for part in parts if part)


def _asset(source: Source) -> str:
    return f"{source.ledger}/{source.name.removeprefix(f'{source.ledger}_')}"


def _description(source: Source) -> Iterator[str]:
    """Yield what the source's module says about what it asks and in which units the answers are."""
    pieces = _PART.split(inspect.cleandoc(sys.modules[source.parse.__module__].__doc__ or ""))
    said = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    for part, title in (("Source", "Asks"), ("Units", "Units"), ("Errors", "Errors")):
        if part in said:
            yield f"- **{title}**: {prose(said[part])}"


def _endpoint(source: Source, endpoint: Endpoint) -> tuple[str, str, str, str, str]:
    remarks = []
    if endpoint.sample_every_s:
        remarks.append(f"a scheduled run asks every {span(endpoint.sample_every_s)}")
    if endpoint.reads:
        remarks.append(f"computed from `{endpoint.reads.table.qualified}` of {codes(endpoint.reads.sources)}")
    tables = codes(each.qualified for each in source.tables_of(endpoint))
    return code(endpoint.name), code(endpoint.cron), span(endpoint.every_s), tables, "; ".join(remarks)


def _limits(policy: HostPolicy) -> tuple[str, str, str, str]:
    rate = f"{policy.requests_per_s:g} a second" if policy.requests_per_s >= 1 else f"one in {1 / policy.requests_per_s:g} s"
    burst = f", {policy.burst} at once" if policy.burst > 1 else ""
    quota = f"{policy.quota.requests:,} in {span(policy.quota.window_s)}" if policy.quota else "none"
    return ", ".join(policy.live_urls), f"{rate}{burst}", quota, code(policy.rate_limit.group)


def _needs(source: Source) -> str:
    said = [
        f"Keys: {_variables(source)}." if _variables(source) else "",
        "It is collected once for each account." if source.per_account else "",
    ]
    if source.policy and source.policy.needs_contact:
        said.append("It refuses callers without a contact: set `OMC_CONTACT` to your mail address.")
    if source.extra:
        said.append(f"It needs the optional dependency `{source.extra}`: `uv sync --inexact --extra {source.extra}`.")
    if source.history:
        said.append(f"It can read its past from {source.history.first_day} on: `omc collect {source.name} --from DAY --to DAY`.")
    return " ".join(filter(None, said))


def _variables(source: Source) -> str:
    if source.venues is not None:
        return "`OMC_KEY_<VENUE>__<ACCOUNT>` and the others that `omc accounts add` names"
    return codes(f"OMC_KEY_{name.upper()}" for name in source.keys)
