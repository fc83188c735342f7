"""What every request gets: an id, a measurement, and one shape of error."""

import math
import re
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.runtime.conftest import SmallService

DEEP = b'{"amount":' + b"[" * 200_000 + b"]" * 200_000 + b"}"


def samples(page: str, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    families = text_string_to_metric_families(page)
    found = [sample for family in families for sample in family.samples if sample.name == name]
    return {tuple(sorted(sample.labels.items())): sample.value for sample in found}


async def test_requests_are_counted_by_template_never_by_path(small_service: SmallService) -> None:
    async with small_service() as (client, _):
        for number in range(3):
            await client.get(f"/orders/{number}")
        await client.get("/nowhere/7")
        await client.post("/orders", json={"amount": 0})
        response = await client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    counted = samples(response.text, "http_requests_total")
    assert counted == {
        (("method", "GET"), ("route", "/orders/{order_id}"), ("service", "orders"), ("status_code", "200")): 3,
        (("method", "GET"), ("route", "unmatched"), ("service", "orders"), ("status_code", "404")): 1,
        (("method", "POST"), ("route", "/orders"), ("service", "orders"), ("status_code", "400")): 1,
    }


async def test_latency_has_the_notes_claims_as_bucket_bounds(small_service: SmallService) -> None:
    async with small_service() as (client, _):
        await client.get("/orders/1")
        page = (await client.get("/metrics")).text
    bounds = {float(dict(labels)["le"]) for labels in samples(page, "http_request_duration_seconds_bucket")}
    milliseconds = (1, 5, 10, 25, 50, 75, 98, 150, 200, 250, 287, 300, 456, 500, 1000, 2500, 5000, 10_000)
    assert bounds == {*(ms / 1000 for ms in milliseconds), math.inf}


async def test_every_series_names_the_service(small_service: SmallService) -> None:
    async with small_service() as (client, app):
        await client.get("/health/ready")
        await app.state.runtime.database.fetch("one")
        families = list(text_string_to_metric_families((await client.get("/metrics")).text))
    assert {family.name for family in families} >= {
        "http_requests",
        "db_queries",
        "db_query_duration_seconds",
        "db_pool_size",
        "db_pool_waiting",
        "db_pool_refused",
        "easymo_cache_reads",
        "easymo_cache_connected",
        "process_resident_memory_bytes",
        "process_memory_limit_bytes",
        "python_gc_collections",
    }
    assert all(sample.labels.get("service") == "orders" for family in families for sample in family.samples)


async def test_memory_is_told_beside_a_limit_that_it_is_below(small_service: SmallService) -> None:
    async with small_service() as (client, _):
        page = (await client.get("/metrics")).text
    (resident,) = samples(page, "process_resident_memory_bytes").values()
    (limit,) = samples(page, "process_memory_limit_bytes").values()
    assert 10_000_000 < resident < limit


async def test_release_is_told_so_that_dashboards_can_compare_it_with_the_last(small_service: SmallService) -> None:
    async with small_service(RELEASE="1.4.2") as (client, _):
        page = (await client.get("/metrics")).text
    assert samples(page, "service_info") == {(("release", "1.4.2"), ("service", "orders")): 1}


@pytest.mark.parametrize("given", ["trace-1.a:b", "x" * 128])
async def test_given_request_id_is_echoed(small_service: SmallService, given: str) -> None:
    async with small_service() as (client, _):
        response = await client.get("/orders/1", headers={"X-Request-Id": given})
    assert response.headers["x-request-id"] == given


async def test_correlation_id_is_the_callers_or_begins_with_this_request(small_service: SmallService) -> None:
    async with small_service() as (client, _):
        given = await client.get("/orders/1", headers={"X-Correlation-Id": "journey-1"})
        begun = await client.get("/orders/1", headers={"X-Request-Id": "first", "X-Correlation-Id": "two words"})
    assert given.headers["x-correlation-id"] == "journey-1" != given.headers["x-request-id"]
    assert begun.headers["x-correlation-id"] == begun.headers["x-request-id"] == "first"


@pytest.mark.parametrize("given", ["", "two words", "x" * 129, 'quote"'])
async def test_absent_or_unfit_request_id_is_replaced(small_service: SmallService, given: str) -> None:
    async with small_service() as (client, _):
        ids = [
            (await client.get(path, headers={"X-Request-Id": given})).headers["x-request-id"]
            for path in ("/orders/1", "/nowhere", "/defect")
        ]
    assert all(re.fullmatch("[0-9a-f]{16}", identity) for identity in ids)
    assert len(set(ids)) == 3


async def test_every_error_has_one_shape(small_service: SmallService) -> None:
    async with small_service() as (client, _):
        errors = {
            "not_found": await client.get("/nowhere"),
            "method_not_allowed": await client.delete("/orders/1"),
            "internal_error": await client.get("/defect"),
            "payload_too_large": await client.post("/orders", content=b'{"amount":1' + b" " * 1_000_001 + b"}"),
        }
        wrong: tuple[Any, ...] = ({"amount": 0}, {"amount": 1, "x": 1}, {}, [])
        bodies = [await client.post("/orders", json=body) for body in wrong]
        bodies += [await client.post("/orders", content=content) for content in (b"{", b"\xff", b"", DEEP)]
    assert {name: response.status_code for name, response in errors.items()} == {
        "not_found": 404,
        "method_not_allowed": 405,
        "internal_error": 500,
        "payload_too_large": 413,
    }
    for name, response in errors.items():
        _has_the_shape(response, name)
    for response in bodies:
        assert response.status_code == 400
        _has_the_shape(response, "invalid_payload")
    assert bodies[0].json()["details"] == [{"field": "amount", "problem": "Expected `int` >= 1"}]


async def test_defect_of_ours_is_not_told_to_the_client(small_service: SmallService) -> None:
    async with small_service() as (client, _):
        response = await client.get("/defect")
    assert "secret" not in response.text
    assert "RuntimeError" not in response.text


async def test_openapi_is_served(small_service: SmallService) -> None:
    async with small_service() as (client, _):
        schema = (await client.get("/schema")).json()
    assert {"/orders", "/orders/{order_id}", "/health"} <= schema["paths"].keys()


def _has_the_shape(response: httpx.Response, error: str) -> None:
    body = response.json()
    assert body["error"] == error
    assert body["message"].endswith(".")
    assert body.keys() <= {"error", "message", "details"}
