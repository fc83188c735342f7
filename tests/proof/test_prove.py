"""The whole run, on a system that has nothing to do with EasyMO."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest
import redis

from easymo import indexes
from easymo.embedded import Postgres, Valkey

pytestmark = pytest.mark.timeout(400)

SHOP = Path(__file__).parent / "other_system"
LeftBehind = Callable[[int], list[str]]
TIMEOUT_S = 150


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The shop's folder, copied; its acceptance.toml may be changed."""
    return Path(shutil.copytree(SHOP, tmp_path / "shop"))


@pytest.fixture
def small_shop(shop: Path) -> Path:
    """The shop with few orders, for tests to which its speed does not matter."""
    data = (shop / "data.sql").read_text()
    assert "150000" in data
    (shop / "data.sql").write_text(data.replace("150000", "2000"))
    return shop


#: A full run in small: one pair of cold rounds, one cell for break-even.
FULL_IN_SMALL = {
    "pairs = 3": 'pairs = 3\ncold_pairs = 2\nwrites = ["new order"]',
    "round_s = 1.5": "round_s = 0.6",
    "warm_up_s = 0.3": "warm_up_s = 0.2",
    "step_s = 1.0": "step_s = 0.5",
    "limit_rps = 400": "limit_rps = 100",
    "seconds = 1.5": "seconds = 0.5",
    "[stress]": """[break_even]
scales = ["small"]
repeat_read = [1]
environment = { UNREAD = "{repeat_read}" }
pairs = 3
round_s = 0.6

[stress]""",
}


class Judge:
    """`easymo prove` (`--quick` unless said otherwise) in a process of its own, and what it leaves."""

    def __init__(self, shop: Path, *arguments: str, mode: str = "--quick", **environment: str) -> None:
        self.mark = f"EASYMO_TEST_RUN={random.randrange(10**12)}"
        name, value = self.mark.split("=")
        clean = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "easymo.cli", "prove", mode, "--out", str(shop / "run"), *arguments],
            cwd=shop,
            env={**clean, name: value, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_for(self, step: str) -> None:
        """Return when the step is announced."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if line.startswith(step):
                return
        raise AssertionError(f"the run ended before {step!r}")

    def finish(self) -> tuple[int, str, str]:
        """Exit code, standard output and standard error."""
        output, errors = self.process.communicate(timeout=TIMEOUT_S)
        return self.process.returncode, output, errors

    def relatives(self) -> list[psutil.Process]:
        """The judge, the system's processes and load generators of this run (servers: see `left_behind`)."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get("EASYMO_TEST_RUN") == self.mark.split("=")[1]:
                    found.append(process)
        return found

    def server(self, name: str) -> psutil.Process:
        """The first embedded server of this run with that program name (its children come later)."""
        mark = f"easymo-{self.process.pid}-"
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                # A server may show its address in place of its command; its folder it works in.
                if process.name() == name and any(mark in word for word in [*process.cmdline(), process.cwd()]):
                    found.append(process)
        return min(found, key=lambda process: process.create_time())

    def nothing_is_left(self, left_behind: LeftBehind) -> None:
        """No server, directory or process of the run remains (a killed process may take a moment to be reaped)."""
        _, alive = psutil.wait_procs(self.relatives(), timeout=20)
        assert alive == []
        assert left_behind(self.process.pid) == []


@pytest.fixture
def judges() -> Iterator[list[Judge]]:
    """Judges put in here are killed after the test, whatever happened."""
    started: list[Judge] = []
    try:
        yield started
    finally:
        for judge in started:
            with suppress(ProcessLookupError):
                os.killpg(judge.process.pid, signal.SIGKILL)
            judge.process.communicate()


@pytest.mark.slow
def test_a_strange_system_gets_its_verdicts_and_nothing_is_left(
    shop: Path, judges: list[Judge], left_behind: LeftBehind
) -> None:
    judge = Judge(shop, "--json", "--gate")
    judges.append(judge)
    code, output, errors = judge.finish()
    verdict = json.loads(output)
    decisions = {p["id"]: p["verdict"] for p in verdict["promises"]}
    assert decisions == {
        "orders-faster": "kept",
        "impossible": "broken",
        "no-errors": "inconclusive",  # 75 requests without an error are no proof of less than 1 %
        "same-answers": "kept",
        "no-more-errors": "inconclusive",
    }, errors
    assert code == 1, "--gate: a broken promise"
    judge.nothing_is_left(left_behind)
    check_the_verdict_file(verdict)
    check_the_rounds(shop / "run" / "rounds.jsonl")
    report = (shop / "run" / "report.html").read_text()
    assert "a thousandth of the statements" in report
    assert str(shop) not in report + output, "no path of this machine"


def check_the_verdict_file(verdict: dict[str, Any]) -> None:
    assert verdict["schema"] == 1
    assert (verdict["mode"], verdict["valid"]) == ("quick", True)
    assert verdict["rollback"]["schema_restored"] is True
    assert verdict["applied"]["indexes"][0]["name"] == "orders_by_customer"
    assert not any("orders_by_customer" in definition for definition in verdict["baseline_indexes"])
    before, after = verdict["arms"]["none"], verdict["arms"]["both"]
    assert before["db_statements_per_request"] > after["db_statements_per_request"] > 0, (
        "remembered prices are not asked"
    )
    assert before["error_ratio"].keys() <= {"50"}, "a stress round in which the generator was late does not count"
    for arm in (before, after):
        assert arm["cpu_ratio"] > 0
        assert arm["rss_bytes"] > 1_000_000
        assert 1 <= arm["db_connections"] <= 4
    orders = next(p for p in verdict["promises"] if p["id"] == "orders-faster")
    low, high = orders["interval"]
    assert low < orders["change"] < high < -0.3
    assert orders["after"] / orders["before"] - 1 == pytest.approx(orders["change"])


def check_the_rounds(file: Path) -> None:
    rounds = [json.loads(line) for line in file.read_text().splitlines()]
    compared = [r for r in rounds if r["phase"] == "compare"]
    for pair in {r["pair"] for r in compared}:
        seeds = {r["load"]["seed"] for r in compared if r["pair"] == pair}
        salts = [r["load"]["salt"] for r in compared if r["pair"] == pair]
        counts = [
            tuple(t["requests"] for t in r["load"]["per_request"].values()) for r in compared if r["pair"] == pair
        ]
        assert len(seeds) == 1, "both arms of a pair play the same schedule"
        assert len(set(salts)) == len(salts), "but no round's tokens meet another's"
        assert len(set(counts)) == 1, "and the same number of each request"
    assert sorted(r["arm"] for r in compared) == ["both"] * 3 + ["none"] * 3


@pytest.mark.slow
async def test_a_full_run_leaves_the_users_own_servers_as_they_were_found(
    small_shop: Path, judges: list[Judge], postgres: Postgres, database_url: str, valkey: Valkey
) -> None:
    file = small_shop / "acceptance.toml"
    for old, new in FULL_IN_SMALL.items():
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new, 1))
    before_it, promise = file.read_text().split('[[promises]]\nid = "orders-faster"')  # few orders decide nothing
    file.write_text(before_it + promise[promise.index("[[promises]]") :])
    user = await asyncpg.connect(database_url)
    await user.execute("CREATE TABLE mine (id int PRIMARY KEY); INSERT INTO mine VALUES (1)")
    mine = redis.Redis.from_url(valkey.url)
    mine.set("mine", "kept")
    keys_before, emptied_before = set(mine.keys()), emptied(mine)
    names = "SELECT array_agg(datname ORDER BY datname) FROM pg_database"
    before, databases = await indexes.snapshot(user), await user.fetchval(names)
    judge = Judge(small_shop, "--json", mode="--full", DATABASE_URL=database_url, REDIS_URL=valkey.url)
    judges.append(judge)
    code, output, errors = judge.finish()
    assert code == 0, errors
    assert await indexes.snapshot(user) == before
    assert await user.fetchval(names) == databases
    assert await user.fetchval("SELECT count(*) FROM mine") == 1
    assert mine.get("mine") == b"kept", "a cold round empties the scratch database alone"
    assert set(mine.keys()) <= keys_before, "nothing of the run is left"
    assert emptied(mine) - emptied_before >= 4 + 4 + 2, "before each cold round, and every scratch database at the end"
    mine.delete("mine")
    mine.close()
    await user.close()
    check_the_full_run(json.loads(output), small_shop / "run", errors)


def emptied(client: redis.Redis) -> int:
    """How often a logical database of the server was emptied."""
    return int(client.info("commandstats").get("cmdstat_flushdb", {"calls": 0})["calls"])


def check_the_full_run(verdict: dict[str, Any], run: Path, errors: str) -> None:
    steps = re.match(r"(\d+) steps, about ", errors)
    assert steps is not None, errors
    assert int(steps[1]) >= errors.count(" left)") + 1, "all but the later looks, which nothing called for"
    assert verdict["arms"].keys() == verdict["write_cost"].keys() == {"none", "index", "memory", "both"}
    rounds = [json.loads(line) for line in (run / "rounds.jsonl").read_text().splitlines()]
    order = [r["arm"] for r in rounds if r["phase"] == "compare" and r["pair"] < 2]
    assert sorted(order[:4]) == sorted(order[4:]) == ["both", "index", "memory", "none"], "all in each pair"
    cold = [r["arm"] for r in rounds if r["phase"] == "cold"]
    assert sorted(cold) == ["both", "both", "none", "none"]
    assert verdict["cold"]["latency_ms"].keys() == {"none", "both"}
    log = {arm: cost["wal_bytes_per_write"] for arm, cost in verdict["write_cost"].items()}
    assert log["index"] > log["none"], "an index is written with every order"
    assert log["both"] > log["memory"]
    indexed = {arm: cost["index_bytes"] for arm, cost in verdict["write_cost"].items()}
    assert indexed["both"] == indexed["index"] > indexed["none"]
    (cell,) = verdict["break_even"]["cells"]
    assert (cell["scale"], cell["verdicts"]["impossible"]) == ("small", "broken")
    assert "no-errors" not in cell["verdicts"], "no stress on the grid"
    report = (run / "report.html").read_text()
    for heading in ("Break-even", "What writing costs", "Cold cache"):
        assert f"<h2>{heading}</h2>" in report


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_a_run_stopped_at_any_moment_leaves_nothing(
    shop: Path, judges: list[Judge], left_behind: LeftBehind, seed: int
) -> None:
    chance = random.Random(seed)
    number = chance.choice([signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
    lifetime_s = chance.uniform(0.4, 14)
    print(f"seed {seed}: {number.name} after {lifetime_s:.2f} s")
    judge = Judge(shop)
    judges.append(judge)
    with suppress(subprocess.TimeoutExpired):
        judge.process.wait(lifetime_s)
    judge.process.send_signal(number)
    code, _, errors = judge.finish()
    assert code == (-signal.SIGKILL if number == signal.SIGKILL else 128 + number), errors
    assert "Traceback" not in errors
    judge.nothing_is_left(left_behind)


@pytest.mark.slow
async def test_a_run_stopped_in_the_middle_leaves_no_scratch_database_on_the_users_server(
    small_shop: Path, judges: list[Judge], database_url: str, valkey: Valkey
) -> None:
    user = await asyncpg.connect(database_url)
    ours = r"SELECT count(*) FROM pg_database WHERE datname LIKE 'easymo\_prove\_%'"
    stopped = Judge(small_shop, DATABASE_URL=database_url, REDIS_URL=valkey.url)
    judges.append(stopped)
    stopped.wait_for("capacity before")
    assert await user.fetchval(ours) == 5
    stopped.process.send_signal(signal.SIGINT)
    code, _, errors = stopped.finish()
    assert code == 130, errors
    assert await user.fetchval(ours) == 0

    killed = Judge(small_shop, "--out", str(small_shop / "run2"), DATABASE_URL=database_url, REDIS_URL=valkey.url)
    judges.append(killed)
    killed.wait_for("capacity before")
    killed.process.kill()
    killed.finish()
    assert await user.fetchval(ours) == 5, "a killed judge cannot clean up"
    following = Judge(small_shop, "--out", str(small_shop / "run3"), DATABASE_URL=database_url, REDIS_URL=valkey.url)
    judges.append(following)
    following.wait_for("capacity before")
    assert await user.fetchval(ours) == 5, "the next run has removed what the killed one left"
    following.process.send_signal(signal.SIGTERM)
    assert following.finish()[0] == 143
    assert await user.fetchval(ours) == 0
    await user.close()


@pytest.mark.slow
@pytest.mark.parametrize("server", ["postgres", "valkey-server"])
def test_a_server_that_dies_in_the_middle_voids_the_run_in_one_sentence(
    small_shop: Path, judges: list[Judge], left_behind: LeftBehind, server: str
) -> None:
    judge = Judge(small_shop)
    judges.append(judge)
    judge.wait_for("capacity before")
    judge.server(server).kill()
    code, _, errors = judge.finish()
    assert code == 3, errors
    assert "Traceback" not in errors
    assert "died in the middle of the run" in errors or "was lost" in errors
    judge.nothing_is_left(left_behind)


@pytest.mark.slow
def test_a_process_that_dies_in_the_middle_is_named_with_its_last_words(
    small_shop: Path, judges: list[Judge], left_behind: LeftBehind
) -> None:
    server = (small_shop / "server.py").read_text()
    dying = 'if kind == "customers":\n        if prices: print("out of paper", flush=True), os._exit(7)'
    (small_shop / "server.py").write_text(server.replace('if kind == "customers":', dying))
    judge = Judge(small_shop)
    judges.append(judge)
    (small_shop / "server.py").write_text((small_shop / "server.py").read_text().replace("if REMEMBER:", "if True:"))
    code, _, errors = judge.finish()
    assert code == 3, errors
    assert "shop ended with exit code 7" in errors
    assert "out of paper" in errors
    judge.nothing_is_left(left_behind)


@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    [
        ('["{python}", "server.py", "{port}"]', '["no-such-program"]', 3, "no-such-program"),
        ('["{python}", "server.py", "{port}"]', '["{python}", "-c", "1"]', 3, "exit code 0"),
        ('files = ["index.sql"]', 'files = ["data.sql"]', 3, "rollback = [FILE]"),
        ("pairs = 3", "pears = 3", 2, "unknown key 'pears'"),
        (
            "pairs = 3",
            'pairs = 3\nwrites = ["old order"]',
            2,
            "no request named 'old order', which [load] writes names",
        ),
    ],
)
def test_a_system_that_cannot_be_measured_is_refused_in_a_sentence(
    small_shop: Path, judges: list[Judge], left_behind: LeftBehind, old: str, new: str, code: int, said: str
) -> None:
    file = small_shop / "acceptance.toml"
    file.write_text(file.read_text().replace(old, new, 1))
    judge = Judge(small_shop)
    judges.append(judge)
    found, _, errors = judge.finish()
    assert found == code, errors
    assert said in errors
    assert "Traceback" not in errors
    judge.nothing_is_left(left_behind)


def test_a_folder_with_something_else_in_it_is_never_overwritten(shop: Path, judges: list[Judge]) -> None:
    (shop / "run").mkdir()
    (shop / "run" / "verdict.json").write_text("of an earlier run")
    judge = Judge(shop)
    judges.append(judge)
    code, _, errors = judge.finish()
    assert code == 2
    assert "exists already" in errors


def test_a_full_disk_is_said_in_a_sentence(small_shop: Path, judges: list[Judge], left_behind: LeftBehind) -> None:
    """The data command meets the full disk; /dev/full stands for it."""
    file = small_shop / "acceptance.toml"
    command = 'data = ["{python}", "-c", "open(\'/dev/full\', \'w\').write(\'x\' * 10**6)"]\nscale = "small"'
    file.write_text(file.read_text().replace('scale = "small"', command, 1))
    judge = Judge(small_shop)
    judges.append(judge)
    code, _, errors = judge.finish()
    assert code == 3, errors
    assert "No space left on device" in errors
    judge.nothing_is_left(left_behind)
