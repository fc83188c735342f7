"""Systems that start slowly, answer their first page late, or serve a few requests a second are measured, too."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from easymo.proof.errors import RunVoid
from easymo.proof.session.rounds import settled
from easymo.proof.system.acceptance import Process
from easymo.proof.system.processes import RunningSystem
from tests.proof.conftest import MakeRound

#: One request at a time, each 60 ms, and the first one of a process takes `FIRST_S`, as where pages are compiled.
SERVER = """
import os, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer

time.sleep(float(os.environ.get("START_S", "0")))
seen = []

class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def do_GET(self):
        time.sleep(0.06 if seen or self.path == "/ready" else float(os.environ["FIRST_S"]))
        if self.path != "/ready":
            seen.append(1)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *words):
        pass

HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""
ACCEPTANCE = """
[system]
name = "Slow"
[system.environment]
FIRST_S = "4"
[[system.processes]]
name = "web"
start = ["{python}", "server.py", "{port}"]
ready = "/ready"
[load]
scenario = "load.py"
pairs = 2
aa_pairs = 0
round_s = 1
[capacity]
step_s = 1.0
start_rps = 2
limit_rps = 4
[treatments.nothing]
environment = { NOTHING = "1" }
"""
LOAD = """
from easymo.load import Call, Request, Scenario
scenario = Scenario([Request("page", 1, lambda rng: Call("GET", "/page"))])
"""


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    for name, text in (("server.py", SERVER), ("acceptance.toml", ACCEPTANCE), ("load.py", LOAD)):
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_system_with_a_late_first_page_and_a_few_requests_a_second_is_proved(slow: Path) -> None:
    """The first page is later than the generator's time-out of 2 s, and the search starts below 5 requests/s."""
    clean = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL")}
    done = subprocess.run(
        [sys.executable, "-m", "easymo.cli", "prove", "--quick", "--json", "--out", "run"],
        cwd=slow,
        env=clean,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    arms = json.loads(done.stdout)["arms"]
    assert all(arm["capacity_rps"] >= 2 for arm in arms.values())


async def test_a_process_gets_the_time_to_start_that_its_file_gives_it(slow: Path) -> None:
    start = ["{python}", "server.py", "{port}"]
    environment = {"START_S": "1.5", "FIRST_S": "0"}
    hasty = Process("web", start, ready="/ready", ready_within_s=0.5, environment=environment)
    began = time.monotonic()
    with pytest.raises(RunVoid, match=r"within 0\.5 s .*ready_within_s"):
        await RunningSystem([hasty], slow, {}, slow / "logs").start()
    assert time.monotonic() - began < 1.5
    patient = Process("web", start, ready="/ready", ready_within_s=60, environment=environment)
    async with RunningSystem([patient], slow, {}, slow / "logs") as system:
        system.check()


async def test_a_first_page_that_takes_longer_than_a_probe_is_waited_for(slow: Path) -> None:
    process = Process("web", ["{python}", "server.py", "{port}"], ready="/page", environment={"FIRST_S": "3"})
    async with RunningSystem([process], slow, {}, slow / "logs") as system:
        system.check()


def test_a_warm_up_has_settled_once_hardly_anything_is_an_error(make_round: MakeRound) -> None:
    assert settled(make_round("none", "warm"))
    assert not settled(make_round("none", "warm", requests=100, errors=50))
