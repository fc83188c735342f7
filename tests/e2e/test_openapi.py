"""Every operation of every OpenAPI document, with generated requests: no 5xx, and each one also answers 2xx."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import asyncpg
import jwt
import msgspec
import pytest
import schemathesis
from anyio.from_thread import start_blocking_portal
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from litestar import Litestar
from litestar.testing import TestClient
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok

from easymo.embedded import Postgres, Valkey
from easymo_platform.agent_core import app as agent_core
from easymo_platform.operations.migrate import MIGRATIONS
from easymo_platform.operations.roles import apply_roles
from easymo_platform.video_orchestrator import app as video_orchestrator
from easymo_platform.voice_bridge import app as voice_bridge
from easymo_platform.whatsapp_webhook import app as whatsapp_webhook
from easymo_platform.whatsapp_webhook import signature
from tests.conftest import missing_wheels_skip
from tests.security.roles import add_users
from tests.whatsapp_webhook.client import SECRET, VERIFY, envelope, text
from tests.whatsapp_webhook.outside import served

pytestmark = pytest.mark.timeout(400)

SERVICES = {
    "voice-bridge": voice_bridge,
    "whatsapp-webhook": whatsapp_webhook,
    "agent-core": agent_core,
    "video-orchestrator": video_orchestrator,
}
CASES = 12
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC_KEY = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
ID = "00000000-0000-7000-8000-00000000000%d"
USER, CALL, SESSION, MESSAGE, LETTER, OTHER_LETTER, JOB, ENDED, FILM = (ID % number for number in range(1, 10))
HANDOFF, CLOSED_HANDOFF = (f"00000000-0000-7000-8000-0000000000{number}" for number in (10, 11))
OUTPUT = f"outputs/{FILM}/film.mp4"
ROWS = f"""
insert into users (id, phone_number) values ('{USER}', '+250700000001');
insert into voice_calls (id, provider, provider_call_sid, direction, from_number, to_number, agent_profile)
  values ('{CALL}', 'simulated', 'SIM1', 'outbound', 'sip:x', '+250700000001', 'general_agent');
insert into agent_sessions (id, user_id, flow_type, agent_kind, deadline_at)
  values ('{SESSION}', '{USER}', 'shops', 'sales', now() + interval '1 hour'),
    ('{ENDED}', '{USER}', 'shops', 'sales', now() + interval '1 hour');
insert into whatsapp_messages (id, direction, from_number, to_number, message_type, status)
  values ('{MESSAGE}', 'inbound', '+250700000001', '+250700000999', 'text', 'failed');
insert into webhook_dlq (id, payload, error, error_type, correlation_id)
  values ('{LETTER}', '{{}}', 'e', 't', '{MESSAGE}'), ('{OTHER_LETTER}', '{{}}', 'e', 't', null);
insert into agent_leads (tenant_id, phone_number) values ('kigali', '+250700000001'), ('kigali', '+250700000003');
insert into whatsapp_conversations (phone_number, last_inbound_at) values ('+250700000001', now());
insert into handoffs (id, phone_number, reason) values
  ('{HANDOFF}', '+250700000001', 'person'), ('{CLOSED_HANDOFF}', '+250700000002', 'person');
insert into render_jobs (id, plan_id, plan) values ('{JOB}', 'p', '{{}}');
insert into render_jobs (id, plan_id, plan, status, output_path, finished_at)
  values ('{FILM}', 'p', '{{}}', 'succeeded', '{OUTPUT}', now());
"""
"""What the requests that must succeed are about."""

PARAMETERS: dict[str, Any] = {
    "call_id": CALL,
    "session_id": SESSION,
    "message_id": MESSAGE,
    "job_id": JOB,
    "dead_letter_id": LETTER,
    "handoff_id": HANDOFF,
    "user_id": USER,
    "number": "+250700000001",
    "hub.mode": "subscribe",
    "hub.verify_token": VERIFY,
    "hub.challenge": "1158",
}
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/respond"): {"session_id": SESSION, "agent_kind": "sales", "message": "hello"},
    ("POST", "/sessions"): {"user_id": USER, "flow_type": "shops"},
    ("POST", "/webhook"): envelope(text(wamid="wamid.openapi")),
    ("POST", "/webhooks/twilio/voice-status"): "CallSid=SIM1&CallStatus=ringing",
    # Of a lead that no other request lets opt out.
    ("POST", "/tools/create-call"): {"tenantId": "kigali", "phoneNumber": "+250700000003"},
    ("POST", "/tools/collect-payment"): {
        "tenantId": "kigali",
        "phoneNumber": "+250700000003",
        "amount": 100,
        "reference": "r1",
    },
}


@pytest.fixture(scope="module")
def environ(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], dict[str, str]]]:
    """The environment of a service, which has its own role's rights in a database with the rows that it is about."""

    async def execute(url: str, *statements: str) -> None:
        connection = await asyncpg.connect(url)
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    render = tmp_path_factory.mktemp("render")
    for name in (OUTPUT, "media/clip.mp4"):
        (render / name).parent.mkdir(parents=True)
        (render / name).write_bytes(b"a film")
    schema = [file.read_text() for file in sorted(MIGRATIONS.glob("*.sql")) if "performance" not in file.name]
    common = {
        "REDIS_URL": valkey.url,
        "DATABASE_POOL_SIZE": "3",
        "AUTH_DISABLED": "true",
        "WHATSAPP_APP_SECRET": SECRET,
        "WHATSAPP_VERIFY_TOKEN": VERIFY,
        "JWT_PUBLIC_KEY": PUBLIC_KEY,
        **{f"FEATURE_AGENT_{feature}": "true" for feature in ("TOOLS", "PAYMENTS", "TRANSFERS")},
        "RENDER_DIR": str(render),
    }
    with missing_wheels_skip(), Postgres() as server:  # of its own: roles belong to the whole server
        asyncio.run(execute(server.url, *schema, ROWS))
        asyncio.run(apply_roles(server.url))
        users = asyncio.run(add_users(server.url))
        voice = voice_bridge.create(common | {"DATABASE_URL": users["voice-bridge"]})
        with start_blocking_portal() as portal, portal.wrap_async_context_manager(served(voice)) as url:
            yield lambda service: common | {"DATABASE_URL": users[service], "VOICE_BRIDGE_URL": url}


def signed(raw: bytes) -> dict[str, str]:
    """Meta's signature of a body, and an agent's token with every permission."""
    permissions = ["lead.read", "lead.write", "lead.optOut", "call.write", "call.transfer", "disposition.write"]
    claims = {"sub": "a", "tenantId": "kigali", "permissions": [*permissions, "payment.collect"]}
    token = jwt.encode(claims | {"exp": time.time() + 600}, KEY, algorithm="RS256")
    return {signature.HEADER: signature.sign(SECRET, raw), "x-agent-jwt": token}


def _send(client: TestClient[Litestar], method: str, path: str, query: Mapping[str, Any], body: Any) -> Any:
    raw = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else msgspec.json.encode(body)
    headers = signed(raw) | ({"content-type": "application/json"} if raw else {})
    return client.request(method, path, params=dict(query), content=raw, headers=headers)


# Hypothesis takes the random numbers of a service's background work, in another thread, for the strategy's own.
@pytest.mark.filterwarnings("ignore:Do not use the .random. module inside strategies")
@pytest.mark.slow
@pytest.mark.parametrize("name", SERVICES)
def test_no_generated_request_is_answered_by_a_5xx_and_every_operation_also_succeeds(
    name: str, environ: Callable[[str], dict[str, str]]
) -> None:
    app: Litestar = SERVICES[name].create(environ(name))
    document = msgspec.json.decode(msgspec.json.encode(app.openapi_schema.to_schema()))
    schema = schemathesis.openapi.from_dict(document)
    statuses: dict[tuple[str, str], Counter[int]] = {}
    with TestClient(app, raise_server_exceptions=False) as client:
        for result in schema.get_all_operations():
            assert isinstance(result, Ok)
            operation = result.ok()
            seen = statuses.setdefault((operation.method.upper(), operation.path), Counter())
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                _generate(client, operation, mode, seen)
            _succeed(client, document, operation.method.upper(), operation.path, seen)
    assert [operation for operation, seen in statuses.items() if not any(200 <= status < 300 for status in seen)] == []


def _generate(client: TestClient[Litestar], operation: Any, mode: GenerationMode, seen: Counter[int]) -> None:
    @settings(
        max_examples=CASES,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def generated(case: Case[Any]) -> None:
        request = case.as_transport_kwargs(base_url="http://testserver")
        raw = request.get("data") or (msgspec.json.encode(request["json"]) if request.get("json") is not None else b"")
        raw = raw.encode(errors="surrogatepass") if isinstance(raw, str) else raw
        headers: dict[str, Any] = {
            name: str(value).encode("utf-8", "replace")
            for name, value in (request.get("headers") or {}).items()
            if not set(str(value)) & {"\n", "\r"}
        }
        response = client.request(
            request["method"],
            request["url"],
            params=request.get("params"),
            content=raw,
            headers={**headers, **signed(raw)},
        )
        seen[response.status_code] += 1
        assert response.status_code < 500, (case.as_curl_command(), response.text)

    with suppress(Unsatisfiable):  # nothing about it can be wrong
        generated()


def _succeed(client: TestClient[Litestar], document: Any, method: str, path: str, seen: Counter[int]) -> None:
    """The request that must succeed: the document's example, about rows that are there."""
    operation = document["paths"][path][method.lower()]
    names = {parameter["name"]: parameter["in"] for parameter in operation.get("parameters", ())}
    query = {name: PARAMETERS[name] for name, place in names.items() if place == "query" and name in PARAMETERS}
    if path == "/calls":
        query.pop("user_id")
    if path == "/messages":
        query.pop("user_id", None)
    if path.endswith("/discard"):
        path = path.replace("{dead_letter_id}", OTHER_LETTER)
    if path.endswith("/close"):
        path = path.replace("{handoff_id}", CLOSED_HANDOFF)
    if path.endswith("/output"):
        path = path.replace("{job_id}", FILM)
    if path == "/sessions/{session_id}/status":
        path = path.replace("{session_id}", ENDED)
    for name in names:
        path = path.replace(f"{{{name}}}", str(PARAMETERS.get(name, "")))
    content = operation.get("requestBody", {}).get("content", {})
    example = next(iter(content.values()))["example"] if content else b""
    body = BODIES.get((method, path), example)
    seen[_send(client, method, path, query, body).status_code] += 1


@pytest.mark.parametrize("name", SERVICES)
def test_the_document_is_true_to_the_bytes(name: str, environ: Callable[[str], dict[str, str]]) -> None:
    """Cached routes have the schema of what is cached, and errors the one shape in which they are sent."""
    document = SERVICES[name].create(environ(name)).openapi_schema.to_schema()
    untyped = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            error = operation["responses"]["default"]["content"]["application/json"]["schema"]
            assert error == {"$ref": "#/components/schemas/ErrorBody"}, (method, path)
            for code, answer in operation["responses"].items():
                schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
                if code.startswith("2") and schema.get("type") == "string":
                    untyped.append((method, path))
    assert untyped == []


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "video-orchestrator"])
def test_every_operation_has_an_example(name: str, environ: Callable[[str], dict[str, str]]) -> None:
    document = SERVICES[name].create(environ(name)).openapi_schema.to_schema()
    operations = {
        (method, path): msgspec.json.encode(operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    assert len(operations) >= 12
    assert [operation for operation, text_ in operations.items() if b'"example":' not in text_] == []
