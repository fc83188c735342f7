"""`python -m easymo_platform rollback`."""

import ast
import asyncio
import json
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import yaml
from redis import Redis

from easymo.cache import Strategy
from easymo.embedded import Valkey
from easymo_platform.operations.flush import patterns
from easymo_platform.operations.migrate import migrate
from easymo_platform.operations.rollback import parser
from easymo_platform.operations.rollback_cluster import AUTOSCALERS
from easymo_platform.operations.rollback_journal import RollbackJournal
from easymo_platform.operations.rollback_plan import STEPS
from easymo_platform.operations.rolling_control import CONTROL
from easymo_platform.operations.serve import SERVICES
from tests.operations.cluster import Cluster
from tests.operations.test_rolling import platform, run, services_of

ROOT = Path(__file__).parents[2]
MARKED = (
    "select count(*) from pg_indexes where indexname like 'idx_%' and obj_description(indexname::regclass) is not null"
)


def built_indexes(database_url: str) -> int:
    async def count() -> int:
        connection = await asyncpg.connect(database_url)
        try:
            return int(await connection.fetchval(MARKED))
        finally:
            await connection.close()

    return asyncio.run(count())


@pytest.mark.slow
def test_rollback_on_one_machine_restarts_drops_the_cache_and_the_indexes_and_migrate_brings_them_back(
    database_url: str, valkey: Valkey, tmp_path: Path
) -> None:
    redis = Redis.from_url(valkey.url)
    journal = ("--journal", str(tmp_path / "journal"))
    with platform(tmp_path, DATABASE_URL=database_url, REDIS_URL=valkey.url) as (process, handed_over):
        url = handed_over["VOICE_BRIDGE_URL"]
        assert httpx.get(f"{url}/analytics/live-calls", timeout=60).status_code == 200
        redis.set("somebody:else", 1)
        redis.set("easymo:limit:voice-bridge:abc", 1)
        before = services_of(process)

        code, output, _ = run("rollback", *journal, **handed_over)
        assert (code, "Nothing was done" in output) == (0, True)
        assert [line.split()[0] for line in output.splitlines() if ": planned" in line] == [
            "application", "autoscaler", "cache", "cache", "indexes", "indexes",
        ]  # fmt: skip
        assert "python -m easymo_platform restart --set REDIS_ENABLED=false" in output
        assert "14 of 14 indexes are there and ours to drop" in output
        assert services_of(process) == before
        assert redis.keys("easymo:live-calls:*") != []
        assert built_indexes(database_url) == 14

        code, output, errors = run("rollback", "--yes", "--json", *journal, **handed_over)
        assert code == 0, errors
        report = json.loads(output)
        assert (report["target"], report["done"]) == ("local", True)
        assert {outcome["state"] for outcome in report["outcomes"]} == {"done"}
        assert tuple(dict.fromkeys(outcome["step"] for outcome in report["outcomes"])) == STEPS
        assert set(before.values()) & set(services_of(process).values()) == set()
        assert httpx.get(f"{url}/health", timeout=60).json()["checks"]["redis"] == "off"
    assert redis.keys("easymo:live-calls:*") == []
    assert redis.get("somebody:else") == redis.get("easymo:limit:voice-bridge:abc") == b"1"
    assert built_indexes(database_url) == 0
    asyncio.run(migrate(database_url))
    assert built_indexes(database_url) == 14
    redis.flushall()
    redis.close()


def rollback(cluster: Cluster, folder: Path, *arguments: str, **environ: str) -> tuple[int, dict[str, Any], str]:
    """One run on the cluster: exit code, JSON, errors."""
    environ = {"PATH": cluster.path, CONTROL: "", **environ}
    place = ("--on", "cluster", "--journal", str(folder / "journal"), "--json")
    code, output, errors = run("rollback", *arguments, *place, **environ)
    return code, json.loads(output) if output else {}, errors


def test_dry_run_on_a_cluster_only_asks(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    code, report, _ = rollback(cluster, tmp_path, "application")
    commands = [command for outcome in report["outcomes"] for command in outcome["commands"]]
    assert (code, report["dry_run"], report["done"]) == (0, True, False)
    assert commands[0] == "kubectl rollout undo deployment/voice-bridge -n production --context test"
    assert report["outcomes"][0]["said"] == "revision 7 runs now; the one before it comes back"
    assert cluster.state["log"] == ["config current-context"]
    assert not (tmp_path / "journal").exists()


def test_every_step_on_a_cluster_reaches_every_service(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    for step in ("application", "autoscaler", "cache"):
        code, report, errors = rollback(cluster, tmp_path, step, "--yes")
        assert (code, report.get("done")) == (0, True), errors
    state = cluster.state
    assert {deployment["image"] for deployment in state["deployments"].values()} == {"old"}
    assert {deployment["redis"] for deployment in state["deployments"].values()} == {"REDIS_ENABLED=false"}
    assert state["autoscalers"] == []
    assert f"scale deployment/{AUTOSCALERS['voice-bridge-hpa']} --replicas=4" in state["log"], "as many as it had"
    assert state["log"][-1].endswith("deployment/voice-bridge -- python -m easymo_platform flush-cache --yes")


def test_autoscalers_of_before_are_applied_when_they_are_given(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    code, _, _ = rollback(cluster, tmp_path, "autoscaler", "--yes", "--manifests", "before.yaml")
    assert (code, cluster.state["log"][-1]) == (0, "apply -f before.yaml")
    assert cluster.state["autoscalers"] == list(AUTOSCALERS)


@pytest.mark.parametrize("after", [False, True], ids=["before it took effect", "after it took effect"])
def test_rollback_that_broke_off_goes_on_and_undoes_nothing_twice(tmp_path: Path, after: bool) -> None:
    """A second undo would bring the bad revision back."""
    cluster = Cluster(tmp_path)
    third = list(SERVICES)[2]
    cluster.fail(f"rollout undo deployment/{third}", after=after)
    code, report, _ = rollback(cluster, tmp_path, "application", "--yes")
    states = [outcome["state"] for outcome in report["outcomes"]]
    assert (code, states[:4]) == (1, ["done", "done", "failed", "not reached"])
    assert "the connection to the server was lost" in report["failed"]

    code, report, errors = rollback(cluster, tmp_path, "application", "--yes")
    states = [outcome["state"] for outcome in report["outcomes"]]
    assert (code, states[:4]) == (0, ["done before", "done before", "done", "done"]), errors
    deployments = cluster.state["deployments"].values()
    assert [(deployment["image"], deployment["revision"]) for deployment in deployments] == [("old", 8)] * len(SERVICES)


def test_rollback_that_is_finished_is_not_gone_on_with(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    for _ in range(2):
        _, report, _ = rollback(cluster, tmp_path, "autoscaler", "--yes")
        assert {outcome["state"] for outcome in report["outcomes"]} == {"done"}


def test_indexes_need_an_address_of_the_database(tmp_path: Path) -> None:
    code, _, errors = rollback(Cluster(tmp_path), tmp_path, "indexes", DATABASE_URL="")
    assert code == 1
    assert errors.startswith("DATABASE_URL is not set")


def test_without_platform_and_cluster_it_says_what_to_do(tmp_path: Path) -> None:
    code, _, errors = run("rollback", "--on", "local", **{CONTROL: str(tmp_path / "nobody")})
    assert code == 1
    assert errors.startswith("There is nothing to roll back from here")


def test_step_that_is_finished_leaves_the_whole_rollback_under_way(tmp_path: Path) -> None:
    file = tmp_path / "journal"
    whole = RollbackJournal(file, "here")
    whole.start("all")
    whole.begin("cache: off")
    alone = RollbackJournal(file, "here")
    alone.start("cache")
    alone.done("cache: off")
    alone.reached("cache")
    again = RollbackJournal(file, "here")
    assert again.is_done("cache: off")
    assert again.started_at
    again.reached("all")
    assert not RollbackJournal(file, "here").is_done("cache: off")


def test_journal_of_another_cluster_and_half_a_line_are_ignored(tmp_path: Path) -> None:
    file = tmp_path / "journal"
    there = RollbackJournal(file, "there")
    there.start("all")
    there.done("cache: off")
    with file.open("ab") as open_file:
        open_file.write(b'{"at":"2026')
    assert not RollbackJournal(file, "here").is_done("cache: off")
    assert RollbackJournal(file, "there").is_done("cache: off")


def test_autoscalers_are_those_of_the_manifest() -> None:
    documents = yaml.safe_load_all((ROOT / "k8s" / "autoscaling" / "hpa.yaml").read_text(encoding="utf-8"))
    assert {
        document["metadata"]["name"]: document["spec"]["scaleTargetRef"]["name"] for document in documents if document
    } == AUTOSCALERS


def test_flush_knows_every_strategy_of_the_platform() -> None:
    keys = []
    for file in (ROOT / "src" / "easymo_platform").rglob("strategies.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == Strategy.__name__:
                keys += [ast.literal_eval(keyword.value) for keyword in node.keywords if keyword.arg == "key"]
    assert len(patterns()) == len(set(keys)) > 0


def test_every_command_of_the_howto_is_understood() -> None:
    page = (ROOT / "docs" / "howto" / "roll-back.md").read_text(encoding="utf-8")
    lines = [line.split()[3:] for line in page.splitlines() if line.startswith("python -m easymo_platform ")]
    rollbacks = [arguments[1:] for arguments in lines if arguments[0] == "rollback"]
    assert len(rollbacks) >= 4
    for arguments in rollbacks:
        assert parser().parse_args(arguments).step in (*STEPS, "all")
    assert {arguments[0] for arguments in lines} == {"rollback", "migrate", "restart"}


@pytest.mark.parametrize("name", ["restart", "rollback", "flush-cache"])
def test_help_shows_an_example(name: str) -> None:
    code, output, _ = run(name, "--help")
    assert (code, "Example:" in output) == (0, True)
