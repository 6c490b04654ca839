"""Each stand-in over real HTTP: paths, refusals and odd shapes, held against recordings where there are any."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from omc_infra.settings import load_settings
from omc_pipeline.sandbox import serving
from omc_pipeline.sandbox.keys import secret_of_account

KEY, SECRET = "sandbox-coinspot-coinspot", secret_of_account("coinspot")
NOW = datetime(2026, 9, 17, 15, 30, 20, tzinfo=UTC)
CONTACT = {"User-Agent": "omc/0 (+data@fund.example)"}
MSTR = "/sec_edgar/submissions/CIK0001050446.json"


class _Now:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.moment = NOW

    def __call__(self) -> datetime:
        return self.moment


@pytest.fixture(scope="module")
def clock() -> _Now:
    return _Now()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, clock: _Now) -> Iterator[httpx2.Client]:
    settings = load_settings({"OMC_HOME": str(tmp_path_factory.mktemp("home"))})
    with serving(settings, clock) as url, httpx2.Client(base_url=url, timeout=5, trust_env=False) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _back_to_normal(client: httpx2.Client, clock: _Now) -> Iterator[None]:
    yield
    clock.moment = NOW
    client.delete("/_control/faults")


@pytest.fixture(scope="module")
def nonces() -> Iterator[int]:
    return iter(range(1000, 100_000))


def ask(client: httpx2.Client, path: str, **params: str) -> Any:
    answer = client.get(path, params=params, headers=CONTACT)
    assert answer.status_code == 200, answer.text
    return answer.json()


def post(client: httpx2.Client, path: str, body: Mapping[str, Any], secret: str = SECRET) -> Any:
    content = json.dumps(body).encode()
    sign = hmac.new(secret.encode(), content, hashlib.sha512).hexdigest()
    return client.post(f"/coinspot/api/v2/ro/{path}", content=content, headers={"key": KEY, "sign": sign})


def spoil(client: httpx2.Client, upstream: str, kind: str, **more: float) -> None:
    assert client.post("/_control/faults", json={"upstream": upstream, "kind": kind, **more}).status_code == 200


def keys_of(document: Any, path: str = "") -> set[str]:
    """Return the paths of all keys, list places left out."""
    if isinstance(document, dict):
        return {f"{path}.{name}" for name in document} | {key for name, part in document.items() for key in keys_of(part, f"{path}.{name}")}
    if isinstance(document, list):
        return {key for part in document for key in keys_of(part, path)}
    return set()


def recorded(shared: Path, name: str) -> Any:
    return json.loads((shared / "payloads" / name).read_text())


# --- CoinSpot


def test_coinspot_prices_are_strings_without_a_time(client: httpx2.Client, shared: Path) -> None:
    document = ask(client, "/coinspot/pubapi/v2/latest")

    real = recorded(shared, "coinspot/pubapi_v1_latest_2020-12.json")
    assert document.keys() == real.keys()
    assert document["status"] == "ok"
    assert set(document["prices"]) == {"btc", "eth", "sol", "xrp", "ada", "doge", "ltc", "link"}
    for price in document["prices"].values():
        assert price.keys() == {"bid", "ask", "last"}
        assert all(re.fullmatch(r"\d+(\.\d+)?", value) for value in price.values())
        assert float(price["bid"]) < float(price["ask"])


def test_coinspot_last_price_is_rarely_outside_bid_and_ask(client: httpx2.Client, clock: _Now) -> None:
    outside = 0

    for minute in range(60):
        clock.moment = NOW + timedelta(minutes=minute)
        prices = ask(client, "/coinspot/pubapi/v2/latest")["prices"].values()
        outside += sum(not float(p["bid"]) <= float(p["last"]) <= float(p["ask"]) for p in prices)

    assert 1 <= outside <= 20


def test_coinspot_orders_have_the_documented_shape_and_no_id(client: httpx2.Client, nonces: Iterator[int], shared: Path) -> None:
    document = post(client, "my/orders/completed", {"nonce": next(nonces), "startdate": "2026-08-18"}).json()

    assert keys_of(document) == keys_of(recorded(shared, "coinspot/doc_sample_v2_ro_my_orders_completed.json"))
    orders = [*document["buyorders"], *document["sellorders"]]
    assert 90 <= len(orders) <= 160
    assert all(("otc" in order) == (order["type"] == "instant") for order in orders)
    assert all(re.fullmatch(r"2026-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", order["solddate"]) for order in orders)
    for order in orders:
        fee = order["audfeeExGst"] + order["audGst"]
        assert fee == pytest.approx(order["total"] * 0.001, rel=1e-4)
        assert order["total"] == pytest.approx(order["rate"] * order["amount"])


def test_coinspot_rows_are_newest_first_but_not_strictly(client: httpx2.Client, nonces: Iterator[int]) -> None:
    times = [order["solddate"] for order in post(client, "my/orders/completed", {"nonce": next(nonces)}).json()["buyorders"]]

    assert times[0] > times[-1]
    assert times != sorted(times, reverse=True)


def test_coinspot_numbers_carry_float_noise(client: httpx2.Client, nonces: Iterator[int]) -> None:
    body = post(client, "my/orders/completed", {"nonce": next(nonces)}).text

    assert re.search(r'"total":\d+\.\d{11,}', body)


def test_coinspot_orders_are_windowed_by_utc_days_and_limited(client: httpx2.Client, nonces: Iterator[int]) -> None:
    window = {"startdate": "2026-09-01", "enddate": "2026-09-02"}

    within = post(client, "my/orders/completed", {"nonce": next(nonces), **window}).json()
    first = post(client, "my/orders/completed", {"nonce": next(nonces), "limit": 3}).json()
    bad = post(client, "my/orders/completed", {"nonce": next(nonces), "startdate": "01/09/2026"})

    assert {order["solddate"][:10] for order in within["buyorders"]} == {"2026-09-01", "2026-09-02"}
    assert len(first["buyorders"]) == 3
    assert (bad.status_code, bad.json()["status"]) == (400, "error")


def test_coinspot_balances_are_a_list_of_one_key_objects_with_aud_among_them(
    client: httpx2.Client, nonces: Iterator[int], shared: Path
) -> None:
    document = post(client, "my/balances", {"nonce": next(nonces)}).json()

    sample = recorded(shared, "coinspot/doc_sample_v2_ro_my_balances.json")
    assert document.keys() == sample.keys()
    assert all(len(row) == 1 for row in document["balances"])
    rows = {coin: row for entry in document["balances"] for coin, row in entry.items()}
    assert {"AUD", "BTC", "RHOC"} <= rows.keys()
    assert all(row.keys() == {"balance", "audbalance", "rate"} for row in rows.values())
    assert rows["BTC"]["audbalance"] <= rows["BTC"]["balance"] * rows["BTC"]["rate"] < rows["BTC"]["audbalance"] + 0.01001


@pytest.mark.parametrize(
    ("headers", "body", "refusal"),
    [
        ({}, {"nonce": 10**9}, "invalid"),
        ({"key": "someone-else"}, {"nonce": 10**9}, "invalid"),
        ({"sign": "0" * 128}, {"nonce": 10**9}, "invalid"),
    ],
)
def test_coinspot_refuses_a_wrong_key_or_signature_with_a_status_of_its_own(
    client: httpx2.Client, shared: Path, headers: Mapping[str, str], body: Mapping[str, int], refusal: str
) -> None:
    answer = client.post("/coinspot/api/v2/ro/status", json=body, headers={"key": KEY, **headers})

    assert answer.json() == recorded(shared, "coinspot/error_v1_invalid.json") == {"status": refusal}


def test_coinspot_signs_the_exact_bytes(client: httpx2.Client, nonces: Iterator[int]) -> None:
    spaced, tight = f'{{"nonce": {next(nonces)}}}', f'{{"nonce":{next(nonces)}}}'
    sign = hmac.new(SECRET.encode(), spaced.encode(), hashlib.sha512).hexdigest()
    headers = {"key": KEY, "sign": sign}

    assert client.post("/coinspot/api/v2/ro/status", content=tight.encode(), headers=headers).json() == {"status": "invalid"}
    assert client.post("/coinspot/api/v2/ro/status", content=spaced.encode(), headers=headers).json()["status"] == "ok"


@pytest.mark.parametrize("nonce", [None, "text", 1.5, True, "same", "lower"])
def test_coinspot_wants_a_nonce_above_the_last_one(client: httpx2.Client, nonces: Iterator[int], shared: Path, nonce: object) -> None:
    last = next(nonces)
    post(client, "status", {"nonce": last})
    sent = {"same": last, "lower": last - 1}.get(nonce, nonce) if isinstance(nonce, str) else nonce

    answer = post(client, "status", {"nonce": sent})

    assert answer.json() == recorded(shared, "coinspot/error_v1_no_nonce.json")


def test_coinspot_account_answers_to_post_only(client: httpx2.Client) -> None:
    assert client.get("/coinspot/api/v2/ro/my/balances").status_code == 405


# --- DefiLlama


def test_llama_protocols_have_a_number_as_tvl_and_gaps(client: httpx2.Client) -> None:
    rows = ask(client, "/defillama/protocols")

    assert all(isinstance(row["tvl"], float) for row in rows)
    assert {"lido", "aave", "uniswap", "makerdao", "eigenlayer", "jito"} <= {row["slug"] for row in rows}
    assert any(row["symbol"] == "-" and row["gecko_id"] is None and row["mcap"] is None for row in rows)
    assert [row["slug"] for row in rows if "parentProtocol" in row] == ["aave-v3"]
    assert any("github" not in row for row in rows)
    assert any("staking" in row["chainTvls"] and "Ethereum-staking" in row["chainTvls"] for row in rows)


def test_llama_protocol_has_a_list_of_days_as_tvl(client: httpx2.Client, shared: Path) -> None:
    document = ask(client, "/defillama/protocol/jito")

    missing = recorded(shared, "defillama/protocol_jito_2025-03.json").keys() - document.keys()
    assert missing == {"oraclesBreakdown"}
    dates = [point["date"] for point in document["tvl"]]
    assert len(dates) == 32
    assert dates == sorted(dates)
    assert all(date % 86400 == 0 for date in dates[:-1])
    assert document["tvl"][-1]["totalLiquidityUSD"] == next(r["tvl"] for r in ask(client, "/defillama/protocols") if r["slug"] == "jito")


def test_llama_says_400_to_an_unknown_protocol(client: httpx2.Client) -> None:
    assert client.get("/defillama/protocol/nobody").status_code == 400


def test_llama_fees_have_null_rows_and_missing_keys(client: httpx2.Client, shared: Path) -> None:
    document = ask(client, "/defillama/overview/fees")

    assert keys_of(document) - {".protocols.parentProtocol"} == keys_of(recorded(shared, "defillama/synthetic_fees_overview_nulls.json"))
    unknown = [row for row in document["protocols"] if row["total24h"] is None]
    assert unknown
    assert all("total7d" not in row for row in unknown)


def test_llama_prices_have_seconds_and_leave_unknown_coins_out(client: httpx2.Client, shared: Path) -> None:
    document = ask(client, "/defillama_coins/prices/current/coingecko:bitcoin,coingecko:chainlink,coingecko:nobody,bitcoin")

    real = recorded(shared, "defillama/coins_prices_current_2025.json")["coins"]["coingecko:chainlink"]
    assert document["coins"].keys() == {"coingecko:bitcoin", "coingecko:chainlink"}
    assert document["coins"]["coingecko:chainlink"].keys() == real.keys()
    assert 0 <= NOW.timestamp() - document["coins"]["coingecko:bitcoin"]["timestamp"] < 90


def test_usd_and_aud_prices_agree(client: httpx2.Client) -> None:
    usd = ask(client, "/defillama_coins/prices/current/coingecko:bitcoin,coingecko:ethereum")["coins"]
    aud = ask(client, "/coinspot/pubapi/v2/latest")["prices"]

    rates = [float(aud[coin]["bid"]) / usd[name]["price"] for coin, name in (("btc", "coingecko:bitcoin"), ("eth", "coingecko:ethereum"))]
    assert all(1.4 < rate < 1.65 for rate in rates)
    assert rates[0] == pytest.approx(rates[1], rel=0.005)


# --- Fear & Greed


def test_fear_and_greed_is_strings_newest_first_in_a_tab_indented_body(client: httpx2.Client, shared: Path) -> None:
    answer = client.get("/fng/fng/?limit=3")

    document = answer.json()
    real = recorded(shared, "fng/fng_limit2_2026-04.json")
    assert keys_of(document) - keys_of(real) == {".data.time_until_update"}
    assert document["metadata"] == {"error": None}
    assert all(isinstance(value, str) for row in document["data"] for value in row.values())
    assert [int(row["timestamp"]) for row in document["data"]] == [int(NOW.timestamp()) // 86400 * 86400 - n * 86400 for n in range(3)]
    assert ["time_until_update" in row for row in document["data"]] == [True, False, False]
    assert "\n\t" in answer.text


def test_fear_and_greed_gives_one_day_unless_told_and_all_for_zero(client: httpx2.Client) -> None:
    assert len(ask(client, "/fng/fng/")["data"]) == 1
    assert len(ask(client, "/fng/fng/", limit="0")["data"]) == 31


# --- SEC EDGAR


def test_edgar_has_the_recorded_keys_in_columns_of_one_length(client: httpx2.Client, shared: Path) -> None:
    document = ask(client, MSTR)

    real = recorded(shared, "sec_edgar/submissions_CIK0001940261_small.json")
    assert keys_of(document) == keys_of(real)
    columns = document["filings"]["recent"]
    assert len({len(column) for column in columns.values()}) == 1
    assert columns["acceptanceDateTime"] == sorted(columns["acceptanceDateTime"], reverse=True)
    assert all(re.fullmatch(r"\d{10}-26-\d{6}", number) for number in columns["accessionNumber"])
    assert all(moment.endswith(".000Z") for moment in columns["acceptanceDateTime"])


@pytest.mark.parametrize("agent", ["python-httpx", "omc/0 (no contact set)", ""])
def test_edgar_turns_away_who_gives_no_contact(client: httpx2.Client, agent: str) -> None:
    answer = client.get(MSTR, headers={"User-Agent": agent})

    assert (answer.status_code, answer.headers["content-type"]) == (403, "text/html; charset=utf-8")
    assert "Undeclared" in answer.text


def test_edgar_says_xml_under_a_json_url_to_an_unknown_cik(client: httpx2.Client) -> None:
    answer = client.get("/sec_edgar/submissions/CIK0000000001.json", headers=CONTACT)

    assert answer.status_code == 404
    assert "<Code>NoSuchKey</Code>" in answer.text


def test_edgar_does_not_send_twice_what_did_not_change(client: httpx2.Client) -> None:
    etag = client.get(MSTR, headers=CONTACT).headers["etag"]

    answer = client.get(MSTR, headers={**CONTACT, "If-None-Match": etag})

    assert (answer.status_code, answer.content) == (304, b"")


def test_edgar_stops_who_asks_too_fast(client: httpx2.Client) -> None:
    answers = [client.get(MSTR, headers=CONTACT) for _ in range(40)]

    refused = [answer for answer in answers if answer.status_code == 403]
    assert refused
    assert "Threshold" in refused[0].text


def test_an_announced_filing_is_listed_first_at_once(client: httpx2.Client) -> None:
    before = client.get(MSTR.replace("1050446", "1507605"), headers=CONTACT)

    announced = client.post("/_control/filings", json={"cik": "1507605", "items": "8.01"}).json()

    after = _unhurried(client, MSTR.replace("1050446", "1507605"))
    recent = after.json()["filings"]["recent"]
    assert recent["accessionNumber"][0] == announced["accession_number"]
    assert (recent["items"][0], recent["form"][0]) == ("8.01", "8-K")
    assert before.headers.get("etag") != after.headers["etag"]


def _unhurried(client: httpx2.Client, path: str) -> httpx2.Response:
    """Ask until the rate of other tests is forgotten."""
    import time

    for _ in range(30):
        answer = client.get(path, headers=CONTACT)
        if answer.status_code == 200:
            return answer
        time.sleep(0.1)
    pytest.fail("still too fast")


# --- all of them

_PATHS = {
    "coinspot": "/coinspot/pubapi/v2/latest",
    "defillama": "/defillama/protocols",
    "defillama_coins": "/defillama_coins/prices/current/coingecko:bitcoin",
    "fng": "/fng/fng/?limit=5",
}


@pytest.mark.parametrize("upstream", _PATHS)
def test_a_429_says_how_long_to_wait_and_passes_after_its_count(client: httpx2.Client, upstream: str) -> None:
    spoil(client, upstream, "429", count=2, seconds=7)

    answers = [client.get(_PATHS[upstream]) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].headers["retry-after"] == "7"


@pytest.mark.parametrize("upstream", _PATHS)
def test_a_500_is_no_json(client: httpx2.Client, upstream: str) -> None:
    spoil(client, upstream, "500")

    assert client.get(_PATHS[upstream]).status_code == 500
    assert client.get(_PATHS[upstream]).status_code == 200


@pytest.mark.parametrize("upstream", _PATHS)
def test_a_malformed_answer_is_a_whole_response_with_half_a_document(client: httpx2.Client, upstream: str) -> None:
    spoil(client, upstream, "malformed")

    answer = client.get(_PATHS[upstream])

    assert answer.status_code == 200
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        answer.json()


@pytest.mark.parametrize("upstream", _PATHS)
def test_a_reset_drops_the_connection_amid_the_body(client: httpx2.Client, upstream: str) -> None:
    spoil(client, upstream, "reset")

    with pytest.raises(httpx2.TransportError):
        client.get(_PATHS[upstream])
    assert client.get(_PATHS[upstream]).status_code == 200


def test_a_slow_answer_takes_its_time(client: httpx2.Client) -> None:
    spoil(client, "fng", "slow", seconds=0.5)

    answer = client.get(_PATHS["fng"])

    assert answer.elapsed > timedelta(seconds=0.45)
    assert answer.json()["data"]


def test_duplicates_are_whole_rows(client: httpx2.Client, nonces: Iterator[int]) -> None:
    for upstream in ("fng", "defillama", "coinspot", "sec_edgar"):
        spoil(client, upstream, "duplicate")

    days = ask(client, _PATHS["fng"])["data"]
    protocols = ask(client, _PATHS["defillama"])
    orders = post(client, "my/orders/completed", {"nonce": next(nonces)}).json()["buyorders"]
    columns = _unhurried_duplicate(client)

    for rows in (days, protocols, orders, *columns.values()):
        half = len(rows) // 2
        assert half
        assert rows[:half] == rows[half:]


def _unhurried_duplicate(client: httpx2.Client) -> dict[str, list[Any]]:
    import time

    time.sleep(1.05)  # the fault waits for one answer, so it may not be the refusal of a hurried one
    columns: dict[str, list[Any]] = client.get(MSTR, headers=CONTACT).json()["filings"]["recent"]
    return columns


def test_a_late_answer_is_that_of_hours_ago(client: httpx2.Client, clock: _Now) -> None:
    spoil(client, "coinspot", "late", hours=6)

    late = ask(client, _PATHS["coinspot"])
    now = ask(client, _PATHS["coinspot"])
    clock.moment = NOW - timedelta(hours=6)

    assert late == ask(client, _PATHS["coinspot"])
    assert late != now


@pytest.mark.parametrize(
    "asked", [{}, {"upstream": "nobody", "kind": "500"}, {"upstream": "fng", "kind": "418"}, {"upstream": "fng", "kind": "500", "count": 0}]
)
def test_a_fault_that_makes_no_sense_is_refused(client: httpx2.Client, asked: Mapping[str, object]) -> None:
    answer = client.post("/_control/faults", json=asked)

    assert answer.status_code == 400
    assert answer.json()["error"]


def test_two_sandboxes_of_one_seed_agree(client: httpx2.Client, clock: _Now, tmp_path: Path) -> None:
    with serving(load_settings({"OMC_HOME": str(tmp_path)}), clock) as url:
        twin = {name: httpx2.get(url + path, trust_env=False).content for name, path in _PATHS.items()}
    with serving(load_settings({"OMC_HOME": str(tmp_path), "OMC_SANDBOX_SEED": "2"}), clock) as url:
        other = {name: httpx2.get(url + path, trust_env=False).content for name, path in _PATHS.items()}

    here = {name: client.get(path).content for name, path in _PATHS.items()}
    assert here == twin
    assert all(here[name] != other[name] for name in here)
