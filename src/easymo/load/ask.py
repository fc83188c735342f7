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
from easymo.load.schedule import Schedule, Stage
from easymo.load.target import Target

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


class Reply(Struct, frozen=True):
    """One answer to the request of that name; `asked` is its method and path. Where a redirect leads ends its body."""

    request: str
    asked: str
    status: int
    content_type: str
    body: bytes


class Asked(Struct, frozen=True):
    """The answers in their order, or why the scenario cannot be used."""

    replies: list[Reply] = []
    refused: str = ""


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
    try:
        schedule = schedule_of(job)
    except LoadError as error:
        return Asked(refused=str(error))
    normalise = _normaliser(Path(questions.scenario))
    until = time.monotonic() + questions.seconds
    replies = []
    for place in _chosen(schedule, questions):
        if time.monotonic() > until:
            break
        kind = schedule.kinds[place]
        name, payload = schedule.requests[kind].name, schedule.payloads[place]
        status, content_type, body = _send(schedule.targets[kind], payload)
        asked = payload.split(b" HTTP/1.1", 1)[0].decode("latin-1")
        replies.append(Reply(name, asked, status, content_type, normalise(name, body) if normalise else body))
    return Asked(replies)


def _chosen(schedule: Schedule, questions: Questions) -> Iterator[int]:
    """The first places, and later ones of requests that were rare until then."""
    seen = Counter[int]()
    for place, (kind, payload) in enumerate(zip(schedule.kinds, schedule.payloads, strict=True)):
        if not payload:
            continue  # a visitor, whose requests depend on the answers
        if questions.safe and not _SAFE.match(payload):
            continue
        if sum(seen.values()) < questions.requests or seen[kind] < AT_LEAST:
            seen[kind] += 1
            yield place


def _send(target: Target, payload: bytes) -> tuple[int, str, bytes]:
    try:
        with closing(socket.create_connection((target.host, target.port), timeout=TIMEOUT_S)) as plain:
            stream = _tls().wrap_socket(plain, server_hostname=target.host) if target.tls else plain
            stream.sendall(payload)
            reply = http.client.HTTPResponse(stream, method=payload.split(b" ", 1)[0].decode())
            reply.begin()
            location = reply.headers.get("Location", "")
            return reply.status, reply.headers.get("Content-Type", ""), reply.read() + location.encode()
    except (OSError, http.client.HTTPException):
        return 0, "", b""


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
