"""Scores of news titles: new items only, another lexicon as new versions, means of a day by coin."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from omc_infra.errors import UpstreamRefusedError
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection.collecting import collect
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.sections import source_config
from omc_pipeline.collection.source import Source
from omc_pipeline.ledgers.human import News
from omc_pipeline.ledgers.write import append
from tests.integration.sandboxed import one

DAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)


def _sentiment(name: str) -> tuple[str, Source]:
    """Return a source of news of its own, and the sentiment that is derived from it alone."""
    known = discover_sources()["human_sentiment"]
    endpoint = known.endpoints[0]
    assert endpoint.reads is not None
    reads = dataclasses.replace(endpoint.reads, sources=(f"human_{name}",))
    named = dataclasses.replace(known, name=f"human_{name}_mood", endpoints=(dataclasses.replace(endpoint, reads=reads),))
    return f"human_{name}", named


def _publish(database: Database, source: str, *titles: str, day: datetime = DAY) -> None:
    rows = [News("wire", str(n), day + timedelta(hours=n), title, "https://p.invalid", None, None) for n, title in enumerate(titles)]
    with database.connect("writer") as connection, connection.transaction():
        append(connection, source, rows, None)


def test_each_title_gets_a_score_with_its_model_and_each_coin_the_mean_of_its_day(database: Database, settings: Settings) -> None:
    news, mood = _sentiment("s1")
    _publish(database, news, "Bitcoin soars", "Bitcoin and Ethereum crash", "What is a wallet?")

    did = collect(mood, database, settings)

    assert did.tables["human.title_score"].inserted == 3
    assert (
        one(database, "SELECT string_agg(DISTINCT model, ' ') FROM human.title_score WHERE source = %s", mood.name)
        == "vader-3.3.2+crypto-1"
    )
    with database.connect("reader") as connection:
        query = "SELECT symbol, score, label FROM human.sentiment WHERE source = %s AND metric = 'title_sentiment' AND observed_at = %s"
        means = {symbol: (score, label) for symbol, score, label in connection.execute(query, [mood.name, DAY])}
        query = "SELECT item_id, score FROM human.title_score WHERE source = %s"
        of_item = dict(connection.execute(query, [mood.name]).fetchall())
    assert set(means) == {"BTC", "ETH", "MARKET"}
    assert means["ETH"] == (of_item["1"], "bearish")
    assert means["BTC"][0] == ((of_item["0"] + of_item["1"]) / 2).quantize(Decimal("0.0001"))
    assert means["MARKET"][0] == ((of_item["0"] + of_item["1"]) / 3).quantize(Decimal("0.0001"))


def test_a_run_scores_what_is_new_and_a_changed_title_anew(database: Database, settings: Settings) -> None:
    news, mood = _sentiment("s2")
    _publish(database, news, "Bitcoin soars", "Solana slides")
    _publish(database, news, "Nothing happens", day=DAY - timedelta(days=1))
    collect(mood, database, settings)
    _publish(database, news, "Bitcoin crashes", "Solana slides", "Ether rallies")

    second, idle = collect(mood, database, settings), collect(mood, database, settings)

    assert dataclasses.astuple(second.tables["human.title_score"]) == (1, 1, 1)
    assert (idle.tables["human.title_score"].inserted, idle.tables["human.title_score"].changed) == (0, 0)
    version = "SELECT label FROM human.title_score WHERE source = %s AND item_id = '0' AND published_at = %s ORDER BY version DESC LIMIT 1"
    assert one(database, version, mood.name, DAY) == "bearish"


def test_another_lexicon_scores_everything_anew_as_new_versions(database: Database, settings: Settings) -> None:
    news, mood = _sentiment("s3")
    for age in range(3):
        _publish(database, news, "Bitcoin rallies", "Exchange depegs", day=DAY - timedelta(days=age))
    collect(mood, database, settings, config=source_config(mood, {"lexicon": "none"}))

    did = collect(mood, database, settings)

    assert did.tables["human.title_score"].changed == 6
    models = "SELECT string_agg(version || ' ' || model, ', ' ORDER BY version) FROM human.title_score"
    assert (
        one(database, f"{models} WHERE source = %s AND item_id = '0' AND published_at = %s", mood.name, DAY)
        == "1 vader-3.3.2, 2 vader-3.3.2+crypto-1"
    )


def test_a_coin_of_one_s_own_is_found_by_its_keywords(database: Database, settings: Settings) -> None:
    news, mood = _sentiment("s4")
    _publish(database, news, "Pepe coin soars")

    collect(mood, database, settings, config=source_config(mood, {"keywords": {"PEPE": ["pepe"]}}))

    assert one(database, "SELECT symbols FROM human.title_score WHERE source = %s", mood.name) == "PEPE"


def test_sentiment_without_news_is_no_empty_success(database: Database, settings: Settings) -> None:
    _, mood = _sentiment("s5")

    with pytest.raises(UpstreamRefusedError, match="no rows yet"):
        collect(mood, database, settings)


@pytest.mark.parametrize("keywords", [{"btc": ["bitcoin"]}, {"BTC": []}, {"BTC": [" x"]}, {"MARKET": ["market"]}])
def test_keywords_that_name_no_coin_are_refused(keywords: dict[str, list[str]]) -> None:
    with pytest.raises(Exception, match="keywords"):
        source_config(discover_sources()["human_sentiment"], {"keywords": keywords})
