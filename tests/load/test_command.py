"""`easymo load run`: what it prints and the exit codes that scripts rely on."""

import asyncio
from pathlib import Path

import click
import msgspec
import pytest
from typer.testing import CliRunner

from easymo.cli import load
from easymo.load import LoadResult
from tests.load.http_server import OK, Answer, always_ok, replying, serving

SCENARIO = """
from easymo.load import Call, Request, Scenario
scenario = Scenario([Request("front page", 1, lambda rng: Call("GET", "/"))])
"""


@pytest.fixture
def scenario(tmp_path: Path) -> str:
    path = tmp_path / "scenario.py"
    path.write_text(SCENARIO)
    return str(path)


@pytest.fixture
def punctual(monkeypatch: pytest.MonkeyPatch) -> None:
    """However late a busy machine makes the generator, the run is not void."""
    monkeypatch.setattr("easymo.load.result._LATENESS_ALLOWED_MS", 60_000.0)


async def easymo_load(scenario: str, *options: str, answer: Answer = always_ok) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a run against a server that answers."""
    async with serving(answer) as (target, _):
        arguments = ["run", scenario, "--url", target.url, *options]
        result = await asyncio.to_thread(CliRunner().invoke, load.app, arguments)
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.usefixtures("punctual")
async def test_a_run_prints_a_table_and_ends_with_0(scenario: str) -> None:
    code, output, complaint = await easymo_load(scenario, "--rate", "50", "--duration", "1", "--arrivals", "constant")
    assert (code, complaint) == (0, "")
    assert "50 requests in 1 s: 50.0/s started" in output
    assert "front page" in output
    assert max(len(line) for line in output.splitlines()) <= 80


async def test_json_is_all_that_is_printed(scenario: str) -> None:
    code, output, _ = await easymo_load(scenario, "--stages", "50x1s", "--seed", "7", "--salt", "x", "--json")
    result = msgspec.json.decode(output, type=LoadResult)
    assert (result.seed, result.salt) == (7, "x")
    assert code == (3 if result.void else 0)


async def test_two_runs_have_salts_of_their_own_unless_told(scenario: str) -> None:
    salts = set()
    for _ in range(2):
        _, output, _ = await easymo_load(scenario, "--stages", "20x0.5s", "--json")
        salts.add(msgspec.json.decode(output, type=LoadResult).salt)
    assert len(salts) == 2


@pytest.mark.usefixtures("punctual")
async def test_a_requirement_that_is_not_met_ends_with_1_and_is_named(scenario: str) -> None:
    code, output, complaint = await easymo_load(
        scenario,
        *("--stages", "50x0.5s", "--require", "error_ratio<1%", "--require", "rate>1"),
        answer=replying(OK.replace(b"200", b"500")),
    )
    assert code == 1
    assert "NOT MET: error_ratio<1%" in output
    assert "met: rate>1" in output
    assert complaint == "easymo load: not met: error_ratio<1%\n"


async def test_a_void_run_ends_with_3_even_when_all_requirements_are_met(
    scenario: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("easymo.load.result._LATENESS_ALLOWED_MS", 0.0)
    monkeypatch.setattr("easymo.load.result._LATENESS_ALLOWED_OF_P95", 0.0)
    code, _, complaint = await easymo_load(scenario, "--stages", "50x0.5s", "--require", "rate>1")
    assert code == 3
    assert complaint.startswith("easymo load: void. The generator itself was late")


def test_a_server_that_is_not_there_ends_with_3(scenario: str) -> None:
    result = CliRunner().invoke(load.app, ["run", scenario, "--url", "http://127.0.0.1:1", "--stages", "9x1s"])
    assert result.exit_code == 3
    assert "Nothing answers at http://127.0.0.1:1 (Connection refused)" in result.stderr


async def test_the_rates_of_an_access_log_are_played_again(scenario: str, tmp_path: Path) -> None:
    line = '::1 - - [24/Nov/2026:08:00:{:02} +0000] "GET / HTTP/1.1" 200 2\n'
    log = tmp_path / "access.log"
    log.write_text("".join(line.format(second) * count for second, count in enumerate([100, 0, 300, 100])))
    code, output, _ = await easymo_load(
        scenario, "--arrivals", str(log), "--speed", "2", "--scale", "0.5", "--duration", "1.5", "--json"
    )
    result = msgspec.json.decode(output, type=LoadResult)
    assert (code, result.duration_s) == (3 if result.void else 0, 1.5)
    assert result.requests == pytest.approx(200, abs=60)
    assert result.errors == {}


async def test_a_recording_of_a_day_reaches_the_load_process(scenario: str, tmp_path: Path) -> None:
    rows = "".join(f"{second},5\n" for second in range(86_400))
    (tmp_path / "day.csv").write_text("time,value\n" + rows)
    _, output, _ = await easymo_load(
        scenario, "--arrivals", str(tmp_path / "day.csv"), "--speed", "43200", "--scale", "0.001", "--json"
    )
    assert msgspec.json.decode(output, type=LoadResult).duration_s == pytest.approx(2)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--url", "http://a", "--rate", "5"], "either --rate and --duration, or --stages"),
        (["--url", "http://a", "--rate", "5", "--duration", "1", "--stages", "5x1s"], "either --rate and --duration"),
        (["--url", "ftp://a", "--stages", "5x1s"], "is no target"),
        (["--url", "http://a", "--stages", "5x"], "The stage '5x' cannot be read"),
        (["--url", "http://a", "--stages", "5x1s", "--require", "p95<1"], "wrong unit for p95"),
        (["--stages", "5x1s"], "--url"),
        (
            ["--url", "http://a", "--stages", "5x1s", "--arrivals", "bursts"],
            "--arrivals 'bursts' is neither poisson nor",
        ),
        (["--url", "http://a", "--stages", "5x1s", "--speed", "2"], "change a recording"),
        (["--url", "http://a", "--stages", "5x1s", "--arrivals", __file__], "A recording has its own rates"),
        (["--url", "http://a", "--arrivals", __file__], "the first line must be the header time,value"),
        (["--url", "http://a", "--stages", "5x1s", "--processes", "0"], "--processes"),
    ],
)
def test_wrong_use_ends_with_2_and_says_what_is_wrong(scenario: str, options: list[str], says: str) -> None:
    result = CliRunner().invoke(load.app, ["run", scenario, *options])
    assert result.exit_code == 2
    assert says in click.unstyle(result.stderr)


def test_help_shows_an_example() -> None:
    result = CliRunner().invoke(load.app, ["run", "--help"])
    assert result.exit_code == 0
    shown = click.unstyle(result.stdout)
    assert "Example: easymo load run" in shown
    assert "--url voice-bridge=http://127.0.0.1:4405" in " ".join(shown.split()), "its scenario names its targets"
