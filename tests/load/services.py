"""The load test of the performance note, against three services.

| request           | share | call                               | keys                                   |
|-------------------|-------|------------------------------------|----------------------------------------|
| live calls        | 18 %  | GET /analytics/live-calls?limit=15 | –                                      |
| call by id        | 9 %   | GET /calls/{id}                    | 80 % of the last 24 h, the newest most |
| calls of a number | 6 %   | GET /calls?number=                 | the busiest numbers most               |
| calls of a user   | 6 %   | GET /calls?user_id=                | the busiest users most                 |
| transactions      | 6 %   | GET /transactions?user_id=         | the busiest users most                 |
| dashboard         | 3 %   | GET /analytics/dashboard           | –                                      |
| outbound call     | 6 %   | POST /calls/outbound               | the busiest numbers most               |
| status change     | 6 %   | POST /calls/{id}/status            | calls that this run has placed         |
| webhook           | 25 %  | POST /webhook, signed              | the busiest numbers most               |
| session           | 10 %  | GET /sessions/{id}                 | the newest most                        |
| reply             | 5 %   | POST /respond                      | sessions that are live in the data     |

The first eight, 60 %, go to voice-bridge in the proportions of the note; the others to whatsapp-webhook and agent-core.
Every key is drawn by Zipf's law with exponent 1.0: the k-th of n with a probability in proportion to 1/k. A status
change ends a call that this run placed at least a second before (four in five) or moves it on, so that the number of
live calls hardly grows. EASYMO_READ_EXPONENT is another exponent for the keys of reads alone, by which they repeat less
or more often: with 0 all are equally likely, with 2 three in five are the first one.

EASYMO_SCALE names the size of the sample data (default: note). The keys do not depend on the seed of the data. Requests
carry tokens of the load test's own identity, signed with SERVICE_JWT_KEYS, and webhooks the signature of
WHATSAPP_APP_SECRET; services that run with AUTH_DISABLED=true need no keys.
"""

import os
from bisect import bisect_right
from collections import deque
from functools import cache
from itertools import accumulate
from urllib.parse import quote
from uuid import UUID

import msgspec

from easymo.load import Call, Request, Scenario, ScenarioRandom
from easymo_platform.runtime.auth import LOAD_TEST, Tokens
from easymo_platform.runtime.idempotency import id_of
from easymo_platform.sample_data import keys
from easymo_platform.whatsapp_webhook.signature import HEADER, sign

SCALE = os.environ.get("EASYMO_SCALE", "note")
READ_EXPONENT = float(os.environ.get("EASYMO_READ_EXPONENT", "1"))
SIZES = keys.sizes(SCALE)
RECENT = keys.recent_calls(SCALE)
LIVE = keys.live_calls(SCALE)
SESSIONS = SIZES.users // 10
LIVE_SESSIONS = SESSIONS // 100  # the newest ones

KEYS = [key for key in os.environ.get("SERVICE_JWT_KEYS", "").split(",") if key]
APP_SECRET = os.environ.get("WHATSAPP_APP_SECRET", "")
TOKENS_LAST_S = 86_400

# A call must have been placed before it can change: where that takes over a second, the change is an error too.
PLACED_BEFORE_S = 1.0
BODIES = ("Muraho", "I look for a moto to Nyabugogo", "1", "How much is paracetamol?", "menu")
TOPICS = ("appointment", "payment reminder", "delivery", "farmer produce prices")
NEXT_STATUSES = ("failed", "busy", "no_answer", "canceled", "ringing")


@cache
def token(service: str, *scopes: str) -> dict[str, str]:
    """The header that lets this load test call a service."""
    if not KEYS:
        return {}
    signed = Tokens(KEYS, LOAD_TEST).sign(service, scopes, lifetime_s=TOKENS_LAST_S)
    return {"Authorization": f"Bearer {signed}"}


@cache
def zipf_table(count: int, exponent: float) -> list[float]:
    """Sums of 1, 1/2, … 1/count, each to the power of the exponent."""
    return list(accumulate(rank**-exponent for rank in range(1, count + 1)))


def zipf(rng: ScenarioRandom, count: int, exponent: float = 1.0) -> int:
    """A place below `count`, 0 the likeliest, by Zipf's law."""
    table = zipf_table(count, exponent)
    return bisect_right(table, rng.random() * table[-1], hi=count - 1)


def read_place(rng: ScenarioRandom, count: int) -> int:
    """A place below `count` for a read."""
    return zipf(rng, count, READ_EXPONENT)


def live_calls(_: ScenarioRandom) -> Call:
    return get("/analytics/live-calls?limit=15")


def call_by_id(rng: ScenarioRandom) -> Call:
    numbers = RECENT if rng.random() < 0.8 else range(RECENT.start)
    return get(f"/calls/{keys.call_id(numbers[-1 - read_place(rng, len(numbers))])}")


def calls_of_number(rng: ScenarioRandom) -> Call:
    return get(f"/calls?number={quote(keys.phone_number(read_place(rng, SIZES.users)))}")


def calls_of_user(rng: ScenarioRandom) -> Call:
    return get(f"/calls?user_id={keys.user_id(read_place(rng, SIZES.users))}")


def transactions(rng: ScenarioRandom) -> Call:
    return get(f"/transactions?user_id={keys.user_id(read_place(rng, SIZES.users))}")


def dashboard(_: ScenarioRandom) -> Call:
    return get("/analytics/dashboard")


def outbound_call(rng: ScenarioRandom) -> Call:
    """The client chooses the key, and with it the call's id, so that a later request can name the call."""
    key = rng.token()
    rng.memory.setdefault("placed", deque()).append((rng.due_s, id_of("calls/outbound", LOAD_TEST, key)))
    body = {"to": keys.phone_number(zipf(rng, SIZES.users)), "topic": rng.choice(TOPICS)}
    return post("/calls/outbound", body, {"Idempotency-Key": key})


def status_change(rng: ScenarioRandom) -> Call:
    """Of the oldest call of this run; while there is none, a call of the sample data fails, which can be repeated."""
    placed = rng.memory.get("placed")
    if placed and placed[0][0] <= rng.due_s - PLACED_BEFORE_S:
        _, call_id = placed.popleft()
        return post(f"/calls/{call_id}/status", {"status": rng.choice(NEXT_STATUSES)})
    return post(f"/calls/{keys.call_id(rng.choice(LIVE))}/status", {"status": "failed"})


def webhook(rng: ScenarioRandom) -> Call:
    """A new message of one of the users, as Meta delivers it."""
    message = {
        "from": keys.phone_number(zipf(rng, SIZES.users)).removeprefix("+"),
        "id": f"wamid.{rng.token()}",
        "timestamp": "1772616600",
        "type": "text",
        "text": {"body": rng.choice(BODIES)},
    }
    metadata = {"display_phone_number": "250700000999", "phone_number_id": "104857600000999"}
    value = {"messaging_product": "whatsapp", "metadata": metadata, "messages": [message]}
    entry = {"id": "1", "changes": [{"field": "messages", "value": value}]}
    body = msgspec.json.encode({"object": "whatsapp_business_account", "entry": [entry]})
    return Call("POST", "/webhook", {"Content-Type": "application/json", HEADER: sign(APP_SECRET, body)}, body)


def session(rng: ScenarioRandom) -> Call:
    return Call("GET", f"/sessions/{session_id(read_place(rng, SESSIONS))}", token("agent-core", "agent:read"))


def reply(rng: ScenarioRandom) -> Call:
    question = {
        "session_id": str(session_id(zipf(rng, LIVE_SESSIONS))),
        "agent_kind": "broker",
        "message": rng.choice(BODIES),
    }
    headers = {"Content-Type": "application/json", **token("agent-core", "agent:respond")}
    return Call("POST", "/respond", headers, msgspec.json.encode(question))


def session_id(age: int) -> UUID:
    """Of the sample data's sessions, 0 the newest."""
    return UUID(bytes=keys.sequence_id("session", SESSIONS - 1 - age))


def get(path: str) -> Call:
    return Call("GET", path, token("voice-bridge", "voice:read"))


def post(path: str, body: dict[str, str], headers: dict[str, str] | None = None) -> Call:
    headers = {"Content-Type": "application/json", **(headers or {})}
    headers |= token("voice-bridge", "voice:outbound.write", "voice:calls.write")
    return Call("POST", path, headers, msgspec.json.encode(body))


scenario = Scenario(
    [
        Request("live calls", 18, live_calls, target="voice-bridge"),
        Request("call by id", 9, call_by_id, target="voice-bridge"),
        Request("calls of a number", 6, calls_of_number, target="voice-bridge"),
        Request("calls of a user", 6, calls_of_user, target="voice-bridge"),
        Request("transactions", 6, transactions, target="voice-bridge"),
        Request("dashboard", 3, dashboard, target="voice-bridge"),
        Request("outbound call", 6, outbound_call, target="voice-bridge"),
        Request("status change", 6, status_change, target="voice-bridge"),
        Request("webhook", 25, webhook, target="whatsapp-webhook"),
        Request("session", 10, session, target="agent-core"),
        Request("reply", 5, reply, target="agent-core"),
    ]
)
