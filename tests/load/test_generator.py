"""The open model: what becomes of one request never delays another, and the generator's own faults are told apart."""

import asyncio
import socket
import time
from collections.abc import Callable

import pytest

from easymo.load import (
    Call,
    Glance,
    Request,
    Scenario,
    ScenarioError,
    ScenarioRandom,
    Schedule,
    Stage,
    Target,
    TargetError,
    build_schedule,
    run,
)
from easymo.load.realtime import Alarm
from tests.load.http_server import OK, always_ok, serving


def plan(
    target: Target, rate_rps: float, duration_s: float, build: Callable[[ScenarioRandom], Call] | None = None
) -> Schedule:
    scenario = Scenario([Request("page", 1, build or (lambda _: Call("GET", "/")))])
    return build_schedule(scenario, {"": target}, [Stage(rate_rps, duration_s)], seed=1, arrivals="constant")


async def hang(_: str, __: asyncio.StreamWriter) -> None:
    """No answer, ever."""


class Stall:
    """A server that stands still for a while in the middle of a run, then answers all that has come in."""

    def __init__(self, after: int, seconds: float) -> None:
        self._left = after
        self._seconds = seconds
        self._over = asyncio.Event()
        self._over.set()

    async def __call__(self, _: str, writer: asyncio.StreamWriter) -> None:
        self._left -= 1
        if self._left == 0:
            self._over.clear()
            asyncio.get_running_loop().call_later(self._seconds, self._over.set)
        await self._over.wait()
        writer.write(OK)


async def test_every_request_that_meets_a_stall_shows_its_own_wait() -> None:
    for _ in range(TRIES):
        async with serving(Stall(after=100, seconds=0.4)) as (target, _):
            result = await run(plan(target, 200, 2.0))
        if result.latency_ms is not None and result.latency_ms.max < 460:
            break
    assert (result.requests, result.errors) == (400, {})
    # 80 of the 400 requests were due during the stall and waited from 400 ms down to nothing. A closed loop would have
    # sent a few of them and called the rest fast.
    assert result.latency_ms is not None
    assert result.latency_ms.p50 < 100
    assert result.latency_ms.p95 == pytest.approx(300, abs=60)
    assert result.latency_ms.max == pytest.approx(400, abs=60)


TRIES = 4
"""A busy machine may take the processor away from one run or another, but not from all."""


@pytest.mark.alone
async def test_requests_keep_their_times_while_others_hang() -> None:
    async with serving(hang) as (target, log):
        result = await run(plan(target, 200, 1.0), timeout_s=0.5)
    assert len(log.paths) == 200
    assert log.connections == 200
    assert result.errors == {"timeout": 200}
    assert result.void is None


@pytest.mark.alone
async def test_a_request_times_out_by_its_intended_time_and_its_connection_is_closed_then() -> None:
    async with serving(hang) as (target, log):
        result = await run(plan(target, 50, 0.5), timeout_s=0.3)
    assert result.errors == {"timeout": 25}
    assert result.latency_ms is not None
    assert result.latency_ms.p50 == pytest.approx(300, abs=20)
    assert len(log.closed_at_s) == 25
    assert max(log.closed_at_s) - min(log.closed_at_s) == pytest.approx(0.48, abs=0.1)


async def test_an_answer_after_the_time_out_is_not_taken_for_the_next_one() -> None:
    async def answer_the_first_too_late(_: str, writer: asyncio.StreamWriter) -> None:
        if len(log.paths) == 1:
            await asyncio.sleep(0.35)  # this is how slow the server under test is
            writer.write(OK.replace(b"200", b"500"))
        else:
            writer.write(OK)

    async with serving(answer_the_first_too_late) as (target, log):
        result = await run(plan(target, 50, 0.5), timeout_s=0.3)
    assert (result.statuses, result.errors) == ({"2xx": 24}, {"timeout": 1})


async def test_a_request_that_finds_no_connection_free_is_an_error() -> None:
    async with serving(hang) as (target, log):
        result = await run(plan(target, 100, 0.3), timeout_s=1.0, max_connections=20)
    assert result.errors == {"timeout": 20, "no_connection": 10}
    assert log.connections == 20


async def test_idle_connections_are_used_again_and_only_few_of_them() -> None:
    async with serving(always_ok) as (target, log):
        result = await run(plan(target, 100, 1.0))
    assert (result.statuses, result.errors) == ({"2xx": 100}, {})
    assert log.connections <= 20


async def test_a_server_that_goes_away_in_mid_run_makes_errors_and_no_crash() -> None:
    async def die_at_the_50th(_: str, writer: asyncio.StreamWriter) -> None:
        if len(log.paths) < 50:
            writer.write(OK)
        else:
            log.stop_listening()
            writer.transport.abort()

    async with serving(die_at_the_50th) as (target, log):
        result = await run(plan(target, 100, 1.0))
    assert result.statuses == {"2xx": 49}
    assert sum(result.errors.values()) == 51
    assert set(result.errors) == {"connection_lost", "connect"}


async def test_a_server_that_resets_every_connection_makes_errors_and_no_crash() -> None:
    def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with await asyncio.start_server(reset, "127.0.0.1", 0) as server:
        result = await run(plan(Target("127.0.0.1", server.sockets[0].getsockname()[1]), 100, 0.3))
    assert sum(result.errors.values()) == 30
    assert set(result.errors) <= {"connection_lost", "connect"}


@pytest.mark.parametrize("timeout_s", [0, -1, float("inf"), float("nan")])
async def test_a_time_out_that_is_none_is_refused(timeout_s: float) -> None:
    with pytest.raises(ScenarioError, match="time-out"):
        await run(plan(Target("127.0.0.1", 1), 10, 1.0), timeout_s=timeout_s)


async def test_a_target_that_is_not_there_is_an_error_in_a_sentence() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        port = reserved.getsockname()[1]
        with pytest.raises(TargetError, match=rf"Nothing answers at http://127\.0\.0\.1:{port} \(.*refused\)"):
            await run(plan(Target("127.0.0.1", port), 10, 1.0))


async def test_a_generator_that_is_held_up_itself_declares_the_run_void() -> None:
    def hold_up(_: Glance) -> None:
        time.sleep(0.2)  # the fault: nothing else runs in this process meanwhile

    async with serving(always_ok) as (target, _):
        result = await run(plan(target, 200, 1.5), on_second=hold_up)
    assert result.requests == 300
    assert result.lateness_ms is not None
    assert result.lateness_ms.p99 > 100
    assert result.void is not None
    assert "The generator itself was late" in result.void


async def test_each_second_can_be_glanced_at() -> None:
    glances: list[Glance] = []
    async with serving(always_ok) as (target, _):
        result = await run(plan(target, 50, 2.5), on_second=glances.append)
    assert [(glance.second, glance.requests, glance.errors) for glance in glances] == [(1, 50, 0), (2, 50, 0)]
    assert result.latency_ms is not None
    for glance in glances:
        assert glance.p99_ms is not None
        assert glance.p99_ms <= result.latency_ms.max * 1.001 + 0.001  # the histogram counts whole microseconds


async def test_the_alarm_rings_once_and_not_before_its_time() -> None:
    rung: asyncio.Queue[int] = asyncio.Queue()
    alarm = Alarm(lambda: rung.put_nowait(time.monotonic_ns()))
    try:
        at_ns = time.monotonic_ns() + 20_000_000
        alarm.set(at_ns + 1_000_000_000)
        alarm.set(at_ns)
        assert await asyncio.wait_for(rung.get(), 5) >= at_ns
        alarm.set(0)
        assert await asyncio.wait_for(rung.get(), 5)
        assert rung.empty()
    finally:
        alarm.close()
