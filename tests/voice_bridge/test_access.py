"""Who may call voice-bridge: scopes for services, a signature for Twilio."""

import pytest

from easymo_platform.runtime.auth import Tokens
from easymo_platform.voice_bridge.app import create
from easymo_platform.voice_bridge.twilio import signature
from tests.conftest import Database
from tests.voice_bridge.client import insert_call, status_of, voice_bridge

KEY = "key-of-the-tests-of-voice-bridge-0000"
TOKEN = "twilio-token-of-the-tests"
PATH = "/webhooks/twilio/voice-status"


@pytest.fixture
def guarded(environ: dict[str, str]) -> dict[str, str]:
    keys = {"SERVICE_JWT_KEYS": KEY, "TWILIO_AUTH_TOKEN": TOKEN, "VOICE_PUBLIC_URL": "https://voice.example/"}
    return environ | keys | {"AUTH_DISABLED": "false"}


def test_signature_is_twilios_own_example() -> None:
    """The example of twilio.com/docs/usage/webhooks/webhooks-security."""
    form = [
        ("CallSid", "CA1234567890ABCDE"),
        ("Caller", "+14158675310"),
        ("Digits", "1234"),
        ("From", "+14158675310"),
        ("To", "+18005551212"),
    ]
    url = "https://example.com/myapp.php?foo=1&bar=2"
    assert signature("12345", url, form) == signature("12345", url, reversed(form))
    assert signature("12345", url, form) == "L/OH5YylLD5NRKLltdqwSvS0BnU="


async def test_callback_moves_a_call_only_with_twilios_signature(guarded: dict[str, str], database: Database) -> None:
    call_id = await insert_call(database)
    form = {"CallSid": f"SIM{call_id.hex}", "CallStatus": "ringing", "SequenceNumber": "1"}
    url = f"https://voice.example{PATH}?try=1"
    right = signature(TOKEN, url, form.items())
    wrong = [
        {},
        {"x-twilio-signature": ""},
        {"x-twilio-signature": right.swapcase()},
        {"x-twilio-signature": signature("another", url, form.items())},
        {"x-twilio-signature": signature(TOKEN, url.removesuffix("?try=1"), form.items())},
        {"x-twilio-signature": signature(TOKEN, url, {**form, "CallStatus": "failed"}.items())},
        {"x-twilio-signature": "é"},
    ]
    async with voice_bridge(guarded) as client:
        for headers in wrong:
            response = await client.post(
                f"{PATH}?try=1", data=form, headers=[(name.encode(), value.encode()) for name, value in headers.items()]
            )
            assert (response.status_code, response.json()["error"]) == (403, "bad_signature")
        assert await status_of(database, call_id) == "pending"
        response = await client.post(f"{PATH}?try=1", data=form, headers={"x-twilio-signature": right})
    assert (response.status_code, await status_of(database, call_id)) == (200, "ringing")


async def test_without_a_twilio_token_no_callback_is_accepted(guarded: dict[str, str], database: Database) -> None:
    form = {"CallSid": "SIM0", "CallStatus": "ringing"}
    signed = signature("", f"https://voice.example{PATH}", form.items())
    async with voice_bridge(guarded | {"TWILIO_AUTH_TOKEN": ""}) as client:
        assert (await client.post(PATH, data=form, headers={"x-twilio-signature": signed})).status_code == 403


@pytest.mark.parametrize(
    ("scope", "statuses"),
    [
        ("voice:read", (200, 403, 403)),
        ("voice:outbound.write", (403, 201, 403)),
        ("voice:calls.write", (403, 403, 404)),
    ],
)
async def test_scopes_are_enforced(
    guarded: dict[str, str], database: Database, scope: str, statuses: tuple[int, ...]
) -> None:
    token = Tokens([KEY], "tester").sign("voice-bridge", [scope])
    async with voice_bridge(guarded) as client:
        client.headers["authorization"] = f"Bearer {token}"
        read = await client.get("/analytics/live-calls")
        placed = await client.post("/calls/outbound", json={"to": "+250700000001"})
        moved = await client.post("/calls/00000000-0000-0000-0000-000000000001/status", json={"status": "ringing"})
    assert (read.status_code, placed.status_code, moved.status_code) == statuses


def test_every_route_of_the_service_names_a_scope_or_is_public(environ: dict[str, str]) -> None:
    app = create(environ)
    handlers = [handler for route in app.routes for handler in getattr(route, "route_handlers", [])]
    ours = [handler for handler in handlers if handler.fn.__module__.startswith("easymo_platform")]
    assert len(ours) > 12
    assert [str(handler) for handler in ours if "scope" not in handler.opt] == []
