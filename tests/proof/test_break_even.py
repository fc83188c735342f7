"""Break-even and the cold cache on the shop, whose promise turns with how often the same price is asked."""

import asyncio
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import psutil
import pytest

from easymo.proof.session.break_even import find_break_even, judge_cell
from easymo.proof.session.plan import Lengths, lengths_of, plan_of
from easymo.proof.session.progress import StepProgress
from easymo.proof.system.acceptance import Acceptance, read_acceptance
from easymo.proof.verdict.file import BreakEven
from easymo.proof.verdict.measurement import ArmCapacity, Measurements
from easymo.proof.verdict.promises import Promise
from tests.proof.conftest import MakeRound

pytestmark = pytest.mark.timeout(400)

LeftBehind = Callable[[int], list[str]]
SHOP = Path(__file__).parent / "other_system"
#: With one item every price is remembered after the first; with a billion none is asked for twice.
LOAD = """
import os
from easymo.load import Call, Request, Scenario

ITEMS = int(float(os.environ.get("ITEMS", "100")))
scenario = Scenario([Request("price", 1, lambda rng: Call("GET", f"/items/{rng.randrange(1, ITEMS + 1)}"))])
"""
DATA = """
import asyncio, os, sys, asyncpg

async def fill():
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    await connection.execute(f"INSERT INTO orders (customer) SELECT n FROM generate_series(1, {sys.argv[1]}) n")
    await connection.execute("ANALYZE")
    await connection.close()

asyncio.run(fill())
"""
ACCEPTANCE = """
[system]
name = "Shop"
migrations = ["schema.sql"]
data = ["{python}", "data.py", "{scale}"]

[[system.processes]]
name = "shop"
start = ["{python}", "server.py", "{port}"]
ready = "/ready/0"

[load]
scenario = "load.py"
round_s = 0.8
warm_up_s = 0.2
pairs = 2

[capacity]
p95_below_ms = 2000
errors_below = 0.9
step_s = 0.5
start_rps = 80
limit_rps = 80

[break_even]
scales = ["2000"]
repeat_read = [1e9, 1]
environment = { ITEMS = "{repeat_read}" }
pairs = 3
round_s = 0.6

[treatments.index]
files = ["index.sql"]

[treatments.memory]
environment = { REMEMBER_PRICES = "yes" }

[[promises]]
id = "statements"
claim = "half of the statements"
source = "the shop's own plan"
metric = "db_statements_per_request"
kind = "change"
at_most = -0.5
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = Path(shutil.copytree(SHOP, tmp_path / "shop"))
    for name, text in (("load.py", LOAD), ("data.py", DATA), ("acceptance.toml", ACCEPTANCE)):
        (folder / name).write_text(text)
    known = '"SELECT price::text FROM items WHERE id = $1"'
    server = (folder / "server.py").read_text()
    assert known in server
    every = known.replace("SELECT price::text FROM items WHERE id = $1", "select ($1::int % 9 + 1)::text")
    (folder / "server.py").write_text(server.replace(known, every))
    (folder / "run").mkdir()
    return folder


async def played(shop: Path, acceptance: Acceptance, lengths: Lengths) -> BreakEven:
    grid = acceptance.break_even
    assert grid is not None
    with StepProgress(plan_of(lengths, acceptance, 2, grid)) as progress:
        return await find_break_even(acceptance, grid, shop, shop / "run", lengths, progress)


@pytest.mark.slow
async def test_a_promise_turns_between_two_settings_and_the_measured_share_is_told(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    acceptance = read_acceptance(shop / "acceptance.toml")
    found = await played(shop, acceptance, lengths_of(acceptance, "full"))
    never, always = found.cells
    assert never.repeat_read_ratio == 0.0
    assert always.repeat_read_ratio is not None
    assert always.repeat_read_ratio > 0.9
    assert never.rows["orders"] == always.rows["orders"] == 2000
    assert never.rate_rps == always.rate_rps == 40
    assert (never.verdicts, always.verdicts) == ({"statements": "broken"}, {"statements": "kept"})
    change, low, high = always.changes["db_statements_per_request"]
    assert change is not None
    assert low is not None
    assert high is not None
    assert low <= change <= high < -0.5
    (flip,) = found.flips
    assert (flip.axis, flip.at, flip.between) == ("repeat_read", "2000", ("1e+09", "1"))
    salts = [json.loads(line)["load"]["salt"] for line in (shop / "run" / "break-even.jsonl").read_text().splitlines()]
    assert len(set(salts)) == len(salts), "no cell's tokens meet another's"
    assert "break-even at data size 2000" in capsys.readouterr().err


def test_the_plan_of_a_full_run_names_the_sizes_and_ends_within_25_minutes() -> None:
    root = Path(__file__).parents[2]
    acceptance = read_acceptance(root / "acceptance.toml")
    arms = 2 + len(acceptance.treatments)
    full = plan_of(lengths_of(acceptance, "full"), acceptance, arms, acceptance.break_even)
    assert sum(seconds for _, seconds in full) <= 25 * 60
    assert [name for name, _ in full][-3:] == [f"break-even at data size {size}" for size in ("0.1", "0.35", "1")]
    assert sum(seconds for _, seconds in plan_of(lengths_of(acceptance, "default"), acceptance, 2, None)) <= 5 * 60
    assert sum(seconds for _, seconds in plan_of(lengths_of(acceptance, "quick"), acceptance, 2, None)) <= 90


def test_a_cell_is_judged_on_capacity_and_pairs_but_not_on_errors_under_stress(make_round: MakeRound) -> None:
    def promise(identity: str, metric: str, kind: Literal["change", "level"], **bound: float) -> Promise:
        return Promise(identity, identity, "a note", metric, kind, **bound)

    rounds = [
        make_round(arm, pair=pair, latency_ms=ms) for pair in range(3) for arm, ms in (("none", 20.0), ("both", 5.0))
    ]
    capacity = {"none": [ArmCapacity(100, 150, [])], "both": [ArmCapacity(400, None, [])]}
    promises = [
        promise("throughput", "capacity_rps", "level", at_least=300),
        promise("twice", "capacity_rps", "change", at_least=1.0),
        promise("connections", "db_connections", "level", at_most=2),
        promise("p50", "latency_p50", "change", at_most=-0.5),
        promise("p50 of nothing", "latency_p50:nothing", "change", at_most=-0.5),
        promise("errors", "error_ratio@300", "level", at_most=0.01),
    ]
    changes, decisions = judge_cell(promises, Measurements(rounds, capacity))
    assert decisions == {
        "throughput": "kept",
        "twice": "kept",
        "connections": "broken",
        "p50": "kept",
        "p50 of nothing": "inconclusive",
    }
    assert changes["capacity_rps"][2] is None, "the top of the search held: open above"
    assert changes["latency_p50"][0] == pytest.approx(-0.75, abs=0.01)
    assert changes["db_connections"][0] == 0
    assert changes.keys() == {"capacity_rps", "latency_p50", "db_connections"}


@pytest.mark.slow
async def test_a_grid_that_is_stopped_leaves_no_process_and_no_directory(shop: Path, left_behind: LeftBehind) -> None:
    """Stopped once the treated arm's capacity is searched for, as a signal stops it."""
    acceptance = read_acceptance(shop / "acceptance.toml")
    servers, processes = left_behind(os.getpid()), set(psutil.Process().children(recursive=True))
    reached = asyncio.Event()

    class Watched(StepProgress):
        def note(self, text: str) -> None:
            if text.startswith("both"):
                reached.set()

    grid = acceptance.break_even
    assert grid is not None
    lengths = lengths_of(acceptance, "full")
    with Watched(plan_of(lengths, acceptance, 2, grid)) as progress:
        playing = asyncio.create_task(find_break_even(acceptance, grid, shop, shop / "run", lengths, progress))
        await asyncio.wait([playing, asyncio.create_task(reached.wait())], return_when=asyncio.FIRST_COMPLETED)
        started = set(psutil.Process().children(recursive=True)) - processes
        assert len(started) >= 4, "two servers at least, and the shop in two arms"
        playing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await playing
    _, alive = psutil.wait_procs(started, timeout=20)
    assert alive == []
    assert left_behind(os.getpid()) == servers
