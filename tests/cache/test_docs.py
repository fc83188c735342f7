"""The cache's pages: their code runs, their tests exist, their recipe is short."""

import difflib
import re
import sys
import types
from pathlib import Path
from typing import Any

import httpx
import pytest

from easymo.cache.commands import REPLACE
from easymo.cache.pytest import TestCache
from tests import asgi

ROOT = Path(__file__).parents[2]
HOWTO = (ROOT / "docs/howto/cache-an-endpoint.md").read_text(encoding="utf-8")
INVALIDATION = (ROOT / "docs/explanation/invalidation.md").read_text(encoding="utf-8")
STORED_FORM = (ROOT / "docs/reference/cache-stored-form.md").read_text(encoding="utf-8")


def python_block(name: str) -> str:
    found = re.search(rf"```python\n# {name}\n(.*?)```", HOWTO, re.DOTALL)
    assert found is not None
    return found[1]


def run(monkeypatch: pytest.MonkeyPatch, name: str) -> Any:
    """The module that a block of the page is."""
    module = types.ModuleType(f"howto_{name}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(python_block(name), name, "exec"), module.__dict__)  # noqa: S102 (a page of ours)
    return module


async def answers(monkeypatch: pytest.MonkeyPatch, name: str) -> list[httpx.Response]:
    """The first and the second answer of the application that a block of the page makes."""
    monkeypatch.setenv("REDIS_URL", "memory://")
    module = run(monkeypatch, name)
    transport = asgi.transport(module.app)
    async with module.app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        return [await client.get("/live-calls") for _ in range(2)]


async def test_all_forms_of_the_endpoint_run_and_answer_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    before, after, as_bytes = [await answers(monkeypatch, name) for name in ("before", "after", "bytes")]
    assert len({answer.content for answer in (*before, *after, *as_bytes)}) == 1
    assert [answer.headers["x-cache"] for answer in as_bytes] == ["MISS", "HIT"]


async def test_the_application_of_fastapi_reads_renames_and_reads_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REDIS_URL", "memory://")
    monkeypatch.setenv("DATABASE_URL", f"sqlite+aiosqlite:///{tmp_path}/app.db")
    module = run(monkeypatch, "fastapi")
    async with module.engine.begin() as connection:
        await connection.run_sync(module.Base.metadata.create_all)
    async with module.new_session.begin() as session:
        session.add(module.UserRow(id=1, name="Ada"))
    async with module.app.router.lifespan_context(module.app) as state:

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await module.app(scope | {"state": dict(state)}, receive, send)

        async with httpx.AsyncClient(transport=asgi.transport(app), base_url="http://app") as client:
            assert [(await client.get("/users/1")).json() for _ in range(2)] == [{"id": 1, "name": "Ada"}] * 2
            assert (await client.get("/users/2")).status_code == 404
            assert (await client.put("/users/1/name?name=Grace")).status_code == 200
            assert (await client.get("/users/1")).json()["name"] == "Grace"
        assert module.cache.local_stats().strategies["user"].loads == 3
    await module.engine.dispose()


async def test_the_other_blocks_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "memory://")
    run(monkeypatch, "sync")
    await run(monkeypatch, "test").test_news_are_loaded_again_after_a_minute(TestCache())
    async with TestCache() as cache:
        assert await run(monkeypatch, "background").report(cache, "today") == {"day": "today"}
    blocks = re.findall(r"```python\n# (\w+)\n", HOWTO)
    assert len(blocks) == HOWTO.count("```python") == len({*blocks}) == 7, "every block has a name and a test"


def test_it_takes_five_changed_lines() -> None:
    before, after = python_block("before").splitlines(), python_block("after").splitlines()
    changed = [line for line in difflib.ndiff(before, after) if line.startswith("+ ") and line[2:].strip()]
    assert len(changed) <= 5, changed


def test_every_guarantee_names_a_test_that_is_there() -> None:
    claims = re.findall(r"\[`(test_\w+)`\]\(\.\./\.\./(tests/cache/\w+\.py)\)", INVALIDATION)
    assert len(claims) >= 12
    for name, path in claims:
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), name


def test_the_script_for_other_languages_is_the_one_we_use() -> None:
    assert REPLACE.lua.strip() in STORED_FORM
