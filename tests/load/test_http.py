"""Every way in which HTTP ends an answer is understood; what is no HTTP is an error, not a crash."""

import asyncio
from typing import Any

import pytest

from easymo.load import Call, LoadResult, Request, Scenario, Stage, Target, build_schedule, run
from easymo.load.connection import Connection
from easymo.load.schedule import NO_READ, Arrival
from tests.load.http_server import OK, Answer, always_ok, replying, serving

REQUESTS = 20


async def load(target: Target, method: str = "GET", expect: frozenset[int] = frozenset()) -> LoadResult:
    """20 requests in 0.2 s."""
    scenario = Scenario([Request("page", 1, lambda _: Call(method, "/page"), expect=expect)])
    schedule = build_schedule(scenario, {"": target}, [Stage(100, REQUESTS / 100)], seed=1, arrivals="constant")
    return await run(schedule, timeout_s=1.0)


async def result_of(answer: Answer, method: str = "GET") -> LoadResult:
    async with serving(answer) as (target, _):
        return await load(target, method)


@pytest.mark.parametrize(
    ("reply", "statuses"),
    [
        (OK, {"2xx": REQUESTS}),
        (b"HTTP/1.1 204 No Content\r\n\r\n", {"2xx": REQUESTS}),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", {"3xx": REQUESTS}),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
            {"2xx": REQUESTS},
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nTrailer: x\r\n\r\n", {"2xx": REQUESTS}),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK, {"2xx": REQUESTS}),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", {"2xx": REQUESTS}),
    ],
)
async def test_an_answer_ends_where_http_says_and_the_connection_is_used_again(
    reply: bytes, statuses: dict[str, int]
) -> None:
    async with serving(replying(reply)) as (target, log):
        result = await load(target)
    assert (result.statuses, result.errors) == (statuses, {})
    assert len(log.paths) == REQUESTS
    assert log.connections < REQUESTS  # one is opened beforehand, others as they are needed


async def test_an_answer_in_pieces_is_complete_with_the_last_one() -> None:
    async def in_pieces(_: str, writer: asyncio.StreamWriter) -> None:
        for piece in (OK[:9], OK[9:30], OK[30:-1], OK[-1:]):
            await asyncio.sleep(0.01)  # this is how slow the server under test is
            writer.write(piece)

    result = await result_of(in_pieces)
    assert (result.statuses, result.errors) == ({"2xx": REQUESTS}, {})
    assert result.latency_ms is not None
    assert result.latency_ms.p50 >= 40


async def test_the_answer_to_head_has_no_body_whatever_its_length_says() -> None:
    async with serving(replying(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")) as (target, log):
        result = await load(target, "HEAD")
    assert (result.statuses, result.errors) == ({"2xx": REQUESTS}, {})
    assert log.connections <= 8


async def test_a_connection_that_the_server_closes_is_replaced_without_an_error() -> None:
    async def once(_: str, writer: asyncio.StreamWriter) -> None:
        writer.write(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        writer.close()

    async with serving(once) as (target, log):
        result = await load(target)
    assert (result.statuses, result.errors) == ({"2xx": REQUESTS}, {})
    assert log.connections == REQUESTS


async def test_a_connection_that_the_server_will_close_is_not_used_again() -> None:
    async with serving(replying(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))) as (target, log):
        result = await load(target)
    assert (result.statuses, result.errors) == ({"2xx": REQUESTS}, {})
    assert log.connections == REQUESTS


async def test_an_answer_without_length_ends_with_the_connection() -> None:
    async def until_the_end(_: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nall there is")
        writer.close()

    result = await result_of(until_the_end)
    assert (result.statuses, result.errors) == ({"2xx": REQUESTS}, {})


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-",
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nnot all",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
)
async def test_an_answer_that_breaks_off_is_a_lost_connection(reply: bytes) -> None:
    async def break_off(_: str, writer: asyncio.StreamWriter) -> None:
        writer.write(reply)
        writer.close()

    result = await result_of(break_off)
    assert (result.statuses, result.errors) == ({}, {"connection_lost": REQUESTS})


@pytest.mark.parametrize(
    "reply",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 2xx OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ],
)
async def test_what_is_no_answer_is_an_error_and_no_crash(reply: bytes) -> None:
    result = await result_of(replying(reply))
    assert (result.statuses, result.errors) == ({}, {"malformed": REQUESTS})


class Wire(asyncio.Transport):
    """Keeps what was written; knows whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.aborted = False

    def write(self, data: Any) -> None:
        self.written += data

    def abort(self) -> None:
        self.aborted = True


def test_bytes_that_nobody_asked_for_close_the_connection() -> None:
    outcomes: list[int] = []
    connection, wire = Connection(lambda _, __, outcome: outcomes.append(outcome), lambda _: None), Wire()
    connection.connection_made(wire)
    arrival = Arrival(0, 0, b"GET / HTTP/1.1\r\n\r\n", NO_READ, None)
    connection.send(arrival, keep=False)
    connection.data_received(OK)
    assert not connection.closed
    connection.data_received(OK.replace(b"200 OK", b"500 No"))
    assert (outcomes, connection.closed, wire.aborted) == ([200], True, True)


@pytest.mark.parametrize(
    ("status", "error"), [(404, "status_unexpected"), (429, "status_429"), (500, "status_5xx"), (503, "status_5xx")]
)
async def test_statuses_that_nobody_expects_are_errors_and_429_stands_apart(status: int, error: str) -> None:
    result = await result_of(replying(OK.replace(b"200 OK", b"%d Any" % status)))
    assert result.errors == {error: REQUESTS}
    assert result.statuses == {"429" if status == 429 else f"{status // 100}xx": REQUESTS}


async def test_an_expected_404_is_no_error() -> None:
    async with serving(replying(OK.replace(b"200 OK", b"404 Not Found"))) as (target, _):
        result = await load(target, expect=frozenset({404}))
    assert (result.statuses, result.errors) == ({"4xx": REQUESTS}, {})


async def test_a_body_reaches_the_server_whole() -> None:
    scenario = Scenario([Request("save", 1, lambda _: Call("POST", "/save", {}, b"x" * 300_000))])
    async with serving(always_ok) as (target, log):
        schedule = build_schedule(scenario, {"": target}, [Stage(50, 0.2)], seed=1, arrivals="constant")
        result = await run(schedule)
    assert (result.statuses, result.errors) == ({"2xx": 10}, {})
    assert log.paths == ["/save"] * 10
