"""Two systems in turn: each request goes to one of them, and both get the same mix."""

from collections import Counter

import pytest

from easymo.load import Call, Request, Scenario, ScenarioError, Schedule, Stage, Visitor, build_schedule
from easymo.load.duet import BESIDE, duet
from easymo.load.target import Target

MIX = Scenario(
    [
        Request("page", 3, lambda rng: Call("GET", f"/page/{rng.randrange(1000)}")),
        Request("price", 1, lambda rng: Call("GET", f"/price/{rng.randrange(1000)}")),
    ]
)


def schedule(port: int, scenario: Scenario = MIX) -> Schedule:
    return build_schedule(scenario, {"": Target("127.0.0.1", port)}, [Stage(100, 4.0)], seed=7)


def test_each_request_goes_to_one_of_the_two_and_kind_by_kind_to_both_alike() -> None:
    whole, alone = duet(schedule(1), schedule(2)), schedule(1)
    assert whole.due_ms == alone.due_ms, "the same moments as without the second system"
    counts = Counter(whole.requests[kind].name for kind in whole.kinds)
    for name in ("page", "price"):
        assert abs(counts[name] - counts[name + BESIDE]) <= 1
    for kind, payload in zip(whole.kinds, whole.payloads, strict=True):
        assert f"Host: 127.0.0.1:{1 + (kind >= 2)}".encode() in payload


def test_two_neighbours_of_one_kind_go_to_different_systems_in_either_order() -> None:
    whole = duet(schedule(1), schedule(2))
    pages = [kind for kind in whole.kinds if kind % 2 == 0]
    couples = list(zip(pages[::2], pages[1::2], strict=False))
    assert {tuple(couple) for couple in couples} == {(0, 2), (2, 0)}


def test_a_scenario_with_visitors_is_no_duet() -> None:
    visitors = Scenario([Visitor("guest", 1, [Request("home", 1, lambda _: Call("GET", "/"))])])
    with pytest.raises(ScenarioError, match="leave --duet out"):
        duet(schedule(1, visitors), schedule(2, visitors))
