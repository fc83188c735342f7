"""Every route of every service is bounded in bytes and in seconds."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from easymo_platform.whatsapp_webhook.api import WEBHOOK_MAX_BYTES
from tests import asgi
from tests.e2e.test_openapi import BODIES, PARAMETERS, PUBLIC_KEY, SERVICES, signed
from tests.whatsapp_webhook.client import SECRET, VERIFY

LIMIT_S = 1.0
TOO_LARGE = bytes(WEBHOOK_MAX_BYTES + 1)
NEEDS_NO_TABLE = {
    ("GET", "/webhooks/twilio/voice-status"),  # a callback without a status
    ("GET", "/cache/stats"),
    ("GET", "/health"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", "/metrics"),
    ("GET", "/schema"),
    ("GET", "/schema/openapi.json"),
    ("GET", "/schema/{path}"),
    ("GET", "/webhook"),
    # The example's clip is not there.
    ("POST", "/render"),
}


@pytest.fixture(scope="module")
def environ(guarded: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {
        "DATABASE_URL": guarded,
        "REDIS_ENABLED": "false",  # from the cache a route could answer
        "DATABASE_POOL_SIZE": "30",
        "REQUEST_LIMIT_S": str(LIMIT_S),
        "AUTH_DISABLED": "true",
        "JWT_PUBLIC_KEY": PUBLIC_KEY,
        "VOICE_BRIDGE_URL": "http://127.0.0.1:1",
        **{f"FEATURE_AGENT_{feature}": "true" for feature in ("TOOLS", "PAYMENTS", "TRANSFERS")},
        "WHATSAPP_APP_SECRET": SECRET,
        "WHATSAPP_VERIFY_TOKEN": VERIFY,
        "RENDER_DIR": str(tmp_path_factory.mktemp("render")),
    }


def operations(app: Litestar) -> Iterator[tuple[str, str]]:
    """Method and path of every route, also of those that are in no document."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            parts = [part if isinstance(part, str) else f"{{{part.name}}}" for part in route.path_components]
            for method in route.methods - {"OPTIONS"}:
                yield method, "/" + "/".join(parts)


def filled(path: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: str(PARAMETERS.get(match[1], "x")), path)


def client_of(app: Litestar) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=asgi.transport(app, raise_app_exceptions=False), base_url="http://service")


@pytest.mark.parametrize("name", SERVICES)
async def test_no_route_takes_a_body_larger_than_it_may_be(name: str, environ: dict[str, str]) -> None:
    """The service is not even connected to anything: the refusal comes first."""
    app = SERVICES[name].create(environ)
    found = sorted(operations(app))
    assert len(found) >= 10
    async with client_of(app) as client:
        answers = {(m, p): await client.request(m, filled(p), content=TOO_LARGE) for m, p in found}
    assert {operation for operation, answer in answers.items() if answer.status_code != 413} == set()


@pytest.mark.parametrize("name", SERVICES)
async def test_no_route_waits_for_a_database_that_hangs(
    name: str, environ: dict[str, str], owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    """Every table is locked, as by a migration that went wrong; all routes are asked at once."""
    app = SERVICES[name].create(environ)
    document = msgspec.json.decode(msgspec.json.encode(app.openapi_schema.to_schema()))
    found = sorted(operation for operation in operations(app) if operation[0] != "HEAD")  # whose answers have no text
    async with app.lifespan(), client_of(app) as client, owner.transaction():
        tables = "select string_agg(relname, ', ') from pg_class where relnamespace = 'public'::regnamespace"
        named = await owner.fetchval(f"{tables} and relkind = 'r'")
        await owner.execute(f"lock table {named} in access exclusive mode")
        answers = await asyncio.gather(*(ask(client, document, method, path) for method, path in found))
    told = dict(zip(found, (answer.text[:100] for answer in answers), strict=True))
    others = {operation for operation, text in told.items() if "time_limit_exceeded" not in text}
    assert others <= NEEDS_NO_TABLE, told
    assert all(answer.status_code != 500 for answer in answers)


async def ask(client: httpx.AsyncClient, document: Any, method: str, path: str) -> httpx.Response:
    """The request that would succeed: the example of the OpenAPI document."""
    operation = document["paths"].get(path, {}).get(method.lower(), {})
    given = [p["name"] for p in operation.get("parameters", ()) if p["in"] == "query" and p["name"] in PARAMETERS]
    query = {name: PARAMETERS[name] for name in given if path != "/calls" or name != "user_id"}
    content = operation.get("requestBody", {}).get("content", {})
    example = BODIES.get((method, path), next(iter(content.values()))["example"] if content else None)
    raw = example.encode() if isinstance(example, str) else msgspec.json.encode(example) if example else b""
    headers = signed(raw) | ({"content-type": "application/json"} if raw else {})
    return await client.request(method, filled(path), params=query, content=raw, headers=headers)
