"""``omc models``: which models there are, what they cost, whether the chosen ones can be asked, and stand-ins on this machine."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from omc_infra.cli import emit, json_option
from omc_infra.errors import OmcError
from omc_infra.terminal import open_console, say

if TYPE_CHECKING:
    from omc_agents.models.catalogue import Price
    from omc_agents.models.panel import Candidate, Panel

_COLUMNS = ("input_usd", "output_usd", "cached_read_usd", "cached_write_usd")


@click.group(help="Language models: list, check and simulate them.")
def models() -> None:
    """Hold the commands of models together."""


@models.command("list", help="List the models with their context size and their prices in US dollars per million tokens.")
@click.option("--provider", type=click.Choice(["openai", "anthropic", "google"]), help="Only models of this provider.")
@json_option
def list_models(provider: str | None, as_json: bool) -> None:
    """Print one line a model; prices are those of short inputs, today."""
    from omc_agents.models.choice import full_catalogue, load_options

    settings, options = load_options()
    catalogue, today = full_catalogue(options), datetime.now(UTC).date()
    rows = [
        {
            "model": model.full_name,
            "is_chosen": model.full_name in options.names,
            "has_key": settings.key(model.provider) is not None,
            "context_tokens": model.context_tokens,
            **_prices(model.price(today, 0)),
            "long_input": [
                {"above_input_tokens": tier.above_input_tokens, **_prices(model.price(today, tier.above_input_tokens))}
                for tier in model.prices
                if tier.above_input_tokens and tier == model.price(today, tier.above_input_tokens)
            ],
        }
        for model in catalogue.models
        if provider in {None, model.provider}
    ]
    if as_json:
        emit({"as_of": str(catalogue.as_of), "source": catalogue.source, "chosen": list(options.names), "models": rows})
        return
    from omc_infra.tables import print_rows

    shown = [{name: _cell(value) for name, value in row.items() if name != "long_input"} for row in rows]
    print_rows(open_console(), shown, f"models · prices of {catalogue.as_of} ({catalogue.source}), USD per million tokens")
    say(f"order of use: {', '.join(options.names)}; longer inputs may cost more (see --json)")


@models.command(
    help="Ask each chosen model one short question. A model of a provider costs a fraction of a cent.",
    epilog="Exit code 1: a model doesn't answer.",
)
@json_option
def check(as_json: bool) -> None:
    """Print for each chosen model whether it answered, how fast and at what cost."""
    from omc_agents.models.choice import chosen_panel

    panel = chosen_panel()
    rows = [_checked(candidate, panel) for candidate in panel.candidates]
    if as_json:
        emit({"models": rows})
    else:
        for row in rows:
            detail = f"{row['seconds']:.1f} s, {row['cost_usd']} USD" if row["ok"] else row["failure"]
            say(f"{row['model']}: {'answers' if row['ok'] else 'does not answer'}: {detail}")
    if not all(row["ok"] for row in rows):
        raise click.exceptions.Exit(1)


@models.command("stand-in", help="Simulate the providers on loopback until Ctrl-C. Rules answer; nothing leaves this machine.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="0: any free port.")
@json_option
def stand_in(port: int, as_json: bool) -> None:
    """Serve, after printing where."""
    from omc_agents.stand_in.server import StandIn

    with StandIn(port=port) as server:
        if as_json:
            emit({"url": server.url})
        else:
            say(f'stand-ins at {server.url}; use them in the sandbox with stand_in_url = "{server.url}" in [agents] of omc.toml')
        server.serve_forever()


def _checked(candidate: Candidate, panel: Panel) -> dict[str, Any]:
    from omc_agents.models.probe import probe

    began = time.monotonic()
    row: dict[str, Any] = {"model": candidate.model.name, "ok": True, "failure": None, "cost_usd": "0"}
    try:
        row["cost_usd"] = str(probe(candidate, panel.deadline_s or 60.0, panel.caps.call_usd))
    except OmcError as error:
        row |= {"ok": False, "failure": f"{type(error).__name__}: {error}"}
    return {**row, "seconds": round(time.monotonic() - began, 3)}


def _prices(price: Price) -> Mapping[str, str | None]:
    return {name: None if (usd := getattr(price, name)) is None else str(usd) for name in _COLUMNS}


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    return "–" if value is None else str(value)
