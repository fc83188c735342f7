"""Two of the faults of ``python -m drills.chaos``, and what its verdicts mean."""

from collections.abc import Sequence
from typing import Any

import pytest

from drills import documents
from drills.chaos import RECOVERY_S, Drill, drill, judge, world
from drills.clients import MESSAGE, READ, Answered
from drills.faults import FAULTS
from easymo_platform.sample_data import keys

pytestmark = pytest.mark.timeout(400)

SCALE = "0.05"
BY_NAME = {fault.name: fault for fault in FAULTS}


@pytest.mark.slow
async def test_killed_servers_lose_no_accepted_write_and_leave_nothing_stale() -> None:
    live = [keys.call_id(number) for number in keys.live_calls(SCALE)]
    async with world(scale=SCALE) as on:
        drills = [
            await drill(BY_NAME[name], on, live[number::2], seed=number, fault_s=1.0)
            for number, name in enumerate(("Valkey killed", "Postgres killed"))
        ]
    for seen in drills:
        assert (seen.lost, seen.stale) == ([], [])
        assert seen.cached_reads_meanwhile > 0
    assert drills[0].failed_by_kind == {}
    assert drills[1].failed > 0, "Postgres was away"


def test_page_of_the_faults_shows_the_accepted_drills() -> None:
    assert documents.main(["--check"]) == 0


def request(kind: str = READ, at: float = 1.5, took: float = 0.01, status: int = 200) -> Answered:
    return Answered(kind, at, at + took, status)


def judged(fault: str, answered: Sequence[Answered], **found: Any) -> Drill:
    """The verdict on a fault that lasted from second 1 to second 2."""
    return judge(BY_NAME[fault], answered, 1.0, 2.0, **{"lost": [], "stale": [], **found})


def test_nothing_failed_holds() -> None:
    assert judged("Valkey killed", [request()]).holds


def test_failure_of_what_must_not_fail_is_told_by_its_kind() -> None:
    seen = judged("Postgres killed", [request(), request(status=503)])
    assert seen.broken == ["requests failed that must not: cached read"]


def test_failure_that_was_expected_holds_until_the_time_for_recovery_is_over() -> None:
    during = request(MESSAGE, at=1.5, status=503)
    late = request(MESSAGE, at=2.0 + RECOVERY_S, took=0.5, status=503)
    assert judged("Postgres killed", [request(), during]).holds
    assert judged("Postgres killed", [request(), during, late]).broken == [
        "requests failed up to 5.5 s after the fault"
    ]


def test_request_without_an_answer_is_a_failure() -> None:
    assert judged("Valkey killed", [request(), request(MESSAGE, status=0)]).failed == 1


@pytest.mark.parametrize("what", ["lost", "stale"])
def test_lost_write_and_stale_value_break_any_drill(what: str) -> None:
    assert not judged("Postgres killed", [request()], **{what: ["x"]}).holds


def test_cache_that_answered_nothing_meanwhile_is_found() -> None:
    assert judged("Postgres killed", [request(at=0.2)]).broken == ["no cached read was answered meanwhile"]


def test_failures_beyond_the_bound_are_counted() -> None:
    answered = [request(MESSAGE, status=502) for _ in range(21)]
    assert judged("services killed (-9)", answered).broken == ["21 requests failed, at most 20 may"]
    assert judged("services killed (-9)", answered[1:]).holds
