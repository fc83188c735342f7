"""The note's load test against the real platform: in a healthy system no request of the mix is an error."""

import asyncio
from contextlib import ExitStack
from pathlib import Path

import pytest

from easymo.cache import CacheService
from easymo.embedded import Valkey
from easymo.load import Job, Stage, run_process
from easymo.proof.system.acceptance import read_acceptance
from tests.operations.processes import address_of, command, end

SCENARIO = Path(__file__).parents[1] / "load" / "services.py"


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(600)
def test_no_request_of_the_mix_is_an_error_and_both_arms_get_the_same_load(
    database_url: str, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    for arguments in (("migrate",), ("sample-data", "--scale", "note", "--seed", "7")):
        with command(*arguments, DATABASE_URL=database_url) as process:
            _, errors = process.communicate()
            assert process.returncode == 0, errors
    acceptance = read_acceptance(SCENARIO.parents[2] / "acceptance.toml")
    for name, value in acceptance.load.environment.items():
        monkeypatch.setenv(name, value.format(scale="note", seed=11))
    environment = {**acceptance.system.environment, "DATABASE_URL": database_url, "REDIS_URL": valkey.url}
    environment |= {"AUTH_DISABLED": ""}
    results = []
    for enabled in ("false", "true"):
        with ExitStack() as stack:
            environment |= {"REDIS_ENABLED": enabled, "LOG_LEVEL": "info"}
            processes = {
                process.name: stack.enter_context(command("serve", process.name, "--port", "0", **environment))
                for process in acceptance.system.processes
            }
            urls, stages = {name: address_of(process) for name, process in processes.items()}, [Stage(60, 5)]
            results.append(run_process(Job(scenario=str(SCENARIO), urls=urls, stages=stages, seed=11, salt=enabled)))
            for process in processes.values():
                end(process)
    for result in results:
        assert result.errors == {}
        assert set(result.statuses) == {"2xx"}
        assert 0.3 < result.repeat_read_ratio < 0.8
    without, with_cache = ({name: tally.requests for name, tally in r.per_request.items()} for r in results)
    assert without == with_cache

    async def cached_lists() -> int:
        async with CacheService(valkey.url) as cache:
            return await cache.invalidate_pattern("live-calls:*")

    assert asyncio.run(cached_lists()) > 0, "the cached arm did use the cache"
