"""A wrong answer is an error of its own kind: counted apart, with its reason, and in no latency."""

import asyncio
import gzip
import json
from typing import Any

import pytest

from easymo.load import (
    Call,
    LoadResult,
    Reply,
    Request,
    Scenario,
    ScenarioError,
    Stage,
    build_schedule,
    cookie,
    form_field,
    header,
    json_value,
    regex,
    run,
)
from tests.load.http_server import OK, Answer, replying, serving


def page(body: bytes, more: bytes = b"", status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, more, len(body), body)


async def result_of(answer: Answer, requests: int = 20, path: str = "/", **more: Any) -> LoadResult:
    scenario = Scenario([Request("page", 1, lambda _: Call("GET", path), **more)])
    async with serving(answer) as (target, _):
        schedule = build_schedule(scenario, {"": target}, [Stage(100, requests / 100)], seed=1, arrivals="constant")
        return await run(schedule, timeout_s=1.0)


ITEMS = page(json.dumps({"items": [{"id": 7}], "a/b": "x"}).encode(), b"Content-Type: application/json\r\nETag: v7\r\n")


@pytest.mark.parametrize(
    "check",
    [
        header("content-type").matches("json"),
        header("ETag").equals("v7"),
        json_value("/items/0/id").equals(7),
        json_value("/a~1b").matches("^x$"),
        json_value("").matches("items"),
        lambda reply: len(reply.json()["items"]) == 1,
        lambda reply: None,
        regex('"id": ([0-9]+)').equals("7"),
        [header("ETag").equals("v7"), json_value("/items/0/id").equals(7)],
    ],
)
async def test_a_right_answer_passes_its_check(check: Any) -> None:
    assert (await result_of(replying(ITEMS), check=check)).errors == {}


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        (header("content-type").matches("html"), "header content-type does not match 'html'"),
        (header("X-None").equals("v7"), "no header X-None"),
        (json_value("/items/1/id").equals(7), "no JSON value at /items/1/id"),
        (json_value("/items/0/id").equals(8), "JSON value at /items/0/id not 8"),
        (lambda reply: False, "check 1 failed"),
        (lambda reply: "stale", "stale"),
        (lambda reply: reply.json()["gone"], "check 1 raised KeyError: 'gone'"),
        ([lambda reply: True, lambda reply: 0], "check 2 failed"),
    ],
)
async def test_a_wrong_answer_is_an_error_with_its_reason(check: Any, reason: str) -> None:
    result = await result_of(replying(ITEMS), check=check)
    assert result.errors == {"wrong_answer": 20}
    assert result.answers["page"].wrong == {reason: 20}
    assert result.answers["page"].statuses == {200: 20}, "it was answered all the same"
    assert (result.latency_ms, result.answers["page"].sizes) == (None, {})


async def test_only_the_wrong_answers_are_left_out_of_the_latencies() -> None:
    count = 0

    async def every_other_empty(_: str, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        writer.write(ITEMS if count % 2 else page(b"{}"))

    result = await result_of(every_other_empty, check=json_value("/items/0/id").equals(7))
    assert result.errors == {"wrong_answer": 10}
    assert result.latency_ms is not None
    assert result.latency_ms.count == 10


async def test_an_unexpected_status_is_that_error_and_not_a_wrong_answer() -> None:
    result = await result_of(replying(page(b"", status=b"503 Busy")), check=lambda reply: False)
    assert result.errors == {"status_5xx": 20}


async def test_a_compressed_body_is_checked_and_its_size_is_that_on_the_wire() -> None:
    packed = gzip.compress(b'{"ok": true}' * 1 + b" " * 5000)
    answer = replying(page(packed, b"Content-Encoding: gzip\r\n"))
    result = await result_of(answer, check=json_value("/ok").equals(True))
    assert result.errors == {}
    assert result.answers["page"].body_bytes == 20 * len(packed)


async def test_a_redirect_is_followed_when_the_request_says_so() -> None:
    async def to_the_page(path: str, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.02)  # this is how slow the server under test is
        location = {"/": "/a?b=1", "/a?b=1": "page"}.get(path)
        writer.write(page(b"", b"Location: %s\r\n" % location.encode(), b"302 Found") if location else page(b"there"))

    result = await result_of(to_the_page, follow=True, check=lambda reply: reply.body == b"there")
    assert result.errors == {}
    assert result.answers["page"].statuses == {200: 20}
    assert result.latency_ms is not None
    assert result.latency_ms.p50 >= 60, "of the whole way"


@pytest.mark.parametrize("location", [b"/", b"http://elsewhere.example/"])
async def test_a_redirect_in_a_circle_or_to_another_host_is_an_error(location: bytes) -> None:
    result = await result_of(replying(page(b"", b"Location: %s\r\n" % location, b"302 Found")), 5, follow=True)
    assert result.errors == {"redirect": 5}


async def test_a_redirect_that_nobody_follows_is_no_page() -> None:
    result = await result_of(replying(page(b"", b"Location: /login?next=1\r\n", b"302 Found")))
    assert result.errors == {}
    assert (result.answers["page"].redirects, result.answers["page"].sizes) == ({"/login": 20}, {})


async def test_server_sent_events_count_by_the_first_one() -> None:
    async def events(_: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        await asyncio.sleep(0.1)  # this is when the first event comes
        while True:
            writer.write(b"data: 1\n\n")
            await writer.drain()
            await asyncio.sleep(0.02)  # the events after it, until the reader has gone

    result = await asyncio.wait_for(result_of(events, 5), 20)
    assert (result.statuses, result.errors) == ({"2xx": 5}, {})
    assert result.latency_ms is not None
    assert 100 <= result.latency_ms.p50 < 1000


async def test_the_first_byte_stands_beside_the_total() -> None:
    async def slow_body(_: str, writer: asyncio.StreamWriter) -> None:
        writer.write(OK[:-2])
        await asyncio.sleep(0.2)  # this is how slow the server under test is
        writer.write(OK[-2:])

    result = await result_of(slow_body)
    assert result.latency_ms is not None
    assert result.first_byte_ms is not None
    assert result.latency_ms.p50 >= 200
    assert result.first_byte_ms.p50 <= result.latency_ms.p50 - 150


@pytest.mark.parametrize("check", [(), lambda reply: True])
async def test_an_answer_that_never_ends_is_an_error_and_holds_up_nobody(check: Any) -> None:
    async def endless(path: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
            await writer.drain()

    result = await asyncio.wait_for(result_of(endless, 3, check=check), 60)
    assert sum(result.errors.values()) == 3
    assert result.errors.keys() <= {"timeout", "too_long"}


@pytest.mark.parametrize(
    ("html", "value"),
    [
        ('<form><input type="hidden" name="csrf" value="a&amp;b"></form>', "a&b"),
        ("<input value='v' name='csrf'/>", "v"),
        ("<INPUT name=csrf value=plain>", "plain"),
        ('<input name="other" value="x"><input name="csrf"\n value="second">', "second"),
        ('<input name="csrf2" value="x">', None),
        ('<input name="csrf">', None),
        ("", None),
    ],
)
def test_a_form_field_is_found_however_it_is_written(html: str, value: str | None) -> None:
    assert form_field("csrf")(Reply(200, [], html.encode())) == value


def test_cookies_are_read_with_their_end() -> None:
    lines = [b"sid=1; Path=/; HttpOnly", b"theme=dark; Max-Age=3600", b"old=x; Max-Age=0", b"empty="]
    reply = Reply(200, [(b"Set-Cookie", line) for line in lines], b"")
    assert reply.cookies() == {"sid": "1", "theme": "dark", "old": None, "empty": None}
    assert cookie("sid")(reply) == "1"


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate"])
def test_a_body_that_is_not_what_it_says_is_left_as_it_is(encoding: bytes) -> None:
    assert Reply(200, [(b"Content-Encoding", encoding)], b"plain").body == b"plain"


def test_a_capture_outside_of_a_visitor_is_refused() -> None:
    with pytest.raises(ScenarioError, match="only steps of a Visitor or of setup remember"):
        Scenario([Request("page", 1, lambda _: Call("GET", "/"), capture={"x": json_value("/x")})])
