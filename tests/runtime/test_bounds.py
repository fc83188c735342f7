"""No request is larger or takes longer than it may, whatever its route does."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from easymo_platform.runtime.bounds import REQUEST_MAX_BYTES
from easymo_platform.runtime.settings import Settings, SettingsError
from tests.runtime.conftest import SmallService

TOO_LARGE = b" " * (REQUEST_MAX_BYTES + 1)


async def test_a_route_that_hangs_is_cancelled_and_the_client_told_to_come_back(small_service: SmallService) -> None:
    async with small_service(REQUEST_LIMIT_S="1.5") as (client, app):
        response = await client.get("/hang")
        assert (response.status_code, response.json()["error"]) == (503, "time_limit_exceeded")
        assert response.headers["retry-after"] == "2"
        assert response.headers["x-request-id"]
        assert app.state.left_hanging is False
        assert 'route="/hang",service="orders",status_code="503"' in (await client.get("/metrics")).text


async def test_a_client_that_keeps_its_body_back_is_told_so(small_service: SmallService) -> None:
    async with small_service(REQUEST_LIMIT_S="1") as (client, app):
        sent: list[Any] = []

        async def nothing_comes() -> Any:
            await asyncio.Event().wait()

        async def take(message: Any) -> None:
            sent.append(message)

        headers = [(b"content-length", b"12"), (b"content-type", b"application/json")]
        headers.append((b"authorization", client.headers["authorization"].encode()))
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": "/orders",
            "raw_path": b"/orders",
            "root_path": "",
            "query_string": b"",
            "headers": headers,
            "scheme": "http",
            "server": ("orders", 80),
            "client": ("10.0.0.1", 1234),
        }
        await app(scope, nothing_comes, take)  # type: ignore[arg-type]
        assert sent[0]["status"] == 408
        assert (b"connection", b"close") in sent[0]["headers"]
        assert b"request_timeout" in sent[1]["body"]


async def test_a_body_that_is_announced_too_large_is_refused_before_anybody_is_asked_who_they_are(
    small_service: SmallService,
) -> None:
    async with small_service() as (client, _):
        del client.headers["authorization"]
        for method, path in (("POST", "/orders"), ("GET", "/orders/1"), ("GET", "/health/live")):
            response = await client.request(method, path, content=TOO_LARGE)
            assert (response.status_code, response.json()["error"]) == (413, "payload_too_large")
        just = await client.post("/orders", content=TOO_LARGE[1:])
        assert just.status_code == 401


async def test_a_body_that_announces_nothing_is_counted_while_it_comes(small_service: SmallService) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield TOO_LARGE[: REQUEST_MAX_BYTES // 10]

    async with small_service() as (client, _):
        response = await client.post("/orders", content=chunks(), headers={"content-type": "application/json"})
    assert response.status_code == 413


async def test_an_answer_in_pieces_may_take_longer_than_a_request_may(small_service: SmallService) -> None:
    async with small_service(REQUEST_LIMIT_S="2") as (client, _):
        response = await client.get("/pieces/22")
    assert response.text == 22 * "piece"


@pytest.mark.parametrize("limit_s", [0.0, -1.0, float("nan")])
def test_a_limit_that_would_refuse_every_request_is_refused_itself(limit_s: float) -> None:
    with pytest.raises(SettingsError, match="REQUEST_LIMIT_S"):
        Settings(database_url="postgresql://x/y", auth_disabled=True, request_limit_s=limit_s)
