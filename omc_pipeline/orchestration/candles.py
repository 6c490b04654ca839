"""The asset ``glass/candles``: candles from quotes and from venues, a few minutes after them."""

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
    """Create the asset; it depends on the sources of quotes and of published candles."""
    inputs = [asset_key(source) for source in sources if {QUOTE, MARKET_CANDLE} & set(source.tables)]

    @dg.asset(key=CANDLES, group_name="glass", deps=inputs, kinds={"postgres"}, owners=["team:data-platform"])
    def candles(platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]
        """Compute the candles of all spans that have ended since the previous run, and correct those with late quotes."""
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
