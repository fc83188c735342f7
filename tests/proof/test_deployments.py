"""Two deployments that already run: little servers of which one is slower, and what must not be asked."""

import asyncio
import itertools
import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from typer.testing import CliRunner

from easymo.cli.main import app
from easymo.load import Target
from easymo.proof.errors import RunVoid
from easymo.proof.session import rounds
from easymo.proof.session.deployments import Terms, compare_deployments, terms_of_acceptance, terms_of_scenario
from easymo.proof.verdict.promises import Promise
from tests.load.http_server import OK, Answer, Log, always_ok, replying, serving

pytestmark = pytest.mark.timeout(400)

SHOP = Path(__file__).parent / "other_system"
SCENARIO = """
import os
from easymo.load import Call, Request, Scenario
scenario = Scenario([
    Request("page", 4, lambda rng: Call("GET", f"/page/{rng.randrange(1000)}"), target="web"),
    Request("price", 1, lambda rng: Call("GET", "/price/" + os.environ.get("KEY", "")), target="api"),
])
"""


@pytest.fixture
def scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The path of a scenario for two processes, in a folder without an acceptance.toml."""
    (tmp_path / "mix.py").write_text(SCENARIO)
    monkeypatch.chdir(tmp_path)
    return "mix.py"


def answering_after(seconds: float) -> Answer:
    async def answer(_: str, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)  # this is how slow the server under test is
        writer.write(OK)

    return answer


def failing_one_in(count: int) -> Answer:
    served = itertools.count(1)

    async def answer(_: str, writer: asyncio.StreamWriter) -> None:
        writer.write(OK if next(served) % count else OK.replace(b"200 OK", b"503 Service Unavailable"))

    return answer


async def prove(*arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `easymo prove`."""
    found = await asyncio.to_thread(CliRunner().invoke, app, ["prove", *arguments], catch_exceptions=False)
    return found.exit_code, found.stdout, found.stderr


async def deployed(stack: AsyncExitStack, *answers: Answer) -> list[tuple[Target, Log]]:
    return [await stack.enter_async_context(serving(answer)) for answer in answers]


@pytest.mark.slow
async def test_a_slower_deployment_breaks_what_nobody_had_to_promise(scenario: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        servers = await deployed(stack, answering_after(0.03), answering_after(0.15), always_ok)
        old, new, api = (target.url for target, _ in servers)
        code, output, complaint = await prove(
            *("--before", f"web={old}", "--before", f"api={api}", "--after", f"web={new}", "--after", f"api={api}"),
            *("--scenario", scenario, "--rate", "60", "--round", "0.7", "--quick", "--gate", "--json", "--out", "run"),
        )
    assert code == 1, complaint
    result = json.loads(output)
    promises = {promise["id"]: promise for promise in result["promises"]}
    assert promises["latency_p50"]["verdict"] == "broken"
    assert promises["latency_p50"]["interval"][0] > 0.2, "it is slower by more than 20 % for certain"
    assert promises["latency_p50:page"]["verdict"] == "broken"
    assert promises["latency_p99"]["verdict"] == "inconclusive"
    assert "a P99 needs 1,000: at least" in promises["latency_p99"]["reason"]
    assert promises["same-answers"]["verdict"] == "kept"
    assert result["compared"] == "deployments"
    assert list(result["arms"]) == ["before", "after"]

    rounds = [json.loads(line) for line in (tmp_path / "run" / "rounds.jsonl").read_text().splitlines()]
    order = dict.fromkeys((r["pair"], r["arm"]) for r in rounds if r["phase"] == "compare")
    assert sorted(order) == [(pair, arm) for pair in range(3) for arm in ("after", "before")], "both in every pair"
    salts = [r["load"]["salt"] for r in rounds]
    assert len(set(salts)) == len(salts), "no round's tokens meet another's"
    logs = [log.paths for _, log in servers]
    assert all(path.startswith("/page/") for path in logs[0] + logs[1]), "only the scenario was sent, each to its own"
    assert set(logs[2]) == {"/price/"}
    # Before the rounds each is asked one request after the other for some seconds: the slower one fewer of them.
    assert set(logs[1]) <= set(logs[0]), "both got the same requests"
    report = (tmp_path / "run" / "report.html").read_text()
    assert "Nothing was started, changed or taken back" in report
    assert "Taken back" not in report


async def test_a_deployment_that_answers_with_errors_is_not_compared(scenario: str) -> None:
    async with AsyncExitStack() as stack:
        servers = await deployed(stack, always_ok, replying(OK.replace(b"200 OK", b"404 Not Found")))
        good, bad = (target.url for target, _ in servers)
        code, _, complaint = await prove(
            *("--before", f"web={good}", "--before", f"api={good}", "--after", f"web={bad}", "--after", f"api={good}"),
            *("--scenario", scenario, "--rate", "40", "--round", "0.5", "--quick", "--out", "run"),
        )
    assert code == 3
    assert "The deployment after answered" in complaint
    assert "404 on page: 100%" in complaint


async def test_a_deployment_that_is_not_there_is_named(scenario: str) -> None:
    code, _, complaint = await prove(
        *("--before", "http://127.0.0.1:1", "--before", "web=http://127.0.0.1:1", "--before", "api=http://127.0.0.1:1"),
        *("--after", "http://127.0.0.1:1", "--scenario", scenario, "--out", "run"),
    )
    assert code == 3
    assert "The deployment before: Nothing answers at http://127.0.0.1:1" in complaint


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--before", "http://a"], "give both --before and --after"),
        (["--scenario", "mix.py"], "give both --before and --after"),
        (["--before", "http://a", "--after", "run/verdict.json"], "A run cannot be compared with a deployment"),
        (["--before", "http://a", "--after", "http://b"], "give --scenario FILE"),
        (["--before", "http://a", "--after", "http://b", "--scenario", "mix.py", "--scale", "ci"], "--scale"),
        (["--before", "ftp://a", "--after", "http://b", "--scenario", "mix.py"], "is no target"),
        (["--before", "a.json", "--after", "b.json", "--rate", "5"], "nothing else"),
        (["--before", "http://a", "--after", "http://b", "--scenario", "missing.py"], "There is no scenario file"),
        (["--before", "http://a", "--after", "http://b", "--scenario", "mix.py"], "goes to the target 'web'"),
    ],
)
async def test_a_comparison_that_cannot_be_made_is_refused(scenario: str, arguments: list[str], says: str) -> None:
    code, _, complaint = await prove(*arguments)
    assert code == 2
    assert says in complaint


def test_of_an_acceptance_file_only_what_can_be_seen_from_outside_is_judged() -> None:
    terms = terms_of_acceptance(SHOP / "acceptance.toml")
    assert terms.promises is not None
    assert [promise.id for promise in terms.promises] == ["orders-faster", "no-errors"]
    assert terms.left_out == ["impossible"]
    assert terms.stress == [50]
    assert terms.scenario == SHOP / "load.py"


def test_a_full_comparison_has_two_looks_and_each_is_stricter() -> None:
    terms = terms_of_scenario(Path("mix.py"))
    assert terms.at("default", None, None).rules.looks == [10]
    full = terms.at("full", 80.0, 6.0)
    assert (full.rate_rps, full.round_s, full.rules.looks[-1]) == (80.0, 6.0, 20)
    assert full.rules.confidence(0) > full.rules.confidence(len(full.rules.looks) - 1) > 0.95


@pytest.mark.slow
async def test_promised_rates_are_offered_and_the_deployment_before_meets_itself_first(
    scenario: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", "exported")
    promise = Promise(
        id="errors", claim="none at 30/s", source="a plan", metric="error_ratio@30", kind="level", at_most=0.01
    )
    terms = Terms(
        system="Shop",
        scenario=tmp_path / scenario,
        environment={"KEY": "of-the-file"},
        promises=[promise],
        left_out=["throughput"],
        rate_rps=60,
        round_s=0.3,
        warm_up_s=0.1,
        pairs=3,
        most_pairs=3,
        aa_pairs=1,
        stress=[30],
        stress_s=0.5,
    )
    async with AsyncExitStack() as stack:
        [(good, log)] = await deployed(stack, always_ok)
        [(bad, _)] = await deployed(stack, failing_one_in(3))
        urls = [[f"web={target.url}", f"api={target.url}"] for target in (good, bad)]
        result, folder = await asyncio.to_thread(
            compare_deployments, urls[0], urls[1], terms, tmp_path / "run", mode="default"
        )
    verdict, answers, more_errors = result.promises
    assert (answers.id, more_errors.verdict) == ("same-answers", "broken")
    assert (verdict.verdict, verdict.before) == ("broken", 0.0)
    assert verdict.after == pytest.approx(1 / 3, abs=0.2)
    assert list(result.arms["after"].error_ratio) == ["30"]
    assert {path for path in log.paths if path.startswith("/price")} == {"/price/exported"}
    assert any("throughput" in note for note in result.notes), "what cannot be seen from outside is named"
    phases = [json.loads(line)["phase"] for line in (folder / "rounds.jsonl").read_text().splitlines()]
    assert list(dict.fromkeys(phases)) == ["warm", "aa-1", "aa-2", "compare", "stress"]


async def test_a_duet_loads_both_at_the_same_time_and_judges_them_in_pairs(
    scenario: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "SATURATED", 2.0)  # the machine of a test is busy with other tests
    terms = terms_of_scenario(tmp_path / scenario).at("quick", 40, 0.7, duet=True)
    async with AsyncExitStack() as stack:
        [(old, first), (new, second)] = await deployed(stack, answering_after(0.01), answering_after(0.15))
        urls = [[f"web={target.url}", f"api={target.url}"] for target in (old, new)]
        result, folder = await asyncio.to_thread(
            compare_deployments, urls[0], urls[1], terms, tmp_path / "run", mode="quick"
        )
    played = [json.loads(line) for line in (folder / "rounds.jsonl").read_text().splitlines()]
    compared = [r for r in played if r["phase"] == "compare"]
    assert [r["arm"] for r in compared] == ["before", "after"] * 3
    assert all(set(r["load"]["per_request"]) <= {"page", "price"} for r in compared)
    requests = [r["load"]["requests"] for r in compared]
    assert max(abs(a - b) for a, b in zip(requests[::2], requests[1::2], strict=True)) <= 2, "half to each"
    assert first.paths
    assert second.paths
    p50 = next(v for v in result.promises if v.id == "latency_p50")
    assert p50.change is not None
    assert p50.change > 1
    assert any(note.startswith("A duet") for note in result.notes)


async def test_a_duet_on_a_busy_machine_is_refused(
    scenario: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "SATURATED", -1.0)
    terms = terms_of_scenario(tmp_path / scenario).at("quick", 40, 0.5, duet=True)
    async with AsyncExitStack() as stack:
        [(good, _)] = await deployed(stack, always_ok)
        urls = [f"web={good.url}", f"api={good.url}"]
        with pytest.raises(RunVoid, match="leave --duet out"):
            await asyncio.to_thread(compare_deployments, urls, urls, terms, tmp_path / "run", mode="quick")
