"""`easymo cache` against a real Valkey."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import redis
from typer.testing import CliRunner, Result

from easymo.cache import CacheService, Strategy
from easymo.cli.main import app
from easymo.embedded import Valkey

REPORTS = Strategy("reports", key="report:{day}", ttl=60, stale_for=30, tags=("reports",))


@pytest.fixture
def redis_url(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("REDIS_URL", valkey.url)
    client = redis.Redis.from_url(valkey.url)
    client.flushall()
    try:
        yield valkey.url
    finally:
        client.close()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["cache", *arguments])


def fill(url: str, count: int = 3) -> None:
    async def store() -> None:
        async with CacheService(url) as cache:
            for day in range(count):
                await cache.set(REPORTS(day), {"day": day})

    asyncio.run(store())


def test_get_shows_value_time_left_and_tags(redis_url: str) -> None:
    fill(redis_url)
    shown = json.loads(run("get", "report:1", "--json").stdout)
    assert shown["value"] == {"day": 1}
    assert 50 < shown["fresh_for_s"] <= 60
    assert shown["fresh_for_s"] < shown["kept_for_s"] <= 90
    assert (shown["tags"], shown["outdated"]) == (["reports"], [])
    text = run("get", "report:1")
    assert text.exit_code == 0
    assert '"day": 1' in text.stdout


def test_get_says_that_a_value_was_invalidated_through_its_tag(redis_url: str) -> None:
    fill(redis_url)
    assert run("invalidate", "--tag", "reports", "--yes").exit_code == 0
    shown = json.loads(run("get", "report:1", "--json").stdout)
    assert shown["outdated"] == ["reports"]


def test_get_of_nothing_exits_with_1(redis_url: str) -> None:
    absent = run("get", "report:9")
    assert absent.exit_code == 1
    assert "report:9" in absent.stderr


def test_get_tells_foreign_bytes_apart(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.set("easymo:odd", b"not ours")
    assert json.loads(run("get", "odd", "--json").stdout)["state"] == "foreign"


def test_invalidate_counts_first_and_deletes_only_with_yes(redis_url: str) -> None:
    fill(redis_url)
    dry = json.loads(run("invalidate", "report:*", "--json").stdout)
    assert (dry["matching"], dry["deleted"], dry["done"]) == (3, 0, False)
    assert run("get", "report:1").exit_code == 0
    done = json.loads(run("invalidate", "report:*", "--yes", "--json").stdout)
    assert (done["matching"], done["deleted"]) == (3, 3)
    assert run("get", "report:1").exit_code == 1


def test_invalidate_leaves_other_namespaces_alone(redis_url: str) -> None:
    fill(redis_url)
    with redis.Redis.from_url(redis_url) as client:
        client.set("other:report:1", b"theirs")
        run("invalidate", "*", "--yes")
        assert client.get("other:report:1") == b"theirs"
        assert not list(client.scan_iter("easymo:*"))


def test_invalidate_asks_what_to_drop(redis_url: str) -> None:
    assert run("invalidate").exit_code == 2


@pytest.mark.parametrize("command", [("get", "x"), ("invalidate", "x", "--yes")])
def test_an_unreachable_server_is_a_sentence(monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    failed = run(*command)
    assert failed.exit_code == 3
    assert "Check REDIS_URL" in failed.stderr


def test_without_a_redis_url_the_command_says_how_to_give_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    failed = run("get", "x")
    assert failed.exit_code == 2
    assert "REDIS_URL=redis://" in failed.stderr


@pytest.fixture
def service(redis_url: str) -> Iterator[str]:
    """A service that answers GET /cache/stats to whoever brings the token."""

    async def real_stats() -> Any:
        async with CacheService(redis_url) as cache:
            await cache.get_or_set(REPORTS(1), load)
            await cache.get_or_set(REPORTS(1), load)
            return await cache.stats()

    async def load() -> dict[str, int]:
        return {"day": 1}

    from msgspec.json import encode

    body = encode(asyncio.run(real_stats()))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            allowed = self.headers["Authorization"] == "Bearer secret"
            self.send_response(200 if allowed and self.path == "/cache/stats" else 401)
            self.end_headers()
            self.wfile.write(body if allowed else b"")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_stats_shows_each_strategy_and_the_servers_own_figures_apart(service: str) -> None:
    found = json.loads(run("stats", "--url", service, "--token", "secret", "--json").stdout)
    reports = found["services"][service]["strategies"]["reports"]
    assert (reports["loads"], reports["misses"]) == (1, 1)
    assert found["server"]["maxmemory_policy"] == "allkeys-lru"
    table = run("stats", "--url", service, "--token", "secret").stdout
    assert "reports" in table
    assert "50%" in table


def test_stats_of_a_service_that_wants_a_token_says_so(service: str) -> None:
    failed = run("stats", "--url", service)
    assert failed.exit_code == 3
    assert "--token" in failed.stderr
