"""How fast a size may change: own cases from the specification, and properties that always hold."""

import copy
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from easymo.hpa.behavior import Event, limit_rate, limit_without_behavior, stabilize, stabilize_down
from easymo.hpa.controller import Controller, Decision, tolerance_of
from easymo.hpa.defaults import default_spec
from easymo.hpa.spec import Behavior, behavior_from

SYNC_S = 15


def behavior(up: dict[str, Any] | None = None, down: dict[str, Any] | None = None) -> Behavior:
    spec = default_spec({"maxReplicas": 1, "behavior": {"scaleUp": up, "scaleDown": down}})
    found = behavior_from(spec["behavior"])
    assert found is not None
    return found


def pods(value: int, period_s: int) -> dict[str, Any]:
    return {"type": "Pods", "value": value, "periodSeconds": period_s}


def percent(value: int, period_s: int) -> dict[str, Any]:
    return {"type": "Percent", "value": value, "periodSeconds": period_s}


def play(controller: Controller, current: int, proposals: Sequence[int | None]) -> list[Decision]:
    """One sync per proposal, every 15 seconds; each size is the next one's current size."""
    decided = []
    for number, proposal in enumerate(proposals):
        decided.append(controller.sync(number * SYNC_S, current, proposal))
        current = decided[-1].replicas
    return decided


def sizes(controller: Controller, current: int, proposals: Sequence[int | None]) -> list[int]:
    return [decision.replicas for decision in play(controller, current, proposals)]


def test_the_voice_bridge_policy_grows_by_two_and_shrinks_five_three_two() -> None:
    rules = behavior(
        {"policies": [percent(50, 60), pods(2, 60)]},
        {"stabilizationWindowSeconds": 300, "policies": [percent(25, 60)]},
    )
    controller = Controller(2, 5, rules)
    assert sizes(controller, 2, [9] * 6) == [4, 4, 4, 4, 5, 5]
    controller = Controller(2, 5, rules)
    found = sizes(controller, 5, [5] + [2] * 30)
    assert found[:20] == [5] * 20
    assert found[20:] == [3] * 4 + [2] * 7  # 300 s after the last 5; a quarter of 5 rounds to two pods


def test_without_behavior_one_pod_becomes_four_and_with_empty_behavior_five() -> None:
    assert sizes(Controller(1, 10, None), 1, [10]) == [4]
    assert sizes(Controller(1, 10, behavior()), 1, [10]) == [5]


def test_a_window_alone_drops_to_the_minimum_in_one_step() -> None:
    controller = Controller(2, 6, behavior(down={"stabilizationWindowSeconds": 300}))
    assert sizes(controller, 6, [6] + [1] * 21)[-2:] == [2, 2]
    assert set(sizes(Controller(2, 6, behavior(down={"stabilizationWindowSeconds": 300})), 6, [6] + [1] * 21)) == {6, 2}


def test_disabled_stops_one_direction_only() -> None:
    controller = Controller(1, 9, behavior(down={"selectPolicy": "Disabled", "stabilizationWindowSeconds": 0}))
    assert sizes(controller, 3, [1, 1, 5, 1]) == [3, 3, 5, 5]


def test_min_selects_the_policy_that_changes_least() -> None:
    slow = behavior({"selectPolicy": "Min", "policies": [pods(1, 60), percent(100, 60)]})
    assert sizes(Controller(1, 99, slow), 10, [50]) == [11]


def test_a_reason_is_given_for_every_limit() -> None:
    rules = behavior(down={"stabilizationWindowSeconds": 0, "policies": [pods(1, 60)]})
    assert [d.reason for d in play(Controller(2, 6, rules), 6, [9, 1, 1])] == [
        "TooManyReplicas",
        "ScaleDownLimit",
        "ScaleDownLimit",
    ]
    assert play(Controller(2, 20, rules), 2, [9])[0].reason == "ScaleUpLimit"
    assert play(Controller(2, 6, rules), 2, [1])[0].reason == "TooFewReplicas"
    assert play(Controller(2, 6, rules), 3, [3])[0].reason == "DesiredWithinRange"
    assert Controller(2, 6, rules).sync(0, 0, 3) == (0, None, "ScalingDisabled")
    assert Controller(2, 6, rules).sync(0, 7, 3) == (6, None, "AboveMax")
    assert Controller(2, 6, rules).sync(0, 1, 3) == (2, None, "BelowMin")
    assert Controller(2, 6, rules).sync(0, 4, None) == (4, None, "MetricError")


def test_a_failed_sync_leaves_no_recommendation_behind() -> None:
    controller = Controller(1, 9, behavior())
    play(controller, 4, [None, None, None])
    assert controller.recommendations == [(0, 4)]


def test_the_current_size_stays_while_it_lies_between_the_windows() -> None:
    log = [(0.0, 2), (60.0, 9)]
    assert stabilize(log, 7, current=5, up_window_s=300, down_window_s=300, now=75) == 5


def test_pods_that_were_just_added_may_be_taken_away_again_at_once() -> None:
    """The period's start is counted from before the growth, so the down policy of one pod does not hold them back."""
    rules = behavior(down={"stabilizationWindowSeconds": 0, "policies": [pods(1, 60)]})
    assert sizes(Controller(1, 20, rules), 2, [6, 1]) == [6, 1]


def test_only_a_slot_that_no_window_needs_is_reused() -> None:
    log = [(-600.0, 10), (-200.0, 9)]
    assert stabilize(log, 3, current=12, up_window_s=0, down_window_s=300, now=0) == 9
    assert log == [(0, 3), (-200, 9)]


def test_an_event_that_is_exactly_as_old_as_the_period_no_longer_counts() -> None:
    rules = behavior({"policies": [pods(2, 60)]})
    bounds = (1, 99)
    for age_s, allowed in ((59, 10), (60, 12)):
        events: tuple[list[Event], list[Event]] = ([Event(2, -age_s)], [])
        assert limit_rate(10, 50, bounds, (rules.up, rules.down), events, 0).replicas == allowed


def test_a_tolerance_of_its_own_replaces_the_flag() -> None:
    rules = behavior({"tolerance": "50m"})
    assert tolerance_of(rules) == (0.05, 0.1)
    assert tolerance_of(None, 0.2) == (0.2, 0.2)


policies = st.lists(
    st.builds(lambda kind, value, period_s: kind(value, period_s), st.sampled_from([pods, percent]),
              st.integers(1, 200), st.integers(1, 600)),
    min_size=1,
    max_size=3,
)  # fmt: skip
rules = st.fixed_dictionaries(
    {"policies": policies, "selectPolicy": st.sampled_from(["Max", "Min", "Disabled"])},
    optional={"stabilizationWindowSeconds": st.integers(0, 600)},
)
behaviors = st.none() | st.builds(behavior, rules, rules)
proposals = st.lists(st.none() | st.integers(0, 40), min_size=1, max_size=60)


@given(behaviors, st.integers(1, 8), st.integers(0, 12), st.integers(0, 20), proposals)
def test_the_bounds_always_hold(
    written: Behavior | None, minimum: int, more: int, start: int, wanted: list[int | None]
) -> None:
    maximum = minimum + more
    for size in sizes(Controller(minimum, maximum, written), start or 1, wanted):
        assert minimum <= size <= maximum


@given(behaviors, st.integers(1, 8), st.integers(1, 20), st.integers(0, 40))
def test_a_constant_demand_settles(written: Behavior | None, minimum: int, start: int, wanted: int) -> None:
    """Under one unchanging proposal the size moves in one direction only, and in the end not at all."""
    found = sizes(Controller(minimum, 20, written), start, [wanted] * 900)
    assert found in (sorted(found), sorted(found, reverse=True))
    # At most 20 pods, at least one per period of at most 600 s, after a window of at most 600 s: 840 syncs.
    assert len(set(found[-40:])) == 1


@given(behaviors, st.integers(1, 8), st.integers(1, 20), proposals, st.integers(0, 40), st.integers(0, 40))
def test_more_demand_never_lowers_the_next_size(
    written: Behavior | None, minimum: int, start: int, wanted: list[int | None], a: int, b: int
) -> None:
    controller = Controller(minimum, 20, written)
    current = sizes(controller, start, wanted)[-1]
    now = len(wanted) * SYNC_S
    low = copy.deepcopy(controller).sync(now, current, min(a, b)).replicas
    assert low <= controller.sync(now, current, max(a, b)).replicas


@given(st.integers(0, 50), st.integers(0, 200), st.integers(1, 10), st.integers(0, 20))
def test_without_behavior_a_step_at_most_doubles(more: int, desired: int, minimum: int, room: int) -> None:
    current = minimum + more
    found = limit_without_behavior(current, desired, minimum, current + room)
    assert minimum <= found.replicas <= max(2 * current, 4)


def test_without_behavior_a_recommendation_exactly_as_old_as_the_window_still_counts() -> None:
    assert stabilize_down([(0.0, 9)], 2, 300.0, 300.0) == 9
    assert stabilize_down([(0.0, 9)], 2, 300.0, 300.1) == 2


def test_a_percentage_of_growth_is_rounded_up_and_one_of_shrinking_down() -> None:
    rules = behavior({"policies": [percent(50, 60)]}, {"policies": [percent(50, 60)]})
    assert limit_rate(3, 9, (1, 9), (rules.up, rules.down), ([], []), 0).replicas == 5
    assert limit_rate(3, 1, (1, 9), (rules.up, rules.down), ([], []), 0).replicas == 1
