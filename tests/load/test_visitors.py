"""Visitors log in, carry cookies and what they captured, think, and leave where a step fails."""

import asyncio
import re
from collections import Counter
from typing import Any

import pytest

from easymo.load import (
    Call,
    LoadResult,
    Request,
    Scenario,
    ScenarioError,
    ScenarioRandom,
    Stage,
    Target,
    TargetError,
    Visitor,
    build_schedule,
    cookie,
    form_field,
    header,
    json_value,
    run,
)
from tests.load.http_server import OK, Log, serving


class Shop:
    """A shop that gives each visitor a form token and a session, and wants both again."""

    def __init__(self, refuse_login: bool = False) -> None:
        self.refuse_login = refuse_login
        self.seen: list[tuple[str, str]] = []
        self.log = Log()

    async def __call__(self, _: str, writer: asyncio.StreamWriter) -> None:
        writer.write(self.reply(self.log.head, self.log.body))

    def reply(self, head: str, body: str) -> bytes:
        method, path = head.split(" ")[:2]
        found = re.search(r"\r\nCookie: (.*)\r\n", head)
        cookies = dict(part.split("=") for part in found[1].split("; ")) if found else {}
        self.seen.append((f"{method} {path}", cookies.get("sid", "")))
        if path == "/login" and method == "GET":
            token = f"t{len(self.seen)}"
            return _page(f'<input name="csrf" value="{token}">', f"Set-Cookie: csrf={token}\r\n")
        if path == "/login":
            right = not self.refuse_login and body == f"csrf={cookies.get('csrf')}"
            return (
                _page("", f"Set-Cookie: sid=s{len(self.seen)}\r\n", "302 Found") if right else _page("", "", "403 No")
            )
        return _page('{"id": 5}') if cookies.get("sid") else _page("", "", "401 Who")


def _page(body: str, more: str = "", status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n{body}".encode()


FORM = Request("form", 1, lambda _: Call("GET", "/login"), capture={"csrf": form_field("csrf")})
LOGIN = Request("login", 1, lambda rng: Call("POST", "/login", {}, f"csrf={rng.memory['csrf']}".encode()), expect={302})
ORDER = Request("order", 1, lambda _: Call("GET", "/order"), capture={"id": json_value("/id")})
PAY = Request("pay", 1, lambda rng: Call("GET", f"/order/{rng.memory['id']}"))


async def play(scenario: Scenario, shop: Shop, rate_rps: float = 20, duration_s: float = 1.0) -> LoadResult:
    async with serving(shop) as (target, shop.log):
        schedule = build_schedule(scenario, {"": target}, [Stage(rate_rps, duration_s)], seed=1, arrivals="constant")
        return await run(schedule, timeout_s=5.0)


async def test_a_visitor_logs_in_with_its_own_token_and_carries_its_own_session() -> None:
    shop = Shop()
    result = await play(Scenario([Visitor("buyer", 1, [FORM, LOGIN, ORDER, PAY])]), shop)
    assert result.errors == {}
    visits = result.visits["buyer"]
    assert visits.begun == 20
    assert visits.finished >= 15, "those that came in the last moment are cut off by the end of the run"
    sessions = Counter(session for call, session in shop.seen if call == "GET /order/5")
    assert set(sessions.values()) == {1}, "each has its own"
    assert result.per_request["form"].requests == 20


async def test_a_step_is_due_a_think_time_after_the_answer_before_it() -> None:
    async def slow_first(path: str, writer: asyncio.StreamWriter) -> None:
        if path == "/slow":
            await asyncio.sleep(0.3)  # this is how slow the server under test is
        writer.write(OK)

    steps = [Request("slow", 1, lambda _: Call("GET", "/slow")), Request("quick", 1, lambda _: Call("GET", "/quick"))]
    due: list[float] = []

    def quick(rng: ScenarioRandom) -> Call:
        due.append(rng.due_s)
        return Call("GET", "/quick")

    steps[1] = Request("quick", 1, quick)
    async with serving(slow_first) as (target, _):
        scenario = Scenario([Visitor("patient", 1, steps, think_s=0.2)])
        schedule = build_schedule(scenario, {"": target}, [Stage(10, 2)], seed=1, arrivals="constant")
        due.clear()
        result = await run(schedule, timeout_s=5.0)
    assert result.errors == {}
    slow, quick_times = result.per_request["slow"].latency_ms, result.per_request["quick"].latency_ms
    assert slow is not None
    assert quick_times is not None
    assert slow.p50 >= 300
    assert quick_times.p50 < 250, "counted from its own intended time"
    assert min(due) >= 0.05 + 0.3 + 0.2 - 0.001


async def test_visitors_arrive_whatever_becomes_of_the_earlier_ones() -> None:
    async def hang(_: str, __: asyncio.StreamWriter) -> None: ...

    async with serving(hang) as (target, _):
        scenario = Scenario([Visitor("stuck", 1, [ORDER, PAY])])
        schedule = build_schedule(scenario, {"": target}, [Stage(50, 1)], seed=1, arrivals="constant")
        result = await run(schedule, timeout_s=0.3)
    assert (result.requests, result.errors) == (50, {"timeout": 50})
    assert result.visits["stuck"].left_at == {"order": 50}


async def test_a_visitor_whose_login_fails_leaves_and_is_counted() -> None:
    shop = Shop(refuse_login=True)
    result = await play(Scenario([Visitor("buyer", 1, [FORM, LOGIN, ORDER, PAY])]), shop)
    assert result.errors == {"status_unexpected": result.visits["buyer"].left_at["login"]}
    assert result.visits["buyer"].finished == 0
    assert not any(call.startswith("GET /order") for call, _ in shop.seen)


async def test_an_answer_without_what_is_captured_is_wrong_and_the_visitor_leaves() -> None:
    step = Request("order", 1, lambda _: Call("GET", "/login"), capture={"id": header("X-Id")})
    result = await play(Scenario([Visitor("buyer", 1, [step, PAY])]), Shop())
    assert result.errors == {"wrong_answer": 20}
    assert result.answers["order"].wrong == {"nothing to capture as 'id': no header X-Id": 20}


async def test_a_login_in_the_setup_is_played_once_and_serves_everybody() -> None:
    shop = Shop()
    setup = [FORM, Request("login", 1, LOGIN.build, expect={302}, capture={"sid": cookie("sid")})]
    mix: list[Request | Visitor] = [
        Request("order", 1, lambda rng: Call("GET", f"/order?{rng.memory['sid']}")),
        Visitor("buyer", 1, [Request("visit", 1, lambda rng: Call("GET", f"/visit?{rng.memory['sid']}"))]),
    ]
    result = await play(Scenario(mix, setup=setup), shop)
    assert result.errors == {}
    assert Counter(call for call, _ in shop.seen)["POST /login"] == 1
    assert result.per_request.keys() == {"order", "visit"}, "the setup is no load"
    assert {call for call, _ in shop.seen if "?" in call} == {"GET /order?s2", "GET /visit?s2"}


async def test_a_setup_that_fails_sends_no_load() -> None:
    shop = Shop(refuse_login=True)
    with pytest.raises(TargetError, match=r"'login' of the set-up failed at .* \(status 403\), so no load was sent"):
        await play(Scenario([ORDER_ALONE], setup=[FORM, LOGIN]), shop)
    assert len(shop.seen) == 2


ORDER_ALONE = Request("order alone", 1, lambda _: Call("GET", "/order"))


async def test_visitors_and_single_requests_share_the_arrivals_by_their_weights() -> None:
    shop = Shop()
    mix: list[Request | Visitor] = [Request("page", 3, lambda _: Call("GET", "/login")), Visitor("buyer", 1, [FORM])]
    result = await play(Scenario(mix), shop, rate_rps=200)
    assert result.requests == 200
    assert result.per_request["form"].requests == pytest.approx(50, abs=25)


def test_the_same_seed_gives_every_visitor_the_same_draws() -> None:
    first, second = (ScenarioRandom(1, "a", visit).random() for visit in (7, 7))
    assert first == second != ScenarioRandom(1, "a", 8).random()
    assert ScenarioRandom(1, "a", 1).token() != ScenarioRandom(1, "a", 2).token() != ScenarioRandom(1, "a").token()


def uses(*names: str) -> Any:
    return lambda rng: Call("GET", "/" + "/".join(rng.memory[name] for name in names))


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ([("a", ["x"], [])], "'a' uses 'x', which no step before it captures; there is nothing so far"),
        ([("a", ["x"], []), ("b", [], ["x"])], "'a' uses 'x', which only the later step 'b' captures: put it first"),
        ([("a", ["y"], ["x"]), ("b", ["x"], ["y"])], "'a' and 'b' each need what the other one captures"),
        ([("a", ["x"], ["x"])], "'a' and 'a' each need"),
        (
            [("a", [], ["x"]), ("b", ["x", "z"], [])],
            "'b' uses 'z', which no step before it captures; there is 'x'",
        ),
    ],
)
def test_a_capture_that_comes_too_late_is_refused_before_anything_is_sent(steps: Any, says: str) -> None:
    built = [
        Request(name, 1, uses(*reads), capture={key: json_value("/" + key) for key in captures})
        for name, reads, captures in steps
    ]
    with pytest.raises(ScenarioError, match=says):
        build_schedule(Scenario([Visitor("v", 1, built)]), {"": Target("a", 1)}, [Stage(5, 1)], seed=1)


def test_what_a_step_makes_of_a_captured_value_is_no_fault_before_the_run() -> None:
    steps = [ORDER, Request("next", 1, lambda rng: Call("GET", f"/{int(rng.memory['id'][3:]) + 1}"))]
    build_schedule(Scenario([Visitor("v", 1, steps)]), {"": Target("a", 1)}, [Stage(5, 1)], seed=1)
