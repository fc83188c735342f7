"""Health, readiness and the cache's figures."""

from easymo.embedded import Postgres
from tests.runtime.conftest import SmallService


async def test_healthy_service_says_so_everywhere(small_service: SmallService) -> None:
    async with small_service() as (client, _):
        assert (await client.get("/health/live")).json() == {"status": "ok"}
        assert (await client.get("/health/ready")).json() == {"status": "ready"}
        response = await client.get("/health")
    health = response.json()
    assert (response.status_code, health["status"], health["service"]) == (200, "ok", "orders")
    assert health["checks"] == {"postgres": "ok", "redis": "ok"}
    assert health["uptime"] >= 0
    assert health["timestamp"].endswith("Z")


async def test_summary_is_cached_and_not_shared_between_processes(small_service: SmallService) -> None:
    async with small_service() as (client, app):
        first, second = await client.get("/health"), await client.get("/health")
        assert first.content == second.content
        stats = (await client.get("/cache/stats")).json()
        keys = [key async for key in _keys(app.state.runtime.settings.redis_url)]
    assert stats["strategies"]["health_check"]["loads"] == 1
    assert any(b"health:orders:" in key for key in keys)


async def test_near_cache_is_bounded_by_its_setting(small_service: SmallService) -> None:
    for megabytes, kept in (("64", 1), ("0.0001", 0)):
        async with small_service(CACHE_NEAR_MB=megabytes) as (_, app):
            cache = app.state.runtime.cache
            await cache.set("near", "value")
            assert await cache.get("near") == "value"
            assert cache.local_stats().near_entries == kept, megabytes


async def test_without_postgres_the_service_lives_but_is_not_ready(small_service: SmallService) -> None:
    with Postgres() as server:
        async with small_service(DATABASE_URL=server.url, REDIS_ENABLED="false") as (client, _):
            assert (await client.get("/health/ready")).status_code == 200
            server.__exit__(None, None, None)
            ready, health = await client.get("/health/ready"), await client.get("/health")
            assert (ready.status_code, ready.json()["error"]) == (503, "not_ready")
            assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
            assert health.json()["checks"] == {"postgres": "down", "redis": "off"}
            assert (await client.get("/health/live")).status_code == 200


async def test_without_redis_the_service_is_degraded_and_ready(small_service: SmallService) -> None:
    async with small_service(REDIS_URL="redis://127.0.0.1:1") as (client, _):
        health = await client.get("/health")
        assert (health.status_code, health.json()["status"]) == (200, "degraded")
        assert (await client.get("/health/ready")).status_code == 200


async def _keys(url: str):  # type: ignore[no-untyped-def]
    from redis.asyncio import Redis

    async with Redis.from_url(url) as redis:
        async for key in redis.scan_iter():
            yield key
