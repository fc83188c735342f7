"""`python -m easymo.load.ask`: sends a scenario's requests one after the other and prints the answers as JSON.

No load and no times: what a system answers. The bytes sent are those that the generator sends.
"""

import http.client
import os
import re
import socket
import ssl
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
from msgspec import Struct

from easymo.load.errors import LoadError
from easymo.load.job import Job, schedule_of
from easymo.load.realtime import die_with_parent
from easymo.load.reply import Reply
from easymo.load.request import Request
from easymo.load.schedule import Schedule, Stage
from easymo.load.target import Target
from easymo.load.visit import Visit, cookie_header

TIMEOUT_S = 10.0
#: A request that is rare in the mix is asked this often all the same.
AT_LEAST = 3
_SAFE = re.compile(rb"(?:GET|HEAD|OPTIONS) ")


class Questions(Struct, frozen=True, kw_only=True):
    """What to ask: the first `requests` of the scenario's seeded sequence, until `seconds` have passed.

    `safe`: only requests that change nothing. A scenario file may hold a function `normalise(request, body)` that
    returns the body to compare.
    """

    scenario: str
    urls: dict[str, str]
    seed: int
    requests: int
    seconds: float
    safe: bool = False


class Asking(Struct, frozen=True):
    """One answer to the request of that name; `asked` is its method and path. Where a redirect leads ends its body."""

    request: str
    asked: str
    status: int
    content_type: str
    body: bytes


class Asked(Struct, frozen=True):
    """The answers in their order and the names of all requests of the scenario, or why it cannot be used."""

    replies: list[Asking] = []
    refused: str = ""
    names: list[str] = []


def ask(questions: Questions) -> Asked:
    """Send them one after the other; no answer within ten seconds counts as status 0."""
    urls = questions.urls
    job = Job(
        scenario=questions.scenario,
        urls={"": next(iter(urls.values())), **urls} if len(urls) == 1 else urls,
        stages=[Stage(4.0 * questions.requests, 1.0)],
        seed=questions.seed,
        salt="answers",
        arrivals="constant",
    )
    normalise = None
    replies: list[Asking] = []
    try:
        schedule = schedule_of(job)
        normalise = _normaliser(Path(questions.scenario))
        until = time.monotonic() + questions.seconds
        for asked in _sequence(schedule, questions):
            replies.append(asked)
            if time.monotonic() > until:
                break
    except LoadError as error:
        return Asked(refused=str(error))
    return Asked(
        [
            Asking(a.request, a.asked, a.status, a.content_type, normalise(a.request, a.body) if normalise else a.body)
            for a in replies
        ],
        names=[request.name for request in schedule.requests],
    )


def _sequence(schedule: Schedule, questions: Questions) -> Iterator[Asking]:
    """The set-up, then the first arrivals, and later ones of requests that were rare until then."""
    base = Visit(schedule, 0, {}, {})
    for kind, step in enumerate(schedule.scenario.setup, start=len(schedule.requests)):
        _step(base, step, schedule.targets[kind], [])
    cookies = {target: cookie_header(base.jar, target) for target in base.jar}
    seen = Counter[int]()
    for arrival in schedule.with_memory(base.random_numbers.memory, cookies):
        visitor = arrival.step.visitor if arrival.step is not None else None
        if sum(seen.values()) >= questions.requests and seen[arrival.kind] >= AT_LEAST:
            continue
        if visitor is None:
            if not questions.safe or _SAFE.match(arrival.payload):
                seen[arrival.kind] += 1
                yield _asking(schedule.requests[arrival.kind].name, schedule.targets[arrival.kind], arrival.payload)[0]
        elif not questions.safe:
            assert arrival.step is not None
            seen[arrival.kind] += len(visitor.steps)
            visit = Visit(schedule, arrival.step.number, base.random_numbers.memory, base.jar)
            found: list[Asking] = []
            for place, step in enumerate(visitor.steps):
                if not _step(visit, step, schedule.targets[arrival.kind + place], found):
                    break
            yield from found


def _step(visit: Visit, step: Request, target: Target, found: list[Asking]) -> bool:
    """Send one step of a visit; whether the visitor goes on after its answer."""
    asked, reply = _asking(step.name, target, visit.payload(step, target, 0))
    found.append(asked)
    return reply is not None and step.expects(reply.status) and not visit.answered(step, target, reply)


def _asking(request: str, target: Target, payload: bytes) -> tuple[Asking, Reply | None]:
    asked = payload.split(b" HTTP/1.1", 1)[0].decode("latin-1")
    try:
        with closing(socket.create_connection((target.host, target.port), timeout=TIMEOUT_S)) as plain:
            stream = _tls().wrap_socket(plain, server_hostname=target.host) if target.tls else plain
            stream.sendall(payload)
            answer = http.client.HTTPResponse(stream, method=payload.split(b" ", 1)[0].decode())
            answer.begin()
            body, headers = answer.read(), answer.headers
    except (OSError, http.client.HTTPException):
        return Asking(request, asked, 0, "", b""), None
    reply = Reply(answer.status, [(name.encode(), value.encode("latin-1")) for name, value in headers.items()], body)
    said = reply.body + headers.get("Location", "").encode()
    return Asking(request, asked, answer.status, headers.get("Content-Type", ""), said), reply


def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _normaliser(scenario: Path) -> Callable[[str, bytes], bytes] | None:
    """The function `normalise` of the scenario file, which was loaded under this name."""
    module = sys.modules.get(f"_easymo_scenario_{scenario.stem}")
    found: Callable[[str, bytes], bytes] | None = getattr(module, "normalise", None)
    return found


def main() -> int:
    """Answer one set of questions."""
    die_with_parent()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a scenario prints is no answer
    questions = msgspec.json.decode(sys.stdin.buffer.read(), type=Questions)
    answers.write(msgspec.json.encode(ask(questions)))
    answers.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
