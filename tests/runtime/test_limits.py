"""Rate limits: shared by replicas, per caller, never an outage."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis.asyncio import Redis

from easymo.embedded import Valkey
from easymo_platform.runtime.auth import LOAD_TEST
from tests.runtime.conftest import SmallService


@pytest.fixture(autouse=True)
def _redis_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine an answer of Redis may take longer than a limit waits for it: then nobody would be limited."""
    monkeypatch.setattr("easymo_platform.runtime.limits.TIMEOUT_S", 30.0)


@pytest.fixture(autouse=True)
async def _no_counter_of_another_test(valkey: Valkey) -> None:
    async with Redis.from_url(valkey.url) as redis:
        await redis.flushall()


async def test_replicas_share_a_callers_limit(small_service: SmallService) -> None:
    async with small_service(RATE_LIMIT_SERVICE="5") as (a, _), small_service(RATE_LIMIT_SERVICE="5") as (b, _):
        responses = await asyncio.gather(*(client.get("/orders/1") for client in (a, b) for _ in range(4)))
    assert sorted(response.status_code for response in responses) == [200] * 5 + [429] * 3
    accepted = [response for response in responses if response.status_code == 200]
    remaining = sorted(int(response.headers["x-ratelimit-remaining"]) for response in accepted)
    assert remaining == [0, 1, 2, 3, 4], "each request has taken one: the count is atomic"


async def test_refusal_says_when_to_come_back(small_service: SmallService) -> None:
    async with small_service(RATE_LIMIT_SERVICE="1") as (client, _):
        await client.get("/orders/1")
        response = await client.get("/orders/1")
    body = response.json()
    assert (response.status_code, body["error"]) == (429, "rate_limit_exceeded")
    assert 1 <= body["details"]["retry_after_s"] <= 61
    assert response.headers["retry-after"] == str(body["details"]["retry_after_s"])
    reset = datetime.fromisoformat(response.headers["x-ratelimit-reset"])
    assert timedelta(0) < reset - datetime.now(UTC) <= timedelta(seconds=61)


async def test_each_caller_has_its_own_limit_and_a_load_test_its_own_kind(small_service: SmallService) -> None:
    async with small_service(RATE_LIMIT_SERVICE="1") as (client, app):
        tokens = app.state.runtime.tokens
        statuses = {}
        for subject in ("one", "two", LOAD_TEST):
            headers = {"authorization": f"Bearer {tokens.sign('orders', [], subject=subject)}"}
            statuses[subject] = [(await client.get("/orders/1", headers=headers)).status_code for _ in range(3)]
    assert statuses == {"one": [200, 429, 429], "two": [200, 429, 429], LOAD_TEST: [200, 200, 200]}


async def test_our_own_workers_are_not_limited(small_service: SmallService) -> None:
    """Their number at work bounds what they ask; a limit would only turn a backlog into refusals."""
    async with small_service(RATE_LIMIT_SERVICE="1", RATE_LIMIT_EXEMPT="whatsapp-webhook, other") as (client, app):
        tokens = app.state.runtime.tokens
        headers = {"authorization": f"Bearer {tokens.sign('orders', [], subject='other')}"}
        statuses = [(await client.get("/orders/1", headers=headers)).status_code for _ in range(5)]
    assert statuses == [200] * 5


async def test_who_guesses_tokens_is_refused_by_address_and_probes_are_not(small_service: SmallService) -> None:
    async with small_service(RATE_LIMIT_STRANGER="2") as (client, _):
        wrong = {"authorization": "Bearer guess"}
        statuses = [(await client.get("/orders/1", headers=wrong)).status_code for _ in range(4)]
        assert statuses == [401, 401, 429, 429]
        assert (await client.get("/health/live", headers=wrong)).status_code == 200
        assert (await client.get("/orders/1")).status_code == 200, "a known caller at that address"


@pytest.mark.parametrize(
    ("trusted", "forwarded", "statuses"),
    [
        ("", ["10.0.0.1", "10.0.0.2"], [401, 429]),
        ("127.0.0.0/8", ["10.0.0.1", "10.0.0.2"], [401, 401]),
        ("127.0.0.0/8", ["1.1.1.1, 10.0.0.1", "2.2.2.2, 10.0.0.1"], [401, 429]),
        ("127.0.0.0/8,10.0.0.0/8", ["1.1.1.1, 10.0.0.1", "2.2.2.2, 10.0.0.1"], [401, 401]),
        ("127.0.0.0/8", ["what", "ever"], [401, 429]),
    ],
)
async def test_forwarded_address_counts_only_from_a_trusted_proxy(
    small_service: SmallService, trusted: str, forwarded: list[str], statuses: list[int]
) -> None:
    async with small_service(RATE_LIMIT_STRANGER="1", TRUSTED_PROXIES=trusted) as (client, _):
        del client.headers["authorization"]
        answers = [await client.get("/orders/1", headers={"x-forwarded-for": address}) for address in forwarded]
    assert [answer.status_code for answer in answers] == statuses


@pytest.mark.parametrize("environ", [{"REDIS_URL": "redis://127.0.0.1:1"}, {"REDIS_ENABLED": "false"}])
async def test_without_redis_nobody_is_refused_and_it_is_counted(
    small_service: SmallService, environ: dict[str, str]
) -> None:
    async with small_service(RATE_LIMIT_SERVICE="1", **environ) as (client, _):
        assert [(await client.get("/orders/1")).status_code for _ in range(3)] == [200] * 3
        page = (await client.get("/metrics")).text
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    assert [s.value for s in samples if s.name == "rate_limit_skipped_total"] == [3]
