"""The note's load test sends what its table says, and nothing that a healthy system would refuse."""

import re
from collections import Counter
from pathlib import Path

import pytest

from easymo.load import ScenarioRandom, Schedule, Stage, Target, build_schedule, load_scenario
from easymo.load.schedule import REPEATED_READ
from easymo_platform.runtime.auth import LOAD_TEST
from easymo_platform.runtime.idempotency import id_of
from easymo_platform.sample_data import keys
from easymo_platform.voice_bridge.model import predecessors
from tests.load import services

TARGETS = {
    "voice-bridge": Target("127.0.0.1", 4405),
    "whatsapp-webhook": Target("127.0.0.1", 4900),
    "agent-core": Target("127.0.0.1", 4000),
}
ROW = re.compile(r"^\| ([a-z ]+?) +\| (\d+) % ")


@pytest.fixture(scope="module")
def schedule() -> Schedule:
    scenario = load_scenario(Path(services.__file__))
    return build_schedule(scenario, TARGETS, [Stage(1000, 20)], seed=1, salt="a")


def sent(schedule: Schedule, name: str) -> list[str]:
    """Requests of this name as text."""
    places = [request.name for request in schedule.requests].index(name)
    return [p.decode() for kind, p in zip(schedule.kinds, schedule.payloads, strict=True) if kind == places]


def test_the_table_in_the_docstring_is_the_mix() -> None:
    rows = [match.groups() for line in str(services.__doc__).splitlines() if (match := ROW.match(line))]
    assert [(name, float(share)) for name, share in rows] == [
        (request.name, request.weight) for request in services.scenario.requests
    ]
    assert sum(float(share) for _, share in rows) == 100


def test_four_of_five_calls_by_id_are_of_the_last_24_hours(schedule: Schedule) -> None:
    recent = {str(keys.call_id(number)) for number in keys.recent_calls("note")}
    asked = [text.split(" ")[1].removeprefix("/calls/") for text in sent(schedule, "call by id")]
    assert sum(call_id in recent for call_id in asked) / len(asked) == pytest.approx(0.8, abs=0.03)


def test_keys_follow_zipfs_law(schedule: Schedule) -> None:
    count = Counter(text.split(" ")[1] for text in sent(schedule, "calls of a user"))
    harmonic = sum(1 / rank for rank in range(1, keys.sizes("note").users + 1))
    for rank in (1, 2, 4):
        expected = count.total() / rank / harmonic
        assert count[f"/calls?user_id={keys.user_id(rank - 1)}"] == pytest.approx(expected, abs=4 * expected**0.5)


def test_a_higher_read_exponent_repeats_more_reads_and_writes_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(exponent: float) -> Schedule:
        monkeypatch.setattr(services, "READ_EXPONENT", exponent)
        schedule = build_schedule(services.scenario, TARGETS, [Stage(500, 4)], seed=1, salt="a")
        assert schedule.payloads, "asked for, so built while the exponent is this one"
        return schedule

    even, skewed = build(0.0), build(2.0)
    repeated = [schedule.reads.count(REPEATED_READ) for schedule in (even, skewed)]
    assert repeated[1] > 1.5 * repeated[0]
    assert sent(skewed, "webhook") == sent(even, "webhook")
    assert skewed.kinds == even.kinds


def test_the_last_key_can_be_drawn_and_none_beyond_it() -> None:
    class Highest(ScenarioRandom):
        def random(self) -> float:
            return 1 - 2**-53

    assert services.zipf(Highest(1, ""), 1000) == 999


def test_a_status_changes_only_for_calls_that_were_placed_well_before(schedule: Schedule) -> None:
    names = [request.name for request in schedule.requests]
    seeded = {str(keys.call_id(number)) for number in keys.live_calls("note")}
    placed_ms: dict[str, int] = {}
    changed: Counter[str] = Counter()
    for kind, due_ms, payload in zip(schedule.kinds, schedule.due_ms, schedule.payloads, strict=True):
        text = payload.decode()
        if names[kind] == "outbound call":
            key = re.search(r"Idempotency-Key: (\w+)", text)
            assert key is not None
            placed_ms[str(id_of("calls/outbound", LOAD_TEST, key[1]))] = due_ms
        elif names[kind] == "status change":
            call_id, status = re.search(r"/calls/(\S+)/status .*\"status\":\"(\w+)\"", text, re.DOTALL).groups()  # type: ignore[union-attr]
            if call_id in seeded:
                assert status == "failed"  # can be repeated
            else:
                assert placed_ms[call_id] <= due_ms - services.PLACED_BEFORE_S * 1000
                assert "pending" in predecessors(status)
                changed[call_id] += 1
    assert set(changed.values()) == {1}
    assert len(changed) > 0.9 * len(placed_ms)


def test_runs_with_different_salts_place_different_calls_at_the_same_times(schedule: Schedule) -> None:
    scenario = load_scenario(Path(services.__file__))
    other = build_schedule(scenario, TARGETS, [Stage(1000, 20)], seed=1, salt="b")
    assert (other.due_ms, other.kinds) == (schedule.due_ms, schedule.kinds)
    reads = ("live calls", "call by id", "calls of a number", "calls of a user", "transactions", "dashboard", "session")
    assert all(sent(other, name) == sent(schedule, name) for name in reads)
    for new in ("outbound call", "webhook"):
        assert not set(sent(other, new)) & set(sent(schedule, new))


def test_the_voice_table_keeps_its_proportions_and_has_six_tenths() -> None:
    weights = {request.name: request.weight for request in services.scenario.requests}
    voice = [request.weight for request in services.scenario.requests if request.target == "voice-bridge"]
    assert [weight / 0.6 for weight in voice] == pytest.approx([30, 15, 10, 10, 10, 5, 10, 10])
    assert (weights["webhook"], weights["session"], weights["reply"]) == (25, 10, 5)
