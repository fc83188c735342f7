"""The same answers: what differs, what differs by nature, and what a difference takes with it."""

import asyncio
from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace

from easymo.load.answers import Answers
from easymo.load.ask import Questions, ask
from easymo.proof.verdict import guards
from easymo.proof.verdict.answers import Answer, answer, compare_answers, normalised
from easymo.proof.verdict.judge import judge
from easymo.proof.verdict.measurement import Measurements
from easymo.proof.verdict.promises import Promise
from tests.load.http_server import OK, replying, serving
from tests.proof.conftest import MakeRound

FASTER = Promise(id="p", claim="faster", source="a plan", metric="latency_p50:read", kind="change", at_most=-0.3)
SCENARIO = """
from easymo.load import Call, Request, Scenario
scenario = Scenario([
    Request("read", 20, lambda rng: Call("GET", f"/read/{rng.randrange(100)}")),
    Request("write", 1, lambda rng: Call("POST", "/write", body=rng.token().encode())),
])
def normalise(request, body):
    return body.upper()
"""


def said(body: str, *, leave_out: tuple[str, ...] = (), status: int = 200) -> Answer:
    kind = "application/json"
    return answer("read", "GET /read", status, kind, normalised(body.encode(), kind, leave_out))


def test_an_answer_that_differs_is_counted_and_its_place_is_named() -> None:
    one, other = said('{"a": 1, "rows": [{"b": 2}]}'), said('{"a": 1, "rows": [{"b": 3}]}')
    found = compare_answers([one, one], [one, one], [one, other])
    assert (found.differing["read"].count, found.differing["read"].of) == (1, 2)
    assert found.differing["read"].what == "GET /read: the body differs at /rows/*/b"


def test_what_differs_when_one_side_is_asked_twice_is_named_and_not_judged() -> None:
    first, again, other = (said(f'{{"id": {n}, "at": {n}}}') for n in (1, 2, 3))
    found = compare_answers([first], [again], [other])
    assert found.differing == {}
    assert found.unstable == {"read": ["body /at", "body /id"]}


def test_an_unstable_body_does_not_hide_another_status() -> None:
    found = compare_answers([said("1")], [said("2")], [said("3", status=302)])
    assert found.differing["read"].what == "GET /read: status 200 before, 302 after"


@pytest.mark.parametrize("pointer", ["/at", "/rows/*/at", "/rows/0/at"])
def test_what_a_pointer_names_is_left_out(pointer: str) -> None:
    bodies = [
        f'{{"at": {n}, "rows": [{{"at": 7}}]}}' if pointer == "/at" else f'{{"rows": [{{"at": {n}}}]}}' for n in (1, 2)
    ]
    one, other = (said(body, leave_out=(pointer,)) for body in bodies)
    assert compare_answers([one], [one], [other]).differing == {}


def test_keys_may_change_places_and_lists_may_not() -> None:
    assert said('{"a": 1, "b": 2}').digest == said('{"b": 2, "a": 1}').digest
    assert said("[1, 2]").digest != said("[2, 1]").digest


def halved(make_round: MakeRound, errors: int = 0) -> Measurements:
    lot, measured = Random(1), Measurements()
    for pair in range(10):
        for arm, ms, failed in (("none", 10.0, 0), ("both", 5.0, errors)):
            measured.rounds.append(make_round(arm, pair=pair, latency_ms=ms * lot.uniform(0.98, 1.02), errors=failed))
    return measured


def judged(measured: Measurements) -> dict[str, tuple[str, str]]:
    rows, harm = guards.implicit(measured, "none", "both")
    verdicts = guards.without_harmed_gains(judge([FASTER], measured, "none", "both"), harm)
    return {v.id: (v.verdict, v.reason) for v in (*verdicts, *rows)}


def test_without_harm_a_gain_is_kept_and_both_rows_are(make_round: MakeRound) -> None:
    found = judged(halved(make_round))
    assert [verdict for verdict, _ in found.values()] == ["kept", "kept", "kept"]


def test_differing_answers_break_their_row_and_void_the_gain_of_that_request(make_round: MakeRound) -> None:
    measured = halved(make_round)
    one, other = said('{"a": 1}'), said('{"a": 2}')
    measured.answers = compare_answers([one], [one], [other])
    found = judged(measured)
    assert found["same-answers"][0] == "broken"
    assert found["p"] == ("inconclusive", "void: read: 1 of 1 answers differ (GET /read: the body differs at /a)")
    elsewhere = replace(one, request="other"), replace(other, request="other")
    measured.answers = compare_answers(elsewhere[:1], elsewhere[:1], elsewhere[1:])
    assert judged(measured)["p"][0] == "kept", "another request's answers are another matter"


def test_more_errors_than_before_void_a_gain(make_round: MakeRound) -> None:
    found = judged(halved(make_round, errors=40))
    assert found["no-more-errors"][0] == "broken"
    assert "2.0% after" in found["no-more-errors"][1]
    assert found["p"][0] == "inconclusive"


def test_redirects_in_the_rounds_are_other_answers(make_round: MakeRound) -> None:
    measured = halved(make_round)
    kinds = {"none": Answers({200: 2000}, {}, {900: 2000}, 0), "both": Answers({302: 2000}, {"/login": 2000}, {}, 0)}
    measured.rounds = [replace(r, load=replace(r.load, answers={"read": kinds[r.arm]})) for r in measured.rounds]
    verdict, reason = judged(measured)["same-answers"]
    assert verdict == "broken"
    assert "redirect to /login: 0% of the answers before, 100% after" in reason


async def test_every_kind_of_request_is_asked_and_the_scenario_normalises(tmp_path: Path) -> None:
    scenario = tmp_path / "asked.py"
    scenario.write_text(SCENARIO)
    async with serving(replying(OK)) as (target, log):
        questions = Questions(scenario=str(scenario), urls={"": target.url}, seed=1, requests=12, seconds=20.0)
        found = await asyncio.to_thread(ask, questions)
        writes = sum(path.startswith("/write") for path in log.paths)
        safe = await asyncio.to_thread(ask, replace(questions, safe=True))
    assert found.names == ["read", "write"]
    assert len(found.replies) >= 12
    assert writes >= 1, "a rare request is asked, too"
    assert all(reply.body == reply.body.upper() for reply in found.replies)
    assert {reply.request for reply in safe.replies} == {"read"}, "of two deployments only what is safe is asked"
