"""The Locust file sends what the scenario says: under Locust where it is installed, and by itself where it is not."""

import asyncio
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import types
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.load.http_server import OK, replying, serving

ROOT = Path(__file__).parents[2]
LOCUSTFILE = Path(__file__).with_name("locustfile.py")
LOCUST = shutil.which("locust") or shutil.which("locust", path=str(ROOT / ".venv-bench" / "bin"))
SCENARIO = """
from easymo.load import Call, Request, Scenario, Visitor, header
scenario = Scenario([
    Request("page", 3, lambda rng: Call("GET", f"/page/{rng.randrange(1000)}"), target="web"),
    Request("order", 1, lambda rng: Call("POST", "/orders", {"Idempotency-Key": rng.token()}, b"{}"), target="api",
            expect=frozenset({201})),
    Visitor("buyer", 1, [
        Request("basket", 1, lambda rng: Call("GET", "/basket"), target="web",
                capture={"length": header("Content-Length")}),
        Request("pay", 1, lambda rng: Call("GET", f"/pay/{rng.memory['length']}"), target="web"),
    ]),
])
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "mix.py"
    path.write_text(SCENARIO)
    return path


class Answer:
    """What Locust hands out in its `with`: a status to look at, and what the user made of it."""

    def __init__(self, status_code: int) -> None:
        self.status_code = status_code
        self.headers, self.content = {"Content-Length": "2"}, b"ok"
        self.judged = ""

    def success(self) -> None:
        self.judged = "success"

    def failure(self, why: str) -> None:
        self.judged = why


class Client:
    """Takes requests as Locust's client does and answers all with one status."""

    def __init__(self, status_code: int) -> None:
        self.status_code = status_code
        self.sent: list[tuple[str, str, dict[str, Any]]] = []
        self.answers: list[Answer] = []

    @contextmanager
    def request(self, method: str, url: str, **more: Any) -> Any:
        self.sent.append((method, url, more))
        self.answers.append(Answer(self.status_code))
        yield self.answers[-1]


@pytest.fixture
def visitor(scenario: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A user of the Locust file, imported with a stand-in for Locust itself."""
    locust = types.ModuleType("locust")
    vars(locust).update(FastHttpUser=object, constant_throughput=lambda rate: rate, task=lambda method: method)
    monkeypatch.setitem(sys.modules, "locust", locust)
    monkeypatch.setenv("EASYMO_SCENARIO", str(scenario))
    monkeypatch.setenv("EASYMO_URLS", "web=http://web.example api=http://api.example/v1")
    spec = importlib.util.spec_from_file_location("locustfile", LOCUSTFILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    user = module.User()
    user.on_start()
    return user


def test_a_user_sends_the_mix_to_the_targets_of_its_requests(visitor: Any) -> None:
    visitor.client = Client(201)
    for _ in range(2000):
        visitor.send()
    names = Counter(more["name"] for _, _, more in visitor.client.sent)
    assert names["page"] / 2000 == pytest.approx(0.6, abs=0.05)
    assert names["basket"] == names["pay"] == pytest.approx(400, abs=100)
    keys = set()
    for method, url, more in visitor.client.sent:
        if more["name"] == "page":
            assert (method, url.startswith("http://web.example/page/")) == ("GET", True)
        elif more["name"] in ("basket", "pay"):
            assert url in ("http://web.example/basket", "http://web.example/pay/2")
        else:
            assert (method, url, more["data"]) == ("POST", "http://api.example/v1/orders", b"{}")
            keys.add(more["headers"]["Idempotency-Key"])
    assert len(keys) == names["order"], "no two orders are the same"
    assert {answer.judged for answer in visitor.client.answers} == {"success"}


def test_a_status_that_the_scenario_does_not_expect_is_a_failure(visitor: Any) -> None:
    visitor.client = Client(200)
    for _ in range(200):
        visitor.send()
    for (_, _, more), answer in zip(visitor.client.sent, visitor.client.answers, strict=True):
        assert answer.judged == ("status 200" if more["name"] == "order" else "success")


@pytest.mark.skipif(LOCUST is None, reason="Locust is not installed: `make bench-load` does it, in .venv-bench")
async def test_locust_plays_the_scenario(scenario: Path) -> None:
    async with serving(replying(OK.replace(b"200 OK", b"201 Created"))) as (target, log):
        process = await asyncio.create_subprocess_exec(
            *(str(LOCUST), "-f", str(LOCUSTFILE), "--headless", "-u", "10", "-r", "10", "-t", "6s", "--json"),
            env={**os.environ, "EASYMO_SCENARIO": str(scenario), "EASYMO_URLS": f"web={target.url} api={target.url}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        output, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    stats = {row["name"]: row for row in json.loads(output)}
    assert stats.keys() <= {"page", "order", "basket", "pay"}
    assert sum(row["num_requests"] for row in stats.values()) >= 10
    assert sum(row["num_failures"] for row in stats.values()) == 0
    assert all(path.startswith(("/page/", "/orders", "/basket", "/pay/2")) for path in log.paths)


@pytest.mark.skipif(LOCUST is None, reason="Locust is not installed: `make bench-load` does it, in .venv-bench")
async def test_two_workers_share_the_scenario(scenario: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    async with serving(replying(OK.replace(b"200 OK", b"201 Created"))) as (target, log):
        environment = {**os.environ, "EASYMO_SCENARIO": str(scenario)}
        environment["EASYMO_URLS"] = f"web={target.url} api={target.url}"
        command = (str(LOCUST), "-f", str(LOCUSTFILE), "--headless")
        master: tuple[str, ...] = ("--master", "--expect-workers", "2", "-u", "20", "-r", "20", "-t", "8s", "--json")
        master += ("--master-bind-host", "127.0.0.1", "--master-bind-port", port)
        worker = ("--worker", "--master-host", "127.0.0.1", "--master-port", port)
        processes = [
            await asyncio.create_subprocess_exec(
                *command, *role, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            for role in (master, worker, worker)
        ]
        try:
            ends = await asyncio.wait_for(asyncio.gather(*(process.communicate() for process in processes)), 120)
        finally:
            for process in processes:
                if process.returncode is None:
                    process.kill()
    assert [process.returncode for process in processes] == [0, 0, 0], ends
    stats = json.loads(ends[0][0])
    assert sum(row["num_requests"] for row in stats) >= 20
    assert sum(row["num_failures"] for row in stats) == 0
    assert log.connections >= 2
    assert "/orders" in log.paths
