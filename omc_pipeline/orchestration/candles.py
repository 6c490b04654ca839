"""The asset ``glass/candles``: candles of quotes and of venues, a few minutes behind them."""

from collections.abc import Sequence

import dagster as dg

from omc_infra.clock import utc_now
from omc_pipeline.candles.derive import derive_candles
from omc_pipeline.collection.source import Source
from omc_pipeline.ledgers.exchange import QUOTE
from omc_pipeline.ledgers.glass import MARKET_CANDLE
from omc_pipeline.orchestration.collection import asset_key
from omc_pipeline.orchestration.failures import translate_failures
from omc_pipeline.orchestration.resources import Platform

CANDLES = dg.AssetKey(["glass", "candles"])


def candles_asset(sources: Sequence[Source]) -> dg.AssetsDefinition:
    """Make the asset, which depends on the sources of quotes and of published candles."""
    inputs = [asset_key(source) for source in sources if {QUOTE, MARKET_CANDLE} & set(source.tables)]

    @dg.asset(key=CANDLES, group_name="glass", deps=inputs, kinds={"postgres"}, owners=["team:data-platform"])
    def candles(platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]
        """Make the candles of all spans that have ended since the run before, and correct those whose quotes came late."""
        with translate_failures():
            done = derive_candles(platform.database, utc_now())
        return dg.MaterializeResult(
            metadata={
                "inserted": dg.MetadataValue.int(done.inserted),
                "changed": dg.MetadataValue.int(done.changed),
                "closed_until": dg.MetadataValue.timestamp(done.closed_until),
                "is_complete": dg.MetadataValue.bool(done.is_complete),
            }
        )

    return candles
