"""What is kept of the answers: enough to see that a page became a redirect, an error or an empty one."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easymo.load import Answers, Call, Request, Scenario, Stage, build_schedule, run
from easymo.load.answers import MOST_PLACES, OTHER, AnswerCounts, add_answers, rounded_size
from tests.load.http_server import Answer, serving

REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: http://shop.example/login?next=%2F\r\nContent-Length: 4\r\n\r\ngone"


def reply(body: bytes, status: bytes = b"200 OK", more: bytes = b"") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n%s" % (status, len(body), more, body)


async def answers_of(answer: Answer, requests: int = 20, method: str = "GET") -> Answers:
    scenario = Scenario([Request("page", 1, lambda _: Call(method, "/"))])
    async with serving(answer) as (target, _):
        schedule = build_schedule(scenario, {"": target}, [Stage(100, requests / 100)], seed=1, arrivals="constant")
        result = await run(schedule)
    assert result.answers.keys() == {"page"}
    return result.answers["page"]


def in_turn(*replies: bytes) -> Answer:
    count = 0

    async def answer(_: str, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        writer.write(replies[count % len(replies)])
        count += 1

    return answer


async def test_statuses_redirects_and_sizes_are_counted_apart() -> None:
    seen = await answers_of(in_turn(reply(b"x" * 100), REDIRECT, reply(b"", b"503 Busy"), reply(b"")))
    assert seen.statuses == {200: 10, 302: 5, 503: 5}
    assert seen.redirects == {"/login": 5}
    assert seen.sizes == {0: 5, 100: 5}, "neither the redirects nor the errors are pages"
    assert seen.body_bytes == 5 * 100 + 5 * 4


async def test_the_chunks_of_a_body_are_added_without_their_sizes() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
    assert (await answers_of(in_turn(chunked))).sizes == {5: 20}


@pytest.mark.parametrize("more", [b"", b"Location: /elsewhere\r\n"])
async def test_a_304_or_a_created_page_with_its_place_is_no_redirect(more: bytes) -> None:
    status = b"201 Created" if more else b"304 Not Modified"
    seen = await answers_of(in_turn(reply(b"", status, more)))
    assert (seen.redirects, seen.sizes) == ({}, {0: 20})


async def test_the_answer_before_leaves_nothing_in_the_next_one() -> None:
    seen = await answers_of(in_turn(REDIRECT, reply(b"", b"302 Found")))
    assert seen.redirects == {"/login": 10}


def test_many_places_are_kept_few() -> None:
    counts = AnswerCounts()
    for number in range(3000):
        counts.redirect(b"/users/%d" % number)
    seen = counts.answers()
    assert len(counts.redirects) <= 1001
    assert len(seen.redirects) == MOST_PLACES + 1
    assert sum(seen.redirects.values()) == 3000
    twice = add_answers([seen, seen])
    assert twice.redirects[OTHER] == 2 * seen.redirects[OTHER]
    assert sum(twice.redirects.values()) == 6000


@given(size=st.integers(0, 2**40))
def test_a_size_is_rounded_down_by_less_than_a_sixtieth(size: int) -> None:
    rounded = rounded_size(size)
    assert rounded <= size
    assert (size - rounded) * 60 < max(size, 1)
    assert size >= 128 or rounded == size
    assert rounded_size(rounded) == rounded
