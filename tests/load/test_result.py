"""What is counted, as what, and when the numbers must not be used."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easymo.load import Call, LoadResult, Request, Scenario, Schedule, Stage, Target, build_schedule, merge
from easymo.load.connection import CONNECT_FAILED, CONNECTION_LOST, MALFORMED, NO_CONNECTION, TIMEOUT, Connection
from easymo.load.recorder import Recorder, error_of

MS = 1_000_000
MIX = Scenario(
    [
        Request("read", 1, lambda _: Call("GET", "/")),
        Request("find", 1, lambda _: Call("GET", "/maybe"), expect=frozenset({200, 404})),
    ]
)


def schedule(count: int, warm_up_s: float = 0.0) -> Schedule:
    """`count` counted requests at 100/s, after the warm-up."""
    targets = {"": Target("127.0.0.1", 80)}
    return build_schedule(MIX, targets, [Stage(100, count / 100)], seed=1, arrivals="constant", warm_up_s=warm_up_s)


def summarise(
    plan: Schedule, outcomes: Sequence[int], took_ms: float | Sequence[float] = 10, late_ms: float | Sequence[float] = 0
) -> LoadResult:
    """The result when each request was fired `late_ms` after its time and done `took_ms` after that."""
    took = [took_ms] * len(outcomes) if isinstance(took_ms, (int, float)) else took_ms
    late = [late_ms] * len(outcomes) if isinstance(late_ms, (int, float)) else late_ms
    recorder, reply = Recorder(plan), Connection(lambda *_: None, lambda _: None)
    for arrival, outcome, waited, ms in zip(plan, outcomes, late, took, strict=True):
        reply.body_bytes, reply.location = max(outcome, 0), b"/login?next=/" if outcome == 302 else b""
        fired_ns = int((arrival.due_ms + waited) * MS)
        arrival.fired_ns, recorder.sent = fired_ns, recorder.sent + 1
        error = error_of(plan.requests[arrival.kind], outcome)
        recorder.done(arrival, outcome, fired_ns + int(ms * MS), reply, error, 0)
    return recorder.result(cpu_s=0.5, priority="normal", stopped_at_s=None)


def result_of(outcomes: Sequence[int], **times: float | Sequence[float]) -> LoadResult:
    plan = schedule(len(outcomes))
    return summarise(plan, outcomes, **times)


def test_errors_are_counted_by_what_happened() -> None:
    plan = schedule(100)
    read = plan.kinds.index(0)
    kinds = [404, 429, 500, 503, TIMEOUT, CONNECT_FAILED, CONNECTION_LOST, MALFORMED, NO_CONNECTION]
    places = [place for place in range(100) if plan.kinds[place] == plan.kinds[read]][: len(kinds)]
    outcomes = [200] * 100
    for place, outcome in zip(places, kinds, strict=True):
        outcomes[place] = outcome
    result = summarise(plan, outcomes)
    assert result.errors == {
        "status_unexpected": 1,
        "status_429": 1,
        "status_5xx": 2,
        "timeout": 1,
        "connect": 1,
        "connection_lost": 1,
        "malformed": 1,
        "no_connection": 1,
    }
    assert result.statuses == {"2xx": 91, "429": 1, "4xx": 1, "5xx": 2}
    assert result.error_ratio == pytest.approx(0.09)
    assert (result.rate_rps, result.goodput_rps) == pytest.approx((100, 91))


def test_a_status_that_the_request_expects_is_no_error() -> None:
    plan = schedule(100)
    result = summarise(plan, [404] * 100)
    assert result.per_request["find"].errors == 0
    assert result.per_request["read"].errors == result.per_request["read"].requests > 0


def test_latency_counts_from_the_intended_time_and_service_time_from_the_sending() -> None:
    result = result_of([200] * 50, took_ms=10, late_ms=3)
    assert result.latency_ms is not None
    assert result.service_ms is not None
    assert result.lateness_ms is not None
    assert result.latency_ms.p50 == pytest.approx(13, rel=0.001)
    assert result.service_ms.p50 == pytest.approx(10, rel=0.001)
    assert result.lateness_ms.p50 == pytest.approx(3, rel=0.001)


def test_fast_error_replies_do_not_make_the_latency_look_better() -> None:
    result = result_of([200] * 50 + [503] * 50, took_ms=[100.0] * 50 + [1.0] * 50)
    assert result.latency_ms is not None
    assert result.latency_ms.count == 50
    assert result.latency_ms.p50 == pytest.approx(100, rel=0.001)


def test_requests_that_timed_out_stand_in_the_latency_with_their_wait() -> None:
    result = result_of([200] * 90 + [TIMEOUT] * 10, took_ms=[5.0] * 90 + [2000.0] * 10)
    assert result.latency_ms is not None
    assert result.latency_ms.p95 == pytest.approx(2000, rel=0.001)


def test_a_run_in_which_nothing_was_answered_has_no_latency() -> None:
    result = result_of([CONNECT_FAILED] * 10)
    assert result.latency_ms is None
    assert result.error_ratio == 1.0


def test_the_warm_up_is_not_counted() -> None:
    plan = schedule(100, warm_up_s=1.0)
    slow_at_first = [500.0] * 100 + [10.0] * 100
    result = summarise(plan, [500] * 100 + [200] * 100, took_ms=slow_at_first)
    assert (result.requests, result.errors) == (100, {})
    assert result.latency_ms is not None
    assert result.latency_ms.max == pytest.approx(10, rel=0.001)
    assert len(result.timeline) == 1


def test_the_timeline_has_one_tally_per_second() -> None:
    result = result_of([200] * 100 + [500] * 50 + [200] * 50)
    assert [(second.requests, second.errors) for second in result.timeline] == [(100, 0), (100, 50)]


def test_a_long_run_has_every_second_once_however_late_an_answer_comes() -> None:
    plan = schedule(4000)  # 40 s, of which few are open at a time
    took = [25_000.0 if place == 5 else 10.0 for place in range(4000)]
    places = sorted(range(4000), key=lambda place: plan.due_ms[place] + took[place])
    recorder, rows = Recorder(plan), list(plan)
    for place in places:
        rows[place].fired_ns = rows[place].due_ms * MS
        recorder.done(rows[place], 200, rows[place].fired_ns + int(took[place] * MS), None, None, 0)
        if place % 20 == 0:
            recorder._work_in(recorder._rows)  # as when a chunk is full
            del recorder._rows[:]
    result = recorder.result(cpu_s=0.0, priority="normal", stopped_at_s=None)
    assert [second.requests for second in result.timeline] == [100] * 40
    first = result.timeline[0].latency_ms
    assert first is not None
    assert first.count == 100
    assert first.max == pytest.approx(25_000, rel=0.001)


def test_a_late_generator_makes_the_run_void() -> None:
    assert result_of([200] * 100, late_ms=[0.0] * 98 + [6.0] * 2).void is not None
    assert result_of([200] * 100, late_ms=[0.0] * 98 + [4.0] * 2).void is None


def test_more_lateness_is_allowed_where_the_latency_is_large() -> None:
    assert result_of([200] * 100, took_ms=200, late_ms=18).void is None
    late = result_of([200] * 100, took_ms=200, late_ms=25).void
    assert late is not None
    assert "P99 is 25.0 ms and must not exceed 22.5 ms" in late


def test_a_result_survives_json() -> None:
    result = result_of([200] * 60 + [500] * 20 + [TIMEOUT] * 20)
    assert msgspec.json.decode(msgspec.json.encode(result), type=LoadResult) == result


outcome = st.sampled_from([200, 200, 200, 302, 404, 429, 500, TIMEOUT, CONNECT_FAILED])
request = st.tuples(outcome, st.floats(0, 3000), st.floats(0, 20))


@settings(max_examples=30)
@given(requests=st.lists(request, min_size=5, max_size=150), of=st.integers(1, 4))
def test_the_merged_result_of_all_shares_is_the_result_of_the_whole(
    requests: list[tuple[int, float, float]], of: int
) -> None:
    outcomes, took, late = zip(*requests, strict=True)
    whole = schedule(len(requests))
    parts = []
    for index in range(of):
        share = whole.share(index, of)
        own = slice(index, None, of)
        parts.append(summarise(share, outcomes[own], took_ms=took[own], late_ms=late[own]))
    merged = merge(parts)
    assert merged.cpu_s == pytest.approx(0.5 * of)
    assert msgspec.structs.replace(merged, cpu_s=0.5) == summarise(whole, outcomes, took, late)
