"""`easymo load run`: what it prints and the exit codes that scripts rely on."""

import asyncio
import csv
import signal
import subprocess
import sys
from pathlib import Path

import click
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from easymo.cli import load
from easymo.load import Glance, LoadResult
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
        (["--stages", "5x1s"], "A scenario needs --url"),
        (["--url", "http://a", "--stages", "5x1s", "--header", "X: y"], "are for a URL"),
        (["--url", "http://a", "--stages", "5x1s", "--percentiles", "50,x"], "--percentiles '50,x' cannot be read"),
        (["--url", "http://a", "--stages", "5x1s", "--percentiles", "0"], "--percentiles '0' cannot be read"),
        (["--url", "https://a", "--stages", "5x1s", "--certificate", __file__], "The certificate"),
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


@pytest.mark.usefixtures("punctual")
async def test_a_url_is_enough() -> None:
    async with serving(always_ok) as (target, log):
        arguments = [
            "run",
            f"{target.url}/orders?limit=5",
            "--rate",
            "50",
            "--duration",
            "0.5",
            "--arrivals",
            "constant",
        ]
        arguments += ["--header", "X-Key: 7", "--gzip", "--host", "shop.example"]
        result = await asyncio.to_thread(CliRunner().invoke, load.app, arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    assert set(log.paths) == {"/orders?limit=5"}
    assert "\r\nHost: shop.example\r\nX-Key: 7\r\nAccept-Encoding: gzip\r\n" in log.head
    assert "GET /orders?limit=5" in result.stdout


@pytest.mark.usefixtures("punctual")
async def test_a_body_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "body.json").write_text('{"a": 1}')
    async with serving(always_ok) as (target, log):
        arguments = ["run", f"{target.url}/", "--stages", "20x0.5s", "--method", "PUT"]
        arguments += ["--data", f"@{tmp_path / 'body.json'}"]
        result = await asyncio.to_thread(CliRunner().invoke, load.app, arguments)
    assert result.exit_code == 0
    assert (log.head.split("\r\n")[0], log.body) == ("PUT / HTTP/1.1", '{"a": 1}')


@pytest.mark.usefixtures("punctual")
async def test_the_figures_are_written_as_csv_prometheus_and_a_line_each_second(scenario: str, tmp_path: Path) -> None:
    files = {option: tmp_path / option for option in ("csv", "prometheus", "json-lines")}
    options = [word for option, file in files.items() for word in (f"--{option}", str(file))]
    code, output, _ = await easymo_load(
        scenario, "--stages", "50x2.2s", "--arrivals", "constant", "--percentiles", "50,99.9", *options
    )
    assert code == 0
    assert "P99.9" in output
    rows = list(csv.DictReader(files["csv"].read_text().splitlines()))
    assert [(row["request"], row["requests"], row["errors"], row["body_bytes"]) for row in rows] == [
        ("front page", "110", "0", "220"),
        ("(all)", "110", "0", "220"),
    ]
    assert 0 < float(rows[0]["p50_ms"]) <= float(rows[0]["p99.9_ms"])
    text = files["prometheus"].read_text()
    assert 'easymo_load_requests{request="front page"} 110\n' in text
    assert 'easymo_load_responses{request="front page",status="200"} 110\n' in text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    count = [s.value for s in families["easymo_load_latency_seconds"].samples if s.name.endswith("_count")]
    assert count == [110]
    seconds = [msgspec.json.decode(line, type=Glance) for line in files["json-lines"].read_bytes().splitlines()]
    assert [(glance.second, glance.requests) for glance in seconds] == [(1, 50), (2, 50)]


@pytest.mark.parametrize("processes", ["1", "2"])
async def test_ctrl_c_prints_what_there_is_and_ends_with_130(scenario: str, processes: str) -> None:
    answered = 0
    second_played = asyncio.Event()

    async def answer(_: str, writer: asyncio.StreamWriter) -> None:
        nonlocal answered
        answered += 1
        writer.write(OK)
        if answered == 100:
            second_played.set()

    async with serving(answer) as (target, log):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "easymo.cli", "load", "run", scenario, "--url", target.url, "--json"),
            *("--rate", "100", "--duration", "600", "--processes", processes),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            await asyncio.wait_for(second_played.wait(), 60)
            process.send_signal(signal.SIGINT)
            output, complaint = await asyncio.wait_for(process.communicate(), 60)
        finally:
            if process.returncode is None:
                process.kill()
    assert process.returncode == 130, complaint.decode()
    result = msgspec.json.decode(output, type=LoadResult)
    assert result.interrupted
    assert 90 <= result.requests <= result.sent <= len(log.paths) + 5
    assert result.rate_rps == pytest.approx(100, rel=0.5)
    assert complaint.decode() == "easymo load: stopped; the figures are those of the part that was played.\n"


def test_init_writes_a_scenario_to_standard_output(tmp_path: Path) -> None:
    (tmp_path / "calls.txt").write_text("curl http://127.0.0.1/orders\n")
    result = CliRunner().invoke(load.app, ["init", str(tmp_path / "calls.txt")])
    assert result.exit_code == 0
    compile(result.stdout, "load.py", "exec")
    (tmp_path / "words.txt").write_text("no request in here\n")
    refused = CliRunner().invoke(load.app, ["init", str(tmp_path / "words.txt")])
    assert refused.exit_code == 2
    assert "is none of what a scenario can be written from" in refused.stderr


def test_help_shows_an_example() -> None:
    result = CliRunner().invoke(load.app, ["run", "--help"])
    assert result.exit_code == 0
    shown = click.unstyle(result.stdout)
    assert "Examples: easymo load run http://" in shown
    assert "--url voice-bridge=http://127.0.0.1:4405" in " ".join(shown.split()), "its scenario names its targets"
