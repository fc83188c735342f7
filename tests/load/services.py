"""The load test of the performance note, against voice-bridge.

| request           | share | call                               | keys                                   |
|-------------------|-------|------------------------------------|----------------------------------------|
| live calls        | 30 %  | GET /analytics/live-calls?limit=15 | –                                      |
| call by id        | 15 %  | GET /calls/{id}                    | 80 % of the last 24 h, the newest most |
| calls of a number | 10 %  | GET /calls?number=                 | the busiest numbers most               |
| calls of a user   | 10 %  | GET /calls?user_id=                | the busiest users most                 |
| transactions      | 10 %  | GET /transactions?user_id=         | the busiest users most                 |
| dashboard         | 5 %   | GET /analytics/dashboard           | –                                      |
| outbound call     | 10 %  | POST /calls/outbound               | the busiest numbers most               |
| status change     | 10 %  | POST /calls/{id}/status            | calls that this run has placed         |

Every key is drawn by Zipf's law with exponent 1.0: the k-th of n with a probability in proportion to 1/k. A status
change ends a call that this run placed at least a second before (four in five) or moves it on, so that the number of
live calls hardly grows.

EASYMO_SCALE names the size of the sample data (default: note). The keys do not depend on the seed of the data.
"""

import os
from bisect import bisect_right
from collections import deque
from functools import cache
from itertools import accumulate
from urllib.parse import quote

import msgspec

from easymo.load import Call, Request, Scenario, ScenarioRandom
from easymo_platform.sample_data import keys
from easymo_platform.voice_bridge.model import call_id_for

SCALE = os.environ.get("EASYMO_SCALE", "note")
SIZES = keys.sizes(SCALE)
RECENT = keys.recent_calls(SCALE)
LIVE = keys.live_calls(SCALE)

# A call must have been placed before it can change: where that takes over a second, the change is an error too.
PLACED_BEFORE_S = 1.0
TOPICS = ("appointment", "payment reminder", "delivery", "farmer produce prices")
NEXT_STATUSES = ("failed", "busy", "no_answer", "canceled", "ringing")


@cache
def zipf_table(count: int) -> list[float]:
    """Sums of 1, 1/2, … 1/count."""
    return list(accumulate(1 / rank for rank in range(1, count + 1)))


def zipf(rng: ScenarioRandom, count: int) -> int:
    """A place below `count`, 0 the likeliest, by Zipf's law with exponent 1.0."""
    table = zipf_table(count)
    return bisect_right(table, rng.random() * table[-1], hi=count - 1)


def live_calls(_: ScenarioRandom) -> Call:
    return Call("GET", "/analytics/live-calls?limit=15")


def call_by_id(rng: ScenarioRandom) -> Call:
    numbers = RECENT if rng.random() < 0.8 else range(RECENT.start)
    return Call("GET", f"/calls/{keys.call_id(numbers[-1 - zipf(rng, len(numbers))])}")


def calls_of_number(rng: ScenarioRandom) -> Call:
    return Call("GET", f"/calls?number={quote(keys.phone_number(zipf(rng, SIZES.users)))}")


def calls_of_user(rng: ScenarioRandom) -> Call:
    return Call("GET", f"/calls?user_id={keys.user_id(zipf(rng, SIZES.users))}")


def transactions(rng: ScenarioRandom) -> Call:
    return Call("GET", f"/transactions?user_id={keys.user_id(zipf(rng, SIZES.users))}")


def dashboard(_: ScenarioRandom) -> Call:
    return Call("GET", "/analytics/dashboard")


def outbound_call(rng: ScenarioRandom) -> Call:
    """The client chooses the key, and with it the call's id, so that a later request can name the call."""
    key = rng.token()
    rng.memory.setdefault("placed", deque()).append((rng.due_s, call_id_for(key)))
    body = {"to": keys.phone_number(zipf(rng, SIZES.users)), "topic": rng.choice(TOPICS)}
    return post("/calls/outbound", body, {"Idempotency-Key": key})


def status_change(rng: ScenarioRandom) -> Call:
    """Of the oldest call of this run; while there is none, a call of the sample data fails, which can be repeated."""
    placed = rng.memory.get("placed")
    if placed and placed[0][0] <= rng.due_s - PLACED_BEFORE_S:
        _, call_id = placed.popleft()
        return post(f"/calls/{call_id}/status", {"status": rng.choice(NEXT_STATUSES)})
    return post(f"/calls/{keys.call_id(rng.choice(LIVE))}/status", {"status": "failed"})


def post(path: str, body: dict[str, str], headers: dict[str, str] | None = None) -> Call:
    return Call("POST", path, {"Content-Type": "application/json", **(headers or {})}, msgspec.json.encode(body))


scenario = Scenario(
    [
        Request("live calls", 30, live_calls),
        Request("call by id", 15, call_by_id),
        Request("calls of a number", 10, calls_of_number),
        Request("calls of a user", 10, calls_of_user),
        Request("transactions", 10, transactions),
        Request("dashboard", 5, dashboard),
        Request("outbound call", 10, outbound_call),
        Request("status change", 10, status_change),
    ]
)
