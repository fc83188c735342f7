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
from easymo_platform.operations.local.control import CONTROL
from easymo_platform.operations.migrate import migrate
from easymo_platform.operations.rollback.cluster import AUTOSCALERS
from easymo_platform.operations.rollback.command import parser
from easymo_platform.operations.rollback.plan import STEPS
from easymo_platform.operations.serve import SERVICES
from tests.operations.cluster import Cluster
from tests.operations.test_rolling import platform, run, services_of

pytestmark = pytest.mark.timeout(400)

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
    with platform(tmp_path, DATABASE_URL=database_url, REDIS_URL=valkey.url) as (process, handed_over):
        url = handed_over["VOICE_BRIDGE_URL"]
        assert httpx.get(f"{url}/analytics/live-calls", timeout=60).status_code == 200
        redis.set("somebody:else", 1)
        redis.set("easymo:limit:voice-bridge:abc", 1)
        before = services_of(process)

        code, output, _ = run("rollback", **handed_over)
        assert (code, "Nothing was done" in output) == (0, True)
        assert [line.split()[0] for line in output.splitlines() if ": planned" in line] == [
            "application", "autoscaler", "cache", "cache", "indexes", "indexes",
        ]  # fmt: skip
        assert "python -m easymo_platform restart --set REDIS_ENABLED=false" in output
        assert "14 of 14 indexes are there and ours to drop" in output
        assert services_of(process) == before
        assert redis.keys("easymo:live-calls:*") != []
        assert built_indexes(database_url) == 14

        code, output, errors = run("rollback", "--yes", "--json", **handed_over)
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


def rollback(cluster: Cluster, *arguments: str, **environ: str) -> tuple[int, dict[str, Any], str]:
    """One run on the cluster: exit code, JSON, errors."""
    environ = {"PATH": cluster.path, CONTROL: "", **environ}
    place = ("--on", "cluster", "--json")
    code, output, errors = run("rollback", *arguments, *place, **environ)
    return code, json.loads(output) if output else {}, errors


def test_dry_run_on_a_cluster_only_asks(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    code, report, _ = rollback(cluster, "application")
    commands = [command for outcome in report["outcomes"] for command in outcome["commands"]]
    assert (code, report["dry_run"], report["done"]) == (0, True, False)
    assert commands[0] == "kubectl rollout undo deployment/voice-bridge -n production --context test"
    assert report["outcomes"][0]["said"] == "revision 7 runs now; the one before it comes back"
    assert cluster.state["log"] == ["config current-context"]


def test_every_step_on_a_cluster_reaches_every_service(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    for step in ("application", "autoscaler", "cache"):
        code, report, errors = rollback(cluster, step, "--yes")
        assert (code, report.get("done")) == (0, True), errors
    state = cluster.state
    assert {deployment["image"] for deployment in state["deployments"].values()} == {"old"}
    assert {deployment["redis"] for deployment in state["deployments"].values()} == {"REDIS_ENABLED=false"}
    assert state["autoscalers"] == []
    assert f"scale deployment/{AUTOSCALERS['voice-bridge-hpa']} --replicas=4" in state["log"], "as many as it had"
    assert state["log"][-1].endswith("deployment/voice-bridge -- python -m easymo_platform flush-cache --yes")


def test_autoscalers_of_before_are_applied_when_they_are_given(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    code, _, _ = rollback(cluster, "autoscaler", "--yes", "--manifests", "before.yaml")
    assert (code, cluster.state["log"][-1]) == (0, "apply -f before.yaml")
    assert cluster.state["autoscalers"] == list(AUTOSCALERS)


@pytest.mark.parametrize("after", [False, True], ids=["before it took effect", "after it took effect"])
def test_rollback_that_broke_off_goes_on_and_undoes_nothing_twice(tmp_path: Path, after: bool) -> None:
    """A second undo would bring the bad revision back."""
    cluster = Cluster(tmp_path)
    third = list(SERVICES)[2]
    cluster.fail(f"rollout undo deployment/{third}", after=after)
    code, report, _ = rollback(cluster, "application", "--yes")
    states = [outcome["state"] for outcome in report["outcomes"]]
    assert (code, states[:4]) == (1, ["done", "done", "failed", "not reached"])
    assert "the connection to the server was lost" in report["failed"]

    code, report, errors = rollback(cluster, "application", "--yes")
    assert (code, {outcome["state"] for outcome in report["outcomes"]}) == (0, {"done"}), errors
    assert report["outcomes"][0]["said"] == "undone already: revision 8 runs"
    deployments = cluster.state["deployments"].values()
    assert [(deployment["image"], deployment["revision"]) for deployment in deployments] == [("old", 8)] * len(SERVICES)


def test_finished_rollback_that_runs_again_brings_no_bad_revision_back(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    for _ in range(2):
        assert rollback(cluster, "application", "--yes")[0] == 0
    assert {deployment["image"] for deployment in cluster.state["deployments"].values()} == {"old"}


def test_release_after_a_rollback_can_be_rolled_back_too(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    rollback(cluster, "application", "--yes")
    cluster.release("voice-bridge", "newer")
    rollback(cluster, "application", "--yes")
    deployment = cluster.state["deployments"]["voice-bridge"]
    assert (deployment["image"], deployment["revision"]) == ("old", 10)


def test_undo_that_the_cluster_has_not_carried_out_yet_is_not_repeated(tmp_path: Path) -> None:
    """The revision of a Deployment changes some moments after the undo; until then it looks like the bad one."""
    cluster = Cluster(tmp_path)
    cluster.lag()
    for _ in range(2):
        rollback(cluster, "application", "--yes")
    assert [line for line in cluster.state["log"] if line.startswith("rollout undo deployment/voice-bridge")] == [
        "rollout undo deployment/voice-bridge"
    ]


def test_indexes_need_an_address_of_the_database(tmp_path: Path) -> None:
    code, _, errors = rollback(Cluster(tmp_path), "indexes", DATABASE_URL="")
    assert code == 1
    assert errors.startswith("DATABASE_URL is not set")


def test_without_platform_and_cluster_it_says_what_to_do(tmp_path: Path) -> None:
    code, _, errors = run("rollback", "--on", "local", **{CONTROL: str(tmp_path / "nobody")})
    assert code == 1
    assert errors.startswith("There is nothing to roll back from here")


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
