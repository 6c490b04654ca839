"""All stand-ins as one Starlette application, each below its own path."""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Mount, Router

from omc_infra.clock import Clock, utc_now
from omc_pipeline.sandbox import (
    announcements,
    binance,
    coinspot,
    control,
    cryptopanic,
    defillama,
    ecb,
    edgar_feed,
    evm,
    fear_greed,
    filing_documents,
    kraken,
    nansen,
    news,
    other_chains,
    reddit,
    sec_edgar,
    snapshot,
)  # fmt: skip
from omc_pipeline.sandbox.faults import Faults, Misbehaving
from omc_pipeline.sandbox.running import home_id
from omc_pipeline.sandbox.state import State
from omc_pipeline.sandbox.world import HISTORY, World, day_start


def create_app(seed: int, clock: Clock = utc_now, state_file: Path | None = None) -> Starlette:
    """Compose the sandbox.

    Args:
        seed: All that is told is drawn from it.
        clock: The present of all upstreams.
        state_file: Announced filings and the account's opening day survive here; None forgets them with the app.
    """
    world = World(seed, clock, State(state_file))
    world.state.opened(day_start(clock() - HISTORY))
    faults = Faults()
    sec = sec_edgar.gate()
    upstreams = {
        "defillama": defillama.routes(world),
        "defillama_coins": defillama.coin_routes(world),
        "evm": evm.routes(world),
        "esplora": other_chains.esplora_routes(world),
        "solana": other_chains.solana_routes(world),
        "nansen": nansen.routes(world),
        "ecb": ecb.routes(world),
        "kraken": kraken.routes(world),
        "fng": fear_greed.routes(world),
        "news": news.routes(world),
        "cryptopanic": cryptopanic.routes(world),
        "reddit": reddit.routes(world),
        "reddit_login": reddit.login_routes(),
        "sec_edgar": sec_edgar.routes(world, sec),
        "sec_edgar_www": [*edgar_feed.routes(world, sec), *filing_documents.routes(world, sec)],
        "coinspot": coinspot.routes(world),
        "binance": binance.routes(world),
        "coinspot_help": announcements.routes(world),
        "snapshot": snapshot.routes(world),
    }
    mounts = [Mount(f"/{name}", Misbehaving(Router(routes), name, faults, clock)) for name, routes in upstreams.items()]
    return Starlette(routes=[*mounts, Mount("/_control", routes=control.routes(world, faults, frozenset(upstreams), home_id(state_file)))])
