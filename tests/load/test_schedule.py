"""A schedule is fixed before the first request: reproducible to the byte, with the statistics that it claims."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from easymo.load import Call, Request, Scenario, ScenarioError, ScenarioRandom, Schedule, Stage, Target, build_schedule
from easymo.load.schedule import FIRST_READ, NO_READ, REPEATED_READ, Arrivals, parse_stages, render

TARGETS = {"": Target("127.0.0.1", 8000)}


def read(rng: ScenarioRandom) -> Call:
    return Call("GET", f"/items/{rng.randrange(50)}")


def write(rng: ScenarioRandom) -> Call:
    return Call("POST", "/items", {"Idempotency-Key": rng.token()}, b'{"n": %d}' % rng.randrange(1000))


MIX = Scenario([Request("read", 3, read), Request("write", 1, write)])


def schedule(
    *stages: Stage, seed: int = 1, salt: str = "", arrivals: Arrivals = "poisson", warm_up_s: float = 0.0
) -> Schedule:
    return build_schedule(MIX, TARGETS, stages, seed=seed, salt=salt, arrivals=arrivals, warm_up_s=warm_up_s)


def test_the_same_seed_and_salt_give_the_same_bytes_at_the_same_times() -> None:
    first, second = schedule(Stage(200, 5), salt="a"), schedule(Stage(200, 5), salt="a")
    assert (first.due_ms, first.kinds, first.payloads) == (second.due_ms, second.kinds, second.payloads)


def test_another_seed_gives_other_times_and_other_requests() -> None:
    first, second = schedule(Stage(200, 5)), schedule(Stage(200, 5), seed=2)
    assert first.due_ms != second.due_ms
    assert first.payloads != second.payloads


def test_another_salt_changes_nothing_but_the_tokens() -> None:
    first, second = schedule(Stage(200, 5), salt="a"), schedule(Stage(200, 5), salt="b")
    assert (first.due_ms, first.kinds, first.reads) == (second.due_ms, second.kinds, second.reads)
    for kind, one, other in zip(first.kinds, first.payloads, second.payloads, strict=True):
        assert (one == other) == (MIX.requests[kind].name == "read")
        assert _without_token(one) == _without_token(other)


def _without_token(payload: bytes) -> list[bytes]:
    return [line for line in payload.split(b"\r\n") if not line.startswith(b"Idempotency-Key")]


def test_memory_is_empty_at_the_start_of_every_schedule() -> None:
    def count(rng: ScenarioRandom) -> Call:
        rng.memory["count"] = rng.memory.get("count", 0) + 1
        return Call("GET", f"/{rng.memory['count']}")

    scenario = Scenario([Request("count", 1, count)])
    first = build_schedule(scenario, TARGETS, [Stage(50, 1)], seed=1)
    assert first.payloads[0].startswith(b"GET /1 ")
    assert build_schedule(scenario, TARGETS, [Stage(50, 1)], seed=1).payloads == first.payloads


def test_a_request_is_built_with_its_intended_time() -> None:
    scenario = Scenario([Request("get", 1, lambda rng: Call("GET", f"/{rng.due_s:.3f}"))])
    built = build_schedule(scenario, TARGETS, [Stage(50, 2)], seed=1, warm_up_s=0.5)
    for due_ms, payload in zip(built.due_ms, built.payloads, strict=True):
        assert payload.startswith(b"GET /%.3f " % (due_ms / 1000))


def test_what_is_sent_does_not_decide_when_it_is_sent() -> None:
    other = Scenario([Request("read", 1, read)])
    assert build_schedule(other, TARGETS, [Stage(200, 5)], seed=1).due_ms == schedule(Stage(200, 5)).due_ms


def test_poisson_arrivals_have_the_mean_and_the_spread_of_a_poisson_process() -> None:
    due_ms = schedule(Stage(1000, 60)).due_ms
    windows = Counter(ms // 100 for ms in due_ms)
    counts = [windows[window] for window in range(600)]
    mean = sum(counts) / 600
    dispersion = sum((count - mean) ** 2 for count in counts) / 600 / mean
    assert mean == pytest.approx(100, abs=4 * (100 / 600) ** 0.5)
    assert dispersion == pytest.approx(1, abs=4 * (2 / 600) ** 0.5)


def test_gaps_between_poisson_arrivals_are_exponential() -> None:
    gaps_s = [(b - a) / 1000 for a, b in pairwise(schedule(Stage(20, 600)).due_ms)]
    for gap_s, share in ((0.02, 0.330), (0.05, 0.632), (0.1, 0.865)):  # 1 − exp(−20 · gap)
        assert sum(gap < gap_s for gap in gaps_s) / len(gaps_s) == pytest.approx(share, abs=0.025)


def test_constant_arrivals_are_evenly_spaced_and_counted_exactly() -> None:
    due_ms = schedule(Stage(250, 4), arrivals="constant").due_ms
    assert len(due_ms) == 1000
    assert {b - a for a, b in pairwise(due_ms)} == {4}


def test_each_stage_has_its_own_rate() -> None:
    due_ms = schedule(Stage(50, 10), Stage(200, 5), arrivals="constant").due_ms
    assert sum(ms < 10_000 for ms in due_ms) == 500
    assert sum(ms >= 10_000 for ms in due_ms) == 1000
    assert due_ms[-1] < 15_000


def test_a_ramp_changes_the_rate_evenly() -> None:
    due_ms = schedule(Stage(0, 10, to_rps=100), arrivals="constant").due_ms
    per_second = Counter(ms // 1000 for ms in due_ms)
    assert [per_second[second] for second in range(10)] == [5, 15, 25, 35, 45, 55, 65, 75, 85, 95]
    down = schedule(Stage(100, 10, to_rps=0), arrivals="constant").due_ms
    assert down == pytest.approx([10_000 - ms for ms in reversed(due_ms)], abs=1.001)


def test_poisson_arrivals_follow_a_ramp() -> None:
    due_ms = schedule(Stage(100, 60, to_rps=500)).due_ms
    thirds = Counter(ms // 20_000 for ms in due_ms)
    for third, expected in enumerate((20 * 166.7, 20 * 300, 20 * 433.3)):
        assert thirds[third] == pytest.approx(expected, abs=4 * expected**0.5)


@given(begin=st.floats(0, 1e4), end=st.floats(0, 1e4), duration_s=st.floats(0.1, 1e4), share=st.floats(0.001, 1))
def test_the_time_of_an_arrival_is_when_the_rates_so_far_amount_to_it(
    begin: float, end: float, duration_s: float, share: float
) -> None:
    stage = Stage(begin, duration_s, end)
    assume(stage.arrivals > 1e-3)
    at_s = stage.time_of(share * stage.arrivals)
    assert 0 <= at_s <= duration_s * (1 + 1e-6)
    so_far = (begin + (end - begin) * at_s / duration_s / 2) * at_s
    assert so_far == pytest.approx(share * stage.arrivals, rel=1e-3)


def test_nothing_is_sent_in_a_stage_of_rate_0() -> None:
    due_ms = schedule(Stage(50, 1), Stage(0, 3), Stage(50, 1), arrivals="constant").due_ms
    assert Counter(ms // 1000 for ms in due_ms) == {0: 50, 4: 50}


def test_a_gap_that_crosses_a_change_of_rate_is_stretched_in_proportion() -> None:
    due_ms = schedule(Stage(10, 1.22), Stage(20, 1), arrivals="constant").due_ms
    assert due_ms[11:14] == pytest.approx([1150, 1235, 1285], abs=1)  # 0.7 of a gap at 10/s, then 0.3 of one at 20/s


def test_the_warm_up_comes_before_the_stages_at_the_first_rate() -> None:
    warmed = schedule(Stage(100, 2), Stage(400, 1), arrivals="constant", warm_up_s=1.0)
    assert sum(ms < 1000 for ms in warmed.due_ms) == 100
    assert sum(1000 <= ms < 3000 for ms in warmed.due_ms) == 200
    assert sum(ms >= 3000 for ms in warmed.due_ms) == 400
    assert (warmed.warm_up_s, warmed.duration_s) == (1.0, 3)


def test_requests_come_in_the_proportion_of_their_weights() -> None:
    kinds = schedule(Stage(1000, 20)).kinds
    assert kinds.count(0) / len(kinds) == pytest.approx(0.75, abs=4 * (0.75 * 0.25 / len(kinds)) ** 0.5)


def test_a_read_is_repeated_when_its_path_was_asked_for_before() -> None:
    paths = iter(["/a", "/b", "/a", "/a", "/c"] + ["/z"] * 10)
    scenario = Scenario([Request("get", 1, lambda _: Call("GET", next(paths)))])
    built = build_schedule(scenario, TARGETS, [Stage(5, 1)], seed=1, arrivals="constant")
    assert list(built.reads) == [FIRST_READ, FIRST_READ, REPEATED_READ, REPEATED_READ, FIRST_READ]


def test_the_same_path_of_another_target_is_no_repeat() -> None:
    page = [Request(name, 1, lambda _: Call("GET", "/page"), target=name) for name in ("a", "b")]
    targets = {"a": Target("127.0.0.1", 1), "b": Target("127.0.0.1", 2)}
    built = build_schedule(Scenario(page), targets, [Stage(50, 1)], seed=1)
    first = [built.reads[built.kinds.index(kind)] for kind in (0, 1)]
    assert first == [FIRST_READ, FIRST_READ]
    assert list(built.reads).count(REPEATED_READ) == len(built.reads) - 2


def test_a_schedule_is_built_the_same_way_each_time_it_is_gone_through() -> None:
    built = schedule(Stage(200, 1), salt="a")
    once, again = ([row.payload for row in built] for _ in range(2))
    assert once == again == built.payloads


def test_a_write_is_no_read() -> None:
    built = schedule(Stage(100, 1))
    assert all((read == NO_READ) == (kind == 1) for read, kind in zip(built.reads, built.kinds, strict=True))


def test_a_request_goes_to_its_target() -> None:
    scenario = Scenario([Request("a", 1, read), Request("b", 1, read, target="other")])
    built = build_schedule(scenario, TARGETS | {"other": Target("other.example", 80)}, [Stage(50, 1)], seed=1)
    for kind, payload in zip(built.kinds, built.payloads, strict=True):
        assert (b"Host: other.example\r\n" in payload) == (kind == 1)


def test_a_request_without_a_url_for_its_target_is_refused() -> None:
    scenario = Scenario([Request("pay", 1, read, target="bank")])
    with pytest.raises(ScenarioError, match=r"'pay' goes to the target 'bank'.*Add --url bank=http"):
        build_schedule(scenario, TARGETS, [Stage(50, 1)], seed=1)


@given(of=st.integers(1, 7))
def test_the_shares_of_all_processes_make_the_whole_schedule(of: int) -> None:
    whole = schedule(Stage(100, 1))
    shares = [whole.share(index, of) for index in range(of)]
    parts = sorted((ms, payload) for share in shares for ms, payload in zip(share.due_ms, share.payloads, strict=True))
    assert parts == sorted(zip(whole.due_ms, whole.payloads, strict=True))
    assert max(len(share.due_ms) for share in shares) - min(len(share.due_ms) for share in shares) <= 1


def test_a_request_is_rendered_as_http_1_1() -> None:
    call = Call("POST", "/items?x=1", {"Content-Type": "application/json"}, b"{}")
    assert render(call, Target("db.example", 8080, "/api")) == (
        b"POST /api/items?x=1 HTTP/1.1\r\nHost: db.example:8080\r\n"
        b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )


@pytest.mark.parametrize(("method", "sized"), [("GET", False), ("HEAD", False), ("DELETE", False), ("POST", True)])
def test_an_empty_body_has_a_length_only_where_a_body_is_usual(method: str, sized: bool) -> None:
    assert (b"Content-Length: 0" in render(Call(method, "/"), TARGETS[""])) == sized


def test_stages_are_read_from_text() -> None:
    assert parse_stages("50x10s, 12.5x2, 50-200x30s") == [Stage(50, 10), Stage(12.5, 2), Stage(50, 30, to_rps=200)]


@pytest.mark.parametrize("text", ["", "50", "x10s", "50x", "50x10s,", "-5x10s", "5-x10s", "50x10m", "fast x 10s"])
def test_stages_that_cannot_be_read_are_quoted(text: str) -> None:
    with pytest.raises(ScenarioError, match="cannot be read: write RATExSECONDSs"):
        parse_stages(text)


@pytest.mark.parametrize(
    "stages",
    [[], [Stage(0, 5)], [Stage(0, 5, 0)], [Stage(5, 0)], [Stage(5, 5, -1)], [Stage(2e6, 1)], [Stage(1, float("inf"))]],
)
def test_stages_that_send_nothing_or_never_end_are_refused(stages: list[Stage]) -> None:
    with pytest.raises(ScenarioError):
        schedule(*stages)


def test_a_run_in_which_no_request_would_count_is_refused() -> None:
    with pytest.raises(ScenarioError, match="no request is due"):
        schedule(Stage(0.1, 1), arrivals="constant")
    with pytest.raises(ScenarioError, match="no request is due"):
        schedule(Stage(0.5, 1), arrivals="constant", warm_up_s=2)
